"""The four curves of a panel of rates: error of x beside that of the gradient by three strategies."""

from __future__ import annotations

import numpy as np

from harness.experiments._iterations import Pass
from problems.base import Array
from results.claims import Curve

POINTS = 45
X, UNROLLED, OPTIMUM, FIXED = "x", "unrolled", "at the optimum, K terms", "fixed point, K terms at x_K"


def errors(made: Pass, counts: Array) -> dict[str, Array]:
    """The four errors after `counts` iterations."""
    return {
        X: made.of_x()[counts - 1],
        UNROLLED: made.unrolled()[counts - 1],
        OPTIMUM: made.at_optimum()[counts - 1],
        FIXED: made.fixed_point(counts),
    }


def curve(panel: str, label: str, counts: Array, error: Array, fit: tuple[float, float], expected: str) -> Curve:
    """One line of a panel; no fit over fewer than four points."""
    enough = np.sum((counts >= fit[0]) & (counts <= fit[1])) >= 4
    points = tuple(map(float, counts)), tuple(map(float, error))
    return Curve(panel, label, *points, fit if enough else None, expected)
