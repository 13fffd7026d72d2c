"""What a penalty tells: value, prox, conjugate prox, smoothing, CVXPY form, entropy and active manifold."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from problems.base import Array


@dataclass(frozen=True)
class Manifold:
    """A linear manifold z + span(basis) on which g stays smooth around z.

    basis: (n, d), orthonormal columns. representative(z, weight): a smooth function equal to g on the manifold, in the
    caller's array library.
    """

    basis: Array
    representative: Callable[[Any, Any], Any]


class Penalty(ABC):
    """g(z; w), convex; z is (n,) or (batch, n) and g sums over the batch; w is a scalar or an array that broadcasts over z.

    All but `manifold` is written in the caller's array library. What a penalty cannot do raises NotImplementedError.
    """

    name: ClassVar[str]
    formula: ClassVar[str]

    def value(self, z: Any, weight: Any) -> Any:
        """g(z; w), a scalar; of a constraint 0, whether it holds or not."""
        raise NotImplementedError(f"{self.name} has no value")

    def prox(self, z: Any, step: Any, weight: Any) -> Any:
        """argmin over u of g(u; w) + |u - z|^2 / (2 step), in the shape of z."""
        raise NotImplementedError(f"{self.name} has no prox")

    def conjugate_prox(self, z: Any, step: Any, weight: Any) -> Any:
        """The prox of the convex conjugate g*, by Moreau's identity: z - step prox_{g/step}(z / step)."""
        return z - step * self.prox(z / step, 1 / step, weight)

    def smoothed(self, z: Any, weight: Any, eps: float) -> Any:
        """A twice differentiable g_eps(z; w) with g_eps -> g as eps -> 0, a scalar."""
        raise NotImplementedError(f"{self.name} has no smoothing")

    def cvxpy(self, expression: Any, weight: Any) -> tuple[Any, list[Any]]:
        """(objective, constraints) in CVXPY, DPP in the parameter `weight`."""
        raise NotImplementedError(f"{self.name} has no CVXPY form")

    def mirror(self, c: Any) -> Any:
        """argmin over z of <c, z> + g(z) + psi(z) with psi the Legendre entropy of the constraint set."""
        raise NotImplementedError(f"{self.name} has no entropy")

    def entropy_gradient(self, z: Any) -> Any:
        """grad psi(z) for z inside the constraint set."""
        raise NotImplementedError(f"{self.name} has no entropy")

    def manifold(self, z: Array, weight: Array) -> Manifold:
        """The active manifold at z, (n,), read off its exact zeros, ties and bounds, in NumPy."""
        raise NotImplementedError(f"{self.name} has no active manifold")
