"""`dargmin prove`: what is proven of every instance of a sweep, and the seconds of each proof."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from statistics import median
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from harness.commands import read_axes
from harness.sweeps import Sweep, ensemble
from problems import OPERATORS, AnalysisL1

STATUSES = ("proven", "zero", "kink", "undecided")
SIZES, SEEDS = (8, 16, 64, 144, 256), (0, 1, 2, 3, 4)


@dataclass(frozen=True)
class Proved:
    """What is proven of one instance, and the seconds it took."""

    operator: str
    n: int
    name: str
    status: str
    reason: str
    seconds: float


def run(axes: dict[str, Any]) -> bool:
    """Prove the sweep afresh, print its tables and what stayed undecided; whether everything was decided."""
    sweep = Sweep(**{"operators": tuple(OPERATORS), "n": SIZES, "seeds": SEEDS, **read_axes(axes, ensemble("analysis-l1"))})
    theta = sweep.theta or "dense"
    instances = [(n, operator, signal, sigma, seed) for _, n, operator, signal, sigma, seed, _ in sweep.points()]
    for n, operator, signal, sigma, seed in instances:
        if seed == sweep.seeds[0]:
            AnalysisL1.draw(n, sigma, seed, operator, signal)  # a wrong axis is refused before the work
    _proved(AnalysisL1.draw(8), "", "")  # imports the prover
    found = [
        _proved(
            AnalysisL1.draw(n, sigma, seed, operator, signal, theta=theta),
            operator,
            f"{signal} {sigma=} {seed=}",
        )
        for n, operator, signal, sigma, seed in track(instances, "proving", console=Console(stderr=True))
    ]
    wide = Console() if Console().is_terminal else Console(width=140)
    wide.print(_table(found))
    open_ = [one for one in found if one.status == "undecided"]
    for one in open_:
        print(f"undecided: {one.operator} n={one.n} {one.name}: {one.reason}")
    return not open_


def _proved(problem: AnalysisL1, operator: str, name: str) -> Proved:
    """The proof itself, on one thread; problem.reference() would take it from the cache."""
    from threadpoolctl import threadpool_limits

    from problems._certificate import certify

    with threadpool_limits(1):
        start = time.perf_counter()
        found = certify(problem)
        seconds = time.perf_counter() - start
    return Proved(operator, problem.y.shape[-1], name, found.status, found.reason, seconds)


def _table(found: list[Proved]) -> Table:
    """A line an operator, and one for all: how many ended in each status, median seconds by n, the longest."""
    sizes = sorted({one.n for one in found})
    made = Table(title="Proofs: status counts, and seconds a proof (median by n, longest)", title_justify="left")
    made.add_column("operator", no_wrap=True)
    for name in ("proofs", *STATUSES, *(f"n = {n}" for n in sizes), "longest"):
        made.add_column(name, justify="right", no_wrap=True)
    operators = list(dict.fromkeys(one.operator for one in found))
    for operator in operators:
        made.add_row(operator, *_cells([one for one in found if one.operator == operator], sizes))
    if len(operators) > 1:
        made.add_section()
        made.add_row("all", *_cells(found, sizes))
    return made


def _cells(found: list[Proved], sizes: list[int]) -> list[str]:
    counts = Counter(one.status for one in found)
    medians = [median(one.seconds for one in found if one.n == n) for n in sizes]
    seconds = [*medians, max(one.seconds for one in found)]
    return [str(len(found)), *(str(counts[status]) for status in STATUSES), *(f"{value:.3f}" for value in seconds)]
