"""What a penalty tells: value, prox, conjugate prox, smoothing, CVXPY form, entropy and active manifold."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from array_api_compat import array_namespace

from problems.arrays import Array


@dataclass(frozen=True)
class Manifold:
    """The manifold M through z on which g stays smooth around z: linear, or curved where `bending` is given.

    basis: (n, d), orthonormal columns that span the tangent space at z. representative(z, weight): a smooth function equal to
    g on M, in the caller's array library. A function has the Riemannian Hessian B^T (Hessian) B + curvature(gradient) on M.
    Source: Absil, Mahony and Trumpf (2013), eq. (7).
    """

    basis: Array
    representative: Callable[[Any, Any], Any]
    bending: Callable[[Array], Array] | None = None

    def curvature(self, gradient: Array) -> Array:
        """The (d, d) matrix B^T W(B, P_N gradient) of the Weingarten map, in NumPy; zero where M is linear."""
        d = self.basis.shape[1]
        return np.zeros((d, d)) if self.bending is None else self.bending(gradient)


class Penalty(ABC):
    """g(z; w), convex; z is (n,) or (batch, n) and g sums over the batch; w is a scalar or an array that broadcasts over z.

    All but `manifold` is written in the caller's array library. What a penalty cannot do raises NotImplementedError.
    """

    name: ClassVar[str]
    formula: ClassVar[str]
    moves_with_weight: ClassVar[bool] = False  # whether the active manifold moves with w, as the faces of a box do

    def value(self, z: Any, weight: Any) -> Any:
        """g(z; w), a scalar; of a constraint 0, whether it holds or not."""
        raise NotImplementedError(f"{self.name} has no value")

    def prox(self, z: Any, step: Any, weight: Any) -> Any:
        """argmin over u of g(u; w) + |u - z|^2 / (2 step), in the shape of z."""
        raise NotImplementedError(f"{self.name} has no prox")

    def prox_derivative(self, z: Any, step: Any, weight: Any, dz: Any, dweight: Any) -> Any:
        """The weak derivative of prox(z, step, w) along (dz, dweight), written by hand, in the shape of z."""
        raise NotImplementedError(f"{self.name} has no weak derivative of its prox")

    def conjugate_prox(self, z: Any, step: Any, weight: Any) -> Any:
        """The prox of the convex conjugate g*, by Moreau's identity: z - step prox_{g/step}(z / step)."""
        return z - step * self.prox(z / step, 1 / step, weight)

    def smoothed(self, z: Any, weight: Any, eps: float) -> Any:
        """A twice differentiable g_eps(z; w) with g_eps -> g as eps -> 0, a scalar."""
        raise NotImplementedError(f"{self.name} has no smoothing")

    def cvxpy(self, expression: Any, weight: Any) -> tuple[Any, list[Any]]:
        """(objective, constraints) in CVXPY, DPP in the parameter `weight`."""
        raise NotImplementedError(f"{self.name} has no CVXPY form")

    def mirror(self, c: Any, weight: Any) -> Any:
        """argmin over z of <c, z> + g(z; w) + psi(z) with psi the Legendre entropy of the constraint set."""
        raise NotImplementedError(f"{self.name} has no entropy")

    def entropy_gradient(self, z: Any, weight: Any) -> Any:
        """grad psi(z) for z inside the constraint set."""
        raise NotImplementedError(f"{self.name} has no entropy")

    def mirror_step(self, z: Any, slope: Any, weight: Any) -> Any:
        """argmin over u of <slope, u> + g(u; w) + D_psi(u, z) = mirror(slope - grad psi(z)), smooth up to the boundary."""
        raise NotImplementedError(f"{self.name} has no entropy")

    def entropy_convexity(self, weight: Any) -> float:
        """mu >= 0 such that psi - mu/2 |.|^2 is convex on the constraint set; 0 where there is none."""
        raise NotImplementedError(f"{self.name} has no entropy")

    def manifold(self, z: Array, weight: Array, tolerance: float = 0.0) -> Manifold:
        """The active manifold at z, (n,), read off its zeros, ties and bounds, which hold up to `tolerance`, in NumPy."""
        raise NotImplementedError(f"{self.name} has no active manifold")

    # Which of these a penalty has

    @property
    def has_entropy(self) -> bool:
        """Whether the penalty is a constraint set with a Legendre entropy."""
        return type(self).mirror is not Penalty.mirror

    @property
    def has_prox_derivative(self) -> bool:
        """Whether the weak derivative of the prox is written."""
        return type(self).prox_derivative is not Penalty.prox_derivative


def vanishing(z: Any, weight: Any) -> Any:
    """The value of a constraint: 0, in the caller's array library and differentiable."""
    return array_namespace(z).sum(0 * z)


def everywhere(penalty: Penalty, z: Array) -> Manifold:
    """The whole space: of a penalty that is smooth around z."""
    return Manifold(np.eye(len(z)), penalty.value)


def weighted_sum(values: Any, weight: Any) -> Any:
    """sum_i w_i values_i in CVXPY, DPP in `weight`, a parameter or an array of shape () or that of the values."""
    import cvxpy as cp

    return weight @ values if weight.ndim else weight * cp.sum(values)
