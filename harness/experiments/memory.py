"""Memory of a call against iterations: unrolling keeps every iterate, implicit differentiation keeps the last."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache

from harness.measure import memory
from harness.measure.processes import context
from methods import GradientMethod
from methods.fixed_point import FixedPoint
from methods.neumann import Neumann
from methods.unrolled import Unrolled
from problems import AnalysisL1
from results.claims import Claim, Curve

BATCH = 32
METHODS: dict[str, tuple[str, Callable[[int], GradientMethod]]] = {
    "unrolled": ("1", lambda k: Unrolled("ista", "torch", iterations=k)),
    "fixed point, at most K steps": ("0", lambda k: FixedPoint("ista", "torch", tolerance=0.0, limit=k)),
    "at the optimum, K terms": ("0", lambda k: Neumann("ista", "torch", terms=k)),
}


def measure(quick: bool) -> Claim:
    """Peaks of one call on analysis l1 (1-D TV, 32 signals), in a process of its own."""
    counts, sizes = ((30, 100, 300), (64, 128, 256)) if quick else ((30, 100, 300, 1000), (64, 128, 256, 512))
    over_k, over_n = "over K, n = 64", "over n, K = 100"
    cells = [(label, panel, k, n) for label in METHODS for panel, k, n in _grid(over_k, counts, over_n, sizes)]
    with ProcessPoolExecutor(1, mp_context=context(1)) as pool:
        measured = list(pool.map(_peak, *zip(*((label, k, n) for label, _, k, n in cells), strict=True)))
    lowest = max(floor for _, floor in measured)
    curves: list[Curve] = []
    for label, (power, _) in METHODS.items():
        for panel, values, expected in (
            (over_k, counts, f"{power}: {'O(K n)' if power == '1' else 'no growth with K'}"),
            (over_n, sizes, "1 to 2: O(n) a signal, n^2 of dL/dW"),
        ):
            peaks = [
                peak for (one, where, *_), (peak, _) in zip(cells, measured, strict=True) if (one, where) == (label, panel)
            ]
            x, y = tuple(map(float, values)), tuple(peak / 2**20 if peak > lowest else math.nan for peak in peaks)
            curves.append(Curve(panel, label, x, y, (x[0], x[-1]), expected))
    return Claim(
        name="memory",
        title="Peak memory of one gradient",
        statement="Reverse mode through K iterations keeps what every one of them needs, O(K n); implicit differentiation "
        "keeps the fixed point alone, O(n), however many iterations led there.",
        source="Mehmood and Ochs (2020); Bai, Kolter and Koltun (2019); Ghosh, McCann and Ravishankar (2022)",
        x_label="K, or n",
        y_label="peak above the baseline, MiB",
        curves=tuple(curves),
        notes=(
            f"Rise of resident memory over one call after a first one, analysis l1 with 1-D TV, {BATCH} signals, theta = W; "
            f"in a process of its own. The meter's floor is {lowest / 2**20:.1f} MiB; what lies below is not shown.",
            "The fixed point does not stay flat: " + ", ".join(_rise(curve) for curve in curves if curve.panel == over_k) + ".",
            "W and its gradient are n^2 numbers for every method (2 MiB at n = 512), on top of O(n) a signal.",
        ),
    )


def _grid(over_k: str, counts: tuple[int, ...], over_n: str, sizes: tuple[int, ...]) -> list[tuple[str, int, int]]:
    """(panel, K, n)."""
    return [*((over_k, k, 64) for k in counts), *((over_n, 100, n) for n in sizes)]


def _rise(curve: Curve) -> str:
    return f"{curve.label} from {curve.y[0]:.1f} to {curve.y[-1]:.1f} MiB"


def _peak(label: str, k: int, n: int) -> tuple[float, float]:
    """(bytes of one call, floor of the meter)."""
    memory.return_freed_blocks()
    problem = AnalysisL1.draw(n=n, seed=1, batch=BATCH)
    prepared = METHODS[label][1](k).prepare(problem)
    prepared(problem.theta)
    return memory.peak(lambda: prepared(problem.theta)), _floor()


@cache
def _floor() -> float:
    return memory.floor()
