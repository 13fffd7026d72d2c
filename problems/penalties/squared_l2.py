"""g(z; w) = 1/2 sum_i w_i z_i^2."""

from __future__ import annotations

from typing import Any, ClassVar

from array_api_compat import array_namespace

from problems.arrays import Array
from problems.penalties.base import Manifold, Penalty, everywhere, weighted_sum


class SquaredL2(Penalty):
    """g(z; w) = 1/2 sum_i w_i z_i^2, w >= 0; prox: shrinkage by 1 + step w. Source: Tikhonov (1963)."""

    name: ClassVar[str] = "squared-l2"
    formula: ClassVar[str] = "1/2 sum w_i z_i^2"

    def value(self, z: Any, weight: Any) -> Any:
        return 0.5 * array_namespace(z).sum(weight * z**2)

    def prox(self, z: Any, step: Any, weight: Any) -> Any:
        return z / (1 + step * weight)

    def smoothed(self, z: Any, weight: Any, eps: float) -> Any:
        return self.value(z, weight)

    def cvxpy(self, expression: Any, weight: Any) -> tuple[Any, list[Any]]:
        import cvxpy as cp

        return 0.5 * weighted_sum(cp.square(expression), weight), []

    def manifold(self, z: Array, weight: Array, tolerance: float = 0.0) -> Manifold:
        return everywhere(self, z)
