"""BLORC with the exact sign pattern and the gradient in rank-2 form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from methods.base import Gradient, GradientMethod, Prepared, Split
from problems import BoxDual, Dense, Problem
from problems.base import Array


@dataclass(frozen=True)
class Blorc(GradientMethod):
    """dL/dtheta = -(d<z, K v>/dtheta + d<h, K x*>/dtheta) + dL/dtheta|x, with v = P g, h = W0^{+T} g, g = dL/dx at x*.

    Coordinate descent and Newton steps on the box dual, compiled, find the pattern, which is verified; one factorisation
    of W0 W0^T serves x*, z, v and h. What they leave open goes to a bounded active set that ends on dependent rows too, and
    the note says so. For K = W the result is the dense (k, n) sum of two outer products a signal; for a sparse K all work is
    on its rows, O(n) for a chain such as 1-D total variation. Raises SolveError where no pattern verifies.
    Source: Ghosh, McCann, Mitchell and Ravishankar (2022), Theorem 3.2, rewritten with the dual z.
    """

    name: ClassVar[str] = "blorc"
    family: ClassVar[str] = "closed form"
    requires: ClassVar[tuple[str, ...]] = ("numba",)
    citation: ClassVar[str] = "Ghosh, McCann, Mitchell and Ravishankar (2022), Theorem 3.2, in rank-2 form"
    formula: ClassVar[str] = "dQ/dW = -(z v' + h x*'), v = P g, h = W0^{+T} g"

    threads: int = 1  # that share the signals of a batch

    def unsupported(self, problem: Problem) -> str | None:
        return None if isinstance(problem, BoxDual) else "needs the structure BoxDual"

    def prepare(self, problem: Problem) -> Prepared:
        from methods._exact.batch import BatchSolver
        from methods._exact.solver import SignalSolver
        from methods._exact.sparse import SparseSolver

        assert isinstance(problem, BoxDual)
        parametrisation = problem.parametrisation
        keeps_rank, dense = parametrisation.keeps_rank, isinstance(parametrisation, Dense)
        y, beta = np.ascontiguousarray(problem.y), float(problem.beta)
        operator: Callable[[Array], Any] = parametrisation.matrix
        solver: SignalSolver | BatchSolver | SparseSolver = SignalSolver(y, beta, keeps_rank)
        if parametrisation.sparse(problem.theta) is not None:
            operator, solver = parametrisation.sparse, SparseSolver(y, beta, keeps_rank)
        elif y.ndim > 1:
            solver = BatchSolver(y, beta, keeps_rank, self.threads)

        def forward(theta: Array) -> tuple[Array, Any]:
            return theta, solver.solve(operator(theta))

        def backward(state: tuple[Array, Any]) -> Gradient:
            theta, found = state
            value, g, direct = problem.evaluate(found.x, theta)
            if dense:
                grad = found.gradient(g)
            else:
                h, v = found.adjoint(g)
                grad = -parametrisation.pullback(theta, found.z, v) - parametrisation.pullback(theta, h, found.x)
            if not isinstance(direct, float):
                grad = grad + direct
            return Gradient(value, found.x, grad, True, found.iterations, found.note)

        return Split(forward, backward)

    def promise(self, problem: Problem) -> float | None:
        # Rounding of a direct method: about 1e-16 times cond(W0), refined; cond(W0) stays below 1e3 on drawn instances.
        return 1e-10
