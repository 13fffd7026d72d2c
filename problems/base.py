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

from problems.arrays import Array

if TYPE_CHECKING:
    from problems.operators.parametrisations import Parametrisation

# From best to worst; a batch takes the worst of its signals.
REFERENCE_STATUSES = ("zero", "proven", "bounded", "unproven", "undecided", "kink")


@dataclass(frozen=True)
class Reference:
    """The gradient that judges all others, with what is known about it.

    status: zero (x* is constant around theta, so the gradient is 0), proven, bounded, unproven (float64, refined),
    undecided, or kink (no gradient exists; `reason` says why). `grad` is None where none exists or none could be decided.
    `radius` bounds the relative error of `grad` (NaN: no bound). The margins are those of the worst signal of a batch:
    kink_distance (how far the nearest kink is, to first order: for analysis l1 the Frobenius distance in W, elsewhere the
    least slack of the conditions that hold strictly, infinite where there are none; NaN: unknown), rho (radius in W in which
    the sign pattern cannot change), zero_rows (share of rows with w_i x* = 0), rank and cond of W0. `pattern`: what is
    constant around theta, for l1 the signs of K(theta) x*, (k,) or (batch, k); None where it is unknown.
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
    """One drawn instance: immutable float64 NumPy data, x*(theta) = argmin of the lower level, and a loss L(x*, theta).

    theta: ONE float64 array of any shape, () too, where the gradient is taken; several parameters are packed into it. It is
    differentiated as it stands: a positive weight is a log-weight there, or its `perturbed` keeps it positive. x* has shape
    (n,), or (batch, n) where one theta is shared by a batch of signals.

    An instance goes to other processes by pickle: a frozen dataclass (eq=False, since arrays have no truth value) of arrays and
    numbers in a module does, a lambda in a field does not. Its functions take theta as an argument and never read `self.theta`.
    x* has the units of the data, dL/dtheta those of L over those of theta; nothing is scaled in between.
    """

    theta: Array

    @abstractmethod
    def solve(self, theta: Array) -> Array:
        """x*(theta), float64 NumPy, (n,) or (batch, n), as exact as float64 allows; theta (float64 NumPy) is not changed.

        Raises SolveError where that cannot be certified.
        """

    @abstractmethod
    def loss(self, x: Any, theta: Any) -> Any:
        """L(x, theta), a scalar of the caller's array library (NumPy, torch, JAX), differentiable: the MEAN over the batch.

        x is as `solve` returns it, theta in the shape of `self.theta`. Bring data in with `local(x, self.target)[1]`.
        """

    @abstractmethod
    def loss_grad(self, x: Array, theta: Array) -> tuple[Array, Array]:
        """(dL/dx, dL/dtheta at fixed x) in NumPy, in the shapes of x and theta; of the MEAN over the batch."""

    def evaluate(self, x: Array, theta: Array) -> tuple[float, Array, Array | float]:
        """(L, dL/dx, dL/dtheta at fixed x), the last one the number 0 where the loss does not depend on theta."""
        return float(self.loss(x, theta)), *self.loss_grad(x, theta)

    @abstractmethod
    def reference(self) -> Reference:
        """The hypergradient at `self.theta` that judges every method; it owes nothing to any of them.

        Raises nothing for an instance that cannot be decided: that is the status undecided, with the reason. It may take
        seconds, as it is made once for all methods and never timed. `problems/references.py` makes one in a line.
        """

    def perturbed(self, rng: np.random.Generator) -> Array:
        """Another theta close by, in the same shape, for timing: entries times 1 + 0.01 N(0, 1), so that zeros stay zeros."""
        return self.theta * (1 + 0.01 * rng.standard_normal(self.theta.shape))

    # A compiling framework takes `data` as arguments, so that instances of one `structure` share compiled code. A problem
    # that says nothing of its data compiles for every instance.

    def data_names(self) -> tuple[str, ...]:
        """The names of the fields that hold the instance's own numbers and arrays, theta apart, such as ("a", "y").

        A compiling framework takes them as arguments. Each must be all that the structure's functions read of the instance
        beside theta and what `structure` tells: what is left out is baked into compiled code. The default: none.
        """
        return ()

    def data(self) -> tuple[Any, ...]:
        """The values of those fields as NumPy arrays, in the order of the names."""
        return tuple(np.asarray(getattr(self, name)) for name in self.data_names())

    def with_data(self, data: tuple[Any, ...]) -> Self:
        """The same problem on other arrays in the order of `data_names`; a framework's own are not validated.

        What a cached_property has derived from the first data is forgotten. Raises ValueError where their number differs.
        """
        other = copy(self)
        for name in [name for name in vars(other) if isinstance(getattr(type(self), name, None), cached_property)]:
            del vars(other)[name]  # derived from the first data
        for name, value in zip(self.data_names(), data, strict=True):
            object.__setattr__(other, name, value)
        return other

    def structure(self) -> Hashable:
        """All but the numbers in theta and data: equal for instances that differ in those alone, `shapes` included.

        With `data_names`: (type(self), self.shapes(), further knobs). The default, id(self), shares code with no instance.
        """
        return id(self)

    def shapes(self) -> Hashable:
        """Of theta and of the data: code compiled for one size must not meet another."""
        return self.theta.shape, tuple(np.shape(getattr(self, name)) for name in self.data_names())


class SolveError(ArithmeticError):
    """A lower-level solution could not be certified."""


class Energy(ABC):
    """The lower level x*(theta) = argmin over x of Phi(x; theta), Phi twice differentiable in x and theta.

    Strongly convex around x*, or the linear system of the implicit function theorem has no solution.
    """

    @abstractmethod
    def objective(self, x: Any, theta: Any) -> Any:
        """Phi(x; theta), a scalar of the library of x and theta (NumPy, torch, JAX).

        The SUM over the batch, so that Hessians are block-diagonal.
        """

    @abstractmethod
    def initial(self) -> Array:
        """A starting point for minimising Phi, float64 NumPy in the shape of x*."""


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
    """An energy whose constants are known, so that the error of an inexact hypergradient can be bounded (`Constants.error`)."""

    @abstractmethod
    def constants(self, theta: Array) -> Constants:
        """The constants at theta (float64 NumPy), derived beside the code; they hold for all x.

        `rigorous` False where one is an estimate: the method's note then says so.
        """


class LinearSystem(ABC):
    """A lower level whose solution solves K(theta) x = b(theta), K (n, n) symmetric and positive definite; no batch.

    Differentiated as dL/dtheta = dL/dtheta|x + d<w, b(theta) - K(theta) x>/dtheta, K w = dL/dx, w and x held fixed. The matrix
    is never asked for: conjugate gradients take products alone. Source: Lai, Wei, Fu, Hartel and Heide (2023), eq. (8)-(11).
    """

    @abstractmethod
    def system(self, x: Any, theta: Any) -> Any:
        """K(theta) x, (n,) for x (n,), without the matrix, in the library of x and theta; differentiable in theta."""

    @abstractmethod
    def right(self, theta: Any) -> Any:
        """b(theta), (n,), in the library of theta; differentiable in theta."""


class ValueFunction(ABC):
    """The loss is the optimal value p(theta) = min over x of Phi(x; theta) itself: no derivative of x* is needed.

    p(theta) = max over z of D(z; theta), z in the constraint set of the dual form, which does not move with theta; so
    dp/dtheta = dD/dtheta at the maximiser (Danskin's theorem). The method needs `Splitting` too, with a dual form: z has its
    shape, and `loss(x, theta)` must be p(theta) at x = x*. Source: Danskin (1966); Mehmood and Ochs (2021).
    """

    @abstractmethod
    def dual_value(self, z: Array, theta: Array) -> float:
        """D(z; theta) <= p(theta), a float, for a feasible z and theta in float64 NumPy."""

    @abstractmethod
    def dual_gradient(self, z: Array, theta: Array) -> Array:
        """dD/dtheta at fixed z, in the shape of theta, float64 NumPy."""


class PartlySmooth(ABC):
    """x* moves on a manifold that is locally constant in theta, and is a smooth closed form on it.

    dL/dtheta is then the derivative of L(closed_form(theta, pattern), theta) with the pattern held fixed. Source: Lewis (2002);
    Vaiter, Deledalle, Fadili, Peyre and Dossal (2017).
    """

    @abstractmethod
    def pattern(self, theta: Array) -> Array:
        """The manifold of x*(theta), found exactly: for l1 the signs of K(theta) x*, float64, (k,) or (batch, k).

        theta in float64 NumPy. Solves the lower level, and raises SolveError where that cannot be certified.
        """

    @abstractmethod
    def no_pattern(self, theta: Array) -> Array:
        """Zeros in the shape of `pattern`, to compile by: it solves nothing."""

    @abstractmethod
    def closed_form(self, theta: Any, pattern: Any) -> Any:
        """x*(theta) while the manifold stays `pattern`, in the shape of x* and the library of theta; differentiable in theta.

        pattern: as `pattern` returns it, in the same library; a constant. Off the manifold the value means nothing.
        """

    @abstractmethod
    def doubt(self, theta: Array, pattern: Array) -> str:
        """Why x* may leave the manifold, or the manifold its dimension, as soon as theta moves; empty: it does not.

        theta and pattern in float64 NumPy. What it says becomes the note of the gradient: there may be none.
        """


class BoxDual(ABC):
    """x* = y - K(theta)^T z with z = argmin over |z_i| <= beta of 1/2 |y - K(theta)^T z|^2, the dual of beta |K(theta) x|_1.

    y: (n,) or (batch, n); beta > 0, in the units of y over those of K; parametrisation: K(theta); z (k,) or (batch, k).
    """

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
    """A lower level that can be written in CVXPY under the DPP rules: what cone layers and diffcp differentiate.

    Source: Agrawal, Amos, Barratt, Boyd, Diamond and Kolter (2019).
    """

    @abstractmethod
    def conic_model(self) -> ConicModel:
        """The model for one signal of the batch, made afresh: cvxpy objects are changed by what solves them."""
