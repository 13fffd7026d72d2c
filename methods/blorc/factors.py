"""BLORC that returns the factors of its rank-2 gradient and leaves the matrix to whoever asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from methods.base import Gradient, GradientMethod, Prepared
from methods.blorc import entry
from methods.blorc.bounded import Adjoint
from methods.calculus.low_rank import LowRankGradient, OnPattern
from problems import BoxDual, Dense, Problem, Reference, Sparse
from problems.base import Array


@dataclass(frozen=True)
class BlorcFactors(GradientMethod):
    """dL/dW = -[z h] [v x*]^T as a LowRankGradient: O(k + n) numbers a signal, two columns each.

    The same solve as `blorc`; an entry of its own, since the dense matrix is not written. For theta = the values of a sparse W
    the gradient is that of all its entries, and as an array what stands at the places of the values.
    Source: Ghosh, McCann, Mitchell and Ravishankar (2022), Theorem 3.2, rewritten with the dual z.
    """

    name: ClassVar[str] = "blorc-factors"
    family: ClassVar[str] = "closed form"
    requires: ClassVar[tuple[str, ...]] = ("cffi",)
    citation: ClassVar[str] = entry.CITATION
    formula: ClassVar[str] = "dQ/dW = -[z h] [v x*]', kept as factors"

    def unsupported(self, problem: Problem) -> str | None:
        if isinstance(problem, BoxDual) and not isinstance(problem.parametrisation, Dense | Sparse):
            return "the factors are those of theta = W"
        return entry.unsupported(problem)

    def prepare(self, problem: Problem) -> Prepared:
        return entry.split(entry.solve_of(problem), lambda theta, found: _gradient(problem, theta, found))

    def promise(self, problem: Problem, reference: Reference) -> float | None:
        return entry.PROMISE


def _gradient(problem: Problem, theta: Array, found: Adjoint) -> Gradient:
    assert isinstance(problem, BoxDual)
    value, g, direct = problem.evaluate(found.x, theta)
    h, v = found.adjoint(g)
    grad: Any = LowRankGradient(-_columns(found.z, h), _columns(v, found.x))
    if isinstance(problem.parametrisation, Sparse):
        grad = OnPattern(grad, problem.parametrisation.rows, problem.parametrisation.columns)
    if not isinstance(direct, float):
        grad = grad + direct
    return Gradient(value, found.x, grad, True, found.iterations, found.note)


def _columns(a: Array, b: Array) -> Array:
    """The vectors, or the rows of both batches, as columns."""
    rows = np.empty((2, *a.shape))
    rows[0], rows[1] = a, b
    return rows.reshape(-1, a.shape[-1]).T
