"""The error of inexact implicit differentiation against the bound that it computes of itself."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from harness.checks.errors import relative
from methods import Gradient, to_numpy
from methods.ift_cg import InexactIFT
from problems import Problem
from problems.quadratic import QuadraticBilevel
from problems.ridge import Ridge
from problems.smooth_tv import SmoothTV
from results.claims import Claim, Curve

INSTANCES: dict[str, Callable[[], Problem]] = {
    "quadratic": lambda: QuadraticBilevel.draw(n=10, seed=1, theta="shift"),
    "ridge, diabetes": lambda: Ridge.draw(n=10, seed=1, theta="row-weights", signal="diabetes"),
    "smooth TV": lambda: SmoothTV.draw(n=32, seed=1, theta="logs", sigma=0.1),
}
ERROR, BOUND = "error", "bound"
LIMIT = 100_000  # iterations: the quadratic instance is ill-conditioned


def measure(quick: bool) -> Claim:
    """eps = delta from 1 down to 1e-10."""
    levels = np.logspace(0, -10, 11 if quick else 21)
    curves: list[Curve] = []
    notes: list[str] = []
    for name, draw in INSTANCES.items():
        problem = draw()
        pairs = np.array([_pair(problem, float(eps)) for eps in levels])
        points = {ERROR: pairs[:, 0], BOUND: np.where(np.isfinite(pairs[:, 1]), pairs[:, 1], np.nan)}
        for label, values in points.items():
            said = "1: O(eps + delta)" + ("" if label == ERROR else ", above the error everywhere")
            curves.append(Curve(name, label, tuple(map(float, levels)), tuple(map(float, values)), (1e-9, 1e-2), said))
        held = np.isfinite(points[BOUND])
        ratio = points[BOUND][held] / np.maximum(points[ERROR][held], np.finfo(float).tiny)
        above = "above the error everywhere" if (ratio >= 1).all() else f"BELOW the error at {int((ratio < 1).sum())} levels"
        notes.append(
            f"{name}: the bound is {above}, {ratio.min():.1f} to {ratio.max():.0f} times it (median {np.median(ratio):.0f}); "
            f"it says nothing (omega >= |z|) at {int((~held).sum())} of {len(levels)} levels."
        )
    return Claim(
        name="inexact-ift",
        title="Inexact implicit differentiation: error and computable bound",
        statement="With the lower level solved to |grad Phi| <= mu eps and the linear system to a residual delta, the gradient "
        "is off by O(eps + delta + eps^2 + eps delta), and a bound omega on that is computable from quantities at hand. Here "
        "eps = delta.",
        source="Pedregosa (2016); Ehrhardt and Roberts (2024); Salehi, Mukherjee, Roberts and Ehrhardt (2025)",
        x_label="eps = delta",
        y_label="relative error, and its bound",
        curves=tuple(curves),
        notes=tuple(notes),
    )


def _pair(problem: Problem, eps: float) -> tuple[float, float]:
    """(error, bound), both relative: the method bounds |z - G| / |G| by omega / (|z| - omega)."""
    method = InexactIFT("torch", eps=eps, max_iterations=LIMIT)
    found: Gradient = method.prepare(problem)(problem.theta)
    truth = problem.reference().grad
    assert truth is not None and found.bound is not None
    return relative(to_numpy(found.grad), truth), found.bound
