"""g(z; w) = w max_i |z_i|."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from array_api_compat import array_namespace

from problems.arrays import Array, local
from problems.penalties._sorting import threshold
from problems.penalties.base import Manifold, Penalty


class LInf(Penalty):
    """g(z; w) = w max_i |z_i|, w > 0 a scalar; prox: clipping at t with sum_i max(|z_i| - t, 0) = step w.

    Source: Parikh and Boyd (2014), section 6.5.2.
    """

    name: ClassVar[str] = "linf"
    formula: ClassVar[str] = "w max |z_i|"

    def value(self, z: Any, weight: Any) -> Any:
        xp = array_namespace(z)
        return weight * xp.sum(xp.max(xp.abs(z), axis=-1))

    def prox(self, z: Any, step: Any, weight: Any) -> Any:
        xp = array_namespace(z)
        t = threshold(xp.abs(z), step * weight)
        positive = xp.where(t > 0, t, 1.0)
        return xp.where(t > 0, xp.clip(z, -positive, positive), 0.0)

    def smoothed(self, z: Any, weight: Any, eps: float) -> Any:
        """eps log sum_i 2 cosh(z_i / eps), between g and g + w eps log(2 n)."""
        xp = array_namespace(z)
        both = xp.concat([z, -z], axis=-1)
        top = xp.max(both, axis=-1, keepdims=True)
        sums = xp.sum(xp.exp((both - top) / eps), axis=-1, keepdims=True)
        return weight * xp.sum(top + eps * xp.log(sums))

    def cvxpy(self, expression: Any, weight: Any) -> tuple[Any, list[Any]]:
        import cvxpy as cp

        return weight * cp.norm_inf(expression), []

    def manifold(self, z: Array, weight: Array, tolerance: float = 0.0) -> Manifold:
        """Vectors whose largest entries stay tied; there g = w times the mean of these, with the signs of z."""
        top = np.abs(z).max()
        tied = np.abs(z) >= top - tolerance if top > tolerance else np.ones(len(z), dtype=bool)
        signs = np.where(tied, np.sign(z), 0.0) if top > tolerance else np.zeros(len(z))
        ray = signs[:, None] / np.sqrt(tied.sum()) if top > tolerance else np.zeros((len(z), 0))

        def representative(v: Any, w: Any) -> Any:
            xp, s = local(v, signs / tied.sum())
            return w * xp.sum(s * v)

        return Manifold(np.concatenate([np.eye(len(z))[:, ~tied], ray], axis=1), representative)
