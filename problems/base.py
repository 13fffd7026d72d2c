"""What is differentiated: a lower-level problem x*(theta), an upper-level loss, and a reference hypergradient."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from problems.parametrisations import Parametrisation

Array = NDArray[Any]  # float64 wherever a problem or method hands it out

# From best to worst; a batch takes the worst of its signals.
REFERENCE_STATUSES = ("zero", "proven", "bounded", "unproven", "undecided", "kink")


@dataclass(frozen=True)
class Reference:
    """The gradient that judges all others, with what is known about it.

    status: zero (x* is constant around theta, so the gradient is 0), proven, bounded, unproven (float64, refined),
    undecided, or kink (no gradient exists; `reason` says why). `grad` is None where none exists or none could be decided.
    `radius` bounds the relative error of `grad` (NaN: no bound). The margins are those of the worst signal of a batch:
    kink_distance (first-order Frobenius distance in W to the nearest kink), rho (radius in which the sign pattern cannot
    change), zero_rows (share of rows with w_i x* = 0), rank and cond of W0. `pattern`: what is constant around theta, for l1
    the signs of K(theta) x*, (k,) or (batch, k); None where it is unknown.
    """

    status: str
    grad: Array | None
    solution: Array
    value: float
    radius: float = math.nan
    reason: str = ""
    kink_distance: float = math.nan
    rho: float = math.nan
    zero_rows: float = math.nan
    rank: float = math.nan
    cond: float = math.nan
    pattern: Array | None = None


class Problem(ABC):
    """One drawn instance: immutable float64 NumPy data, x*(theta) = argmin of the lower level, and a loss L(x*, theta)."""

    theta: Array

    @abstractmethod
    def solve(self, theta: Array) -> Array:
        """x*(theta) to certified accuracy, shape (n,) or (batch, n); raises SolveError where it cannot be certified."""

    @abstractmethod
    def loss(self, x: Any, theta: Any) -> Any:
        """L(x, theta), a scalar of the caller's array library: the MEAN over the batch."""

    @abstractmethod
    def loss_grad(self, x: Array, theta: Array) -> tuple[Array, Array]:
        """(dL/dx, dL/dtheta at fixed x), in the shapes of x and theta."""

    def evaluate(self, x: Array, theta: Array) -> tuple[float, Array, Array | float]:
        """(L, dL/dx, dL/dtheta at fixed x), the last one the number 0 where the loss does not depend on theta."""
        return float(self.loss(x, theta)), *self.loss_grad(x, theta)

    @abstractmethod
    def reference(self) -> Reference:
        """The hypergradient at `self.theta` that judges every method."""

    def perturbed(self, rng: np.random.Generator) -> Array:
        """Another theta close by, for timing: entries times 1 + 0.01 N(0, 1), so that zeros stay zeros."""
        return self.theta * (1 + 0.01 * rng.standard_normal(self.theta.shape))

    # A compiling framework takes `data` as arguments, so that instances of one `structure` share compiled code. A problem
    # that says nothing of its data compiles for every instance.

    def data_names(self) -> tuple[str, ...]:
        """The fields that hold the instance's own arrays, theta apart."""
        return ()

    def data(self) -> tuple[Any, ...]:
        """The arrays of those fields."""
        return tuple(np.asarray(getattr(self, name)) for name in self.data_names())

    def with_data(self, data: tuple[Any, ...]) -> Self:
        """The same problem on other arrays, which may be a framework's own, and so are not validated."""
        other = copy(self)
        for name in [name for name in vars(other) if isinstance(getattr(type(self), name, None), cached_property)]:
            del vars(other)[name]  # derived from the first data
        for name, value in zip(self.data_names(), data, strict=True):
            object.__setattr__(other, name, value)
        return other

    def structure(self) -> Hashable:
        """All but the numbers in theta and data: equal for instances that differ in those alone, `shapes` included."""
        return id(self)

    def shapes(self) -> Hashable:
        """Of theta and of the data: code compiled for one size must not meet another."""
        return self.theta.shape, tuple(np.shape(getattr(self, name)) for name in self.data_names())


class SolveError(ArithmeticError):
    """A lower-level solution could not be certified."""


class Energy(ABC):
    """The lower-level objective as a function of the caller's array library."""

    @abstractmethod
    def objective(self, x: Any, theta: Any) -> Any:
        """Phi(x; theta), the SUM over the batch, so that Hessians are block-diagonal."""

    @abstractmethod
    def initial(self) -> Array:
        """A starting point for minimising Phi, in the shape of x*."""


@dataclass(frozen=True)
class Constants:
    """What bounds the error of an inexact hypergradient at a theta, for all x.

    mu > 0: strong convexity of Phi in x; lipschitz: of grad_x Phi. hessian, cross, loss, direct: Lipschitz constants in x of
    d_xx Phi, d_xtheta Phi, grad_x L and grad_theta L, in operator and Euclidean norms. rigorous: none is a mere estimate.
    """

    mu: float
    lipschitz: float
    hessian: float
    cross: float
    loss: float
    direct: float = 0.0
    rigorous: bool = True

    def error(self, distance: float, residual: float, cross: float, adjoint: float) -> float:
        """omega >= |z - dL/dtheta| of z = dL/dtheta|x - (d_xtheta Phi)^T w at an x and a w that are not exact; float64.

        omega = (B + M_B a) (L_L a + r + M_H a |w|) / mu + M_B a |w| + L_theta a, M_H, M_B, L_L, L_theta being hessian, cross,
        loss and direct. distance: a = |grad_x Phi(x)| / mu >= |x - x*|; residual: r = |(d_xx Phi) w - dL/dx|; cross:
        B = |d_xtheta Phi(x)|; adjoint: |w|. For w* - w = H*^{-1} ((g* - g) + (g - H w) + (H - H*) w), and the cross
        derivatives differ by M_B a at most. Source: Pedregosa (2016); Ehrhardt and Roberts (2024).
        """
        moved = (self.loss * distance + residual + self.hessian * distance * adjoint) / self.mu
        return (cross + self.cross * distance) * moved + (self.cross * adjoint + self.direct) * distance


class Conditioned(Energy):
    """An energy whose constants are known."""

    @abstractmethod
    def constants(self, theta: Array) -> Constants:
        """The constants at theta, derived beside the code."""


class LinearSystem(ABC):
    """A lower level whose solution solves K(theta) x = b(theta), K symmetric and positive definite."""

    @abstractmethod
    def system(self, x: Any, theta: Any) -> Any:
        """K(theta) x without the matrix, in the caller's array library."""

    @abstractmethod
    def right(self, theta: Any) -> Any:
        """b(theta), in the caller's array library."""


class ValueFunction(ABC):
    """The loss is the optimal value p(theta) = min over x of Phi(x; theta) itself: no derivative of x* is needed.

    p(theta) = max over z of D(z; theta), z in the constraint set of the dual form, which does not move with theta; so
    dp/dtheta = dD/dtheta at the maximiser (Danskin's theorem).
    """

    @abstractmethod
    def dual_value(self, z: Array, theta: Array) -> float:
        """D(z; theta) in NumPy."""

    @abstractmethod
    def dual_gradient(self, z: Array, theta: Array) -> Array:
        """dD/dtheta at fixed z, in the shape of theta, in NumPy."""


class PartlySmooth(ABC):
    """x* moves on a manifold that is locally constant in theta, and is a smooth closed form on it."""

    @abstractmethod
    def pattern(self, theta: Array) -> Array:
        """The manifold of x*(theta), found exactly: for l1 the signs of K(theta) x*, shape (k,) or (batch, k)."""

    @abstractmethod
    def no_pattern(self, theta: Array) -> Array:
        """Zeros in the shape of `pattern`."""

    @abstractmethod
    def closed_form(self, theta: Any, pattern: Any) -> Any:
        """x*(theta) while the manifold stays `pattern`; written in the caller's array library."""

    @abstractmethod
    def doubt(self, theta: Array, pattern: Array) -> str:
        """Why x* may leave the manifold, or the manifold its dimension, as soon as theta moves; empty: it does not."""


class BoxDual(ABC):
    """x* = y - K(theta)^T z with z = argmin over |z| <= beta of 1/2 |y - K(theta)^T z|^2."""

    y: Array
    beta: float
    parametrisation: Parametrisation


@dataclass(frozen=True)
class ConicModel:
    """A disciplined parametrised (DPP) CVXPY model of a lower level.

    `argument(theta)` maps theta to the value of the parameter, in the caller's array library, and
    `argument_vjp(theta, cotangent)` is its vector-Jacobian product in NumPy; `data` are the values of the other
    parameters, with a leading batch axis where the problem has one.
    """

    problem: Any
    parameter: Any
    data_parameters: tuple[Any, ...]
    variable: Any
    data: tuple[Array, ...]
    argument: Callable[[Any], Any]
    argument_vjp: Callable[[Array, Array], Array]


class ConicProgram(ABC):
    """A lower level that can be written in CVXPY under the DPP rules."""

    @abstractmethod
    def conic_model(self) -> ConicModel:
        """The model for one signal of the batch."""
