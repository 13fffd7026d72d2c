"""Certified hypergradients: the zero of an optimality system and its adjoint, enclosed in ball arithmetic.

A problem states its optimality conditions on the active manifold as square equations R(u; theta) = 0 and as slacks that are
positive when the manifold is the true one. Krawczyk's test encloses u in a box that contains exactly one zero:
u - Y R(u) + (I - Y J(U))(U - u) inside U, with Y near J^{-1}. The implicit function theorem then gives

    dL/dtheta = dL/dtheta|_x + (dx/dtheta)^T g - (dR/dtheta)^T w,   J^T w = (dx/du)^T g,   g = dL/dx.

Source: Krawczyk (1969); Rump (1983); Domke (2012) for the adjoint.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import flint
import numpy as np
from flint import arb, arb_mat

from problems.arrays import Array
from problems.base import Problem, Reference
from problems.proofs.arithmetic import rounded

BITS = (128, 256)
POLISH = 8  # Newton steps with a fixed float64 inverse: each gains some ten digits

NEGLIGIBLE = 2.0**-80  # a gradient of this size beside its terms is 0: float64 makes errors of 2^-53 in every term
PRECISE = 1e-15  # the relative radius that a proof must reach


def nothing(u: Any, theta: Any) -> Array:
    """The slacks of a lower level without constraints and kinks."""
    return np.zeros(0)


@dataclass(frozen=True)
class Optimality:
    """R(u; theta) = 0 with x* = read(u, theta), in NumPy operators, so that arrays of balls (dtype object) pass through.

    Every product or sum of data must have a ball in it, or float64 would round before the proof: `times(a.T, a)`, which
    takes numbers for exact balls, and never `a.T @ a`, not of dtype object either. A square is v * v:
    flint's v**2 of a ball around 0 is NaN.
    start: u in float64, (d,). residual(u, theta): (d,); jacobian(u, theta): dR/du, (d, d); cross(u, theta, w):
    (dR/dtheta)^T w in the shape of theta; read(u, theta): x* in the shape of the problem's solution; read_vjp(u, theta, g):
    ((dx/du)^T g, (dx/dtheta)^T g or 0). slacks(u, theta): positive where the manifold is the true one; together with R = 0
    they must be sufficient for x* to be the solution for all theta nearby. loss_grad: what stands for the problem's own, where
    that has products of data.
    """

    start: Array
    residual: Callable[[Any, Any], Any]
    jacobian: Callable[[Any, Any], Any]
    cross: Callable[[Any, Any, Any], Any]
    read: Callable[[Any, Any], Any]
    read_vjp: Callable[[Any, Any, Any], tuple[Any, Any]]
    slacks: Callable[[Any, Any], Any] = nothing
    loss_grad: Callable[[Any, Any], tuple[Any, Any]] | None = None


def certify(problem: Problem, system: Optimality, zero_rows: float = np.nan) -> Reference:
    """The reference gradient at problem.theta: proven, or undecided with the reason (and then without a gradient)."""

    def start() -> Array:
        return np.asarray(system.read(system.start, problem.theta), dtype=np.float64)

    return at_some_precision(lambda: _proven(problem, system, zero_rows), problem, start, zero_rows)


def at_some_precision(
    proof: Callable[[], Reference], problem: Problem, solution: Callable[[], Array], zero_rows: float = np.nan
) -> Reference:
    """What the proof finds with the fewest bits that suffice; undecided at the float64 solution where none do."""
    reason = ""
    for bits in BITS:
        with flint.ctx.workprec(bits):
            try:
                return proof()
            except (Open, ZeroDivisionError) as found:
                reason = str(found) or "the optimality system is singular"
    x = solution()
    return Reference("undecided", None, x, float(problem.loss(x, problem.theta)), reason=reason, zero_rows=zero_rows)


class Open(ArithmeticError):
    """The proof does not succeed at this precision."""


def _proven(problem: Problem, system: Optimality, zero_rows: float) -> Reference:
    theta = balls(problem.theta)
    u = _enclosed(system, theta)
    slacks = np.asarray(system.slacks(u, theta))
    if open_ := [i for i, slack in enumerate(slacks.ravel()) if not _ball(slack) > 0]:
        worst = slacks.ravel()[open_[0]]
        raise Open(
            f"{len(open_)} of {slacks.size} conditions of the active manifold are not strict, the first {float(worst):.1e}"
        )
    x = system.read(u, theta)
    g, direct = (system.loss_grad or problem.loss_grad)(x, theta)
    right, moved = system.read_vjp(u, theta, g)
    terms = [direct, moved]
    if not _vanishes(right):
        w = _column(matrix(system.jacobian(u, theta)).transpose().solve(_as_column(right)))
        terms.append(-system.cross(u, theta, w))
    status, values, radius, reason = summed(terms, problem.theta.shape)
    solution = midpoints(x)
    value = float(problem.loss(solution, problem.theta))
    margin = float(min((_ball(slack).lower() for slack in slacks.ravel()), default=arb("inf")))
    return Reference(status, values, solution, value, radius=radius, reason=reason, kink_distance=margin, zero_rows=zero_rows)


def summed(terms: list[Any], shape: tuple[int, ...]) -> tuple[str, Array, float, str]:
    """(status, gradient in float64, relative radius, reason) of a sum of terms, arrays of balls or numbers.

    A sum that is 0 exactly is `zero`, and so is one proven to be negligible beside its terms: that is 0 to any number of
    digits that can be asked for, and a relative error of it means nothing. Open where the enclosure is too wide.
    """
    total = np.asarray(sum(np.asarray(term, dtype=object) for term in terms), dtype=object)
    values, distance = rounded(_as_column(total))
    if not np.isfinite(distance):
        raise Open("the gradient is not a finite number")
    values, norm = values.reshape(shape), float(np.linalg.norm(values))
    sizes = [abs(_ball(entry)).upper() for term in terms for entry in np.asarray(term).ravel()]
    scale = max((float(size) for size in sizes), default=0.0)
    if _vanishes(total):
        return "zero", np.zeros(shape), 0.0, ""
    if norm + distance <= max(NEGLIGIBLE * scale, np.finfo(np.float64).smallest_normal * values.size):
        return "zero", np.zeros(shape), 0.0, f"the gradient is proven to be below {norm + distance:.0e} in norm"
    if distance > PRECISE * norm:
        raise Open("the gradient is too close to 0 for a relative error")
    return "proven", values, distance / norm, ""


def _enclosed(system: Optimality, theta: Array) -> Array:
    """u as balls that are proven to hold a zero of R, the only one in them; exact where a float64 number is that zero."""
    u = balls(system.start)
    if not u.size:
        return u
    for guess in (u, balls(np.round(system.start, 12))):
        if _vanishes(system.residual(guess, theta)):
            return guess
    inverse = matrix(balls(np.linalg.inv(midpoints(system.jacobian(u, theta)))))
    for _ in range(POLISH):
        u = _exact(u - _column(inverse * _as_column(system.residual(u, theta))))
    step = _column(inverse * _as_column(system.residual(u, theta)))
    radius = np.array(
        [2 * abs(s).upper() + arb(2) ** (20 - flint.ctx.prec) * (1 + abs(v).upper()) for s, v in zip(step, u, strict=True)]
    )
    box = np.array([v + arb(0, r) for v, r in zip(u, radius, strict=True)], dtype=object)
    slope = _identity(len(u)) - inverse * matrix(system.jacobian(box, theta))
    image = _column(slope * _as_column(box - u)) - step
    if not all(abs(part) < r for part, r in zip(image, radius, strict=True)):
        raise Open("Krawczyk's test does not enclose a zero of the optimality system")
    return np.asarray(u + image)


def balls(a: Array) -> Array:
    """Float64 entries as exact balls, dtype object, in the same shape."""
    made = np.empty(a.shape, dtype=object)
    made.ravel()[:] = [arb(float(v)) for v in np.asarray(a).ravel()]
    return made


def _ball(value: Any) -> arb:
    """A ball, or a number of Python or NumPy as an exact one."""
    return arb(value.item() if isinstance(value, np.generic) else value)


def _vanishes(values: Any) -> bool:
    """Whether all balls or numbers are 0 exactly."""
    return all(_ball(value).is_zero() for value in np.asarray(values).ravel())


def midpoints(a: Any) -> Array:
    """The midpoints in float64."""
    a = np.asarray(a)
    return np.array([float(_ball(v)) for v in a.ravel()], dtype=np.float64).reshape(a.shape)


def matrix(a: Any) -> arb_mat:
    """An (m, n) array of balls or numbers for flint's linear algebra."""
    a = np.asarray(a)
    return arb_mat(a.shape[0], a.shape[1], [_ball(v) for v in a.ravel()])


def times(a: Any, b: Any) -> Array:
    """The product of matrices (m, n) and (n, l) of balls or numbers, without rounding: faster than NumPy's of objects."""
    product = matrix(a) * matrix(b)
    return _array(product)


def solved(a: Any, b: Any) -> Array:
    """a^{-1} b as balls, a (n, n) and b (n,); ZeroDivisionError where a is not shown to be nonsingular."""
    return _column(matrix(a).solve(_as_column(b)))


def _array(m: arb_mat) -> Array:
    made = np.empty((m.nrows(), m.ncols()), dtype=object)
    made.ravel()[:] = m.entries()
    return made


def _as_column(a: Any) -> arb_mat:
    entries = [_ball(v) for v in np.asarray(a).ravel()]
    return arb_mat(len(entries), 1, entries)


def _column(m: arb_mat) -> Array:
    made = np.empty(m.nrows(), dtype=object)
    made[:] = m.entries()
    return made


def _exact(u: Array) -> Array:
    return np.array([v.mid() for v in u], dtype=object)


def _identity(d: int) -> arb_mat:
    return arb_mat(d, d, [int(i == j) for i in range(d) for j in range(d)])
