"""The constraint z_i >= 0."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from array_api_compat import array_namespace

from problems.arrays import Array
from problems.penalties.base import Manifold, Penalty, vanishing


class Nonnegative(Penalty):
    """g(z) = 0 where z_i >= 0 for all i, infinite elsewhere; the weight is ignored.

    Entropy: psi(z) = sum z log z, Boltzmann-Shannon. Source: Bauschke, Bolte and Teboulle (2017), section 4.
    """

    name: ClassVar[str] = "nonnegative"
    formula: ClassVar[str] = "z_i >= 0"

    def value(self, z: Any, weight: Any) -> Any:
        return vanishing(z, weight)

    def prox(self, z: Any, step: Any, weight: Any) -> Any:
        return array_namespace(z).where(z > 0, z, 0.0)

    def cvxpy(self, expression: Any, weight: Any) -> tuple[Any, list[Any]]:
        return 0, [expression >= 0]

    def mirror(self, c: Any, weight: Any) -> Any:
        return array_namespace(c).exp(-c - 1)

    def entropy_gradient(self, z: Any, weight: Any) -> Any:
        return array_namespace(z).log(z) + 1

    def mirror_step(self, z: Any, slope: Any, weight: Any) -> Any:
        return z * array_namespace(z).exp(-slope)

    def entropy_convexity(self, weight: Any) -> float:
        """psi'' = 1 / z tends to 0."""
        return 0.0

    def manifold(self, z: Array, weight: Array, tolerance: float = 0.0) -> Manifold:
        """Vectors that vanish where z does; there g = 0."""
        return Manifold(np.eye(len(z))[:, z > tolerance], vanishing)
