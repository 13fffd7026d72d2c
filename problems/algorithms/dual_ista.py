"""ISTA (projected gradient) on the box dual of analysis l1."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from array_api_compat import array_namespace

from problems._arrays import local
from problems.algorithms.base import Algorithm
from problems.base import Array, BoxDual


def dual_step(problem: BoxDual, z: Any, theta: Any, y: Any, length: Any) -> Any:
    """clip(z + length K (y - K^T z), -beta, beta), for z of shape (k,) or (batch, k)."""
    xp = array_namespace(theta)
    slope = problem.parametrisation.apply(theta, y - problem.parametrisation.adjoint(theta, z))
    return xp.clip(z + length * slope, -problem.beta, problem.beta)


def dual_start(problem: BoxDual, theta: Array) -> tuple[Array, Array]:
    """(z = 0, step length 1 / |K|_2^2, or below it)."""
    square = problem.parametrisation.squared_norm(theta)
    rows = problem.parametrisation.apply(theta, problem.y)
    return np.zeros(rows.shape), np.asarray(1 / square if square else 1.0)


class DualISTA(Algorithm):
    """z <- clip(z + K (y - K^T z) / |K|^2, -beta, beta); error O(1/K)."""

    name: ClassVar[str] = "ista"
    citation: ClassVar[str] = "Daubechies, Defrise and De Mol (2004); Beck and Teboulle (2009), eq. (1.4)"
    formula: ClassVar[str] = "z <- clip(z + K(y - K'z)/|K|^2, -beta, beta), x = y - K'z"

    def __init__(self, problem: BoxDual) -> None:
        self.problem = problem

    def init(self, theta: Array) -> tuple[Array, Array]:
        return dual_start(self.problem, theta)

    def shared(self, start: Any, theta: Any) -> Any:
        """y in the library of theta."""
        return local(theta, self.problem.y)[1]

    def step(self, v: Any, theta: Any, shared: Any) -> Any:
        z, length = v
        return dual_step(self.problem, z, theta, shared, length), length

    def read(self, v: Any, theta: Any, shared: Any) -> Any:
        return shared - self.problem.parametrisation.adjoint(theta, v[0])
