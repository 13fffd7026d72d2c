"""Plants the faults of `_faults.py` one at a time in a copy of the checkout and runs the tests on it: which are found?

    python tests/mutations.py --likely              # the test files that are about the place first, and only then all
    python tests/mutations.py --only NAME,NAME      # some faults
    python tests/mutations.py --tests 'test_p*'     # some test files, names with or without *
    python tests/mutations.py --verify              # only whether every fault still has its place, in a second

A copy has what git tracks and what is new, shares .venv, and begins with no proofs and no programs of torch's compiler; the
libraries of kernels, whose names hash their sources, are kept for all copies. A fault is found when a test
fails on it twice, or does not end.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from _faults import FAULTS, Fault

ROOT = Path(__file__).resolve().parent.parent
# a list of places does not count as a test, and `make test` leaves the long ones out
LEFT_OUT = ("--ignore=tests/benchmarks", "--ignore=tests/test_mutations.py", "-m", "not long")
LIMIT_S = 3600.0  # of one run of tests
LINE = "{:26} {:9} {:>5}  {}"
NOTHING = Fault("unchanged", "", "", "", "no fault at all", ())


@dataclass(frozen=True)
class Result:
    """How the tests ended on one fault: `first` is the test that failed, with its message; empty where none did."""

    first: str
    seconds: float

    @property
    def found(self) -> bool:
        return bool(self.first)


def misplaced(faults: Sequence[Fault]) -> list[str]:
    """One line for every fault whose old text does not stand exactly once in its file, or that changes nothing."""
    found = []
    for fault in faults:
        path = ROOT / fault.file
        count = path.read_text().count(fault.old) if path.is_file() else 0
        if count != 1 or fault.old == fault.new:
            found.append(f"{fault.name}: the old text stands {count} times in {fault.file}")
    return found


def copy(target: Path) -> None:
    """The checkout as it is: what git tracks, with changes, and what is new and not ignored."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        source = ROOT / name
        if source.is_file() and not source.is_symlink():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)
    (target / ".venv").symlink_to((ROOT / ".venv").resolve())


def plant(fault: Fault, target: Path) -> None:
    if fault is not NOTHING:
        path = target / fault.file
        path.write_text(path.read_text().replace(fault.old, fault.new))


def run(target: Path, tests: Sequence[str], kernels: Path, workers: int) -> str:
    """The first test that fails, with its message; empty where all pass. One that passes when it is run again is left out."""
    left_out: list[str] = []
    while True:
        first = pytest(target, [*tests, *(f"--deselect={name}" for name in left_out)], kernels, workers)
        name = first.partition(" - ")[0]
        if "::" not in name or pytest(target, [name], kernels, 1):
            return first
        left_out.append(name)


def pytest(target: Path, arguments: Sequence[str], kernels: Path, workers: int) -> str:
    """What the first failure of one run says; RuntimeError where no test was run."""
    command = [".venv/bin/python", "-m", "pytest", "-q", "-n", str(workers), "--dist", "loadfile", "--no-loadscope-reorder"]
    command += ["-x", "--maxfail=1", "-p", "no:cacheprovider", *LEFT_OUT, *arguments]
    cache = target / "cache"
    cache.mkdir(exist_ok=True)
    if not (cache / "kernels").exists():
        (cache / "kernels").symlink_to(kernels)
    caches = {"DARGMIN_CACHE": str(cache), "TORCHINDUCTOR_CACHE_DIR": str(cache / "inductor")}
    environment = {**os.environ, "PYTHONPATH": str(target), **caches}
    process = subprocess.Popen(
        command,
        cwd=target,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        return f"the tests do not end within {LIMIT_S:g} s"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return first_failure(output, process.returncode)


def first_failure(output: str, code: int) -> str:
    """What pytest says of the first test that failed."""
    lines = [line for line in output.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    if lines:
        return lines[0].partition(" ")[2]
    if code < 0:
        return f"the tests end by signal {-code}"
    if code:
        raise RuntimeError(f"pytest ends with exit code {code} and no failure:\n{output[-3000:]}")
    return ""


def examined(fault: Fault, stages: Sequence[Sequence[str]], kernels: Path, workers: int) -> Result:
    """The stages (test files each) on a copy with the fault, until one finds it."""
    start, first = perf_counter(), ""
    with tempfile.TemporaryDirectory(prefix="dargmin-fault-", ignore_cleanup_errors=True) as folder:
        target = Path(folder)
        copy(target)
        plant(fault, target)
        for tests in stages:
            first = first or run(target, tests, kernels, workers)
    return Result(first, perf_counter() - start)


def selected(patterns: Sequence[str]) -> list[str]:
    """Test files by name, with or without *, folder and ending; ValueError where there is none."""
    found = []
    for pattern in patterns:
        name = Path(pattern).name.removesuffix(".py")
        paths = [path for path in sorted(ROOT.glob(f"tests/{name}.py")) if path.name != "test_mutations.py"]
        if not paths:
            raise ValueError(f"no test file is called {pattern}")
        found += [path.relative_to(ROOT).as_posix() for path in paths]
    return found


def chosen(names: Sequence[str]) -> list[Fault]:
    """The faults of these names, all where there are none; ValueError for a name that there is not."""
    known = {fault.name: fault for fault in FAULTS}
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"no fault is called {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in names] or list(FAULTS)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 where all were found, or with --verify where all have their place."""
    given = _parser().parse_args(arguments)
    names = [name for text in given.only for name in text.split(",")]
    patterns = [pattern for text in given.tests for pattern in text.split(",")]
    faults, tests = chosen(names), selected(patterns) if patterns else ["tests"]
    if lines := misplaced(faults):
        print(*lines, sep="\n")
        return 1
    if given.verify:
        print(f"all {len(faults)} faults have their place")
        return 0
    with tempfile.TemporaryDirectory(prefix="dargmin-kernels-") as kernels:
        if given.baseline:
            files = sorted({name for fault in faults for name in fault.likely}) if given.likely_only else []
            result = examined(NOTHING, [selected(files) or tests], Path(kernels), given.workers)
            print(_line(NOTHING, result), flush=True)
            if result.found:
                return 1
        return _examine(faults, tests, given, Path(kernels))


def _examine(faults: Sequence[Fault], tests: list[str], given: argparse.Namespace, kernels: Path) -> int:
    """A line a fault, as soon as it is known, and the sum of them."""
    print(LINE.format("fault", "", "s", "the first test that fails"), flush=True)
    found = 0
    for fault in faults:
        likely = selected(fault.likely)
        stages = [likely] if given.likely_only else [likely, tests] if given.likely else [tests]
        result = examined(fault, stages, kernels, given.workers)
        found += result.found
        print(_line(fault, result), flush=True)
    print(f"found {found} of {len(faults)}")
    return int(found < len(faults))


def _line(fault: Fault, result: Result) -> str:
    said = result.first.removeprefix("tests/")[:150] or f"{fault.file}: {fault.what}"
    return LINE.format(fault.name, "found" if result.found else "not found", f"{result.seconds:.0f}", said)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Which planted faults do the tests find?")
    parser.add_argument("--only", metavar="NAMES", nargs="+", default=[], help="these faults")
    parser.add_argument("--tests", metavar="PATTERNS", nargs="+", default=[], help="these test files in place of all")
    parser.add_argument("--likely", action="store_true", help="first the test files listed with the fault, then those above")
    parser.add_argument("--likely-only", action="store_true", help="the test files listed with the fault, and no others")
    parser.add_argument("--baseline", action="store_true", help="first the tests on a copy without a fault, which must pass")
    parser.add_argument("--verify", action="store_true", help="only whether every old text stands exactly once in its file")
    parser.add_argument("--workers", type=int, default=2, help="processes of pytest")
    return parser


if __name__ == "__main__":
    sys.exit(main())
