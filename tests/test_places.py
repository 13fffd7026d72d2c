"""Where one stands, where output goes and who reads it does not matter; exit codes and one-line messages of the command."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from results import Run, RunError, require_place

HERE = Path(__file__).parent
COMMAND = Path(sys.executable).with_name("dargmin")
QUICK = ("--n", 8, "--budget", 0.02, "--method", "fd-directional", "--out", "run")


def dargmin(*arguments: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(COMMAND), *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=200, check=False,
        env={**os.environ, "PYTHONPATH": str(HERE.parent), **environment},
    )  # fmt: skip


def shell(line: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; dargmin() {{ {shlex.quote(str(COMMAND))} \"$@\"; }}; {line}"], cwd=cwd, timeout=200,
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(HERE.parent), **environment},
    )  # fmt: skip


MINE = """
from helper import Exact
class Mine(Exact):
    name = "mine"
"""
HELPER = """
from methods import GradientMethod
from methods.blorc import Blorc
class Exact(GradientMethod):
    def unsupported(self, problem): return None
    def prepare(self, problem): return Blorc().prepare(problem)
"""
SHADOWS = ("methods", "results", "harness", "reports", "random", "numpy", "signal", "pickle")


def test_modules_beside_the_call_and_the_users_file_shadow_none_of_ours(tmp_path: Path) -> None:
    for name in SHADOWS:
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('the wrong module')\n")
    (tmp_path / "problems").mkdir()
    (tmp_path / "problems" / "__init__.py").write_text("raise RuntimeError('the wrong module')\n")
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "helper.py").write_text(HELPER)
    (tmp_path / "elsewhere").mkdir()
    for where, *arguments in (
        (tmp_path, "run", *QUICK, "--method", "mine.py:Mine", "--no-report"),
        (tmp_path / "elsewhere", "run", "--resume", "../run", "--no-report"),
        (tmp_path, "report", "run"),
    ):
        done = dargmin(*arguments, cwd=where)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    assert set(Run.open(tmp_path / "run").frame()["status"]) == {"ok"}


def test_a_run_goes_on_where_its_files_were_moved_to_and_not_where_they_changed(tmp_path: Path) -> None:
    from harness.commands.running import _versions

    (tmp_path / "mine.py").write_text("a = 1\n")
    (tmp_path / "moved").mkdir()
    before = _versions((f"{tmp_path / 'mine.py'}:M",))
    (tmp_path / "mine.py").rename(tmp_path / "moved" / "mine.py")
    assert _versions((f"{tmp_path / 'moved' / 'mine.py'}:M",)) == before
    (tmp_path / "moved" / "mine.py").write_text("a = 2\n")
    assert _versions((f"{tmp_path / 'moved' / 'mine.py'}:M",)) != before


# Exit codes


def test_a_run_in_which_no_cell_succeeds_ends_with_1_and_says_so(tmp_path: Path) -> None:
    done = dargmin("run", *QUICK[:4], "--method", f"{HERE / '_methods.py'}:Raises", "--out", "run", cwd=tmp_path)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last == "dargmin: none of 1 cell succeeded (1 error); the first: raises: ValueError: broken on purpose"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("places")
    assert dargmin("run", *QUICK, cwd=folder).returncode == 0
    return folder


READERS = {
    "closed": "dargmin list >&-",
    "all closed": "dargmin --help <&- >&- 2>&-",
    "a pipe into head": "dargmin list | head -n 1",
    "a run into nothing": "dargmin run --resume run --no-report | true",
    "a run closed": "dargmin run --n 8 --budget 0.02 --method fd-directional --out closed --no-report >&-",
    "a comparison into head": "dargmin compare run run | head -n 1",
    "help into nothing": "dargmin --help | true",
}


@pytest.mark.parametrize("case", READERS)
def test_who_reads_does_not_matter(finished: Path, case: str) -> None:
    done = shell(READERS[case], finished)
    assert done.returncode == 0 and "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr, done.stderr


def test_a_regression_is_1_also_where_nobody_reads(finished: Path) -> None:
    assert json.loads((finished / "run" / "plan.json").read_text())["cells"]
    slow = finished / "slow"
    subprocess.run(["cp", "-r", finished / "run", slow], check=True)
    rows = [json.loads(line) for line in (slow / "records.jsonl").read_text().splitlines()]
    for row in rows:
        row["status"], row["reason"] = "crash", "broken on purpose"
    (slow / "records.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert shell("dargmin compare run slow | true", finished).returncode == 1
    assert shell("dargmin compare run slow >&-", finished).returncode == 1


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "ascii:strict"])
def test_any_encoding_will_do(finished: Path, encoding: str) -> None:
    for arguments in (("list",), ("run", "--resume", "run")) if encoding == "ascii" else (("compare", "run", "run"),):
        done = dargmin(*arguments, cwd=finished, PYTHONIOENCODING=encoding)
        assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr


# Places to write to


def test_an_unwritable_place_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for arguments in (("reproduce", "smoothing-bias", "--quick"), ("reproduce", "all"), ("run", *QUICK[:-2])):
        done = dargmin(*arguments, "--out", "file/below", cwd=tmp_path)
        assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr
        assert "cannot write to file" in done.stderr and "give another --out" in done.stderr


def test_a_place_that_can_be_written_to_is_left_as_it_was(tmp_path: Path) -> None:
    require_place(tmp_path / "a" / "b", "--out")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RunError, match=r"cannot write to /proc/none: .*; give another --out"):
        require_place(Path("/proc/none"), "--out")


@pytest.mark.parametrize("umask", [0o077, 0o022, 0o002])
def test_the_run_folder_is_as_the_umask_has_it(tmp_path: Path, umask: int) -> None:
    import _runs

    old = os.umask(umask)
    try:
        made: Any = _runs.build(tmp_path / "run", pairs=[])
    finally:
        os.umask(old)
    assert made.path.stat().st_mode & 0o777 == 0o777 & ~umask
    assert (made.path / "plan.json").stat().st_mode & 0o777 == 0o666 & ~umask
