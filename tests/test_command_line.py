"""The command line as a user runs it: help, wrong input, and each command once for real."""

from __future__ import annotations

import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import _runs
import pytest
from _command import dargmin, within

from harness.experiments import EXPERIMENTS
from results import Run

COMMANDS = ("run", "report", "compare", "list", "check", "prove", "reproduce", "tune-beta", "train-operator", "doctor")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    done = within(command, "--help")
    assert done.returncode == 0
    assert f"Example: dargmin {command}" in done.stdout


WRONG = {
    "--n abc": "--n must be whole numbers such as 16,36,64, got 'abc'",
    "--n 3": "n must be at least 4, got 3",
    "--n -4": "--n must not be negative",
    "--sigma x": "--sigma must be numbers such as 0.02,0.1, got 'x'",
    "--sigma 0": "--sigma must be finite numbers above 0",
    "--sigma -1": "--sigma must be finite numbers above 0",
    "--sigma nan": "--sigma must be finite numbers above 0",
    "--n=": "--n must be whole numbers such as 16,36,64, got ''",
    "--preset=": (
        "--preset must be one of smoke, default, paper, families, full, speed, scaling, device, peers, problems, got ''"
    ),
    "--seeds 5:2": "--seeds must be a range such as 0:5, or whole numbers such as 1,3, got '5:2'",
    "--seeds 1,2:4": "--seeds must be a range such as 0:5, or whole numbers such as 1,3, got '1,2:4'",
    "--seeds -1": "--seeds must be a range such as 0:5, or whole numbers such as 1,3, got '-1'",
    "--operator nope": "--operator must name an operator of analysis-l1, got 'nope'; dargmin list shows all",
    "--signal nope": "--signal must be one of piecewise-constant",
    "--theta nope": "--theta must be one of dense",
    "--knobs nope": "--knobs must be one of default, all, got 'nope'",
    "--preset nope": "families, full, speed, scaling, device, peers, problems, got 'nope'",
    "--problem nope": "--problem must name a problem, got 'nope'; dargmin list shows all",
    "--method nope": "--method must name a method, got 'nope'; dargmin list shows all",
    "--method nope.py:M": "names the file nope.py, which does not exist",
    "--method nope.py": "must look like path/to/file.py:NAME",
    "--signal image-patches --n 20": "needs a square n",
    "--n 100000": "operator 'tv' at n = 100000 is a matrix of 80 GB or more; give a smaller n, or take a sparse theta",
    "--n 1000000000000 --theta sparse": "memory does not suffice",
    "--preset speed --operator tv": "at n = 262144 is a matrix of 550 GB or more",
    "--timeout 0": "--timeout must be above 0",
    "--preparation-timeout 0": "--preparation-timeout must be above 0 seconds and finite, got 0.0",
    "--budget -1": "--budget must be above 0",
    "--budget inf": "--budget must be above 0 seconds and finite, got inf",
    "--memory-limit -1": "--memory-limit must be at least 0",
    "--memory-limit nan": "--memory-limit must be at least 0 GiB and finite, got nan",
    "--threads 1000": "--threads must be between 1 and",
    "--device tpu": "--device must be one of cpu, cuda, got 'tpu'",
    "--executor nope": "--executor must be one of local, dask, got 'nope'",
    "--scheduler tcp://here:1": "--scheduler goes with --executor dask",
    "--foo": "No such option: --foo",
    "--threads two": "Invalid value for '--threads'",
    "--resume /nonexistent": "/nonexistent is not a run folder",
    "--resume /nonexistent --n 16": "--resume goes on with the plan of the run",
}


@pytest.mark.parametrize("arguments", WRONG)
def test_wrong_input_is_one_line_and_writes_nothing(arguments: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    where = [] if "--resume" in arguments else ["--out", str(out)]
    done = within("run", *arguments.split(), *where)
    assert done.returncode == 2
    assert WRONG[arguments] in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_wrong_input_ends_a_process_in_the_same_way() -> None:
    done = dargmin("run", "--n", "abc")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "dargmin: --n must be whole numbers such as 16,36,64, got 'abc'\n"


def test_an_unwritable_folder_is_one_line(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    done = within("run", "--n", "16", "--method", "blorc", "--out", str(blocked / "run"))
    assert done.returncode == 2
    assert "give another --out" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_existing_run_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    done = within("run", "--n", "16", "--method", "blorc", "--out", str(tmp_path / "run"))
    assert done.returncode == 2
    assert "exists already" in done.stderr


_BARE = """from methods import GradientMethod
class M(GradientMethod):
    name = {name}
    def unsupported(self, problem): 1 / 0
    def prepare(self, problem): 1 / 0
"""

BROKEN = {
    "import nothing_of_that_name\n": "cannot be imported: ModuleNotFoundError",
    "def f(:\n": "cannot be imported: SyntaxError",
    "M = 3\n": "must be a GradientMethod, got int",
    "from methods import GradientMethod\nclass M(GradientMethod):\n    pass\n": "lacks name, prepare, unsupported",
    "x = 1\n": "has no 'M'",
    "class M:\n    pass\n": "must be a GradientMethod, got the class M",
    _BARE.format(name="'mine'\n    def promise(self, problem): return None"): "promise must take (problem, reference)",
    "raise SystemExit(3)\n": "cannot be imported: SystemExit: 3",
    _BARE.format(name="'blorc'"): "two methods have the name 'blorc'; give yours a name",
    _BARE.format(name="1 / 0"): "cannot be imported: ZeroDivisionError",
    _BARE.format(name="property(lambda self: 1 / 0)"): "cannot be described: ZeroDivisionError",
    _BARE.format(name="'mine'\n    knob = 'eps'"): "knob must be the name of a field, got 'eps'",
}


@pytest.mark.parametrize("source", BROKEN)
def test_a_broken_user_method_is_one_line(source: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(source)
    done = within("run", "--method", f"{path}:M", "--out", str(tmp_path / "run"))
    assert done.returncode == 2
    assert BROKEN[source] in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_two_user_methods_of_one_name_are_refused(tmp_path: Path) -> None:
    for file in ("a.py", "b.py"):
        (tmp_path / file).write_text(_BARE.format(name="'mine'"))
    methods = [argument for file in ("a.py", "b.py") for argument in ("--method", f"{tmp_path / file}:M")]
    done = within("run", *methods, "--out", str(tmp_path / "run"))
    assert done.returncode == 2
    assert "two methods have the name 'mine'" in done.stderr
    twice = within("run", *methods[:2], *methods[:2], "--n", "16", "--dry-run")
    assert twice.returncode == 0, twice.stderr
    assert "plan: 1 cell in 1 block, 1 setting of 1 method" in twice.stderr


def test_list_shows_what_a_broken_refusal_raised(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(_BARE.format(name="'mine'"))
    done = within("list", "--method", f"{tmp_path / 'mine.py'}:M", "--problem", "lasso", "--why")
    assert done.returncode == 0, done.stderr
    assert "no   mine\n       why: unsupported() raised ZeroDivisionError" in done.stdout


@pytest.mark.parametrize("arguments", [["report", "/nonexistent"], ["compare", "/nonexistent", "/nonexistent"]])
def test_what_is_not_a_run_is_one_line(arguments: list[str]) -> None:
    done = within(*arguments)
    assert done.returncode == 2
    assert "is not a run folder" in done.stderr


def test_help_and_list_load_no_framework() -> None:
    code = "import sys; sys.argv = ['dargmin', '{}']; from harness.cli import main\ntry: main()\nexcept SystemExit: pass\n"
    check = "assert not {{'torch', 'jax', 'cvxpy'}} & set(sys.modules)"  # scikit-learn brings pandas
    for command in ("--help", "list"):
        subprocess.run([sys.executable, "-c", (code + check).format(command)], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize(("command", "seconds"), [("--help", 0.3), ("list", 1.5)])
def test_what_only_prints_is_quick(command: str, seconds: float) -> None:
    """CPU time, the least of three, for the machine may do other things."""

    def used() -> float:
        start = resource.getrusage(resource.RUSAGE_CHILDREN)
        dargmin(command)
        end = resource.getrusage(resource.RUSAGE_CHILDREN)
        return end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime

    assert min(used() for _ in range(3)) <= seconds


def test_dry_run_prints_the_plan_and_writes_nothing(tmp_path: Path) -> None:
    done = within("run", "--preset", "default", "--dry-run", "--out", str(tmp_path / "run"))
    assert done.returncode == 0
    assert "cells in" in done.stderr
    assert "sampling: at most" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run, and one that measured the same."""
    base, head = (tmp_path_factory.mktemp("runs") / name for name in ("base", "head"))
    done = dargmin(
        "run", "--n", "16,36", "--method", "blorc", "--method", "cvxpylayers-torch", "--method", "fd-directional",
        "--seeds", "1:3", "--budget", "0.2", "--no-report", "--out", str(base),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "cvxpylayers-torch" in done.stdout and not (base / "report").exists()
    shutil.copytree(base, head)
    return base, head


def test_what_was_measured_is_in_its_folder(runs: tuple[Path, Path]) -> None:
    frame = Run.open(runs[0]).frame()
    assert len(frame) == 12 and set(frame["status"]) == {"ok"}
    assert (frame.groupby("label")["n"].nunique() == 2).all() and frame["label"].nunique() == 3


def test_a_report_is_drawn_of_a_finished_run(tmp_path: Path) -> None:
    """One cell, so that there is little to draw; tests/test_readme.py has the report of a real run."""
    made = _runs.build(tmp_path / "run", pairs=_runs.small(("blorc",))[:1])
    done = dargmin("report", str(made.path), "--out", str(tmp_path / "again"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.replace("\n", "") == f"report: {tmp_path / 'again' / 'index.html'}"
    assert all("blorc" in (tmp_path / "again" / name).read_text() for name in ("index.html", "report.md"))


def test_a_report_that_cannot_be_written_is_one_line(runs: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = within("report", str(runs[0]), "--out", str(tmp_path / "file"))
    assert done.returncode == 2
    assert f"cannot write the report to {tmp_path / 'file'}: File exists; give another --out" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_compare_is_readable_in_a_log(runs: tuple[Path, Path]) -> None:
    assert "error, largest" in within("compare", *map(str, runs)).stdout


def test_compare_passes_alike_and_fails_on_a_worse_error(runs: tuple[Path, Path]) -> None:
    alike = dargmin("compare", *map(str, runs))
    assert alike.returncode == 0, alike.stdout
    records = runs[1] / "records.jsonl"
    row = Run.open(runs[1]).frame().query("label == 'blorc'").iloc[0]
    records.write_text(records.read_text().replace(repr(float(row["error_rel"])), "0.5"))
    worse = dargmin("compare", *map(str, runs))
    assert worse.returncode == 1
    assert "regression: " in worse.stdout and "blorc" in worse.stdout


def test_doctor_finds_the_libraries() -> None:
    done = dargmin("doctor")
    assert done.returncode == 0, done.stdout
    assert "cvxpylayers" in done.stdout
    assert re.search(r"C compiler: .*\n(\w+/kernels: built in \d+\.\d s; \S+/kernels/\w+-[0-9a-f]{16}\.so\n)+", done.stdout)


def test_prove_counts_the_statuses_of_its_proofs() -> None:
    done = within("prove", "--operator", "tv", "--n", "8", "--seeds", "0:2")
    assert done.returncode == 0, done.stderr
    assert re.search(r" tv +│ +2 │ +2 │ +0 │ +0 │ +0 │", done.stdout) and "n = 8" in done.stdout


def test_reproduce_writes_the_page_of_a_claim(tmp_path: Path) -> None:
    done = within("reproduce", "inexact-ift", "--quick", "--out", str(tmp_path / "claim"))
    assert done.returncode == 0, done.stderr
    page = Path(done.stdout.removeprefix("written: ").strip())
    assert page == tmp_path / "claim" / "claim.md" and page.read_text().startswith("# Inexact implicit differentiation")
    wrong = within("reproduce", "nope")
    assert wrong.returncode == 2
    assert wrong.stderr == "dargmin: NAME must name an experiment, got 'nope'; dargmin reproduce --help shows all\n"


def test_reproduce_all_makes_a_folder_for_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Path, bool]] = []
    for name in EXPERIMENTS:
        monkeypatch.setitem(EXPERIMENTS, name, lambda folder, quick: asked.append((folder, quick)) or folder / "table.md")
    done = within("reproduce", "all", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert asked == [(tmp_path / name, False) for name in EXPERIMENTS]


def test_what_takes_minutes_prints_what_it_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("problems.data.tuning.table", lambda: iter([("tv", "dct-sparse", 0.5, "rule", 0.61234)]))
    assert within("tune-beta").stdout.split() == ['("tv",', '"dct-sparse"):', "(0.5,", '"rule"),', "#", "zero", "rows", "0.61"]
    monkeypatch.setattr("harness.training.train", lambda told: told("an epoch") or Path("trained.npy"))
    assert within("train-operator").stdout == "an epoch\nwritten: trained.npy\n"
