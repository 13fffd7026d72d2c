"""The constraint |z_i| <= w_i."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from array_api_compat import array_namespace

from problems.arrays import Array
from problems.penalties.base import Manifold, Penalty, vanishing


class Box(Penalty):
    """g(z; w) = 0 where |z_i| <= w_i for all i, infinite elsewhere; the conjugate of L1.

    Entropy: psi(z) = sum 1/2 (w + z) log(1 + z/w) + 1/2 (w - z) log(1 - z/w), grad psi = artanh(z / w).
    """

    name: ClassVar[str] = "box"
    formula: ClassVar[str] = "|z_i| <= w_i"
    moves_with_weight: ClassVar[bool] = True

    def value(self, z: Any, weight: Any) -> Any:
        return vanishing(z, weight)

    def prox(self, z: Any, step: Any, weight: Any) -> Any:
        return array_namespace(z).clip(z, -weight, weight)

    def prox_derivative(self, z: Any, step: Any, weight: Any, dz: Any, dweight: Any) -> Any:
        """dz where |z| < w, sign(z) dw on the bound."""
        xp = array_namespace(z)
        return xp.where(xp.abs(z) < weight, dz, xp.sign(z) * dweight + 0.0 * dz)

    def cvxpy(self, expression: Any, weight: Any) -> tuple[Any, list[Any]]:
        return 0, [expression <= weight, expression >= -weight]

    def mirror(self, c: Any, weight: Any) -> Any:
        return weight * array_namespace(c).tanh(-c)

    def entropy_gradient(self, z: Any, weight: Any) -> Any:
        return array_namespace(z).atanh(z / weight)

    def mirror_step(self, z: Any, slope: Any, weight: Any) -> Any:
        """w tanh(artanh(z / w) - slope), by (w + z) / (w - z) = exp(2 artanh(z / w)); the bounds are fixed points."""
        xp = array_namespace(z)
        slope = xp.clip(slope, -300.0, 300.0)  # beyond, the step ends on the bound anyway and exponentials would overflow
        above, below = (weight + z) * xp.exp(-slope), (weight - z) * xp.exp(slope)
        return weight * (above - below) / (above + below)

    def entropy_convexity(self, weight: Any) -> float:
        return float(1 / np.max(weight))

    def manifold(self, z: Array, weight: Array, tolerance: float = 0.0) -> Manifold:
        """Vectors that stay where they are on the bound, as long as that stays; there g = 0."""
        return Manifold(np.eye(len(z))[:, np.abs(z) < weight - tolerance], vanishing)
