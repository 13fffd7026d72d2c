"""Bregman steps against projected ones: the smooth iteration differentiated, and the projection's piecewise affine one."""

from __future__ import annotations

import numpy as np

from harness.experiments import _rates
from harness.experiments._iterations import ROUNDING, Pass
from problems import Problem
from problems.box_dual_tv import BoxDualTV
from problems.nnls import NNLS
from problems.simplex_least_squares import SimplexLeastSquares
from results.claims import Claim, Curve, Mark

POINTS, LIMIT = 45, 3200
STEPS = {"projected": "ista", "Bregman": "bpg"}


def measure(quick: bool) -> Claim:
    """NNLS, the simplex and the dual of TV, differentiated in the data, n = 16 (quick: 8)."""
    n = 8 if quick else 16
    instances: dict[str, Problem] = {
        "NNLS": NNLS.draw(n, 1, "data", 0.1),
        "simplex": SimplexLeastSquares.draw(n, 1, "data", 0.1),
        "box, dual of TV": BoxDualTV.draw(n, 1, "", 0.1),
    }
    curves: list[Curve] = []
    marks: list[Mark] = []
    notes: list[str] = []
    for name, problem in instances.items():
        for kind, scheme in STEPS.items():
            made = _pass(problem, scheme)
            curves += _lines(name, kind, made)
            notes.append(
                f"{name}, {kind}: spectral radius at x* {made.radius:.5f}, error of the derivative "
                f"{made.unrolled()[-1]:.1e} after {made.count} iterations."
            )
            if kind == "projected":
                marks.append(Mark(name, made.settled, f"projection settles: {made.settled}"))
    return Claim(
        name="bregman",
        title="Bregman against projected steps: error of the derivative against iterations",
        statement="Projections make the iteration piecewise affine; an entropy of the constraint set makes it smooth, so that "
        "its derivative exists at every step, whatever K is. The price is the rate: O(1/K) of the objective, and near the "
        "boundary, where the projection ends in finitely many steps, entries decay like exp(-t slope_i K).",
        source="Ochs, Ranftl, Brox and Pock (2016); Beck and Teboulle (2003)",
        x_label="iterations K",
        y_label="relative error",
        curves=tuple(curves),
        marks=tuple(marks),
        notes=tuple(notes),
    )


def _pass(problem: Problem, scheme: str) -> Pass:
    """As many iterations as the unrolled derivative needs to meet rounding, doubled from 100."""
    for count in (100, 200, 400, 800, 1600, LIMIT):
        made = Pass(problem, count, scheme=scheme)
        if made.unrolled()[-1] < ROUNDING:
            break
    return made


def _lines(panel: str, kind: str, made: Pass) -> list[Curve]:
    counts = np.unique(np.round(np.geomspace(1, made.count, POINTS)).astype(int))
    found = {f"{_rates.X}, {kind}": made.of_x(), f"unrolled, {kind}": made.unrolled()}
    bregman = kind != "projected"
    fit = (POINTS, made.count) if bregman else (0, 0)
    said = "-1 for the objective, no promise else" if bregman else f"geometric, {made.radius:.4f} per iteration"
    return [_rates.curve(panel, label, counts, error[counts - 1], fit, said) for label, error in found.items()]
