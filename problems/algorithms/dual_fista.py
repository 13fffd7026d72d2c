"""FISTA (accelerated projected gradient) on the box dual of analysis l1."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from problems._arrays import local
from problems.algorithms.base import Algorithm
from problems.algorithms.dual_ista import dual_start, dual_step
from problems.base import Array, BoxDual


class DualFISTA(Algorithm):
    """ISTA at z + (t - 1)/t' (z - z_old) with t' = (1 + sqrt(1 + 4 t^2))/2; error O(1/K^2)."""

    name: ClassVar[str] = "fista"
    citation: ClassVar[str] = "Beck and Teboulle (2009), eq. (4.1)-(4.3)"
    formula: ClassVar[str] = "z+ = clip(m + K(y - K'm)/|K|^2, -beta, beta), m+ = z+ + (t - 1)/t+ (z+ - z)"

    def __init__(self, problem: BoxDual) -> None:
        self.problem = problem

    def init(self, theta: Array) -> tuple[Array, Array, Array, Array]:
        z, length = dual_start(self.problem, theta)
        return z, z, np.asarray(1.0), length

    def shared(self, start: Any, theta: Any) -> Any:
        """y in the library of theta."""
        return local(theta, self.problem.y)[1]

    def step(self, v: Any, theta: Any, shared: Any) -> Any:
        z, momentum, t, length = v
        new = dual_step(self.problem, momentum, theta, shared, length)
        t_new = (1 + (1 + 4 * t * t) ** 0.5) / 2
        return new, new + (t - 1) / t_new * (new - z), t_new, length

    def read(self, v: Any, theta: Any, shared: Any) -> Any:
        return shared - self.problem.parametrisation.adjoint(theta, v[0])
