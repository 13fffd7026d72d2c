"""The constraint z_i >= 0, sum_i z_i = w."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from array_api_compat import array_namespace

from problems.arrays import Array
from problems.penalties._sorting import threshold
from problems.penalties.base import Manifold, Penalty, vanishing


class Simplex(Penalty):
    """g(z; w) = 0 where z >= 0 and sum_i z_i = w, infinite elsewhere; w > 0 a scalar; prox: the projection, by sorting.

    Entropy: psi(z) = sum z log z, negative Shannon. Sources: Held, Wolfe and Crowder (1974); Beck and Teboulle (2003).
    """

    name: ClassVar[str] = "simplex"
    formula: ClassVar[str] = "z_i >= 0, sum z_i = w"
    moves_with_weight: ClassVar[bool] = True

    def value(self, z: Any, weight: Any) -> Any:
        return vanishing(z, weight)

    def prox(self, z: Any, step: Any, weight: Any) -> Any:
        shifted = z - threshold(z, weight)
        return array_namespace(z).where(shifted > 0, shifted, 0.0)

    def cvxpy(self, expression: Any, weight: Any) -> tuple[Any, list[Any]]:
        import cvxpy as cp

        return 0, [expression >= 0, cp.sum(expression) == weight]

    def mirror(self, c: Any, weight: Any) -> Any:
        return self._scaled(array_namespace(c).ones_like(c), c, weight)

    def entropy_gradient(self, z: Any, weight: Any) -> Any:
        return array_namespace(z).log(z) + 1

    def mirror_step(self, z: Any, slope: Any, weight: Any) -> Any:
        return self._scaled(z, slope, weight)

    def entropy_convexity(self, weight: Any) -> float:
        """psi'' = 1 / z >= 1 / w."""
        return float(1 / weight)

    def manifold(self, z: Array, weight: Array, tolerance: float = 0.0) -> Manifold:
        """Vectors of the same sum that vanish where z does, as long as w stays; there g = 0."""
        support = z > tolerance
        sums = np.linalg.svd(np.ones((1, support.sum())))[2][1:]
        return Manifold(np.eye(len(z))[:, support] @ sums.T, vanishing)

    def _scaled(self, z: Any, slope: Any, weight: Any) -> Any:
        """w z exp(-slope), divided by the sum, the least slope where z > 0 taken off both."""
        xp = array_namespace(z)
        least = xp.min(xp.where(z > 0, slope, xp.max(slope, axis=-1, keepdims=True)), axis=-1, keepdims=True)
        grown = z * xp.exp(least - slope)
        return weight * grown / xp.sum(grown, axis=-1, keepdims=True)
