"""Rates of the derivative without strong convexity: powers of K, and the value function, which asks for no derivative of x*."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from harness.experiments import _rates
from harness.experiments._iterations import Pass, fista, plain, steps
from problems import AnalysisL1
from problems.base import Array
from problems.quadratic import QuadraticBilevel
from problems.tv_value import TVValue
from results.claims import Claim, Curve, Mark

POINTS = 40
HELD = "value function by duality, at x_K"
PLAIN, FAST = "plain", "accelerated"
MOMENTUM: dict[str, Callable[[int], Array]] = {PLAIN: plain, FAST: fista}


def measure(quick: bool) -> Claim:
    """K up to 4000 plain, 1000 with momentum; quick: a quarter of them."""
    counts = {PLAIN: 1000, FAST: 250} if quick else {PLAIN: 4000, FAST: 1000}
    problem, value = AnalysisL1.draw(n=24, seed=1, operator="random-2n", theta="row-weights"), TVValue.draw(64, 1, "", 0.1)
    curves: list[Curve] = []
    marks: list[Mark] = []
    for kind, momentum in MOMENTUM.items():
        curves += _quadratic(kind, Pass(spectrum(), counts[kind], momentum), "-1/2" if kind == PLAIN else "-1")
        made = Pass(problem, 2000, momentum)
        curves += _singular(kind, made)
        marks.append(Mark(curves[-1].panel, made.settled, f"pattern settles: {made.settled}"))
        made = Pass(value, 800, momentum)
        curves += _value(kind, made)
        marks.append(Mark(curves[-1].panel, made.settled, f"pattern settles: {made.settled}"))
    return Claim(
        name="rates-convex",
        title="Error of the derivative against iterations without strong convexity",
        statement="Without strong convexity the objective falls like 1/K, with FISTA like 1/K^2, so x of a dual iteration at "
        "least like K^-1/2 and K^-1 (from above); of the derivative nothing is promised, and it has no rate in general. The "
        "derivative of the optimal VALUE is promised the rate of x by duality: it takes x_K alone.",
        source="Beck and Teboulle (2009); Mehmood and Ochs (2020, 2021); Ablin, Peyre and Moreau (2020) for unrolled values",
        x_label="iterations K",
        y_label="relative error",
        curves=tuple(curves),
        marks=tuple(marks),
        notes=(
            "Spectrum i^-3: a quadratic with n = 64, curvatures 1 to 4e-6, x* = sum i^-2 (+-u_i), so the error over the "
            "eigenvectors not yet reached falls like K^(-1/2), FISTA reaches them in the square root of the time: K^-1. "
            "The map is affine with B constant, so the fixed point repeats unrolling.",
            "Random 2n x n (n = 24): the dual has a singular Hessian. It is slow only until the pattern settles; on the face "
            "found the iteration contracts, and all errors fall geometrically. The slopes are those before.",
            "Value of 1-D TV (n = 64): duality and x fall alike; the unrolled gradient of the value falls like the square of "
            "the error of x once the pattern has settled, and its derivative of x* is not needed at all at x*.",
        ),
    )


def spectrum(n: int = 64, p: int = 8, seed: int = 1) -> QuadraticBilevel:
    """1/2 |S^(1/2) U^T (x - x* - J theta)|^2, S = diag(i^-3), x* and J of the size i^-2 in U, dL/dx of the size i^-1/2.

    The coefficients are positive, so that the lost parts of <J, dL/dx>, of the size i^-5/2, add up to K^-1/2.
    """
    rng = np.random.default_rng(seed)
    i, basis = np.arange(1, n + 1.0), np.linalg.qr(rng.standard_normal((n, n)))[0]
    a2 = i[:, None] ** -1.5 * basis.T
    x, moved = basis @ i**-2, basis @ (i[:, None] ** -2 * (0.5 + rng.random((n, p))))
    slope = basis @ i**-0.5
    return QuadraticBilevel(np.zeros(p), np.eye(n), x - slope, a2, a2 @ x, -a2 @ moved)


def _quadratic(kind: str, made: Pass, expected: str) -> list[Curve]:
    counts, end = steps(made.count, POINTS, logarithmic=True), 4000 if kind == PLAIN else 500
    found = _rates.errors(made, counts).items()
    return [_rates.curve(f"spectrum i^-3: {kind}", label, counts, error, (5, end), expected) for label, error in found]


def _singular(kind: str, made: Pass) -> list[Curve]:
    counts, least = steps(made.count, POINTS, logarithmic=True), "-1/2" if kind == PLAIN else "-1"
    expected = {_rates.X: f"{least} at least", _rates.UNROLLED: "no rate", _rates.OPTIMUM: "no rate", _rates.FIXED: "no rate"}
    return [
        _rates.curve(f"random 2n x n, dual: {kind}", label, counts, error, (2, made.settled), expected[label])
        for label, error in _rates.errors(made, counts).items()
    ]


def _value(kind: str, made: Pass) -> list[Curve]:
    counts, least = steps(made.count, POINTS, logarithmic=True), "-1/2" if kind == PLAIN else "-1"
    found = {_rates.X: made.of_x(), _rates.UNROLLED: made.unrolled(), HELD: made.held()}
    expected = {_rates.X: f"{least} at least", _rates.UNROLLED: "that of x at least", HELD: f"{least} at least, that of x"}
    return [
        _rates.curve(f"value of TV, dual: {kind}", label, counts, error[counts - 1], (2, made.settled), expected[label])
        for label, error in found.items()
    ]
