"""The exact solution of min over |z| <= beta of 1/2 |y - W^T z|^2, with its sign pattern verified, in float64."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from problems.arrays import Array
from problems.base import SolveError
from problems.solvers.inside import Face, clear
from problems.solvers.row_factor import RowFactor, row_lengths

BOUND = 1e-9  # a dual within this share of beta counts as bound before verification (daqp's bounds are off by 1e-10)
ILL = 1e-6  # below it a gradient from one pseudo-inverse, unrefined, may be off by 1e-10 (rounding over this)
SLACK = 1e-10  # relative violation of the optimality conditions that verification still accepts as rounding
HIDDEN = 1e-12  # a bound row with |w_i x*| below this share of |w_i| |y| may be a zero row at a vertex of the dual face
INDEPENDENT = 1e-12  # a reciprocal condition of W^T W below this leaves its rank in doubt

DEPENDENT = "dependent zero rows: no gradient in the entries of W"
TOUCHING = "a zero row at the bound of its dual: no gradient, or a change of pattern within rounding"


@dataclass(frozen=True)
class DualSolution:
    """x* = y - W^T z for one signal; signs in {-1, 0, 1}^k is the verified pattern of W x*."""

    z: Array
    x: Array
    signs: Array
    factor: RowFactor  # of W0, the rows with sign 0
    iterations: int
    unclear: bool = False  # a zero row's dual is at its bound within rounding, or a bound row may be a zero row
    face: Face | None = None  # of the duals of dependent zero rows

    @property
    def touching(self) -> bool:
        """Strict complementarity may fail."""
        return self.unclear or (self.face is not None and self.face.inside is None)

    @property
    def doubt(self) -> str:
        """Why the gradient may not exist; empty: nothing speaks against it."""
        if not self.z.any() and not self.x.any():  # y = 0: x* = 0 for every W
            return ""
        if not self.factor.full_rank and self.factor.rank < len(self.x):  # rank n: x* = 0 around W
            return DEPENDENT
        return TOUCHING if self.touching else ill_conditioned(self.factor.reciprocal)


def ill_conditioned(reciprocal: float) -> str:
    """A doubt where W0 W0^T has this reciprocal condition and a gradient from it may be all rounding; else nothing."""
    return f"zero rows of condition {reciprocal**-0.5:.0e}: rounding grows with its square" if reciprocal < ILL else ""


def solve(w: Array, y: Array, beta: float, start: Array | None = None) -> DualSolution:
    """Find the pattern, solve the linear system it implies, and verify both; SolveError where nothing verifies.

    Where k <= n: daqp, an exact dual active-set solver (Arnstrom, Bemporad and Axehill, 2022). Where that is not verified,
    and for k > n: 500 dual FISTA iterations and a bounded active set that steps towards the free minimiser closest to
    the current z (after Stark and Parker, 1995), which terminates on dependent rows too. `start`: duals (k) believed to be
    close, tried before all that. Inside, rows have unit length and each its own bound, b_i = beta |w_i|. ValueError where W
    is not finite.
    """
    w = np.asarray(w, dtype=np.float64)
    if not np.isfinite(w).all():
        raise ValueError(f"W must be finite, got {np.count_nonzero(~np.isfinite(w))} NaN or infinite entries")
    lengths = row_lengths(w)
    dual = _BoxDual(w / lengths[:, None], y, beta * lengths)
    found = next(filter(None, _attempts(dual, None if start is None else start * lengths)), None)
    if found is None:
        raise SolveError("the sign pattern of W x* could not be verified in float64")
    factor = replace(found.factor, lengths=lengths[found.signs == 0])
    return replace(found, z=np.where(found.signs == 0, found.z / lengths, beta * found.signs), factor=factor)


def _attempts(dual: _BoxDual, start: Array | None) -> Iterator[DualSolution | None]:
    if start is not None:
        yield _polish(dual, start, 0)
        yield _polish(dual, *_active_set(dual, start))
    if dual.w.shape[0] <= dual.w.shape[1]:
        yield _polish(dual, *_daqp(dual))
    yield _polish(dual, *_active_set(dual, fista(dual.w, dual.y, dual.b, 500)))


@dataclass(frozen=True)
class _BoxDual:
    """min over |z_i| <= b_i of 1/2 |y - W^T z|^2 with rows of unit length (or zero)."""

    w: Array
    y: Array
    b: Array


def _daqp(dual: _BoxDual) -> tuple[Array, int]:
    import daqp

    w, b = dual.w, dual.b
    z, _, flag, info = daqp.solve(w @ w.T, -(w @ dual.y), np.empty((0, len(w))), b.copy(), -b)
    return (z if flag == 1 else np.zeros(len(w))), info["iterations"]


def _polish(dual: _BoxDual, z: Array, iterations: int) -> DualSolution | None:
    """The solution that the pattern of z implies, or None where it breaks the optimality conditions.

    Where the zero rows are dependent, z is not unique and may be a vertex of their dual face: bound on some of them. Those
    have w_i x* = 0 and join W0, since the gradient needs the projector of all zero rows. A bound row whose w_i x is small
    enough for verification to let it pass may belong to them or not.
    """
    signs = np.where(np.abs(z) >= dual.b * (1 - BOUND), np.sign(z), 0.0)
    solution = _implied(dual, z, signs, iterations)
    if solution is None:
        return None
    slopes, length = np.abs(dual.w @ solution.x), np.linalg.norm(dual.y)
    hidden = (signs != 0) & (slopes <= HIDDEN * length)
    if not hidden.any() or RowFactor.of(dual.w[hidden | (signs == 0)]).full_rank:
        unclear = bool(((signs != 0) & (slopes <= SLACK * length)).any())
        return replace(solution, unclear=solution.unclear or unclear)
    return _implied(dual, solution.z, np.where(hidden, 0.0, signs), iterations) or replace(solution, unclear=True)


def _implied(dual: _BoxDual, z: Array, signs: Array, iterations: int) -> DualSolution | None:
    """The solution of the linear system of a pattern, or None where it breaks the optimality conditions."""
    w, y, b = dual.w, dual.y, dual.b
    free, bound = signs == 0, signs != 0
    factor = RowFactor.of(w[free])
    q = y - (b * signs)[bound] @ w[bound]
    z_free = factor.lift(q)
    x = q - z_free @ w[free]
    if (np.abs(z_free) > b[free] * (1 + SLACK)).any():
        if factor.full_rank:
            return None
        z_free = z[free]  # on dependent rows the minimum-norm dual may leave the box although z is in it
        if np.abs(x - (q - z_free @ w[free])).max() > 1e-8 * np.abs(y).max():
            return None
    slope = signs[bound] * (w[bound] @ x)
    if slope.min(initial=0.0) < -SLACK * np.linalg.norm(y):
        return None
    full = b * signs
    full[free] = z_free
    if not factor.full_rank:
        return DualSolution(full, x, signs, factor, iterations, face=Face(factor, w[free], q, b[free], z_free))
    return DualSolution(full, x, signs, factor, iterations, bool((np.abs(z_free) >= b[free] * (1 - clear(factor))).any()))


def dual_inside(w: Array, y: Array, beta: float, z: Array) -> Array | None:
    """A z with W^T z = y strictly inside the box, where W has no kernel, so that x* = 0 for every W close by; else None."""
    lengths = row_lengths(w)
    unit = w / lengths[:, None]
    factor = RowFactor.of(unit)
    if factor.rank < len(y) or factor.reciprocal <= INDEPENDENT:
        return None
    found = Face(factor, unit, y, beta * lengths, z * lengths).inside
    return None if found is None else found / lengths


def doubt(w: Array, y: Array, beta: float, signs: Array, keeps_rank: bool) -> str:
    """DualSolution.doubt from the signs alone, and ill-conditioned zero rows; dependent ones are no doubt at constant rank."""
    lengths = row_lengths(w)
    dual = _BoxDual(w / lengths[:, None], y, beta * lengths)
    found = _implied(dual, np.clip(dual.w @ y, -dual.b, dual.b), signs, 0)
    bound = signs != 0
    if found is None:  # dependent rows whose minimum-norm dual leaves the box
        return "" if keeps_rank else DEPENDENT
    near = np.abs(dual.w[bound] @ found.x) <= HIDDEN * np.linalg.norm(y)
    asked = replace(found, unclear=found.unclear or bool(near.any()), factor=replace(found.factor, reciprocal=1.0))
    text = asked.doubt
    if keeps_rank and text == DEPENDENT:
        text = TOUCHING if asked.touching else ""
    scales = lengths[~bound]
    reciprocal = found.factor.reciprocal * (scales.min() / scales.max()) ** 2 if scales.size else 1.0
    return text or ill_conditioned(reciprocal)


def fista(w: Array, y: Array, b: Array | float, iterations: int) -> Array:
    """z (k) after that many steps of dual FISTA from 0."""
    step = 1 / max(np.linalg.norm(w, 2) ** 2, np.finfo(float).tiny)
    z = momentum = np.zeros(len(w))
    t = 1.0
    for _ in range(iterations):
        new = np.clip(momentum + step * (w @ (y - momentum @ w)), -b, b)
        t_new = (1 + np.sqrt(1 + 4 * t * t)) / 2
        momentum = new + (t - 1) / t_new * (new - z)
        z, t = new, t_new
    return z


def _active_set(dual: _BoxDual, z: Array) -> tuple[Array, int]:
    """Bounded active set; each round ends at the minimiser over the free rows, then releases the worst violator."""
    z = np.clip(z, -dual.b, dual.b)
    free = np.abs(z) < dual.b * (1 - BOUND)
    z[~free] = (dual.b * np.sign(z))[~free]
    scale = SLACK * np.linalg.norm(dual.y)
    limit = 20 * len(z) + 100
    for iteration in range(limit):
        if not _to_free_minimiser(dual, z, free):
            continue
        violation = np.where(free, 0.0, -np.sign(z) * (dual.w @ (dual.y - z @ dual.w)))
        worst = int(violation.argmax())
        if violation[worst] <= scale:
            return z, iteration + 1
        free[worst] = True
    raise SolveError(f"the active set did not settle within {limit} steps")


def _to_free_minimiser(dual: _BoxDual, z: Array, free: Array) -> bool:
    """Step z towards the closest minimiser over the free rows; False where a bound stopped it (and joined the bound set)."""
    rows = np.flatnonzero(free)
    if not len(rows):
        return True
    step = np.linalg.lstsq(dual.w[rows].T, dual.y - z @ dual.w, rcond=1e-12)[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(step > 0, dual.b[rows] - z[rows], dual.b[rows] + z[rows]) / np.abs(step)
    room = np.where(step == 0, np.inf, room)
    first = int(room.argmin())
    if room[first] >= 1:
        z[rows] += step
        return True
    z[rows] += max(room[first], 0.0) * step
    z[rows[first]] = dual.b[rows[first]] * np.sign(step[first])
    free[rows[first]] = False
    return False
