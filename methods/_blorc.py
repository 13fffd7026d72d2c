"""What the entries on the exact closed form share: the solver of a problem, and the gradient from its solution."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from methods._bounded import Exact
from methods.base import Gradient, Split
from problems import BoxDual, Dense, Problem
from problems.base import Array

if TYPE_CHECKING:
    from methods._exact.batch import BatchSolver
    from methods._exact.solver import SignalSolver

CITATION = "Ghosh, McCann, Mitchell and Ravishankar (2022), Theorem 3.2, in rank-2 form"
FORMULA = "dQ/dW = -(z v' + h x*'), v = P g, h = W0^{+T} g"

# Rounding of a direct method: about 1e-16 times cond(W0), refined; cond(W0) stays below 1e3 on drawn instances.
PROMISE = 1e-10


def unsupported(problem: Problem) -> str | None:
    return None if isinstance(problem, BoxDual) else "needs the structure BoxDual"


def solver_of(problem: Problem, threads: int = 1) -> SignalSolver | BatchSolver:
    """W -> Exact for the signal or the batch of a problem."""
    from methods._exact.batch import BatchSolver
    from methods._exact.solver import SignalSolver

    assert isinstance(problem, BoxDual)
    y, keeps_rank = np.array(problem.y), problem.parametrisation.keeps_rank
    _compile(y.ndim)
    if y.ndim == 1:
        return SignalSolver(y, float(problem.beta), keeps_rank)
    return BatchSolver(y, float(problem.beta), keeps_rank, threads)


@cache
def _compile(dimensions: int) -> None:
    """Compile, or load from the cache of compiled code, all that a signal or a batch will call."""
    from methods._exact.batch import BatchSolver
    from methods._exact.solver import SignalSolver

    found = SignalSolver(np.ones(2), 1.0).solve(np.eye(2), np.zeros(2))
    if dimensions > 1:
        found = BatchSolver(np.ones((1, 2)), 1.0).solve(np.eye(2), np.zeros((1, 2)))
    found.gradient(found.x)
    found.adjoint(found.x)


def gradient_of(problem: Problem) -> Callable[[Array, Exact], Gradient]:
    """(theta, solution) -> Gradient: -(d<z, K v>/dtheta + d<h, K x*>/dtheta) + dL/dtheta|x, as a dense array."""
    assert isinstance(problem, BoxDual)
    parametrisation = problem.parametrisation
    dense = isinstance(parametrisation, Dense)

    def gradient(theta: Array, found: Exact) -> Gradient:
        value, g, direct = problem.evaluate(found.x, theta)
        if dense:
            grad = found.gradient(g)
        else:
            h, v = found.adjoint(g)
            grad = -parametrisation.pullback(theta, found.z, v) - parametrisation.pullback(theta, h, found.x)
        if not isinstance(direct, float):
            grad = grad + direct
        return Gradient(value, found.x, grad, True, found.iterations, found.note)

    return gradient


def split(problem: Problem, solve: Callable[[Array], Exact], gradient: Callable[[Array, Exact], Gradient]) -> Split:
    """The prepared call whose forward phase solves and whose backward phase differentiates."""
    assert isinstance(problem, BoxDual)
    matrix = problem.parametrisation.matrix

    def forward(theta: Array) -> Any:
        return theta, solve(matrix(theta))

    return Split(forward, lambda state: gradient(*state))
