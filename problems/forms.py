"""The canonical structure that methods and algorithms ask for: min over v of f(v; theta) + sum_j g_j(K_j(theta) v; theta).

Everything here is written in the array API of the caller, curried over theta, so that what a loop needs of theta is brought
into the caller's library once: `f.gradient(theta)` is a function of v.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device

from problems.arrays import Array, local
from problems.operators.parametrisations import Parametrisation
from problems.penalties.base import Penalty

Function = Callable[[Any], Any]


class Smooth(ABC):
    """f(v; theta), convex with a Lipschitz gradient in v; v is (n,) or (batch, n), and f sums over the batch."""

    @abstractmethod
    def value(self, theta: Any) -> Function:
        """v -> f(v; theta), a scalar."""

    @abstractmethod
    def gradient(self, theta: Any) -> Function:
        """v -> the gradient of f in v, in the shape of v."""

    @abstractmethod
    def lipschitz(self, theta: Array) -> float:
        """An upper bound on the Lipschitz constant of the gradient, theta in NumPy."""

    def convexity(self, theta: Array) -> float:
        """mu >= 0 such that f - mu/2 |.|^2 is convex, theta in NumPy."""
        return 0.0

    @property
    def strongly_convex(self) -> bool:
        """Whether `convexity` is positive, as far as the shapes tell: what algorithms ask before they see theta."""
        return False


class Quadratic(Smooth):
    """f(v; theta) = 1/2 <v, H(theta) v> - <q(theta), v> + constant."""

    @abstractmethod
    def hessian(self, theta: Any) -> Any:
        """H(theta), (n, n), symmetric and positive semidefinite, in the caller's array library."""

    @abstractmethod
    def linear(self, theta: Any) -> Any:
        """q(theta), (n,) or (batch, n), in the caller's array library."""


@dataclass(frozen=True)
class Distance(Quadratic):
    """f(v) = 1/2 |v - y|^2, y (n,) or (batch, n)."""

    y: Any

    def value(self, theta: Any) -> Function:
        xp, y = local(theta, self.y)
        return lambda v: 0.5 * xp.sum((v - y) ** 2)

    def gradient(self, theta: Any) -> Function:
        y = local(theta, self.y)[1]
        return lambda v: v - y

    def hessian(self, theta: Any) -> Any:
        xp, y = local(theta, self.y)
        return xp.eye(y.shape[-1], dtype=y.dtype, device=device(y))

    def linear(self, theta: Any) -> Any:
        return local(theta, self.y)[1]

    def lipschitz(self, theta: Array) -> float:
        return 1.0

    def convexity(self, theta: Array) -> float:
        return 1.0

    @property
    def strongly_convex(self) -> bool:
        return True


@dataclass(frozen=True)
class LeastSquares(Quadratic):
    """f(v; theta) = 1/2 |A v - y|^2 with (A, y) = data(theta): A (m, n), y (m,) or (batch, m); see `fixed`.

    tall: whether m >= n, so that f is strongly convex at a generic A.
    """

    data: Callable[[Any], tuple[Any, Any]]
    tall: bool = False

    def value(self, theta: Any) -> Function:
        a, y = self.data(theta)
        return lambda v: 0.5 * array_namespace(a).sum((v @ a.T - y) ** 2)

    def gradient(self, theta: Any) -> Function:
        a, y = self.data(theta)
        return lambda v: (v @ a.T - y) @ a

    def hessian(self, theta: Any) -> Any:
        a = self.data(theta)[0]
        return a.T @ a

    def linear(self, theta: Any) -> Any:
        a, y = self.data(theta)
        return y @ a

    def lipschitz(self, theta: Array) -> float:
        return float(np.linalg.norm(self.data(theta)[0], 2) ** 2)

    def convexity(self, theta: Array) -> float:
        return float(np.linalg.norm(self.data(theta)[0], -2) ** 2) if self.tall else 0.0

    @property
    def strongly_convex(self) -> bool:
        return self.tall


def fixed(a: Any, y: Any) -> Callable[[Any], tuple[Any, Any]]:
    """theta -> (A, y), the same for every theta, in the library of theta."""
    return lambda theta: (local(theta, a)[1], local(theta, y)[1])


@dataclass(frozen=True)
class Dual(Quadratic):
    """f(z; theta) = 1/2 |y - K(theta)^T z|^2: the smooth part of the dual of 1/2 |x - y|^2 + g(K(theta) x)."""

    operator: Parametrisation
    y: Any

    def value(self, theta: Any) -> Function:
        xp, y = local(theta, self.y)
        return lambda z: 0.5 * xp.sum((y - self.operator.adjoint(theta, z)) ** 2)

    def gradient(self, theta: Any) -> Function:
        y = local(theta, self.y)[1]
        return lambda z: -self.operator.apply(theta, y - self.operator.adjoint(theta, z))

    def hessian(self, theta: Any) -> Any:
        k = self.operator.matrix(theta)
        return k @ k.T

    def linear(self, theta: Any) -> Any:
        return self.operator.apply(theta, local(theta, self.y)[1])

    def lipschitz(self, theta: Array) -> float:
        return self.operator.square_norm(theta)


def one(theta: Any) -> float:
    """The weight of a term that has none."""
    return 1.0


def same(theta: Any) -> Function:
    """The read-out where v is x itself."""
    return lambda v: v


@dataclass(frozen=True)
class Term:
    """g(K(theta) v; w(theta)): a penalty of a linear image of v, K = I where `operator` is None; `weight(theta)` is w."""

    penalty: Penalty
    operator: Parametrisation | None = None
    weight: Function = one

    def apply(self, theta: Any, v: Any) -> Any:
        """K(theta) v."""
        return v if self.operator is None else self.operator.apply(theta, v)

    def adjoint(self, theta: Any, z: Any) -> Any:
        """K(theta)^T z."""
        return z if self.operator is None else self.operator.adjoint(theta, z)

    def square_norm(self, theta: Array) -> float:
        """|K(theta)|_2^2, or a bound on it."""
        return 1.0 if self.operator is None else self.operator.square_norm(theta)

    def value(self, theta: Any) -> Function:
        """v -> g(K v; w)."""
        weight = self.weight(theta)
        return lambda v: self.penalty.value(self.apply(theta, v), weight)


@dataclass(frozen=True)
class Form:
    """min over v of f(v; theta) + sum_j g_j(K_j(theta) v; theta), with x* = read(theta)(v*).

    name: "primal" or "dual"; shape: that of v; solve(theta): v* of certified accuracy in NumPy, None where the problem's own
    `solve` gives it (the primal).
    """

    name: str
    smooth: Smooth
    terms: tuple[Term, ...]
    shape: tuple[int, ...]
    read: Callable[[Any], Function] = same
    solve: Callable[[Array], Array] | None = None

    def objective(self, theta: Any) -> Function:
        """v -> the objective, a scalar: the SUM over the batch."""
        values = [self.smooth.value(theta), *(term.value(theta) for term in self.terms)]
        return lambda v: sum(value(v) for value in values[1:]) + values[0](v)

    @property
    def proximable(self) -> bool:
        """One term with K = I, so that one gradient step and one proximal step make an iteration."""
        return len(self.terms) == 1 and self.terms[0].operator is None


class Splitting(ABC):
    """A lower level that first-order algorithms solve."""

    @abstractmethod
    def forms(self) -> tuple[Form, ...]:
        """The lower level in canonical form, the primal first where it has one; an algorithm takes the first that it solves."""


class Computation(ABC):
    """x(theta) is what a fixed computation returns, such as K steps of an algorithm with theta its step lengths."""

    @abstractmethod
    def run(self, theta: Any) -> Any:
        """x(theta), in the caller's array library."""


def matrix_of(term: Term, theta: Any, n: int) -> Any:
    """K(theta) of a term as an (m, n) array of the caller's library."""
    if term.operator is not None:
        return term.operator.matrix(theta)
    return array_namespace(theta).eye(n, dtype=theta.dtype, device=device(theta))
