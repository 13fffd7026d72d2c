"""What the entries on the exact closed form share: the solver of a problem, and the gradient from its solution."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from methods.base import Gradient, Split
from methods.blorc.bounded import Adjoint
from problems import AnalysisL1, BoxDual, Dense, Filters, Problem
from problems.base import Array
from problems.kernels import KERNELS

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from methods.blorc.batch import BatchSolver
    from methods.blorc.solver import SignalSolver

CITATION = "Ghosh, McCann, Mitchell and Ravishankar (2022), Theorem 3.2, in rank-2 form"
FORMULA = "dQ/dW = -(z v' + h x*'), v = P g, h = W0^{+T} g"

# Rounding of a direct method: about 1e-16 times cond(W0), refined; cond(W0) stays below 1e3 on drawn instances.
PROMISE = 1e-10


def unsupported(problem: Problem) -> str | None:
    return None if isinstance(problem, BoxDual) else "needs the structure BoxDual"


def is_sparse(problem: Problem) -> bool:
    """Whether W is a scipy.sparse array."""
    return isinstance(problem, BoxDual) and problem.parametrisation.sparse(problem.theta) is not None


def dense_solver(problem: Problem, threads: int = 1) -> SignalSolver | BatchSolver:
    """W (k, n) -> Exact for the signal or the batch of a problem."""
    from methods.blorc.batch import BatchSolver
    from methods.blorc.solver import SignalSolver

    assert isinstance(problem, BoxDual)
    y, beta, keeps_rank = np.array(problem.y), float(problem.beta), problem.parametrisation.keeps_rank
    return SignalSolver(y, beta, keeps_rank) if y.ndim == 1 else BatchSolver(y, beta, keeps_rank, threads)


def solve_of(problem: Problem, threads: int = 1) -> Callable[[Array], Adjoint]:
    """theta -> x* and its adjoint: for filter banks matrix-free, else for a dense or a sparse W."""
    assert isinstance(problem, BoxDual)
    parametrisation, y, beta = problem.parametrisation, np.array(problem.y), float(problem.beta)
    if isinstance(parametrisation, Filters) or is_sparse(problem):
        KERNELS.load()
    if isinstance(parametrisation, Filters):
        from methods.blorc import filters

        return lambda theta: filters.solve(parametrisation, theta, y, beta)
    if is_sparse(problem):
        from methods.blorc.sparse import SparseSolver

        solver = SparseSolver(y, beta, parametrisation.keeps_rank)
        return lambda theta: solver.solve(cast("csr_array", parametrisation.sparse(theta)))
    dense = dense_solver(problem, threads)
    if isinstance(parametrisation, Dense):
        return dense.solve
    return lambda theta: dense.solve(parametrisation.matrix(theta))


def gradient_of(problem: Problem) -> Callable[[Array, Any], Gradient]:
    """(theta, solution) -> Gradient: -(d<z, K v>/dtheta + d<h, K x*>/dtheta) + dL/dtheta|x, as a dense array."""
    assert isinstance(problem, BoxDual)
    parametrisation = problem.parametrisation
    dense = isinstance(parametrisation, Dense)

    def gradient(theta: Array, found: Any) -> Gradient:
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


def split(solve: Callable[[Array], Adjoint], gradient: Callable[[Array, Any], Gradient]) -> Split:
    """The prepared call whose forward phase solves and whose backward phase differentiates."""
    return Split(lambda theta: (theta, solve(theta)), lambda state: gradient(*state))


def split_signal(problem: AnalysisL1) -> Split:
    """The same for one signal and theta = W, loss and slope in the kernel too: NumPy would take as long as a solve."""
    from methods.blorc.solver import Compiled

    gradient, target, scale = gradient_of(problem), np.array(problem.target), float(problem.loss_scale)
    solver = dense_solver(problem)
    pointer = KERNELS.ffi.from_buffer(KERNELS.numbers, target)

    def backward(found: Any) -> Gradient:
        if type(found) is Compiled:
            value, grad = found.squared(pointer, scale)
            if value == value:
                return Gradient(value, found.x, grad, True, found.iterations)
        return gradient(found.w, found)

    return Split(solver.solve, backward)
