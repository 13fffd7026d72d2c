"""Where the time of one exact gradient goes, part by part, and the least that any solver would need."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from itertools import cycle
from pathlib import Path
from time import perf_counter

import numpy as np
from rich.console import Console
from rich.markdown import Markdown

from harness import environment
from harness.timing import MOVE, median_interval, training_path, waiter, without_gc
from methods import Chained
from methods.blorc import Blorc
from methods.blorc_warm import BlorcWarm
from methods.cone_layers import ConeLayer
from problems import AnalysisL1
from problems.base import Array

THETAS = 8
ROUNDS = 25
PEER_CALLS = 3  # of cvxpylayers, which takes up to seconds
ROUND_S = 0.004  # a part is repeated that long in a round
WIDTH = 180
COUNTS = 4  # places in the counts of a solve
CASES = (  # operator, n, signals
    *((operator, 64, 1) for operator in ("identity", "dct", "tv", "circular-tv", "random", "random-2n", "trained")),
    *((operator, 256, 1) for operator in ("identity", "tv", "random")),
    *((operator, 64, 100) for operator in ("identity", "tv", "random", "trained")),
)
STARTS = ("cold", "warm", "given")  # a step of a training path from nothing, from the step before, from its own solution
PARTS = ("wrapper", "scan", "search", "factor", "verification", "adjoint", "writing")

Part = Callable[[], object]
Parts = dict[str, tuple[Part, int]]


@dataclass(frozen=True)
class Row:
    """Median microseconds a signal; `floor`: pattern given away, nothing verified; `peer`: cvxpylayers at its defaults.

    `cold`, `warm`, `given`: a step of a training path from each of STARTS, of batches alone; the shares are of `cold`.
    """

    operator: str
    n: int
    signals: int
    free: float
    call: float
    call_low: float
    call_high: float
    wrapper: float
    scan: float
    search: float
    factor: float
    verification: float
    adjoint: float
    writing: float
    floor: float
    floor_low: float
    floor_high: float
    peer: float
    cold: float = math.nan
    warm: float = math.nan
    given: float = math.nan
    warm_share: float = math.nan
    warm_share_low: float = math.nan
    warm_share_high: float = math.nan
    given_share: float = math.nan


def reproduce(folder: Path, quick: bool) -> Path:
    """Write speed-floor.md and .csv into the folder; a fifth of the rounds and one call of cvxpylayers when quick."""
    if folder.exists():
        raise ValueError(f"folder {folder} exists already; give another --out")
    before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    if before is not None:
        os.sched_setaffinity(0, {max(before)})
    try:
        rows = [_measured(*case, ROUNDS // 5 if quick else ROUNDS, 1 if quick else PEER_CALLS) for case in CASES]
    finally:
        if before is not None:
            os.sched_setaffinity(0, before)
    folder.mkdir(parents=True)
    with (folder / "speed-floor.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(field.name for field in fields(Row))
        writer.writerows([getattr(row, field.name) for field in fields(Row)] for row in rows)
    page = folder / "speed-floor.md"
    page.write_text("\n".join(_lines(rows)) + "\n")
    console = Console()
    wide = console if console.is_terminal else Console(width=WIDTH)
    wide.print(Markdown("\n\n".join([_table(rows), _warm_table(rows)])))
    return page


def _measured(operator: str, n: int, signals: int, rounds: int, peer_calls: int) -> Row:
    print(f"{operator}, n = {n}, {signals} signals: timing", flush=True)
    problem = AnalysisL1.draw(
        n=n,
        seed=1,
        operator=operator,
        signal="dct-sparse" if operator in ("identity", "dct") else "piecewise-constant",
        batch=signals if signals > 1 else None,
    )
    rng = np.random.default_rng(0)  # a batch has its signals to vary
    thetas = [np.array(problem.theta), *(problem.perturbed(rng) for _ in range(THETAS - 1 if signals == 1 else 0))]
    parts, free = _parts(problem, thetas)
    times = _time(parts, rounds)
    median = {name: float(np.median(spent)) for name, spent in times.items()}
    call, floor = median_interval(times["call"]), median_interval(times["floor"])
    return Row(
        operator=operator,
        n=n,
        signals=signals,
        free=free,
        call=call[0],
        call_low=call[1],
        call_high=call[2],
        wrapper=call[0] - median["minimise"] - median["adjoint"] - median["writing"],
        scan=median["scan"],
        search=median["minimise"] - median["scan"] - median["factor"] - median["verification"],
        factor=median["factor"],
        verification=median["verification"],
        adjoint=median["adjoint"],
        writing=median["writing"],
        floor=floor[0],
        floor_low=floor[1],
        floor_high=floor[2],
        peer=_peer(problem, thetas, peer_calls),
        **_starts(times),
    )


def _starts(times: dict[str, list[float]]) -> dict[str, float]:
    """The columns of STARTS; the shares are medians over the rounds."""
    if "cold" not in times:
        return {}
    cold, warm, given = (np.array(times[name]) for name in STARTS)
    share = median_interval((warm / cold).tolist())
    return {
        **{name: float(np.median(times[name])) for name in STARTS},
        "warm_share": share[0],
        "warm_share_low": share[1],
        "warm_share_high": share[2],
        "given_share": float(np.median(given / cold)),
    }


def _parts(problem: AnalysisL1, thetas: list[Array]) -> tuple[Parts, float]:
    """Each part with the number of signals that one call of it runs over; and the mean number of free rows."""
    return _parts_of_batch(problem) if problem.y.ndim == 2 else _parts_of_signal(problem, thetas)


def _parts_of_signal(problem: AnalysisL1, thetas: list[Array]) -> tuple[Parts, float]:
    from methods._bounded import read_only
    from methods._exact import dual, floor
    from methods._exact.work import M, sizes

    ws, y, beta, count = np.stack(thetas), np.array(problem.y), problem.beta, len(thetas)
    k, n = ws.shape[1:]
    floats_size, integers_size = sizes(k, n)
    floats, integers = np.empty((count, floats_size)), np.empty((count, integers_size), np.int64)
    h, v, out, status = np.empty((count, k)), np.empty((count, n)), np.empty((k, n)), np.empty(count, np.int64)
    given, prepared = [read_only(w) for w in ws], Blorc().prepare(problem)
    next_call, next_floor = _cycle(count), _cycle(count)

    def least() -> None:
        t = next_floor()
        floor.least_gradient(given[t], y, gs[t], status[t], floats[t], integers[t], np.empty((k, n)))

    floor.minimise_each(ws, y, beta, floats, integers, status)
    if dual.FAILED in status:
        raise AssertionError("the compiled solver leaves an instance of the table open: its parts cannot be timed")
    gs = floats[:, :n] - problem.target
    return {
        "call": (lambda: prepared(thetas[next_call()]), 1),
        "minimise": (lambda: floor.minimise_each(ws, y, beta, floats, integers, status), count),
        "scan": (lambda: floor.scan(ws, floats, integers), count),
        "factor": (lambda: floor.factors(ws, status, floats, integers), count),
        "verification": (lambda: floor.checks(ws, y, beta, floats, integers), count),
        "adjoint": (lambda: floor.adjoints(ws, gs, status, floats, integers, h, v), count),
        "writing": (lambda: floor.writes(floats, h, v, out), count),
        "floor": (least, 1),
    }, float(np.mean(integers[:, M - COUNTS]))


def _parts_of_batch(problem: AnalysisL1) -> tuple[Parts, float]:
    """Of the tiles; what they leave open is solved one by one, and counts as search."""
    from methods._exact import floor
    from methods._exact.batch import SEVERAL, Team, Tiled, shared_products
    from methods._exact.singles import Signals

    w, y, beta, count = np.array(problem.theta), np.array(problem.y), float(problem.beta), len(problem.y)
    signals, prepared = Signals(y, beta), Blorc().prepare(problem)

    def solve() -> Tiled:
        shared = shared_products(w, count)
        assert shared is not None
        return Tiled(signals, shared, None, Team(count, 1))

    found = solve()
    if len(found.left_open) >= SEVERAL:
        raise AssertionError("the compiled solver leaves a tile of the table open: its parts cannot be timed")
    shared, tiles = found.shared, found.tiles
    gs, (x, z), (h, v) = found.x - problem.target, (found.x.copy(), found.z.copy()), found.adjoint(found.x)

    def least() -> object:
        floor.tile_least(shared, y, y @ w.T, gs, beta, tiles, x, z, h, v)
        return -(z.T @ v + h.T @ x)

    return {
        "call": (lambda: prepared(w), count),
        "minimise": (solve, count),
        "scan": (lambda: shared_products(w, count), count),
        "factor": (lambda: floor.tile_factors(shared, tiles), count),
        "verification": (lambda: floor.tile_checks(shared, y, found.z, beta, tiles), count),
        "adjoint": (lambda: found.adjoint(gs), count),
        "writing": (lambda: -(z.T @ v + h.T @ x), count),
        "floor": (least, count),
        **{name: (step, count) for name, step in _steps(problem).items()},
    }, float(np.mean((np.abs(found.z) < beta).sum(axis=1)))


def _steps(problem: AnalysisL1) -> dict[str, Part]:
    """One step to and fro on a training path, from each of STARTS."""
    warm, cold = BlorcWarm().prepare(problem), BlorcWarm(warm=False).prepare(problem)
    assert isinstance(warm, Chained) and isinstance(cold, Chained)
    path = training_path(cold, np.array(problem.theta), THETAS)
    solutions = [cold.step(theta, None)[1] for theta in path]
    walks = {name: cycle([*range(THETAS), *range(THETAS - 2, 0, -1)]) for name in STARTS}
    state = [solutions[1]]

    def from_nothing() -> None:
        cold.step(path[next(walks["cold"])], None)

    def from_the_step_before() -> None:
        state[0] = warm.step(path[next(walks["warm"])], state[0])[1]

    def from_the_solution() -> None:
        place = next(walks["given"])
        warm.step(path[place], solutions[place])

    return dict(zip(STARTS, (from_nothing, from_the_step_before, from_the_solution), strict=True))


def _cycle(count: int) -> Callable[[], int]:
    return cycle(range(count)).__next__


def _time(parts: Parts, rounds: int) -> dict[str, list[float]]:
    """Microseconds a signal, one number a round: the mean over ROUND_S; all parts in every round, in one process.

    A call before each part is not timed: it finds the caches full of the part before.
    """
    loops = {}
    for name, (part, _) in parts.items():
        part()
        start = perf_counter()
        part()
        loops[name] = max(1, round(ROUND_S / (perf_counter() - start)))
    times: dict[str, list[float]] = {name: [] for name in parts}
    with without_gc():
        for _ in range(rounds):
            for name, (part, count) in parts.items():
                part()
                start = perf_counter()
                for _ in range(loops[name]):
                    part()
                times[name].append((perf_counter() - start) / loops[name] / count * 1e6)
    return times


def _peer(problem: AnalysisL1, thetas: list[Array], calls: int) -> float:
    """Median microseconds a signal of cvxpylayers in torch, forward and backward, after a call that is not counted."""
    prepared = ConeLayer("torch").prepare(problem)
    wait, times = waiter(prepared(thetas[0])), []
    for index in range(calls):
        start = perf_counter()
        wait(prepared(thetas[index % len(thetas)]).grad)
        times.append(perf_counter() - start)
    return float(np.median(times)) * 1e6 / len(np.atleast_2d(problem.y))


def _table(rows: list[Row]) -> str:
    head = "| W | n | signals | zero rows | call [95 %] | " + " | ".join(PARTS) + " | floor [95 %] | call / floor"
    head += " | cvxpylayers / call | / floor |"
    return "\n".join([head, "|---" * head.count(" | ") + "|---|", *map(_line, rows)])


def _line(row: Row) -> str:
    parts = " | ".join(f"{getattr(row, part):.2g}" for part in PARTS)
    return (
        f"| {row.operator} | {row.n} | {row.signals} | {row.free:.0f}"
        f" | {row.call:.3g} [{row.call_low:.3g}, {row.call_high:.3g}] | {parts}"
        f" | {row.floor:.3g} [{row.floor_low:.3g}, {row.floor_high:.3g}] | {row.call / row.floor:.1f}"
        f" | {row.peer / row.call:.0f} | {row.peer / row.floor:.0f} |"
    )


def _warm_table(rows: list[Row]) -> str:
    """Of the batches; below the share of `given` no start can bring this solver."""
    head = "| W | n | signals | cold | warm | from the solution | warm / cold [95 %] | from the solution / cold |"
    lines = [
        f"| {row.operator} | {row.n} | {row.signals} | {row.cold:.3g} | {row.warm:.3g} | {row.given:.3g}"
        f" | {row.warm_share:.2f} [{row.warm_share_low:.2f}, {row.warm_share_high:.2f}] | {row.given_share:.2f} |"
        for row in rows
        if math.isfinite(row.cold)
    ]
    return "\n".join([head, "|---" * 8 + "|", *lines])


def _lines(rows: list[Row]) -> list[str]:
    facts = environment.snapshot(1)
    return [
        "# Where the time of one exact gradient goes",
        "",
        "Microseconds a signal of `blorc`, NumPy in, dense gradient out.",
        "",
        _table(rows),
        "",
        "- wrapper: Python around the compiled code: arrays made, arguments passed, loss and its gradient, checks.",
        "- scan: the first pass over W: extents and lengths of its rows; a batch: W W^T, which its signals share.",
        "- search: what finds the pattern: sweeps, Newton steps and factors beyond the one below; a batch: the inverse",
        "  of W W^T where it is used, and the signals beyond the last whole tile of 16, which are solved one by one.",
        "- factor: the products of the zero rows and their factor, given the pattern.",
        "- verification: the last pass W x* and the conditions of every row.",
        "- adjoint: h and v with that factor. writing: the dense gradient from them.",
        "- floor: a compiled call that is given the pattern and verifies nothing: two passes over W, the factor, two solves,"
        " the dense gradient. No solver that has to find the pattern can be below it with this arithmetic.",
        "- cvxpylayers / floor: the most that any such code could gain on cvxpylayers here, in this process.",
        "",
        *_sentences(rows),
        "",
        "## Warm starts",
        "",
        f"A step of a training path (W moves by {MOVE:g} of its length), microseconds a signal, of `blorc-warm`: cold, from",
        "the duals of the step before, and from the duals of its own solution, where nothing is left to search.",
        "",
        _warm_table(rows),
        "",
        "- from the solution / cold: the least that a start can bring this solver to: shared products, factor, verification,",
        "  adjoint, the dense gradient, and the sweeps that find nothing to move are the same work whatever the start.",
        "",
        f"Here: one thread, medians over rounds in which all parts alternate; {facts['processor']}, commit"
        f" {facts['commit'] or 'unknown'}.",
    ]


def _sentences(rows: list[Row]) -> list[str]:
    """For each row, the largest part beside the floor."""
    found = []
    for row in rows:
        largest = max(("wrapper", "search", "verification"), key=lambda part: getattr(row, part))
        share = getattr(row, largest) / row.call
        found.append(
            f"- {row.operator}, n = {row.n}, {'one signal' if row.signals == 1 else f'{row.signals} signals'}: the floor is"
            f" {row.floor / row.call:.0%} of the call; the largest part beyond it is {largest}, {share:.0%}."
        )
    return found
