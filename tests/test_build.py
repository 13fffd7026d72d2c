"""How kernels are built: where, by what, and whatever the cache folder and the compiler are like; and that they are sound C."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest

from harness.cli import BadInput, _one_line
from problems.kernels import KERNELS, BuildError, Kernels, build, every
from problems.solvers import chain

ROOT = Path(__file__).resolve().parent.parent
SMALLEST = 5e-324  # a subnormal number, which is 0 where they are flushed
CHECKED = ("-Wall", "-Wextra", "-Werror")

USE = """
import sys
from pathlib import Path
from problems.kernels import Kernels
print(Kernels(Path(sys.argv[1]), True).lib.scaled(1.0))
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, not yet there."""
    monkeypatch.setenv("DARGMIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CC", raising=False)
    return tmp_path / "cache" / "kernels"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of kernels: scaled(x) = 2 x."""
    made = tmp_path / "room" / "kernels"
    made.mkdir(parents=True)
    (made / "scaled.h").write_text("/* 2 x */\ndouble scaled(double x);\n")
    (made / "factor.h").write_text("#define FACTOR 2.0\n")
    (made / "scaled.c").write_text('#include "scaled.h"\n#include "factor.h"\ndouble scaled(double x) { return FACTOR * x; }\n')
    return made


def scaled(folder: Path) -> float:
    """scaled(1) as an object of kernels sees it that was made anew."""
    return float(Kernels(folder, contract=True).lib.scaled(1.0))


def in_a_process(folder: Path, code: str = USE, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, str(folder)],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def answer(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out.strip()


def wrapper(path: Path, script: str) -> str:
    """A compiler of the name `path`: the script, then cc with the arguments as given; its version is that of cc."""
    path.write_text(f'#!/bin/sh\n[ "$1" = --version ] && exec cc --version\n{script}\nexec cc "$@"\n')
    path.chmod(0o755)
    return str(path)


# Where libraries are kept


def test_a_library_is_built_once(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert scaled(folder) == 2.0
    (kept,) = cache.iterdir()
    monkeypatch.setattr(build, "build", None)
    assert scaled(folder) == 2.0 and list(cache.iterdir()) == [kept]


def unusable(tmp_path: Path) -> Path:
    path = tmp_path / "a-file"
    path.touch()
    return path


@pytest.mark.parametrize("place", [lambda tmp: tmp / "new", unusable], ids=["usable", "unusable"])
@pytest.mark.parametrize("changed", ["scaled.c", "factor.h"])
def test_a_change_in_any_source_or_header_makes_a_new_library(
    changed: str, place: Callable[[Path], Path], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DARGMIN_CACHE", str(place(tmp_path)))
    assert scaled(folder) == 2.0
    source = folder / changed
    source.write_text(source.read_text().replace("FACTOR * x", "1.5 * FACTOR * x").replace("2.0", "3.0"))
    assert scaled(folder) == 3.0


def test_the_name_hashes_compiler_flags_and_processor(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {build.library_path(folder, ("-ffp-contract=off",)), build.library_path(folder, ())}
    monkeypatch.setattr(build, "_processor", lambda: "another")
    names.add(build.library_path(folder, ()))
    monkeypatch.setattr(build, "compiler", lambda: (["cc"], "another version"))
    names.add(build.library_path(folder, ()))
    assert len(names) == 4 and None not in names


def in_the_way(tmp_path: Path) -> str:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "kernels").touch()
    return str(tmp_path / "cache")


NO_FOLDER: dict[str, Callable[[Path], str]] = {
    "switched off": lambda tmp: "0",
    "below a file": lambda tmp: str(unusable(tmp)),
    "a file": in_the_way,
    "takes no folders": lambda tmp: "/proc/dargmin",  # also for root, who may write to read-only folders
}


@pytest.mark.parametrize("case", NO_FOLDER)
def test_without_a_cache_folder_every_process_builds_its_own(
    case: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("DARGMIN_CACHE", NO_FOLDER[case](tmp_path))
    assert scaled(folder) == 2.0
    assert Kernels(folder, contract=True).ready() is None
    assert list((tmp_path / "tmp").iterdir()) == []  # all temporary files are gone


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="root may write to any folder elsewhere too")
def test_a_full_cache_folder_is_as_none(folder: Path, cache: Path, tmp_path: Path) -> None:
    full = "import resource as r, tempfile\ntempfile.gettempdir()\nr.setrlimit(r.RLIMIT_FSIZE, (0, r.RLIM_INFINITY))"
    compiler = wrapper(tmp_path / "unlimited", "ulimit -S -f unlimited")  # only this process finds no room
    assert answer(in_a_process(folder, full + USE, CC=compiler)) == "2.0"
    assert list(cache.iterdir()) == []  # nothing half-written
    assert answer(in_a_process(folder, CC=compiler)) == "2.0"
    assert len(list(cache.iterdir())) == 1


def test_processes_that_build_at_once_agree(folder: Path, cache: Path, tmp_path: Path) -> None:
    slow = wrapper(tmp_path / "slow", "sleep 0.5")
    assert [answer(process) for process in [in_a_process(folder, CC=slow) for _ in range(4)]] == ["2.0"] * 4
    assert len(list(cache.iterdir())) == 1


def test_a_build_that_is_killed_half_way_leaves_nothing_to_load(folder: Path, cache: Path, tmp_path: Path) -> None:
    started = tmp_path / "started"
    halting = wrapper(tmp_path / "halting", f'[ -e {started} ] || {{ cc "$@" && touch {started} && sleep 60; }}')
    killed = in_a_process(folder, CC=halting, TMPDIR=str(tmp_path))
    end = time.monotonic() + 60
    while not started.exists() and time.monotonic() < end:
        time.sleep(0.02)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert not cache.exists()
    cache.mkdir(parents=True)
    path = build.library_path(folder, Kernels(folder, contract=True).flags)
    assert path is not None
    path.with_name(f"{path.name}.1-00000000").write_bytes(b"half")  # what is left of one killed while it was stored
    assert answer(in_a_process(folder, CC=halting)) == "2.0"


# How they are bound


def test_threads_that_come_at_once_share_one_library(folder: Path, cache: Path) -> None:
    kernels, together = Kernels(folder, contract=True), Barrier(8)

    def use(_: int) -> tuple[object, object, float]:
        together.wait()
        return kernels.lib, kernels.ffi, kernels.lib.scaled(1.0)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(use, range(8)))) == 1


def test_kernels_in_use_are_pickled_and_forked(folder: Path, cache: Path) -> None:
    kernels = Kernels(folder, contract=True)
    assert kernels.lib.scaled(1.0) == pickle.loads(pickle.dumps(kernels)).lib.scaled(1.0) == 2.0
    code = USE + "import os\nchild = os.fork()\nif not child: KERNELS.lib\nassert child == 0 or os.wait()[1] == 0\n"
    assert answer(in_a_process(folder, "from problems.kernels import KERNELS\nKERNELS.lib\n" + code)).split("\n")[0] == "2.0"


@pytest.mark.parametrize(("a", "error"), [(np.ones(3, np.float32), TypeError), (np.ones((3, 2))[:, 0], ValueError)])
def test_arrays_of_another_kind_are_refused(a: np.ndarray, error: type[Exception]) -> None:
    with pytest.raises(error):
        KERNELS.call("chain_pattern", 3, a[:2], a[:2], a[:2], a, np.empty(2, np.int8), np.empty(27))


def test_a_command_builds_all_ahead(cache: Path) -> None:
    command = [sys.executable, "-m", "problems.kernels"]
    for _ in range(2):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300)
        assert len(done.stdout.splitlines()) == len(every()) == len(list(cache.iterdir()))
        assert all(str(path) in done.stdout for path in cache.iterdir())


# What builds them


def test_the_compiler_is_the_first_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cc = shutil.which("cc")
    assert cc
    monkeypatch.setenv("CC", f"{cc} -O1")
    assert build.compiler()[0] == [cc, "-O1"]
    monkeypatch.delenv("CC")
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("clang", "gcc", "cc"):
        (tmp_path / name).symlink_to(cc)
        assert build.compiler()[0] == [name]


def test_no_compiler_is_one_line(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(build, "find_spec", lambda name: None)
    with pytest.raises(BuildError, match=r"^no C compiler .*: install a C compiler, set CC to one, or pip install ziglang$"):
        scaled(folder)


BROKEN = {
    "/no/such/cc -O1": r"^CC='/no/such/cc -O1' does not build .* No such file .*; install a C compiler",
    "cc -no-such-flag": r"^CC='cc -no-such-flag' does not build .*no-such-flag.*; install",
    "cc '": "^CC=.* cannot be read as a command: No closing quotation; install",
    "false": "^CC='false' does not build the exact solvers: .*exit status 1.*; install",
}


@pytest.mark.parametrize("command", BROKEN)
def test_a_broken_compiler_is_one_line(command: str, folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", command)
    with pytest.raises(BuildError, match=BROKEN[command]) as raised:
        scaled(folder)
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 300


def dargmin(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "harness.cli", *arguments]
    changed = {**os.environ, **environment}
    return subprocess.run(command, cwd=ROOT, env=changed, capture_output=True, text=True, check=False, timeout=300)


def test_the_command_line_says_it_in_one_line() -> None:
    line = "no C compiler is found"
    with pytest.raises(BadInput, match=line), _one_line():
        raise BuildError(line)


def test_a_cell_that_cannot_be_compiled_is_an_error_with_its_reason(cache: Path, tmp_path: Path) -> None:
    from results import Run

    axes = ("--operator", "second-differences", "--theta", "sparse", "--n", "12", "--method", "blorc", "--no-report")
    done = dargmin("run", *axes, "--out", str(tmp_path / "run"), CC="/no/cc")
    assert done.returncode == 1, done.stderr
    frame = Run.open(tmp_path / "run").frame()
    assert set(frame["status"]) == {"error"}
    assert frame["reason"].str.contains("BuildError: CC='/no/cc' does not build the exact solvers.*pip install ziglang").all()


@pytest.mark.long
def test_zig_builds_what_gives_the_same_numbers(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    a, c, b, y = rng.standard_normal((4, 30))
    expected = chain.signs(a[1:], c[1:], np.abs(b[1:]), y)
    monkeypatch.setenv("PATH", "")
    with build.library(KERNELS.folder, KERNELS.flags) as path:
        assert "ziglang" in build.compiler()[1] and path.parent == cache
    other = Kernels(KERNELS.folder, KERNELS.contract)
    assert other.lib is not KERNELS.lib
    monkeypatch.setattr(chain, "KERNELS", other)
    np.testing.assert_array_equal(chain.signs(a[1:], c[1:], np.abs(b[1:]), y), expected)
    for kernels in every():
        build.build(kernels.folder, (*kernels.flags, *CHECKED), cache / "checked.so")


# What they are like


@pytest.mark.parametrize("kernels", every(), ids=lambda kernels: kernels.folder.parent.name)
def test_warnings_are_errors(kernels: Kernels, tmp_path: Path) -> None:
    build.build(kernels.folder, (*kernels.flags, *CHECKED), tmp_path / "checked.so")


def test_subnormal_numbers_survive_the_libraries() -> None:
    assert all(kernels.lib for kernels in every())
    assert np.float64(SMALLEST) * 1.0 == SMALLEST and np.float64(1e-310) / 2 == 5e-311


def sanitized(script: str | Path, *arguments: str, preload: bool = True) -> subprocess.CompletedProcess[str]:
    """A script in a process whose memory is watched."""
    names = "libasan.so", "libstdc++.so"  # the second for the exceptions of C++ libraries
    asked = [["cc", f"-print-file-name={name}"] for name in names]
    found = [subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() for command in asked]
    if not all(Path(path).is_absolute() for path in found):
        pytest.skip("this compiler has no address sanitizer to load first")
    loaded = {"LD_PRELOAD": " ".join(found), "ASAN_OPTIONS": "detect_leaks=0"} if preload else {}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests"))), **loaded}
    command = [sys.executable, str(script), *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=280)


def test_the_kernels_run_clean_under_sanitizers(cache: Path) -> None:
    script = Path(__file__).with_name("_sanitized.py")
    built = sanitized(script, "build", preload=False)  # the compiler itself need not be watched
    assert built.returncode == 0, built.stderr
    done = sanitized(script)
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.split() == [], "functions that no instance has called"


def test_the_sanitizer_sees_what_is_read_behind_an_array(folder: Path, cache: Path, tmp_path: Path) -> None:
    (folder / "scaled.h").write_text("double scaled(const double *x);\n")
    (folder / "scaled.c").write_text("double scaled(const double *x) { return x[3]; }\n")
    script = tmp_path / "script.py"
    script.write_text(
        f"""import numpy as np
from pathlib import Path
from problems.kernels import Kernels, build
build.FLAGS += ("-fsanitize=address",)
print(Kernels(Path({str(folder)!r}), True).call("scaled", np.ones(3)))
"""
    )
    done = sanitized(script)
    assert done.returncode != 0 and "heap-buffer-overflow" in done.stderr
