"""Derivatives of an energy Phi by a framework, and its minimiser by Newton's method, for the implicit function theorem.

An energy is given as `energy(problem, eps)`, a plain function, so that all instances and levels eps of one structure share
compiled code.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from methods.calculus.autodiff import Skeleton
from methods.calculus.frameworks import FRAMEWORKS, to_numpy
from problems import Energy, Problem, SolveError
from problems.base import Array
from problems.solvers.newton import newton

EnergyOf = Callable[[Any, Any], Energy]


def itself(problem: Any, eps: Any) -> Energy:
    """An energy that is smooth as it stands."""
    assert isinstance(problem, Energy)
    return problem


class Derivatives:
    """Value, gradient, Hessian blocks and mixed derivatives of Phi_eps, computed by a framework, given as NumPy.

    eps and the problem's data are arguments of the compiled functions.
    """

    def __init__(self, framework: str, problem: Problem, energy: EnergyOf) -> None:
        self._framework = FRAMEWORKS[framework]
        with self._framework.active():
            self._data = self._framework.array(problem.data())
        self._functions = _functions(framework, energy, Skeleton(problem))

    def value(self, x: Array, theta: Array, eps: float = 0.0) -> float:
        return float(self._run("value", x, theta, eps))

    def slope(self, x: Array, theta: Array, eps: float = 0.0) -> Array:
        """d_x Phi, in the shape of x."""
        return self._run("slope", x, theta, eps)

    def product(self, x: Array, theta: Array, v: Array, eps: float = 0.0) -> Array:
        """(d_xx Phi) v, in the shape of x."""
        return self._run("product", x, theta, eps, v)

    def hessian(self, x: Array, theta: Array, eps: float = 0.0) -> Array:
        """d_xx Phi, (n, n) or (batch, n, n)."""
        n = x.shape[-1]
        # The objective sums over the batch, so one tangent for all signals gives one column of every block.
        tangents = np.broadcast_to(np.eye(n).reshape(n, *(1,) * (x.ndim - 1), n), (n, *x.shape))
        return np.moveaxis(self._run("products", x, theta, eps, tangents), 0, -1)

    def cross(self, x: Array, theta: Array, adjoint: Array, eps: float = 0.0) -> Array:
        """(d_xtheta Phi)^T adjoint, in the shape of theta."""
        return self._run("cross", theta, x, eps, adjoint)

    def cross_matrix(self, x: Array, theta: Array) -> Array:
        """d_xtheta Phi, (x.size, theta.size): one product for every entry of theta."""
        tangents = np.eye(theta.size).reshape(theta.size, *theta.shape)
        return self._run("columns", x, theta, 0.0, tangents).reshape(theta.size, x.size).T

    def _run(self, name: str, *arguments: Any) -> Array:
        with self._framework.active():
            return to_numpy(self._functions[name](*map(self._framework.array, arguments), self._data))


@cache
def _functions(framework_name: str, energy: EnergyOf, skeleton: Skeleton) -> dict[str, Callable[..., Any]]:
    """The derivatives by name, for all instances of the skeleton."""
    framework = FRAMEWORKS[framework_name]

    def value(x: Any, theta: Any, eps: Any, data: Any) -> Any:
        return energy(skeleton.problem.with_data(data), eps).objective(x, theta)

    slope = framework.grad(value)

    def product(x: Any, theta: Any, eps: Any, v: Any, data: Any) -> Any:
        return framework.grad(lambda u: (slope(u, theta, eps, data) * v).sum())(x)

    def products(x: Any, theta: Any, eps: Any, tangents: Any, data: Any) -> Any:
        return framework.map(lambda v: product(x, theta, eps, v, data), tangents)

    def cross(theta: Any, x: Any, eps: Any, adjoint: Any, data: Any) -> Any:
        return framework.grad(lambda t: (slope(x, t, eps, data) * adjoint).sum())(theta)

    def columns(x: Any, theta: Any, eps: Any, tangents: Any, data: Any) -> Any:
        def column(v: Any) -> Any:
            return framework.grad(lambda u: (framework.grad(lambda t: value(u, t, eps, data))(theta) * v).sum())(x)

        return framework.map(column, tangents)

    functions: dict[str, Callable[..., Any]] = {
        "value": value,
        "slope": slope,
        "product": product,
        "products": products,
        "cross": cross,
        "columns": columns,
    }
    return {name: framework.compile(f) for name, f in functions.items()}


def minimise(model: Derivatives, x: Array, theta: Array, limit: int, eps: float = 0.0) -> tuple[Array, int, bool]:
    """(minimiser, Newton steps, whether they became small) by Newton's method with backtracking."""

    def solve(x: Array, right: Array) -> Array:
        return solved(model.hessian(x, theta, eps), right)

    return newton(lambda x: model.value(x, theta, eps), lambda x: model.slope(x, theta, eps), solve, x, limit)


def solved(hessian: Array, right: Array) -> Array:
    """H^{-1} right, H (n, n) or (batch, n, n); SolveError where H is singular or not finite."""
    try:
        return np.linalg.solve(_finite(hessian), right[..., None])[..., 0]
    except np.linalg.LinAlgError:
        raise SolveError("the Hessian is singular, so the implicit function theorem does not hold") from None


def factored(hessian: Array, right: Array, promise: float) -> tuple[Array, str]:
    """(H^{-1} right, a doubt) by Cholesky: rounding times the condition number of H, in the 1-norm, is above the promise."""
    from scipy.linalg import LinAlgError, cho_factor, cho_solve
    from scipy.linalg.lapack import dpocon

    try:
        factor, lower = cho_factor(_finite(hessian))
    except LinAlgError:
        raise SolveError("the Hessian is not positive definite, so Cholesky's factorisation does not exist") from None
    inverse = dpocon(factor, np.linalg.norm(hessian, 1), uplo="L" if lower else "U")[0]
    loss = 2.0**-53 / inverse if inverse else np.inf
    doubt = f"the Hessian is so ill-conditioned that rounding may reach {loss:.0e}" if loss > promise else ""
    return cho_solve((factor, lower), right), doubt


def _finite(hessian: Array) -> Array:
    if not np.isfinite(hessian).all():
        raise SolveError("the Hessian is not finite where Newton's method has come to")
    return hessian
