"""The derivative of a solver's steps, carried along in ball arithmetic: the reference of problems/lp_tuning.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import flint
import numpy as np
from flint import arb

from problems.arrays import Array
from problems.base import Problem, Reference
from problems.proofs.enclosure import BITS, Open, balls, matrix, midpoints, summed, times


@dataclass(frozen=True)
class Programme:
    """min <c, x> subject to lower <= A x <= upper."""

    c: Array
    a: Array
    lower: Array
    upper: Array


def certify(problem: Problem, programme: Programme, steps: int) -> Reference:
    """dL/dtheta of the state after `steps` steps: proven, or undecided where a clip is not strictly on one side."""
    for bits in BITS:
        with flint.ctx.workprec(bits):
            try:
                found = _carried(problem.theta, programme, steps)
                if found is not None:
                    return _reference(problem, *found)
                reason = "a clip is not strictly on one side"
            except (Open, ZeroDivisionError) as error:
                reason = str(error) or "the matrix of a step is singular"
    x = problem.solve(problem.theta)
    return Reference("undecided", None, x, float(problem.loss(x, problem.theta)), reason=reason)


def _reference(problem: Problem, x: Array, slopes: Array) -> Reference:
    g, direct = problem.loss_grad(x, balls(problem.theta))
    status, grad, radius, reason = summed([direct, slopes.T @ g], problem.theta.shape)
    solution = midpoints(x)
    value = float(problem.loss(solution, problem.theta))
    return Reference(status, grad, solution, value, radius=radius, reason=reason)


def _carried(theta: Array, programme: Programme, steps: int) -> tuple[Array, Array] | None:
    """(the state (d,), its derivatives (d, 3)) as balls; None where a clip is undecided."""
    a, at = programme.a, programme.a.T
    m, n = a.shape
    at_theta = balls(theta)
    rho, sigma, alpha = np.exp(at_theta[0]), np.exp(at_theta[1]), at_theta[2]
    gram = times(at, a)
    inverse = matrix(sigma * balls(np.eye(n)) + rho * gram).inv()
    x, z, u = (_pair(size) for size in (n, m, m))

    def along(scale: Any, pair: tuple[Array, Array], place: int, slope: Any) -> tuple[Array, Array]:
        """A parameter times a pair, the parameter's derivative `slope` being in direction `place`."""
        value, tangent = pair
        moved = scale * tangent
        moved[:, place] = moved[:, place] + slope * value
        return scale * value, moved

    for _ in range(steps):
        right = _sum(along(sigma, x, 1, sigma), _image(at, _sum(along(rho, z, 0, rho), u, sign=-1)))
        right = right[0] - programme.c, right[1]
        v = _solved(inverse, right, gram, rho, sigma)
        x = _sum(along(alpha, v, 2, 1), along(1 - alpha, x, 2, -1))
        w = _sum(along(alpha, _image(a, v), 2, 1), along(1 - alpha, z, 2, -1))
        moved = _sum(w, along(1 / rho, u, 0, -1 / rho))
        clipped = _clipped(moved, programme.lower, programme.upper)
        if clipped is None:
            return None
        z = clipped
        u = _sum(u, along(rho, _sum(w, z, sign=-1), 0, rho))
    parts = zip(x, z, u, strict=True)
    return tuple(np.concatenate(part) for part in parts)  # type: ignore[return-value]


def _pair(size: int) -> tuple[Array, Array]:
    return balls(np.zeros(size)), balls(np.zeros((size, 3)))


def _sum(first: tuple[Array, Array], second: tuple[Array, Array], sign: int = 1) -> tuple[Array, Array]:
    return first[0] + sign * second[0], first[1] + sign * second[1]


def _image(a: Array, pair: tuple[Array, Array]) -> tuple[Array, Array]:
    return a @ pair[0], times(a, pair[1])


def _solved(inverse: Any, right: tuple[Array, Array], gram: Array, rho: Any, sigma: Any) -> tuple[Array, Array]:
    """v = M^{-1} b and dv = M^{-1} (db - dM v), M = sigma I + rho A^T A, in the directions (log rho, log sigma, alpha)."""
    inverse = np.array(inverse.tolist(), dtype=object)
    v = inverse @ right[0]
    rest = right[1].copy()
    rest[:, 0] = rest[:, 0] - rho * (gram @ v)
    rest[:, 1] = rest[:, 1] - sigma * v
    return v, times(inverse, rest)


def _clipped(pair: tuple[Array, Array], lower: Array, upper: Array) -> tuple[Array, Array] | None:
    """The pair clipped to [lower, upper]; None where a value is not strictly inside or outside."""
    values, tangents = pair[0].copy(), pair[1].copy()
    for i, (value, low, high) in enumerate(zip(pair[0], lower, upper, strict=True)):
        if value < low or value > high:
            values[i] = arb(low if value < low else high)
            tangents[i] = balls(np.zeros(3))
        elif not (value > low and value < high):
            return None
    return values, tangents
