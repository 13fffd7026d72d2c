"""Finite identification: from some iteration on the active pattern stands still; the derivative's error has a kink there."""

from __future__ import annotations

import numpy as np

from harness.experiments import _rates
from harness.experiments._iterations import ROUNDING, Momentum, Pass, falling, fista, plain
from problems import AnalysisL1, Problem
from problems.base import Array
from problems.lasso import Lasso
from results.claims import Claim, Curve, Mark

POINTS = 40
EXACT = "implicit, exact at x_K"
KINDS = {"ISTA": plain, "FISTA": fista}


def measure(quick: bool) -> Claim:
    """The Lasso (n = 64, primal) and analysis l1 with 1-D TV (n = 36, dual), each with ISTA and FISTA; quick: half of n."""
    instances: dict[str, Problem] = {
        "Lasso": Lasso.draw(n=32 if quick else 64, seed=1, theta="row-weights", signal="gaussian"),
        "analysis l1, TV": AnalysisL1.draw(n=16 if quick else 36, seed=1, theta="row-weights"),
    }
    curves: list[Curve] = []
    marks: list[Mark] = []
    notes: list[str] = []
    for kind, momentum in KINDS.items():
        for name, problem in instances.items():
            made = _pass(problem, momentum)
            panel = f"{name}: {kind}"
            curves += _panel(panel, made)
            marks.append(Mark(panel, made.settled, f"pattern settles: {made.settled}"))
            notes.append(_said(panel, made))
    return Claim(
        name="identification",
        title="Finite identification: the pattern settles, then the derivative converges",
        statement="Where the solution is not degenerate, proximal iterations find the active pattern (the support of the "
        "Lasso, the entries of the dual at their bound) after finitely many iterations and keep it. Before that derivatives "
        "are those of wrong patterns and jump whenever an entry joins or leaves: that is the kink of the error. After it "
        "the map is affine, implicit differentiation at x_K is off by the error of x_K alone, and "
        "unrolling forgets the wrong Jacobians at the rate of the iteration on the pattern found.",
        source="Liang, Fadili and Peyre (2014, 2017); Vaiter et al. (2017); Bertrand et al. (2020)",
        x_label="iterations K",
        y_label="relative error",
        curves=tuple(curves),
        fit="geometric",
        marks=tuple(marks),
        notes=tuple(notes),
    )


def _pass(problem: Problem, momentum: Momentum) -> Pass:
    """As many iterations as the unrolled derivative needs to meet rounding, doubled from 100."""
    for count in (100, 200, 400, 800):
        made = Pass(problem, count, momentum)
        if made.unrolled()[-1] < ROUNDING:
            return made
    return Pass(problem, 1600, momentum)


def _panel(panel: str, made: Pass) -> list[Curve]:
    counts, rate = _counts(made), f"after it <= {made.radius:.4f}"
    errors = {
        _rates.X: made.of_x()[counts - 1],
        _rates.UNROLLED: made.unrolled()[counts - 1],
        EXACT: made.implicit(counts),
    }
    return [_rates.curve(panel, label, counts, error, _after(made, counts, error), rate) for label, error in errors.items()]


def _after(made: Pass, counts: Array, error: Array) -> tuple[float, float]:
    """From twice the settling, past what the recursion carries over from before, down to rounding."""
    return 2.0 * made.settled, falling(counts, error, top=np.inf)[1]


def _counts(made: Pass) -> Array:
    """Every iteration to twice the settling, then evenly to where the unrolled error meets rounding."""
    end, near = int(np.argmax(made.unrolled() < ROUNDING)) or made.count, 2 * made.settled
    return np.unique(np.concatenate([np.arange(1, near + 1), np.round(np.linspace(near, end, POINTS)).astype(int)]))


def _said(panel: str, made: Pass) -> str:
    k, worst = made.settled, made.unrolled()[made.settled // 2 : made.settled].max()
    before, after = made.implicit(np.array([k - 2, k - 1]))  # the Jacobian at v_{k-1} has the pattern of v_k
    return (
        f"{panel}: the pattern settles at K = {k}. Over the half of the iterations before, the unrolled derivative is up to "
        f"{worst:.1e} off; with that Jacobian implicit differentiation goes from {before:.1e} to {after:.1e}. The spectral "
        f"radius on the pattern is {made.radius:.4f}."
    )
