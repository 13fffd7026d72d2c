"""g(z; w) = sum_j w_j |(z_1j, ..., z_cj)|_2: isotropic total variation after finite differences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from array_api_compat import array_namespace

from problems.arrays import Array, local
from problems.penalties.base import Manifold, Penalty, weighted_sum


@dataclass(frozen=True)
class L21(Penalty):
    """g(z; w) = sum_j w_j |z_.j|_2, w >= 0 a scalar or (N,); z (size N,) is seen as (size, N), component after component.

    prox: z_.j max(0, 1 - step w_j / |z_.j|). Norms are differentiated only where they do not vanish, so that a zero group
    gives derivative 0 instead of NaN. Source: Yuan and Lin (2006).
    """

    name: ClassVar[str] = "l21"
    formula: ClassVar[str] = "sum w_j |z_.j|_2"

    size: int = 2

    def value(self, z: Any, weight: Any) -> Any:
        squares = self._squares(z)
        return self._norms(squares, squares > 0, weight)

    def prox(self, z: Any, step: Any, weight: Any) -> Any:
        xp, threshold, squares = array_namespace(z), step * weight, self._squares(z)
        positive = squares > 0
        norms = xp.sqrt(xp.where(positive, squares, 1.0))
        factor = xp.where(positive & (norms > threshold), 1 - threshold / norms, 0.0)
        return xp.reshape(self._groups(z) * factor[..., None, :], z.shape)

    def smoothed(self, z: Any, weight: Any, eps: float) -> Any:
        xp = array_namespace(z)
        return xp.sum(weight * xp.sqrt(self._squares(z) + eps**2))

    def cvxpy(self, expression: Any, weight: Any) -> tuple[Any, list[Any]]:
        import cvxpy as cp

        groups = cp.reshape(expression, (self.size, expression.shape[0] // self.size), order="C")
        return weighted_sum(cp.norm(groups, 2, axis=0), weight), []

    def manifold(self, z: Array, weight: Array, tolerance: float = 0.0) -> Manifold:
        """Vectors that vanish on the groups where z does; there g is the sum over the others."""
        active = np.sqrt(self._squares(z)) > tolerance

        def representative(v: Any, w: Any) -> Any:
            return self._norms(self._squares(v), local(v, active)[1], w)

        return Manifold(np.eye(len(z))[:, np.tile(active, self.size)], representative)

    def _groups(self, z: Any) -> Any:
        """z as (..., size, N)."""
        return array_namespace(z).reshape(z, (*z.shape[:-1], self.size, z.shape[-1] // self.size))

    def _squares(self, z: Any) -> Any:
        """|z_.j|^2, (..., N)."""
        return array_namespace(z).sum(self._groups(z) ** 2, axis=-2)

    def _norms(self, squares: Any, active: Any, weight: Any) -> Any:
        """The weighted sum of the square roots of the active squares."""
        xp = array_namespace(squares)
        return xp.sum(weight * xp.where(active, xp.sqrt(xp.where(active, squares, 1.0)), 0.0))
