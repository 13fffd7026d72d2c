"""The worker process: prepares and measures the cells of one method, one request at a time."""

from __future__ import annotations

import ctypes
import gc
import io
import os
import resource
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from harness.answers import judged, promised, sentence, told
from harness.checks.conformance import verdict
from harness.checks.judge import judge
from harness.checks.verdicts import Verdict
from harness.measure import memory, timing
from harness.measure.cores import pin
from harness.measure.costs import Stopwatch
from harness.plan.catalogue import CHECKED, entries, with_ladders
from harness.plan.sweeps import instance
from methods import Chained, Gradient, GradientMethod, Prepared, to_numpy
from problems import Problem, Reference
from problems.base import Array
from results import Planned
from results.record import Ending, Judgement, Memory, SetUp

THETAS = 8
SAMPLES = 4
OUT_OF_MEMORY = (
    "can't allocate", "RESOURCE_EXHAUSTED", "bad_alloc", "Unable to allocate", "out of memory", "Out of memory",
    "failed to map segment", "annot allocate memory",
)  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """What a worker is told at its start."""

    sources: tuple[str, ...]
    cores: tuple[int, ...]
    memory_limit: int  # bytes; 0: none
    stderr: str
    measure_memory: bool


@dataclass
class _Cell:
    """A prepared cell."""

    prepared: Prepared
    thetas: list[Array]
    wait: Callable[[Any], Any]
    library: str  # whose arrays the gradient is made of
    loops: int = 1
    position: int = 0


class First(NamedTuple):
    """What the first answer of a cell tells."""

    set_up: SetUp
    ending: Ending
    judgement: Judgement
    differences: Array | None  # the gradient, where it is what the papers compare with
    memory: Memory = Memory()


class Sampled(NamedTuple):
    """What one round of a cell gave."""

    samples: list[timing.Sample]
    canary: float
    spent_s: float


class Refused(Exception):
    """The request cannot be answered; carries a status and a reason."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(status, reason)
        self.status, self.reason = status, reason


def main(connection: Connection, settings: Settings) -> None:
    """Answer requests (method of Worker, arguments) until the pipe closes; tell of every preparation and call that begins."""
    _isolate(settings)
    gc.freeze()  # what the server imported is never garbage; without this every collection walks all of it
    worker = Worker(connection, settings)
    connection.send(("ready", os.getpid()))
    while True:
        try:
            request, arguments = connection.recv()
        except EOFError:
            return
        # The one place that catches everything, an exit included: a cell's failure is data.
        reply: Any
        try:
            _require_room(settings.memory_limit)
            reply = request(worker, *arguments)
        except Refused as refusal:
            reply = refusal
        except BaseException as error:
            _show(error)
            reply = Refused(classify(error), told(error))
        memory.release()
        sys.stdout.flush()
        sys.stderr.flush()
        connection.send(("done", (reply, worker.clock.read())))


def _require_room(limit: int) -> None:
    """Refused where the interpreter alone, with its libraries, holds more than the limit."""
    if limit and (held := memory.data()) > limit:
        reason = f"a worker alone holds {held / 2**30:.2g} GiB, above --memory-limit {limit / 2**30:.2g}; raise it"
        raise Refused("oom", reason)


def _show(error: BaseException) -> None:
    """The traceback, unless the exception cannot even be shown."""
    with suppress(Exception):
        traceback.print_exception(error)


def classify(error: BaseException) -> str:
    """oom where the error says that memory ran out, else error."""
    text = told(error)
    return "oom" if isinstance(error, MemoryError) or any(mark in text for mark in OUT_OF_MEMORY) else "error"


def _isolate(settings: Settings) -> None:
    """Own session, dies with its parent, its output to a file, pinned, its data limited."""
    os.setsid()
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    pin(settings.cores)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    output = os.open(settings.stderr, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # what a method prints is never too much for the encoding
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if settings.memory_limit:
        resource.setrlimit(resource.RLIMIT_DATA, (settings.memory_limit,) * 2)
    if settings.measure_memory:
        memory.return_freed_blocks()


class Worker:
    """The requests a worker answers; Refused where one cannot be."""

    def __init__(self, connection: Connection, settings: Settings) -> None:
        self._connection = connection
        self._sources = settings.sources
        self._catalogue = with_ladders((*entries(settings.sources), *CHECKED))
        self._cells: dict[str, _Cell] = {}
        self.clock = Stopwatch()

    def overhead(self) -> dict[str, float]:
        """What the timed region adds to a call."""
        return timing.overhead()

    def reference(self, planned: Planned) -> tuple[Problem, Reference]:
        """The instance of the block, drawn once for all workers, and its reference; proofs may take longer than calls."""
        self._begin("preparation")
        with self.clock.timed("instances and thetas"):
            problem = instance(planned, self._sources)
        with self.clock.timed("references"):
            return problem, judged(problem)

    def prepare(self, key: str, planned: Planned, problem: Problem, reference: Reference, differences: Array | None) -> First:
        """Set up, and judge the first answer."""
        set_up, gradient = self.set_up(key, planned, problem)
        with self.clock.timed("judging"):
            method = self._catalogue[planned.label]
            promise = promised(method, problem, reference)
            ending, judgement = judge(gradient, problem, reference, promise, differences)
        kept = to_numpy(gradient.grad) if compared_with(method) and ending.status == "ok" else None
        return First(set_up, ending, judgement, kept)

    def set_up_again(self, key: str, planned: Planned, problem: Problem) -> None:
        """For a cell whose worker was lost to another cell."""
        self.set_up(key, planned, problem)

    def set_up(self, key: str, planned: Planned, problem: Problem) -> tuple[SetUp, Gradient]:
        """The seconds before the first warm call, and the answer that is judged."""
        self._begin("preparation")
        method = _usable(self._catalogue[planned.label], problem, planned.device)
        with self.clock.timed("set-up"):
            start = perf_counter()
            prepared = method.prepare(problem)
            setup_s = perf_counter() - start
        with self.clock.timed("first calls"):
            gradient, first_call_s = timing.call_once(prepared, problem.theta)
        with self.clock.timed("instances and thetas"):
            thetas = _thetas(prepared, problem, np.random.default_rng([planned.seed, planned.n]))
        self._begin("call")  # not before: the first step from a state compiles, too
        if isinstance(prepared, Chained):  # what is timed is the arrival from a neighbour, so that is judged
            with self.clock.timed("judging"):
                gradient = prepared.step(thetas[0], prepared.step(thetas[1], None)[1])[0]
        self._cells[key] = _Cell(prepared, thetas, timing.waiter(gradient), timing.library(gradient))
        return SetUp(setup_s, first_call_s), gradient

    def sample(self, key: str, calibrate: bool, budget_s: float) -> Sampled:
        """One untimed call, then up to SAMPLES samples within the budget, at least one.

        An untimed call that outlasts the budget is the sample: it had no cold cache to suffer from.
        """
        cell = self._cells[key]
        samples: list[timing.Sample] = []
        with ExitStack() as quiet:
            with self.clock.timed("canaries and collections"):
                canary = timing.canary()
                quiet.enter_context(timing.without_gc())
            quiet.enter_context(self.clock.timed("sampling"))
            start = perf_counter()
            warm = self._sample(cell, 1)
            if calibrate:
                # The call just made is warm when an earlier one was; the second of two is the one to go by.
                warm = self._sample(cell, 1) if warm.total < timing.SAMPLE_S else warm
                cell.loops = max(1, round(timing.SAMPLE_S / max(warm.total, 1e-7)))
            if warm.total > budget_s:
                samples.append(warm)
            while len(samples) < SAMPLES and (not samples or perf_counter() - start < budget_s):
                samples.append(self._sample(cell, cell.loops))
            spent = perf_counter() - start
        return Sampled(samples, canary, spent)

    def memory(self, key: str, planned: Planned, problem: Problem, reference: Reference, differences: Array | None) -> First:
        """prepare, then the peak of a second full-size call and the second channel in a third."""
        first = self.prepare(key, planned, problem, reference, differences)
        cell = self._cells.pop(key)
        theta = cell.thetas[0]

        def call() -> Any:
            return cell.wait(cell.prepared(theta).grad)

        self._begin("call")
        with self.clock.timed("memory meter"):
            floor = memory.floor()
        with self.clock.timed("memory pass"):
            peak = memory.peak(call)
            self._begin("call")
            allocated = memory.allocated(cell.prepared, theta, cell.library)
        return first._replace(memory=Memory(peak, floor, allocated))

    def check(self, label: str, check: str, instance: str) -> Verdict:
        """The verdict of one conformance check; its instance and the reference of that are preparation, too."""
        self._begin("preparation")
        method = self._catalogue[label]
        if name := missing(method):
            raise Refused("not-installed", f"{name} is not installed")
        return verdict(method, check, instance, self._begin)

    def drop(self) -> int:
        """Forget the block; how many threads and children its methods left."""
        self._cells.clear()
        return threading.active_count() - 1 + _children()

    def _sample(self, cell: _Cell, loops: int) -> timing.Sample:
        self._begin("call")
        taken = timing.watched(cell.prepared, cell.thetas, cell.wait, loops, cell.position)
        cell.position += loops
        return taken

    def _begin(self, what: str) -> None:
        """Tell the parent, whose limit starts now."""
        self._connection.send((what, None))


def _children() -> int:
    """Living children of this process; 0 where the platform cannot tell."""
    with suppress(OSError):
        return sum(len(file.read_text().split()) for file in Path("/proc/self/task").glob("*/children"))
    return 0


def _thetas(prepared: Prepared, problem: Problem, rng: np.random.Generator) -> list[Array]:
    """The thetas that timed calls go through; the first is the instance's own."""
    theta = np.array(problem.theta)
    if isinstance(prepared, Chained):
        return timing.training_path(prepared, theta, THETAS)
    return [theta, *(problem.perturbed(rng) for _ in range(THETAS - 1))]


def compared_with(method: GradientMethod) -> bool:
    """Whether the papers' own metric is the distance to what this method returns."""
    return method.papers_truth and method.label == method.name


def missing(method: GradientMethod) -> str:
    """Which importable name the method lacks; empty: none."""
    return next((name for name in method.requires if find_spec(name.split(".")[0]) is None), "")


def _usable(method: GradientMethod, problem: Problem, device: str) -> GradientMethod:
    """The method on the device; Refused where it cannot be measured."""
    if name := missing(method):
        raise Refused("not-installed", f"{name} is not installed")
    if reason := sentence("unsupported", method.unsupported(problem)):
        raise Refused("unsupported", reason)
    placed = method.on(device)
    if placed is None:
        raise Refused("unsupported", "runs on cpu only")
    return placed
