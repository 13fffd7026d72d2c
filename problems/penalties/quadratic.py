"""g(z; w) = w/2 <z, Q z>."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from problems.arrays import Array, local
from problems.penalties.base import Manifold, Penalty, everywhere


@dataclass(frozen=True, eq=False)
class QuadraticPotential(Penalty):
    """g(z; w) = w/2 <z, Q z>, Q (n, n) fixed, symmetric and positive semidefinite, w >= 0 a scalar.

    prox: (I + step w Q)^{-1} z, in the eigenbasis of Q.
    """

    name: ClassVar[str] = "quadratic-potential"
    formula: ClassVar[str] = "w/2 <z, Q z>"

    q: Array

    @cached_property
    def _eigen(self) -> tuple[Array, Array]:
        values, vectors = np.linalg.eigh(self.q)
        return values, vectors

    def value(self, z: Any, weight: Any) -> Any:
        xp, q = local(z, self.q)
        return 0.5 * weight * xp.sum(z * (z @ q))

    def prox(self, z: Any, step: Any, weight: Any) -> Any:
        values, vectors = (local(z, part)[1] for part in self._eigen)
        return (z @ vectors / (1 + step * weight * values)) @ vectors.T

    def smoothed(self, z: Any, weight: Any, eps: float) -> Any:
        return self.value(z, weight)

    def cvxpy(self, expression: Any, weight: Any) -> tuple[Any, list[Any]]:
        import cvxpy as cp

        values, vectors = self._eigen
        return 0.5 * weight * cp.sum_squares((vectors * np.sqrt(np.maximum(values, 0))).T @ expression), []

    def manifold(self, z: Array, weight: Array, tolerance: float = 0.0) -> Manifold:
        return everywhere(self, z)
