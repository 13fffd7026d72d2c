"""g(z; w) = w max_i z_i."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from array_api_compat import array_namespace

from problems.arrays import Array, local
from problems.penalties._sorting import threshold
from problems.penalties.base import Manifold, Penalty


class Maximum(Penalty):
    """g(z; w) = w max_i z_i, w > 0 a scalar; prox: min(z, t) with sum_i max(z_i - t, 0) = step w.

    Source: Parikh and Boyd (2014), section 6.4.1.
    """

    name: ClassVar[str] = "maximum"
    formula: ClassVar[str] = "w max z_i"

    def value(self, z: Any, weight: Any) -> Any:
        xp = array_namespace(z)
        return weight * xp.sum(xp.max(z, axis=-1))

    def prox(self, z: Any, step: Any, weight: Any) -> Any:
        return array_namespace(z).minimum(z, threshold(z, step * weight))

    def smoothed(self, z: Any, weight: Any, eps: float) -> Any:
        """eps log sum_i exp(z_i / eps), between g and g + w eps log n."""
        xp = array_namespace(z)
        top = xp.max(z, axis=-1, keepdims=True)
        return weight * xp.sum(top + eps * xp.log(xp.sum(xp.exp((z - top) / eps), axis=-1, keepdims=True)))

    def cvxpy(self, expression: Any, weight: Any) -> tuple[Any, list[Any]]:
        import cvxpy as cp

        return weight * cp.max(expression), []

    def manifold(self, z: Array, weight: Array, tolerance: float = 0.0) -> Manifold:
        """Vectors whose largest entries stay tied; there g = w times the mean of these."""
        tied = z >= z.max() - tolerance
        ray = tied[:, None] / np.sqrt(tied.sum())

        def representative(v: Any, w: Any) -> Any:
            xp, share = local(v, tied / tied.sum())
            return w * xp.sum(share * v)

        return Manifold(np.concatenate([np.eye(len(z))[:, ~tied], ray], axis=1), representative)
