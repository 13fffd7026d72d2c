"""The four curves of a panel of rates: error of x beside that of the gradient by three strategies."""

from __future__ import annotations

import numpy as np

from harness.experiments._iterations import Pass, falling, steps
from problems.base import Array
from results.claims import Curve

POINTS = 45
X, UNROLLED, OPTIMUM, FIXED = "x", "unrolled", "at the optimum, K terms", "fixed point, K terms at x_K"


def curves(
    panel: str, made: Pass, expected: dict[str, str], logarithmic: bool, top: float, start: float = 0.0
) -> tuple[Curve, ...]:
    """Errors over K, fitted where they fall from `top` towards rounding, from K = `start` on."""
    counts = steps(made.count, POINTS, logarithmic)
    found = {
        X: made.of_x()[counts - 1],
        UNROLLED: made.unrolled()[counts - 1],
        OPTIMUM: made.at_optimum()[counts - 1],
        FIXED: made.fixed_point(counts),
    }
    return tuple(curve(panel, label, counts, error, expected.get(label, ""), top, start) for label, error in found.items())


def curve(panel: str, label: str, counts: Array, error: Array, expected: str, top: float, start: float = 0.0) -> Curve:
    """One of them; no fit over fewer than four points."""
    low, high = falling(counts, error, top)
    low = max(low, start)
    enough = np.sum((counts >= low) & (counts <= high)) >= 4
    points = tuple(map(float, counts)), tuple(map(float, error))
    return Curve(panel, label, *points, (low, high) if enough else None, expected)
