"""The bias of smoothing: |t| replaced by sqrt(t^2 + eps^2), then implicit differentiation."""

from __future__ import annotations

import numpy as np

from harness.experiments._claims import error
from methods.smoothed import SmoothedIFT
from problems import AnalysisL1
from results.claims import Claim, Curve

OPERATORS = ("tv", "dct", "random")
SEEDS = (1, 2, 3)


def measure(quick: bool) -> Claim:
    """Median error over seeds at n = 36, eps from 1 down to 1e-7."""
    levels = np.logspace(0, -7, 8 if quick else 15)
    seeds = SEEDS[:1] if quick else SEEDS
    curves = []
    for operator in OPERATORS:
        problems = [AnalysisL1.draw(n=36, seed=seed, operator=operator) for seed in seeds]
        errors = [np.median([error(SmoothedIFT("torch", eps=float(eps)), problem) for problem in problems]) for eps in levels]
        points = tuple(map(float, levels)), tuple(map(float, errors))
        curves.append(Curve(operator, "smoothed IFT", *points, (1e-6, 1e-4), "1: bias proportional to eps"))
    return Claim(
        name="smoothing-bias",
        title="Bias of the smoothed hypergradient against eps",
        statement="Smoothing makes the l1 norm differentiable, but the gradient is that of another problem: unstable, or much "
        "smoothing, and no bound is known beforehand. Once eps is below the margins of the instance the bias falls like eps; "
        "above them it is of order one.",
        source="Ochs (2021), slides on differentiation of the solution mapping; Sprechmann et al. (2013)",
        x_label="eps",
        y_label="relative error of the gradient",
        curves=tuple(curves),
        notes=(
            f"Analysis l1 with n = 36, sigma = 0.1, medians over {len(seeds)} seeds.",
            "Random operators have the smallest margins: over the range fitted their bias has not settled to its first order, "
            "and the slope of a median or of a single seed says how far it still has to go.",
        ),
    )
