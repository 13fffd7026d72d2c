"""BLORC with the exact sign pattern and the gradient in rank-2 form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from methods.base import Gradient, GradientMethod, Prepared, Split
from problems import BoxDual, Problem
from problems._box_dual import DEPENDENT, DualSolution, solve
from problems.base import Array


@dataclass(frozen=True)
class Blorc(GradientMethod):
    """dL/dtheta = -(d<z, K v>/dtheta + d<h, K x*>/dtheta) + dL/dtheta|x, with v = P g, h = W0^{+T} g, g = dL/dx at x*.

    The pattern comes from an exact dual active set and is verified; one factorisation of W0 W0^T serves x*, z, v and h.
    For K = W the result is the dense (k, n) sum of two outer products a signal. Raises SolveError where no pattern
    verifies. Source: Ghosh, McCann, Mitchell and Ravishankar (2022), Theorem 3.2, rewritten with the dual z.
    """

    name: ClassVar[str] = "blorc"
    family: ClassVar[str] = "closed form"
    batching: ClassVar[str] = "loop"
    citation: ClassVar[str] = "Ghosh, McCann, Mitchell and Ravishankar (2022), Theorem 3.2, in rank-2 form"
    formula: ClassVar[str] = "dQ/dW = -(z v' + h x*'), v = P g, h = W0^{+T} g"

    def unsupported(self, problem: Problem) -> str | None:
        return None if isinstance(problem, BoxDual) else "needs the structure BoxDual"

    def prepare(self, problem: Problem) -> Prepared:
        assert isinstance(problem, BoxDual)
        parametrisation, beta = problem.parametrisation, problem.beta
        shape = problem.y.shape
        signals = np.atleast_2d(problem.y)

        def forward(theta: Array) -> tuple[Array, list[DualSolution], Array]:
            w = parametrisation.matrix(theta)
            duals = [solve(w, y, beta) for y in signals]
            return theta, duals, np.stack([dual.x for dual in duals]).reshape(shape)

        def backward(state: tuple[Array, list[DualSolution], Array]) -> Gradient:
            theta, duals, x = state
            g, direct = problem.loss_grad(x, theta)
            z, h, v = _adjoint(duals, np.atleast_2d(g), shape)
            grad = direct - parametrisation.pullback(theta, z, v) - parametrisation.pullback(theta, h, x)
            iterations = max(dual.iterations for dual in duals)
            return Gradient(
                problem.loss(x, theta),
                x,
                grad,
                converged=True,
                iterations=iterations,
                note=_doubt(duals, parametrisation.keeps_rank),
            )

        return Split(forward, backward)

    def promise(self, problem: Problem) -> float | None:
        # Rounding of a direct method: about 1e-16 times cond(W0), refined; cond(W0) stays below 1e3 on drawn instances.
        return 1e-10


def _adjoint(duals: list[DualSolution], g: Array, shape: tuple[int, ...]) -> tuple[Array, Array, Array]:
    """(z, h, v) with the batch axis of the problem."""
    z = np.stack([dual.z for dual in duals])
    h, v = np.zeros_like(z), np.empty_like(g)
    for index, dual in enumerate(duals):
        lifted = dual.factor.lift(g[index])
        h[index, dual.signs == 0] = lifted
        v[index] = g[index] - lifted @ dual.factor.w0
    return (z, h, v) if len(shape) == 2 else (z[0], h[0], v[0])


def _doubt(duals: list[DualSolution], keeps_rank: bool) -> str:
    """What speaks against a gradient, and in how many signals; dependent rows do not where theta keeps the rank."""
    doubts = [dual.doubt for dual in duals if dual.doubt and not (keeps_rank and dual.doubt == DEPENDENT)]
    what, _, meaning = doubts[0].partition(":") if doubts else ("", "", "")
    return f"{what} in {len(doubts)} of {len(duals)} signals:{meaning}" if doubts else ""
