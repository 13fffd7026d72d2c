"""g(z; w) = sum_i w_i h(z_i), the Huber function: |t| smoothed by a parabola."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from array_api_compat import array_namespace

from problems.arrays import Array
from problems.penalties.base import Manifold, Penalty, everywhere, weighted_sum


@dataclass(frozen=True)
class Huber(Penalty):
    """g(z; w) = sum_i w_i h(z_i), h(t) = t^2 / (2 delta) where |t| <= delta, |t| - delta/2 elsewhere; w >= 0.

    h is the Moreau envelope of |t| and its mean over [t - delta, t + delta] less delta/2. Source: Huber (1964).
    """

    name: ClassVar[str] = "huber"
    formula: ClassVar[str] = "sum w_i h_delta(z_i)"

    delta: float = 0.5

    def value(self, z: Any, weight: Any) -> Any:
        xp = array_namespace(z)
        inner = xp.clip(z, -self.delta, self.delta)
        return xp.sum(weight * (inner**2 / (2 * self.delta) + xp.abs(z - inner)))

    def prox(self, z: Any, step: Any, weight: Any) -> Any:
        threshold = step * weight
        return z - threshold * array_namespace(z).clip(z / (self.delta + threshold), -1.0, 1.0)

    def smoothed(self, z: Any, weight: Any, eps: float) -> Any:
        """The mean of sqrt(s^2 + eps^2) over [z - delta, z + delta] less delta/2: infinitely often differentiable."""
        xp = array_namespace(z)

        def integral(t: Any) -> Any:
            return 0.5 * (t * xp.sqrt(t**2 + eps**2) + eps**2 * xp.asinh(t / eps))

        means = (integral(z + self.delta) - integral(z - self.delta)) / (2 * self.delta)
        return xp.sum(weight * (means - self.delta / 2))

    def cvxpy(self, expression: Any, weight: Any) -> tuple[Any, list[Any]]:
        import cvxpy as cp

        return weighted_sum(cp.huber(expression, self.delta), weight) / (2 * self.delta), []

    def manifold(self, z: Array, weight: Array, tolerance: float = 0.0) -> Manifold:
        return everywhere(self, z)
