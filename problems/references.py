"""A judged reference for a problem of your own, in one line of its `reference()`.

Begin with what you can write down:

    dL/dtheta as a formula               -> proven_formula(self, formula)           status proven
    d_x Phi, d_xx Phi, d_xtheta Phi      -> proven_minimiser(self)                  status proven
    the same, with known constants       -> bounded_minimiser(self, constants)      status bounded

The first two calculate in ball arithmetic (python-flint): every number is a midpoint and a radius, rounding included. Your
functions are then called with NumPy arrays of balls (dtype object), and with a copy of the problem as `self` whose floats and
float arrays are balls too. On these the operators, `@`, `sum`, indexing and NumPy's exp, log, sqrt, sin, cos and tanh work;
np.linalg does not: `ball_solve` does. Write a square as v * v: v**2 of a ball around 0 is NaN. Of a condition on balls
(`a > b` is False where it is not certain) test both sides, and raise ArithmeticError where neither is certain.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from problems.arrays import Array
from problems.base import Constants, Problem, Reference
from problems.proofs.undecided import undecided_where_unsolved

UNITS = 64  # of float64's rounding that a sum is taken to err by, relative to the size of its terms
STEP = 2.0**-20  # relative length of the step along which derivatives are held against differences

P = TypeVar("P", bound=Problem)


class TwiceDifferentiable(Problem):
    """x*(theta) = argmin over x of Phi(x; theta), convex and twice differentiable, x* (n,), with its derivatives by hand.

    Each is written in NumPy, for float64 and for arrays of balls alike: see the head of this file.
    """

    @abstractmethod
    def slope(self, x: Any, theta: Any) -> Any:
        """d_x Phi, (n,)."""

    @abstractmethod
    def hessian(self, x: Any, theta: Any) -> Any:
        """d_xx Phi, (n, n)."""

    @abstractmethod
    def cross(self, x: Any, theta: Any, w: Any) -> Any:
        """(d_xtheta Phi)^T w in the shape of theta, w (n,)."""


@undecided_where_unsolved
def proven_formula(problem: P, formula: Callable[[P, Any], tuple[Any, Any]]) -> Reference:
    """The reference (x*, dL/dtheta) = formula(problem, theta), enclosed: proven, zero, or undecided with the reason.

    formula: a function of the problem, such as `MyProblem.formula`, never the bound `self.formula`: it is called with the copy
    on balls and returns x* and dL/dtheta as balls, in the shapes of x* and theta. What is proven is the rounding; that the
    formula is the gradient is yours to know. Raises TypeError where it returns other shapes or rounded numbers.

    Example, x* = y / (1 + theta) and L = 1/2 |x* - target|^2::

        def formula(self, theta):
            x = self.y / (1 + theta)
            return x, -(x / (1 + theta)) @ (x - self.target)

        def reference(self):
            return proven_formula(self, Mine.formula)
    """
    from problems.proofs.enclosure import at_some_precision, balls, midpoints, summed

    def proof() -> Reference:
        x, grad = formula(_on_balls(problem), balls(problem.theta))
        _require_balls(grad, problem.theta.shape)
        status, values, radius, reason = summed([grad], problem.theta.shape)
        solution = midpoints(x)
        value = float(problem.loss(solution, problem.theta))
        return Reference(status, values, solution, value, radius=radius, reason=reason)

    return at_some_precision(proof, problem, lambda: problem.solve(problem.theta))


@undecided_where_unsolved
def proven_minimiser(problem: TwiceDifferentiable) -> Reference:
    """The reference by Krawczyk's test and the implicit function theorem: proven, zero, or undecided with the reason.

    d_x Phi(x*) = 0 and dL/dtheta = dL/dtheta|x - (d_xtheta Phi)^T w, (d_xx Phi) w = dL/dx. `solve` may be as rough as 1e-6:
    x* is enclosed afresh. A `hessian` or `cross` that is not the derivative of `slope`, by the mean value theorem, leaves the
    reference undecided. Seconds at n = 100. Raises TypeError where x* is no vector. Source: Krawczyk (1969).
    """
    from problems.proofs.enclosure import Optimality, certify

    x, exact = _vector(problem), _on_balls(problem)
    if reason := _refuted(exact, x, problem.theta):
        return Reference("undecided", None, x, float(problem.loss(x, problem.theta)), reason=reason)
    system = Optimality(
        start=x,
        residual=exact.slope,
        jacobian=exact.hessian,
        cross=exact.cross,
        read=lambda u, theta: u,
        read_vjp=lambda u, theta, g: (g, 0),
        loss_grad=exact.loss_grad,
    )
    return certify(problem, system)


@undecided_where_unsolved
def bounded_minimiser(problem: TwiceDifferentiable, known: Constants) -> Reference:
    """The reference in float64 with an a-posteriori bound on its error: bounded, or undecided with the reason.

    z = dL/dtheta|x - (d_xtheta Phi)^T w at x = solve(theta) after one Newton step, |z - dL/dtheta| <= `Constants.error`, to
    which rounding is added as UNITS units of the terms of each sum: of L |x| + |d_x Phi(0)| for d_x Phi(x), L |w| + |dL/dx|
    for (d_xx Phi) w, |d_xtheta Phi| |w| + |dL/dtheta|x| for z. known: the constants at problem.theta. The bound is as good as
    they are: unproven where they are estimates (`rigorous` False). Takes any n at which a dense Hessian is solved.
    Raises TypeError where x* is no vector. Source: Ehrhardt and Roberts (2024).
    """
    theta, x = problem.theta, _vector(problem)
    x = x - np.linalg.solve(problem.hessian(x, theta), problem.slope(x, theta))
    g, direct = problem.loss_grad(x, theta)
    hessian = problem.hessian(x, theta)
    w = np.linalg.solve(hessian, g)
    columns = np.array([np.ravel(problem.cross(x, theta, e)) for e in np.eye(len(x))])
    size, adjoint, unit = float(np.linalg.norm(columns, 2)), _norm(w), UNITS * np.finfo(np.float64).eps
    slope = _norm(problem.slope(x, theta)) + unit * (known.lipschitz * _norm(x) + _norm(problem.slope(0 * x, theta)))
    residual = _norm(hessian @ w - g) + unit * (known.lipschitz * adjoint + _norm(g))
    grad = np.asarray(direct - problem.cross(x, theta, w))
    error = known.error(slope / known.mu, residual, size, adjoint) + unit * (size * adjoint + _norm(direct))
    found = Reference("bounded" if known.rigorous else "unproven", grad, x, float(problem.loss(x, theta)))
    if not error < _norm(grad):
        return replace(found, status="undecided", grad=None, reason=f"the error may be {error:.0e}, as large as the gradient")
    reason = "" if known.rigorous else "the constants of its bound are estimates"
    return replace(found, radius=error / (_norm(grad) - error), reason=reason)


def ball_solve(a: Any, b: Any) -> Array:
    """a^{-1} b as balls, a (n, n) and b (n,) of balls or numbers; ZeroDivisionError where a is not shown to be nonsingular."""
    from problems.proofs.enclosure import solved

    return solved(a, b)


def _vector(problem: Problem) -> Array:
    """x* at problem.theta, (n,)."""
    x = problem.solve(problem.theta)
    if np.ndim(x) != 1:
        raise TypeError(f"x* must have shape (n,), got {np.shape(x)}; a batch needs a reference of its own")
    return x


def _norm(values: Any) -> float:
    return float(np.linalg.norm(np.ravel(values)))


def _on_balls(problem: P) -> P:
    """A copy whose floats and float arrays are exact balls, so that a product of data is not rounded either."""
    other = copy(problem)
    for name, value in vars(problem).items():
        if isinstance(getattr(type(problem), name, None), cached_property):
            del vars(other)[name]  # derived from the rounded data
        else:
            object.__setattr__(other, name, _exact(value, name))
    return other


def _exact(value: Any, name: str) -> Any:
    """A field as balls; names, integers and arrays of them stay. TypeError where it may hide floats."""
    from flint import arb

    from problems.proofs.enclosure import balls

    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return balls(value)
    if isinstance(value, float | np.floating):
        return arb(float(value))
    if isinstance(value, tuple):
        return tuple(_exact(part, name) for part in value)
    if (
        value is None
        or isinstance(value, str | int | np.integer)
        or (isinstance(value, np.ndarray) and value.dtype.kind in "biu")
    ):
        return value
    raise TypeError(f"a proof needs fields that are real arrays, numbers or names, got {name} of type {type(value).__name__}")


def _require_balls(grad: Any, shape: tuple[int, ...]) -> None:
    """TypeError where the gradient has another shape, or holds a float: what has been rounded outside of balls."""
    if np.shape(grad) != shape:
        raise TypeError(f"formula must return dL/dtheta in the shape of theta, {shape}, got {np.shape(grad)}")
    if rounded := [entry for entry in np.ravel(np.asarray(grad, dtype=object)) if isinstance(entry, float)]:
        raise TypeError(f"formula must calculate with the balls it is given, got the float {rounded[0]!r}")


def _refuted(exact: TwiceDifferentiable, x: Array, theta: Array) -> str:
    """Which derivative cannot be that of `slope`: f(u + h) - f(u) lies in the hull of f' over [u, u + h], times h."""
    import flint

    from problems.proofs.enclosure import BITS, balls, times

    signs = np.random.default_rng(0).choice([-1.0, 1.0], len(x))
    with flint.ctx.workprec(BITS[0]):
        here, there, w = balls(x), balls(theta), balls(signs)
        slope = exact.slope(here, there)
        h, box = _step(x)
        change = exact.slope(here + h, there) - slope
        if _apart(change, times(exact.hessian(box, there), h[:, None])):
            return "hessian(x, theta) is not the derivative of slope(x, theta) in x"
        h, box = _step(theta)
        change = _inner(w, exact.slope(here, np.asarray(there + h, dtype=object)) - slope)
        if _apart(change, _inner(exact.cross(here, box, w), h)):
            return "cross(x, theta, w) is not the derivative of <w, slope(x, theta)> in theta"
    return ""


def _step(at: Array) -> tuple[Array, Array]:
    """(h, the balls that hold [u, u + h]) for entries u of `at`."""
    from flint import arb

    from problems.proofs.enclosure import balls

    h = STEP * np.abs(at) + STEP**2
    box = np.empty(at.shape, dtype=object)
    box.ravel()[:] = [arb(u) + arb(d / 2, d / 2) for u, d in zip(at.ravel().tolist(), h.ravel().tolist(), strict=True)]
    return balls(h), box


def _inner(a: Any, b: Any) -> Any:
    """<a, b> of arrays of balls of one shape, () too."""
    return np.sum(np.asarray(a * b, dtype=object))


def _apart(a: Any, b: Any) -> bool:
    """Whether balls that should meet do not, in any entry."""
    return any(not one.overlaps(other) for one, other in zip(np.ravel(a), np.ravel(b), strict=True))
