"""g(z) = 0: a smooth lower level in canonical form, so that proximal algorithms become gradient descent."""

from __future__ import annotations

from typing import Any, ClassVar

from problems.arrays import Array
from problems.penalties.base import Manifold, Penalty, everywhere, vanishing


class Zero(Penalty):
    """g(z; w) = 0 everywhere; prox: the identity."""

    name: ClassVar[str] = "zero"
    formula: ClassVar[str] = "0"

    def value(self, z: Any, weight: Any) -> Any:
        return vanishing(z, weight)

    def prox(self, z: Any, step: Any, weight: Any) -> Any:
        return z

    def conjugate_prox(self, z: Any, step: Any, weight: Any) -> Any:
        return 0 * z

    def smoothed(self, z: Any, weight: Any, eps: Any) -> Any:
        return self.value(z, weight)

    def cvxpy(self, expression: Any, weight: Any) -> tuple[Any, list[Any]]:
        return 0, []

    def manifold(self, z: Array, weight: Array, tolerance: float = 0.0) -> Manifold:
        return everywhere(self, z)
