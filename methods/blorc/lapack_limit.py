"""What LAPACK needs once the sign pattern is given away: the limit of speed for methods that must find it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from methods.base import Gradient, GradientMethod, Prepared, Split
from methods.blorc import entry
from problems import AnalysisL1, Dense, Problem, Reference
from problems.base import Array

Known = tuple[Array, Array, Array, Array, Array]  # of one signal: zero rows (k), beta s (k), W0 (m, n), W0 W0^T, [q, target]


@dataclass(frozen=True)
class LapackLimit(GradientMethod):
    """W0 [q, target], dpotrf and dpotrs on W0 W0^T, x* = q - W0^T z0, and one outer product a signal: the BACKWARD phase.

    The forward phase finds the sign pattern and forms W0 W0^T, and the gradient is put together once the clock has
    stopped: no method gets these for nothing, and this is no contestant. Raises LinAlgError where the zero rows are dependent.
    """

    name: ClassVar[str] = "lapack-limit"
    family: ClassVar[str] = "limit"
    requires: ClassVar[tuple[str, ...]] = ("cffi",)
    batching: ClassVar[str] = "loop"
    citation: ClassVar[str] = entry.CITATION
    formula: ClassVar[str] = "G = W0 W0' = L L'; G [z0, -h0] = W0 [q, target]; z target'"

    def unsupported(self, problem: Problem) -> str | None:
        if not isinstance(problem, AnalysisL1):
            return "needs the squared distance to a target as its loss"
        return None if isinstance(problem.parametrisation, Dense) else "the limit is that of theta = W"

    def prepare(self, problem: Problem) -> Prepared:
        assert isinstance(problem, AnalysisL1)
        solver = entry.dense_solver(problem)
        y, targets = np.atleast_2d(problem.y), np.atleast_2d(problem.target)

        def forward(w: Array) -> list[Known]:
            z = np.atleast_2d(solver.solve(w).z)
            bound = np.where(np.abs(z) == problem.beta, z, 0.0)
            return [_known(w, *signal) for signal in zip(bound, y, targets, strict=True)]

        def backward(known: list[Known]) -> Gradient:
            solved = [_solve(*signal) for signal in known]
            x = np.stack([found.x for found in solved]) if problem.y.ndim == 2 else solved[0].x
            return Gradient(np.nan, x, _Unfinished(solved, problem.loss_scale / len(solved)))

        return Split(forward, backward)

    def promise(self, problem: Problem, reference: Reference) -> float | None:
        return None  # one Cholesky factor, unrefined


@dataclass(frozen=True)
class _Solved:
    """One signal after the timed part: z (k), x (n), W0^{+T} target on the zero rows (m), z target^T (k, n)."""

    zero: Array
    w0: Array
    target: Array
    z: Array
    x: Array
    lifted: Array
    outer: Array


@dataclass(frozen=True)
class _Unfinished:
    """-(z v^T + h x*^T), v = x* - target + W0^T lifted, h = -lifted, made when the array is asked for."""

    solved: list[_Solved]
    scale: float

    def __array__(self, dtype: object = None, copy: bool | None = None) -> Array:
        total = np.zeros(self.solved[0].outer.shape)
        for found in self.solved:
            h = np.zeros(len(found.z))
            h[found.zero] = -found.lifted
            total += found.outer - np.outer(found.z, found.x + found.lifted @ found.w0) - np.outer(h, found.x)
        return self.scale * total


def _known(w: Array, bound: Array, y: Array, target: Array) -> Known:
    zero = np.flatnonzero(bound == 0)
    return zero, bound, w[zero], w[zero] @ w[zero].T, np.stack([y - bound @ w, target], axis=1)


def _solve(zero: Array, bound: Array, w0: Array, gram: Array, sides: Array) -> _Solved:
    from scipy.linalg.lapack import dpotrf, dpotrs

    z, (q, target) = bound.copy(), sides.T
    if not len(zero):
        return _Solved(zero, w0, target, z, q, np.zeros(0), np.outer(z, target))
    factor, info = dpotrf(gram, lower=1, clean=0)
    if info:
        raise np.linalg.LinAlgError("the zero rows are dependent")
    z0, lifted = dpotrs(factor, w0 @ sides, lower=1)[0].T
    z[zero] = z0
    return _Solved(zero, w0, target, z, q - z0 @ w0, lifted, np.outer(z, target))
