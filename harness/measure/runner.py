"""Running a plan: block by block, all methods of a block interleaved, every cell ending in one row."""

from __future__ import annotations

import itertools
import json
import math
import socket
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np

from harness.checks.judge import of_reference
from harness.measure.cores import Cores
from harness.measure.costs import PIPES, Ledger
from harness.measure.processes import Handle, Limits, Lost, context
from harness.measure.timing import Sample
from harness.measure.worker import First, Refused, Settings, Worker, compared_with, missing
from harness.plan.catalogue import entries, with_ladders
from methods import GradientMethod
from problems import Problem, Reference
from problems.base import Array
from results import Measured, Planned, Run
from results.record import Ending, Judgement, Memory, SetUp, Timing
from results.statistics import median_interval, spread

P = ParamSpec("P")
R = TypeVar("R")
FirstRequest = Callable[[Worker, str, Planned, Problem, Reference, Array | None], First]

NOISY_CANARY = 1.3  # times the median canary of the run
NOISY_SPREAD = 0.15  # MAD over median of the samples
STUCK = 2  # series in which a preparation may meet its limit before the method is left alone
BUSY = 0.8  # CPU time over wall time of a sample, the median of a cell: below, something else had the core


@dataclass(frozen=True)
class Options:
    """How a plan is measured; kept with the run, so that a resumed run measures alike."""

    sources: tuple[str, ...] = ()
    threads: int = 1
    rounds: int = 2
    budget_s: float = 1.0  # sampling time a cell
    timeout_s: float = 60.0  # a call
    preparation_s: float = 300.0  # a preparation: set-up with the first call, for either may compile
    memory_limit_gib: float = 8.0  # a worker; 0: none


@dataclass
class _Entry:
    """A cell on its way to its row."""

    key: str
    planned: Planned
    ending: Ending | None = None
    set_up: SetUp = field(default_factory=SetUp)
    memory: Memory = field(default_factory=Memory)
    judgement: Judgement = field(default_factory=Judgement)
    samples: list[tuple[int, Sample]] = field(default_factory=list)
    canaries: list[float] = field(default_factory=list)
    generation: int = 0
    spent_s: float = 0.0
    in_preparation: bool = False  # whether it failed there

    @property
    def alive(self) -> bool:
        """Whether there is still something to time: a refused or failed cell is not timed, an inaccurate one is."""
        return self.ending is not None and self.ending.status in ("ok", "inaccurate", "diverged")

    def fail(self, status: str, reason: str, stderr: str = "") -> None:
        self.ending = Ending(status, reason, stderr)

    @property
    def series(self) -> tuple[Any, ...]:
        """Shared by cells that differ in n (and in the instance drawn) alone."""
        p = self.planned
        return p.label, p.problem, p.operator, p.signal, p.theta, p.batch, p.measure


class Runner:
    """Measures blocks of these cells; leaving the context ends all workers."""

    def __init__(
        self, cells: Iterable[Planned], options: Options, on_cell: Callable[[Planned], None] = lambda cell: None
    ) -> None:
        self._options = options
        self._on_cell = on_cell
        self._catalogue = with_ladders(entries(options.sources))
        planned = {cell.label for cell in cells}
        needed = {name for label in planned & set(self._catalogue) for name in self._catalogue[label].requires}
        self._spawn = context(options.threads, sorted(needed))
        self._cores = Cores(options.threads)
        self._workers: dict[tuple[str, str], Handle] = {}
        self._ended: dict[tuple[Any, ...], tuple[int, str]] = {}  # by series: the least n that is not run, and why
        self._undrawn: dict[tuple[Any, ...], float] = {}  # by kind of instance: the least n whose reference took too long
        self._stuck: defaultdict[str, dict[tuple[Any, ...], int]] = defaultdict(dict)  # by label: n of each series it hung in
        self._canaries: list[float] = []
        self.ledger = Ledger()

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *exception: object) -> None:
        for handle in self._workers.values():
            handle.close()
        self._cores.release()

    @property
    def shares_cores(self) -> bool:
        """Whether other runs measure on the cores of this one."""
        return self._cores.shared

    def measure(self, run: Run) -> None:
        """The unfinished blocks of a run, what each cost, and the table of all at the end, whatever the end is."""
        try:
            for members in unfinished(run):
                rows = self.block(members)
                with self.ledger.timed("storage"):
                    run.append(rows)
                run.append_costs(self.ledger.line(members[0][1].block()))
        finally:
            with self.ledger.timed("storage"):
                run.compact()
            run.append_costs(self.ledger.line())

    def timer(self, run: Run) -> None:
        """Measure and keep what the timed region adds to a call."""
        handle = self._worker("reference", "time")
        with suppress(Lost, Refused):  # then the cells say so
            found = self._request("reference", handle, Worker.overhead)
            run.append_costs(self.ledger.line(overhead_s=found))

    def block(self, members: list[tuple[str, Planned]]) -> list[tuple[str, Planned, Measured]]:
        """A row for every cell of a block."""
        cells = [_Entry(key, planned) for key, planned in members]
        memory_pass = cells[0].planned.measure == "memory"
        open_cells = [cell for cell in cells if not self._settled(cell)]
        drawn = self._drawn(open_cells) if open_cells else None
        differences: Array | None = None
        for cell in sorted(open_cells, key=lambda cell: not compared_with(self._catalogue[cell.planned.label])):
            if drawn is not None:
                found = self._first(cell, Worker.memory if memory_pass else Worker.prepare, *drawn, differences)
                differences = differences if found is None else found
        if drawn is not None and not memory_pass:
            self._rounds(open_cells, drawn[0])
        with self.ledger.timed(PIPES):
            for handle in self._workers.values():
                handle.forget()
        for cell in cells:
            self._on_cell(cell.planned)
        for cell in cells:
            if cell.ending is not None and cell.ending.status in ("timeout", "oom"):
                # A preparation hangs on n alone, so another instance of the same n would meet the limit again.
                beyond = cell.planned.n + (not cell.in_preparation)
                if cell.in_preparation:
                    self._stuck[cell.planned.label].setdefault(cell.series, cell.planned.n)
                self._ended.setdefault(cell.series, (beyond, f"at n = {cell.planned.n} {cell.ending.reason}"))
        return [(cell.key, cell.planned, self._finish(cell)) for cell in cells]

    def _settled(self, cell: _Entry) -> bool:
        """Whether the row is known without a worker."""
        method = self._catalogue.get(cell.planned.label)
        if method is None:
            cell.fail("error", "the method of this run is not known here any more; measure it in a new run")
        elif name := missing(method):
            cell.fail("not-installed", f"{name} is not installed")
        elif len(stuck := self._stuck[cell.planned.label]) >= STUCK and cell.planned.n >= min(stuck.values()):
            cell.fail("not-run", f"preparation met its limit in {len(stuck)} series, the last of {STUCK} that are tried")
        elif cell.series in self._ended:
            beyond, reason = self._ended[cell.series]
            if cell.planned.n >= beyond:
                cell.fail("not-run", reason)
        return cell.ending is not None

    def _drawn(self, cells: list[_Entry]) -> tuple[Problem, Reference] | None:
        """The instance of the block and its reference; without one the cells fail."""
        handle, first = self._worker("reference", "time"), cells[0].planned
        kind = first.problem, first.operator, first.signal, first.theta, first.batch
        try:
            if first.n >= self._undrawn.get(kind, math.inf):
                raise Refused("not-run", f"at n = {self._undrawn[kind]:g} it took too long")
            return self._request("reference", handle, Worker.reference, first)
        except (Lost, Refused) as missed:
            if isinstance(missed, Lost) and missed.status == "timeout":
                self._undrawn[kind] = first.n
            status = missed.status if missed.status in ("oom", "not-run") else "error"
            for cell in cells:
                cell.fail(status, f"no reference: {missed.status}: {missed.reason}", handle.stderr())
        return None

    def _first(
        self, cell: _Entry, request: FirstRequest, problem: Problem, reference: Reference, differences: Array | None
    ) -> Array | None:
        """The first answer of a cell; its gradient, where that is what others are compared with."""
        cell.judgement = of_reference(reference)
        answer = self._ask(cell, request, cell.key, cell.planned, problem, reference, differences)
        cell.generation = self._worker_of(cell).generation
        if answer is None:
            return None
        stderr = "" if answer.ending.status == "ok" else self._worker_of(cell).stderr()
        cell.set_up, cell.judgement, cell.memory = answer.set_up, answer.judgement, answer.memory
        cell.ending = replace(answer.ending, stderr=stderr)
        return answer.differences

    def _rounds(self, cells: list[_Entry], problem: Problem) -> None:
        """Every round in a new random order, so that drift hits all alike."""
        order = itertools.count()
        rng = np.random.default_rng(len(cells))
        for number in range(self._options.rounds):
            for index in rng.permutation(len(cells)):
                cell = cells[index]
                # A cell that has used its budget in the first round is left alone in the next.
                if cell.alive and cell.spent_s < self._options.budget_s:
                    self._sample(cell, problem, number, order)

    def _sample(self, cell: _Entry, problem: Problem, number: int, order: Iterator[int]) -> None:
        handle = self._worker_of(cell)
        if cell.generation != handle.generation:  # another cell of the method cost it the worker
            self._ask(cell, Worker.set_up_again, cell.key, cell.planned, problem)
            if not cell.alive:
                return
            cell.generation = handle.generation
        share = self._options.budget_s / self._options.rounds
        answer = self._ask(cell, Worker.sample, cell.key, number == 0, share)
        if answer is None:
            return
        cell.samples += [(next(order), sample) for sample in answer.samples]
        cell.spent_s += answer.spent_s
        cell.canaries.append(answer.canary)
        self._canaries.append(answer.canary)

    def _ask(
        self, cell: _Entry, request: Callable[Concatenate[Worker, P], R], *arguments: P.args, **none: P.kwargs
    ) -> R | None:
        """The answer of the cell's worker; None where it gives none, which ends the cell."""
        handle = self._worker_of(cell)
        try:
            return self._request(cell.planned.method, handle, request, *arguments, **none)
        except Lost as lost:
            cell.fail(lost.status, lost.reason, handle.stderr())
            cell.in_preparation = lost.during in ("start", "preparation")
        except Refused as refusal:
            cell.fail(refusal.status, refusal.reason, handle.stderr())
        return None

    def _request(
        self, name: str, handle: Handle, request: Callable[Concatenate[Worker, P], R], *arguments: P.args, **none: P.kwargs
    ) -> R:
        """The answer of a worker, its time entered into the ledger, also where the worker is lost."""
        start, known, lost = perf_counter(), len(handle.starts), False
        try:
            return handle.ask(request, *arguments, **none)
        except Lost:
            lost = True
            raise
        finally:
            wall, starts = perf_counter() - start, handle.starts[known:]
            self.ledger.asked(name, wall, {"failed calls": wall - sum(starts)} if lost else handle.phases, starts)

    def _worker_of(self, cell: _Entry) -> Handle:
        return self._worker(cell.planned.method, cell.planned.measure)

    def _worker(self, name: str, measure: str) -> Handle:
        if (name, measure) not in self._workers:
            options = self._options
            settings = Settings(
                sources=options.sources,
                cores=self._cores.numbers,
                memory_limit=int(options.memory_limit_gib * 2**30),
                stderr="",
                measure_memory=measure == "memory",
            )
            limits = Limits(options.timeout_s, options.preparation_s, settings.memory_limit)
            self._workers[name, measure] = Handle(self._spawn, settings, limits)
        return self._workers[name, measure]

    def _finish(self, cell: _Entry) -> Measured:
        ending = replace(cell.ending or Ending("error", "not measured"), host=socket.gethostname())
        timing = self._timing(cell) if cell.samples else Timing()
        return Measured.joined(ending, cell.set_up, timing, cell.memory, cell.judgement)

    def _timing(self, cell: _Entry) -> Timing:
        totals = [sample.total for _, sample in cell.samples]
        middle, mad = median_interval(totals), spread(totals)
        canary = float(np.median(cell.canaries))
        slow = canary > NOISY_CANARY * np.median(self._canaries)
        return Timing(
            forward_s=float(np.median([sample.forward for _, sample in cell.samples])),
            backward_s=float(np.median([sample.backward for _, sample in cell.samples])),
            total_s=middle.value,
            total_low_s=middle.low,
            total_high_s=middle.high,
            total_mad_s=mad,
            samples_s=totals,
            samples_order=[position for position, _ in cell.samples],
            canary=canary,
            noisy=bool(slow or mad > NOISY_SPREAD * middle.value or _waited(cell)),
        )


def _waited(cell: _Entry) -> bool:
    """Whether the samples had the core for a part of their time only; who works on a GPU waits for it."""
    return cell.planned.device == "cpu" and bool(np.median([sample.busy for _, sample in cell.samples]) < BUSY)


def blocks(cells: dict[str, Planned]) -> Iterable[tuple[str, list[tuple[str, Planned]]]]:
    """The cells grouped by the instance they share, in the order of the plan."""
    grouped: dict[str, list[tuple[str, Planned]]] = {}
    for key, planned in cells.items():
        grouped.setdefault(planned.block(), []).append((key, planned))
    return grouped.items()


def unfinished(run: Run) -> list[list[tuple[str, Planned]]]:
    """The blocks with an unfinished cell, to be measured again as a whole, so that ratios stay paired."""
    finished = run.rows()
    return [members for _, members in blocks(run.cells) if any(key not in finished for key, _ in members)]


def method_facts(methods: dict[str, GradientMethod], headline: Iterable[str]) -> dict[str, dict[str, Any]]:
    """What a report must know of each label: written into the run, so that reports need none of our packages."""
    chosen = set(headline)
    return {
        label: {
            "name": method.name,
            "family": method.family,
            "citation": method.citation,
            "formula": method.formula,
            "knob": method.knob,
            "knobs": json.loads(json.dumps(method.knobs, default=str)),
            "batching": method.batching,
            "biased": method.biased,
            "headline": label in chosen,
            "doc": next(iter((type(method).__doc__ or "").strip().splitlines()), ""),
        }
        for label, method in methods.items()
    }
