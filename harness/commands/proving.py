"""`dargmin prove`: what is proven of every instance of a sweep, and the seconds of each proof."""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from harness.answers import judged, told
from harness.commands.request import read_axes
from harness.plan.catalogue import drawn, ensembles
from harness.plan.sweeps import Point, Sweep
from problems import OPERATORS, PROBLEMS, AnalysisL1, Ensemble, Problem, Reference

if TYPE_CHECKING:
    from problems.proofs.certificate import Certificate

STATUSES = ("proven", "zero", "kink", "undecided")
OTHERS = ("bounded", "unproven")  # of other problems than analysis l1
USUAL = Sweep.problem
SIZES, SEEDS = (8, 16, 64, 144, 256), (0, 1, 2, 3, 4)


@dataclass(frozen=True)
class Proved:
    """What is proven of one instance, and the seconds it took; `group`: its line in the table."""

    group: str
    n: int
    name: str
    status: str
    reason: str
    seconds: float


def run(axes: dict[str, Any]) -> bool:
    """Prove the sweeps afresh, print their tables and what stayed undecided; whether everything was decided."""
    points = [(sweep.problem, point) for sweep in _sweeps(axes) for point in sweep.points()]
    for of, point in points:
        if point.seed == points[0][1].seed:
            _drawn(of, point)  # a wrong axis is refused before the work
    certify(AnalysisL1.draw(8))  # imports the prover
    found = [_proved(of, point) for of, point in track(points, "proving", console=Console(stderr=True))]
    wide = Console() if Console().is_terminal else Console(width=140)
    wide.print(_table(found))
    open_ = [one for one in found if one.status == "undecided"]
    for one in open_:
        print(f"undecided: {one.group} n={one.n} {one.name}: {one.reason}")
    return not open_


def _sweeps(axes: dict[str, Any]) -> list[Sweep]:
    """Of analysis l1 all operators; of another problem, small unless n is given, a sweep for each kind of theta."""
    found = []
    for of in ensembles(axes.get("problems") or (USUAL.name,)).values():
        given = {"seeds": SEEDS} | read_axes(axes, of)
        if of == USUAL:
            found.append(Sweep(**{"operators": tuple(OPERATORS), "n": SIZES, **given}))
        else:
            kinds = (given["theta"],) if "theta" in given else of.thetas
            size = of.n if of.fixed_n else of.small
            found += [Sweep(**{"problem": of, "n": (size,), **given, "theta": theta}) for theta in kinds]
    return found


def _drawn(of: Ensemble, point: Point) -> Problem:
    return drawn(of, point.n, point.seed, point.theta, point.operator, point.signal, point.sigma, point.batch)


def _group(of: Ensemble, point: Point) -> str:
    """The operator; of another problem than analysis l1 its name and what is differentiated."""
    return point.operator if of == USUAL else " ".join(filter(None, (of.name, point.theta, point.operator)))


def _proved(of: Ensemble, point: Point) -> Proved:
    """The proof itself, on one thread; that of an analysis l1 would come from the cache if it were asked for its reference."""
    from threadpoolctl import threadpool_limits

    problem = _drawn(of, point)
    with threadpool_limits(1):
        start = time.perf_counter()
        found = certify(problem) if isinstance(problem, AnalysisL1) else _reference(of, problem)
        seconds = time.perf_counter() - start
    noise = f"sigma={point.sigma}" if of.noise else ""
    name = " ".join(filter(None, (point.signal, noise, f"seed={point.seed}")))
    return Proved(_group(of, point), point.n, name, found.status, found.reason, seconds)


def _reference(of: Ensemble, problem: Problem) -> Reference:
    """What a user's code raises or returns instead leaves its instance undecided."""
    try:
        return judged(problem)
    except Exception as error:
        if of in PROBLEMS:
            raise
        return Reference("undecided", None, problem.theta, math.nan, reason=told(error))


def certify(problem: AnalysisL1) -> Certificate:
    from problems.proofs import certificate

    return certificate.certify(problem)


def _table(found: list[Proved]) -> Table:
    """A line an operator or kind of theta, and one for all: how many ended in each status, median seconds by n, the longest."""
    sizes = sorted({one.n for one in found})
    statuses = (*STATUSES, *(status for status in OTHERS if any(one.status == status for one in found)))
    made = Table(title="Proofs: status counts, and seconds a proof (median by n, longest)", title_justify="left")
    made.add_column("operator" if {one.group for one in found} <= set(OPERATORS) else "problem", no_wrap=True)
    for name in ("proofs", *statuses, *(f"n = {n}" for n in sizes), "longest"):
        made.add_column(name, justify="right", no_wrap=True)
    groups = list(dict.fromkeys(one.group for one in found))
    for group in groups:
        made.add_row(group, *_cells([one for one in found if one.group == group], sizes, statuses))
    if len(groups) > 1:
        made.add_section()
        made.add_row("all", *_cells(found, sizes, statuses))
    return made


def _cells(found: list[Proved], sizes: list[int], statuses: tuple[str, ...] = STATUSES) -> list[str]:
    counts = Counter(one.status for one in found)
    of_size = {n: [one.seconds for one in found if one.n == n] for n in sizes}
    medians = [median(seconds) if seconds else math.nan for seconds in of_size.values()]
    seconds = [*medians, max(one.seconds for one in found)]
    return [str(len(found)), *(str(counts[status]) for status in statuses), *(f"{value:.3f}" for value in seconds)]
