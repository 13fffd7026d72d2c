"""g(z; w) = sum_i w_i |z_i|."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from array_api_compat import array_namespace

from problems.arrays import Array, local
from problems.penalties.base import Manifold, Penalty, weighted_sum


class L1(Penalty):
    """g(z; w) = sum_i w_i |z_i|, w >= 0; prox: soft thresholding. Source: Donoho (1995)."""

    name: ClassVar[str] = "l1"
    formula: ClassVar[str] = "sum w_i |z_i|"

    def value(self, z: Any, weight: Any) -> Any:
        xp = array_namespace(z)
        return xp.sum(weight * xp.abs(z))

    def prox(self, z: Any, step: Any, weight: Any) -> Any:
        threshold = step * weight
        return z - array_namespace(z).clip(z, -threshold, threshold)

    def prox_derivative(self, z: Any, step: Any, weight: Any, dz: Any, dweight: Any) -> Any:
        """dz - step sign(z) dw where |z| > step w, else 0."""
        xp = array_namespace(z)
        return xp.where(xp.abs(z) > step * weight, dz - step * xp.sign(z) * dweight, 0.0 * dz)

    def conjugate_prox(self, z: Any, step: Any, weight: Any) -> Any:
        return array_namespace(z).clip(z, -weight, weight)

    def smoothed(self, z: Any, weight: Any, eps: float) -> Any:
        xp = array_namespace(z)
        return xp.sum(weight * xp.sqrt(z**2 + eps**2))

    def cvxpy(self, expression: Any, weight: Any) -> tuple[Any, list[Any]]:
        import cvxpy as cp

        return weighted_sum(cp.abs(expression), weight), []

    def manifold(self, z: Array, weight: Array, tolerance: float = 0.0) -> Manifold:
        """Vectors that vanish where z does; there g = sum_i w_i sign(z_i) z_i."""
        signs = np.where(np.abs(z) > tolerance, np.sign(z), 0.0)

        def representative(v: Any, w: Any) -> Any:
            xp, s = local(v, signs)
            return xp.sum(w * s * v)

        return Manifold(np.eye(len(z))[:, signs != 0], representative)
