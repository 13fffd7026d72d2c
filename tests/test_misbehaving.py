"""Methods that misbehave: status and reason of each, healthy ones beside them untouched, no process left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import _methods
import numpy as np
import pytest

from harness.measure import timing
from harness.measure.cores import Cores
from harness.measure.runner import Options, Runner, blocks
from harness.measure.worker import Worker
from harness.plan.catalogue import select
from harness.plan.sweeps import Sweep, plan
from methods import Gradient
from problems import AnalysisL1
from results import Run, RunError

HERE = Path(__file__).parent
FILE = HERE / "_misbehaving.py"
HEALTHY = ("fd-directional", "blorc")
LONG = ("--method", "fd-entrywise", "--n", "64", "--seeds", "0:40", "--budget", "1", "--no-report")  # for as long as is waited


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "harness.cli", *map(str, arguments)]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(HERE.parent)}


def measured(folder: Path, name: str, *arguments: object) -> dict[str, Any]:
    """The rows by label of the methods of that name beside healthy ones."""
    methods = [part for method in (f"{FILE}:{name}", *HEALTHY) for part in ("--method", method)]
    given = command("run", "--n", 8, "--budget", 0.02, *methods, *arguments, "--no-report", "--out", folder / "run")
    done = subprocess.run(given, capture_output=True, text=True, timeout=280, check=False, env=environment())
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    frame = Run.open(folder / "run").frame()
    assert set(frame[frame["label"].isin(HEALTHY)]["status"]) == {"ok"}
    return {row["label"]: (row["status"], row["reason"]) for row in Run.open(folder / "run").rows().values()}


def living(mark: str) -> list[int]:
    """Processes with this text in their command."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if mark in text:
            found.append(int(path.parent.name))
    return found


QUICK = {
    "segfaults": ("crash", "the worker ended with SIGSEGV"),
    "aborts": ("crash", "the worker ended with SIGABRT"),
    "exits-0": ("crash", "the worker ended with exit code 0"),
    "exits-3": ("error", "SystemExit: 3"),
    "interrupts": ("error", "KeyboardInterrupt"),
    "raises-base": ("error", "BaseException: base"),
    "raises-unpicklable": ("error", "Unpicklable: needs two"),
    "raises-10-mb": ("error", "ValueError: xxx"),
    "raises-no-utf8": ("error", "ValueError: ??"),
    "returns-nan": ("nan", "NaN or infinite entries in the gradient or the solution"),
    "off": ("inaccurate", "error 1.0e-03 is above the method's own promise 1e-08"),
    "wrong-shape": ("error", "grad must have the shape of theta, (7, 8), got (8, 7)"),
    "returns-none": ("error", "BadAnswer: a call must return a Gradient, got None"),
    "shouts": ("ok", ""),
    "forks": ("ok", ""),
    "starts-a-child": ("ok", ""),
    "leaves-a-thread": ("", ""),  # measured until the limit of memory takes no more threads: either is right
    "diverges": ("diverged", "the solution is above 1e3 (|x*| + 1)"),
    "closes-descriptors": ("crash", "the worker ended with exit code 1"),
    "recurses": ("error", "RecursionError: maximum recursion depth exceeded"),
    "segfaults-in-set-up": ("crash", "the worker ended with SIGSEGV"),
    "fails-in-set-up": ("error", "ModuleNotFoundError: No module named 'no_such_module'"),
    "leaks": ("ok", ""),
}


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return measured(tmp_path_factory.mktemp("quick"), "QUICK")


@pytest.mark.parametrize("label", QUICK)
def test_what_ends_by_itself(quick: dict[str, Any], label: str) -> None:
    status, reason = quick[label]
    expected, said = QUICK[label]
    assert status == expected or not expected
    assert reason.startswith(said)
    assert bool(reason) == (status != "ok")
    assert living("sleep 601") == []


@pytest.mark.long
def test_what_never_ends_meets_the_limit_of_time(tmp_path: Path) -> None:
    found = measured(tmp_path, "ENDLESS", "--timeout", 5, "--preparation-timeout", 10)
    met = ("timeout", "preparation took longer than 10 s; raise --preparation-timeout")
    assert {label: row for label, row in found.items() if label not in HEALTHY} == dict.fromkeys(
        ("hangs", "spins", "hangs-in-c", "stops-itself", "hangs-in-set-up"), met
    )


@pytest.mark.long
def test_memory_that_grows_to_its_limit_is_oom_however_the_method_takes_it(tmp_path: Path) -> None:
    found = measured(tmp_path, "MEMORY", "--timeout", 10, "--preparation-timeout", 30, "--memory-limit", 1)
    assert {label: status for label, (status, _) in found.items() if label not in HEALTHY} == dict.fromkeys(
        ("allocates", "grows", "swallows"), "oom"
    )


def test_a_limit_below_what_a_worker_needs_is_oom(tmp_path: Path) -> None:
    given = command(*("run", "--n", 8, "--method", "blorc", "--memory-limit", 0.01, "--no-report", "--out", tmp_path / "run"))
    done = subprocess.run(given, capture_output=True, text=True, timeout=100, check=False, env=environment())
    assert done.returncode == 1 and "Traceback" not in done.stderr
    (row,) = Run.open(tmp_path / "run").rows().values()
    assert row["status"] == "oom"
    assert "above --memory-limit 0.01; raise it" in row["reason"]


def test_a_block_does_not_see_the_threads_that_a_method_left_in_the_one_before() -> None:
    source = f"{FILE}:LEAVES"
    cells = {str(i): cell for i, cell in enumerate(plan((Sweep(n=(8, 9)),), select([source])))}
    with Runner(cells.values(), Options(sources=(source,), budget_s=0.02)) as runner:
        generations = []
        for _, members in blocks(cells):
            assert [row.status for _, _, row in runner.block(members)] == ["ok"]
            generations.append(runner._worker("leaves", "time").generation)
    assert generations == [1, 2]


# Hanging


def test_a_set_up_that_hangs_is_tried_in_two_series_and_no_more() -> None:
    source = f"{HERE / '_methods.py'}:STUCK"
    sweep = Sweep(n=(8,), operators=("tv", "identity", "dct", "random"))
    cells = {str(i): cell for i, cell in enumerate(plan((sweep,), select([source])))}
    options = Options(sources=(source,), timeout_s=1.0, preparation_s=5.0)
    with Runner(cells.values(), options) as runner:
        found = [row.status for _, members in blocks(cells) for _, _, row in runner.block(members)]
    assert found == ["timeout", "timeout", "not-run", "not-run"]


def test_an_instance_that_hangs_is_not_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.measure.processes import Lost

    asked = []

    def ask(handle: Any, request: object, *arguments: Any) -> Any:
        asked.append(request)
        raise Lost("timeout", "preparation took longer than 300 s", "preparation")

    monkeypatch.setattr("harness.measure.processes.Handle.ask", ask)
    cells = {str(i): cell for i, cell in enumerate(plan((Sweep(n=(8, 16), seeds=(0, 1)),), select(["fd-directional"])))}
    with Runner(cells.values(), Options()) as runner:
        found = [row.status for _, members in blocks(cells) for _, _, row in runner.block(members)]
    assert found == ["error", "not-run", "not-run", "not-run"]
    assert asked.count(Worker.reference) == 1


# A killed harness, two at once


@pytest.fixture
def running(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A run that has begun to measure a method with a child."""
    given = command("run", "--method", f"{FILE}:CHILD", *LONG, "--out", tmp_path / "run")
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(given, stdout=log, stderr=log, env=environment())
    try:
        wait(lambda: bool(living("sleep 602")))
        yield process
    finally:
        process.kill()
        process.wait()


def wait(until: Any) -> None:
    deadline = time.monotonic() + 60
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_children_of_a_method_do_not_outlive_a_killed_harness(running: subprocess.Popen[bytes], how: signal.Signals) -> None:
    running.send_signal(how)
    running.wait()
    wait(lambda: living("sleep 602") == [])


def test_two_do_not_measure_one_run(running: subprocess.Popen[bytes], tmp_path: Path) -> None:
    again = command("run", "--resume", tmp_path / "run", "--no-report")
    done = subprocess.run(again, capture_output=True, text=True, timeout=60, check=False, env=environment())
    assert done.returncode == 2
    assert done.stderr == f"dargmin: {tmp_path / 'run'} is being measured by another process; wait for its end, or stop it\n"
    running.kill()
    running.wait()
    made = Run.open(tmp_path / "run")
    refused = pytest.raises(RunError, match="is being measured by another process")
    with made.measured(), refused, made.measured():  # a dead process holds no lock, a living one does
        pass


# Cores


def test_two_at_once_take_different_cores_and_the_next_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.environment.cores", lambda: (0, 1, 2))
    first, second, third = Cores(1, tmp_path), Cores(2, tmp_path), Cores(1, tmp_path)
    assert (first.numbers, second.numbers, third.numbers) == ((2,), (0, 1), (2,))
    assert (first.shared, second.shared, third.shared) == (False, False, True)
    for one in (first, second, third):
        one.release()
    all_of_them = Cores(3, tmp_path)
    all_of_them.release()
    assert all_of_them.numbers == (0, 1, 2)


def test_without_a_folder_for_locks_every_core_is_free(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert [Cores(1, tmp_path / "file").shared for _ in range(3)] == [False] * 3


def test_a_dead_process_holds_no_core(tmp_path: Path) -> None:
    holds = f"c = Cores(1, Path({str(tmp_path)!r})); print(c.numbers)"
    code = f"from harness.measure.cores import Cores; from pathlib import Path; {holds}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment())
    again = Cores(1, tmp_path)
    again.release()
    assert done.stdout.strip() == str(again.numbers) and not again.shared


def test_a_sample_that_waits_is_noisy() -> None:
    (sleeps,) = (replace(_methods.SLOW[0], setup=0.0, first=0.0, later=0.02),)
    problem = AnalysisL1.draw(n=8)
    prepared = sleeps.prepare(problem)
    prepared(problem.theta)

    def busy(theta: Any) -> Gradient:
        end = time.process_time() + 0.02
        while time.process_time() < end:
            pass
        return Gradient(0.0, theta, np.zeros(1))

    waiting = timing.watched(prepared, [problem.theta], lambda result: result, 3, 0)
    working = timing.watched(busy, [problem.theta], lambda result: result, 3, 0)
    assert waiting.busy < 0.5
    assert working.busy > waiting.busy
    source = f"{FILE}:DOZES"
    cells = {str(i): cell for i, cell in enumerate(plan((Sweep(n=(8,)),), select([source])))}
    with Runner(cells.values(), Options(sources=(source,), budget_s=0.1)) as runner:
        ((_, _, row),) = (found for _, members in blocks(cells) for found in runner.block(members))
    assert row.status == "ok" and row.noisy
