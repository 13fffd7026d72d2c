"""The constraint |z_i| <= w_i."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from array_api_compat import array_namespace

from problems.base import Array
from problems.penalties.base import Manifold, Penalty


class Box(Penalty):
    """g(z; w) = 0 where |z_i| <= w_i for all i, infinite elsewhere; the conjugate of L1.

    Entropy of the box [-1, 1]: psi(z) = 1/2 sum (1 + z) log(1 + z) + (1 - z) log(1 - z), scaled to [-w, w].
    """

    name: ClassVar[str] = "box"
    formula: ClassVar[str] = "|z_i| <= w_i"

    def value(self, z: Any, weight: Any) -> Any:
        xp = array_namespace(z)
        return xp.sum(0 * z)

    def prox(self, z: Any, step: Any, weight: Any) -> Any:
        return array_namespace(z).clip(z, -weight, weight)

    def cvxpy(self, expression: Any, weight: Any) -> tuple[Any, list[Any]]:
        return 0, [expression <= weight, expression >= -weight]

    def manifold(self, z: Array, weight: Array) -> Manifold:
        """Vectors that stay where they are on the bound; there g = 0."""
        return Manifold(np.eye(len(z))[:, np.abs(z) < weight], lambda v, w: array_namespace(v).sum(0 * v))
