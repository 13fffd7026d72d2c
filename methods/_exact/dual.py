"""Compiled exact solution of the box dual min over |z_i| <= beta of 1/2 |y - W^T z|^2, x* = y - W^T z: one signal.

Coordinate descent finds most of the pattern without forming W W^T, projected Newton steps on the free rows find the rest, and
the optimality conditions are checked at the end. Rows are used on their extents, so banded operators cost what their band
costs. Tolerances are relative to |w_i| |y| and to beta: the scale of a row is of no matter. What cannot be verified, or lies
so close to a kink that float64 cannot tell, ends as FAILED.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from methods._exact.compiling import compiled
from methods._exact.linear import extents, factor, gram, row_add, row_dot, rows_add, solve
from problems.base import Array

FAILED, FACTORED, ORTHOGONAL, ZERO = 0, 1, 2, 3

ROUNDING = 2e-15  # residual of a free row, by share of |w_i| |y|, above which a solution is refined
ACCEPTED = 1e-11  # the same, above which it is not accepted
TOUCH = 1e-12  # a dual this close to its bound, or a bound row this close to zero, may be at a kink
PIVOT = 1e-12  # of the Cholesky factor, by share of the diagonal: below it the rows count as dependent
CONTRACTION = 1e-12  # of the second sweep against the first: the rows are orthogonal
SHIFT = 1e-12  # of the diagonal of W_F W_F^T where its rows are dependent
STALLED = 1e-12  # residual at which steps with that shift have arrived
SWEEPS = 30
RELAXATION = 1.7
BETWEEN = 6  # sweeps after a Newton step that met the box
NEWTONS = 12
CLIPS, ROOM = 50, 0.98  # clippings to that share of the box in search of a dual inside it
WORST, NONE = 0.999, 2.0  # shares of the strongest pull from which on rows are freed: the worst alone, none
ROUNDS = 4  # steps of the active set a row, at most
BOUND = 1e-14  # a dual this close to its bound has met it


class Signal(NamedTuple):
    """Views of the two work arrays, shared by the functions of one solve and by its adjoint."""

    x: Array  # (n)
    z: Array  # (k)
    r: Array  # (k) W x
    lengths: Array  # (k) |w_i|
    step: Array  # (k)
    u: Array  # (min(k, n)^2) the factor of W_F W_F^T, its first m^2 entries
    first: Array  # (k) extents
    end: Array
    state: Array  # (k) the sign of a row at its bound, 0 for a free one
    rows: Array  # (k) the free rows F, its first m entries
    reach: Array  # (k) the skyline of u, its first m entries
    counts: Array  # (4) m, Newton steps, sweeps, whether all rows are full


@compiled
def sizes(k: int, n: int) -> tuple[int, int]:
    """(floats, integers) of the work arrays of a solve."""
    return n + 4 * k + min(k, n) ** 2, 5 * k + 4


@compiled
def views(k: int, n: int, floats: Array, integers: Array) -> Signal:
    a, b = n + k, 2 * k
    return Signal(
        floats[:n],
        floats[n:a],
        floats[a : a + k],
        floats[a + k : a + b],
        floats[a + b : a + b + k],
        floats[a + b + k :],
        integers[:k],
        integers[k:b],
        integers[b : b + k],
        integers[b + k : 2 * b],
        integers[2 * b : 2 * b + k],
        integers[2 * b + k :],
    )


@compiled
def start(near: Array, beta: float, z: Array, state: Array) -> None:
    """z, state <- duals from elsewhere and their state in this box."""
    for i in range(len(near)):
        z[i] = min(max(near[i], -beta), beta)
        state[i] = 0 if abs(z[i]) < beta else 1 if z[i] > 0.0 else -1


@compiled
def sweep(w: Array, beta: float, omega: float, s: Signal) -> tuple[int, float]:
    """z_i <- clip(z_i + omega w_i x / |w_i|^2), row after row; (rows that changed state, largest |w_i| |dz_i|).

    A row that its slope holds at its bound is left alone.
    """
    changed, largest = 0, 0.0
    x, z, state, first, end, lengths = s.x, s.z, s.state, s.first, s.end, s.lengths
    for i in range(len(w)):
        lo, hi, length = first[i], end[i], lengths[i]
        slope = row_dot(w, i, lo, hi, x)
        if state[i] * slope > 0.0:
            continue
        new, now = z[i] + omega * slope / (length * length), 0
        if new >= beta:
            new, now = beta, 1
        elif new <= -beta:
            new, now = -beta, -1
        move = new - z[i]
        if move != 0.0:
            row_add(-move, w, i, lo, hi, x)
            z[i] = new
            largest = max(largest, abs(move) * length)
        if now != state[i]:
            state[i] = now
            changed += 1
    return changed, largest


@compiled
def primal(w: Array, y: Array, s: Signal) -> None:
    """x <- y - W^T z, afresh."""
    s.x[:] = y
    rows_add(-s.z, w, np.arange(len(w)), s.first, s.end, s.counts[3] == 1, s.x)


@compiled
def slopes(w: Array, s: Signal) -> None:
    """r <- W x."""
    x, r, first, end = s.x, s.r, s.first, s.end
    for i in range(len(w)):
        r[i] = row_dot(w, i, first[i], end[i], x)


@compiled
def project(w: Array, beta: float, s: Signal) -> None:
    """Move z_F along the step, projected on the box, as far as |x| falls; else to the first bound: it cannot rise there."""
    m, x, z, rows, step = s.counts[0], s.x, s.z, s.rows[: s.counts[0]], s.step
    moved, drop, before, length = np.empty(len(x)), np.empty(m), np.dot(x, x), 1.0
    for attempt in range(6):
        if attempt == 5:
            length = length_inside(beta, s)
        for a in range(m):
            drop[a] = z[rows[a]] - min(max(z[rows[a]] + length * step[a], -beta), beta)
        moved[:] = x
        rows_add(drop, w, rows, s.first, s.end, s.counts[3] == 1, moved)
        if np.dot(moved, moved) < before:
            break
        length *= 0.25
    for a in range(m):
        z[rows[a]] -= drop[a]
    x[:] = moved
    bind(beta, s)


@compiled
def verified(beta: float, norm: float, s: Signal) -> bool:
    """|z_i| < beta and w_i x = 0 on free rows, s_i w_i x > 0 on bound ones, clear of rounding."""
    z, r, state, lengths = s.z, s.r, s.state, s.lengths
    for i in range(len(z)):
        scale = lengths[i] * norm
        if state[i] == 0:
            if abs(z[i]) > beta * (1.0 - TOUCH) or abs(r[i]) > ACCEPTED * scale:
                return False
        elif state[i] * r[i] < TOUCH * scale:
            return False
    return True


@compiled
def descend(w: Array, beta: float, s: Signal) -> bool:
    """Coordinate descent until a sweep changes no state; whether two sweeps found the solution, the rows being orthogonal."""
    omega, before = 1.0, 0.0
    for count in range(SWEEPS):
        changed, largest = sweep(w, beta, omega, s)
        s.counts[2] += 1
        if count == 1:
            if largest <= CONTRACTION * before:
                return True
            omega = RELAXATION
        if count and not changed:
            break
        before = largest
    return False


@compiled
def free_rows(norm: float, s: Signal, share: float) -> tuple[bool, float]:
    """List the free rows, after freeing bound ones that their slope pulls inwards by at least `share` of the strongest pull.

    (Whether any was freed, the largest residual of a free row.)
    """
    freed, residual, strongest, m = False, 0.0, ROUNDING, 0
    r, state, lengths, rows = s.r, s.state, s.lengths, s.rows
    if share > 0.0:
        for i in range(len(r)):
            strongest = max(strongest, -share * state[i] * r[i] / (lengths[i] * norm))
    for i in range(len(r)):
        scale = lengths[i] * norm
        if state[i] * r[i] <= -strongest * scale:
            state[i] = 0
            freed = True
        if state[i] == 0:
            rows[m] = i
            m += 1
            residual = max(residual, abs(r[i]) / scale)
    s.counts[0] = m
    return freed, residual


@compiled
def minimise(w: Array, y: Array, beta: float, warm: bool, floats: Array, integers: Array) -> int:
    """FACTORED (u: the factor of W_F W_F^T), ORTHOGONAL (that is diagonal to rounding), ZERO (x* = 0 around W) or FAILED.

    The rest is in the views. `warm`: z and state already hold those of a W close by.
    """
    s = views(w.shape[0], w.shape[1], floats, integers)
    s.counts[3] = extents(w, s.first, s.end, s.lengths)
    return search(w, y, beta, warm, s)


@compiled
def search(w: Array, y: Array, beta: float, warm: bool, s: Signal) -> int:
    """The same once the extents and lengths of the rows stand in the views."""
    s.counts[:3] = 0
    norm = math.sqrt(np.dot(y, y))
    if not (0.0 < norm < np.inf and s.lengths.min() > 0.0 and s.lengths.max() < np.inf):
        s.z[:], s.x[:] = 0.0, y
        return FAILED
    if warm:
        primal(w, y, s)
        sweep(w, beta, 1.0, s)
        s.counts[2] += 1
        return newton(w, y, beta, norm, s)
    s.z[:], s.x[:], s.state[:] = 0.0, y, 0
    if descend(w, beta, s):
        primal(w, y, s)
        slopes(w, s)
        free_rows(norm, s, 0.0)
        return ORTHOGONAL if verified(beta, norm, s) else FAILED
    return newton(w, y, beta, norm, s)


@compiled
def restore(w: Array, y: Array, beta: float, z: Array, status: int, floats: Array, integers: Array) -> int:
    """The work arrays as `minimise` left them, from its z and status alone; FAILED where that was FAILED."""
    k, n = w.shape
    s = views(k, n, floats, integers)
    s.counts[:] = 0
    s.counts[3] = extents(w, s.first, s.end, s.lengths)
    s.z[:], m = z, 0
    for i in range(k):
        s.state[i] = 0 if abs(z[i]) < beta else int(math.copysign(1.0, z[i]))
        if s.state[i] == 0:
            s.rows[m] = i
            m += 1
    s.counts[0] = m
    primal(w, y, s)
    if status == ZERO:
        s.x[:] = 0.0
    return FAILED if status == FACTORED and not factorise(w, s) else status


@compiled
def newton(w: Array, y: Array, beta: float, norm: float, s: Signal) -> int:
    """Projected Newton steps with sweeps between, until the free rows stay the same and their residual is at rounding."""
    exact, refined = False, 0
    for _ in range(NEWTONS):
        s.counts[1] += 1
        slopes(w, s)
        freed, residual = free_rows(norm, s, 0.0)
        if exact and not freed and (residual <= ROUNDING or refined == 2):
            return FACTORED if verified(beta, norm, s) else FAILED
        if exact and not freed:
            refined += 1
        else:
            exact, refined = factorise(w, s), 0
        newton_step(s, triangle(s) if exact else shifted(w, s))
        if length_inside(beta, s) < 1.0:
            project(w, beta, s)
            exact = False
            for _sweep in range(BETWEEN):
                sweep(w, beta, RELAXATION, s)
        else:
            move(w, y, 1.0, s)
            if not exact and residual <= STALLED:
                return dependent(w, y, beta, norm, s)
    return active_set(w, y, beta, norm, s)


@compiled
def active_set(w: Array, y: Array, beta: float, norm: float, s: Signal) -> int:
    """Towards the minimiser over the free rows as far as the box allows: what blocks is bound, at the end the worst is free."""
    arrived, refined, exact = False, 0, False
    for _ in range(ROUNDS * len(w)):
        s.counts[1] += 1
        slopes(w, s)
        freed, residual = free_rows(norm, s, WORST if arrived else NONE)
        if arrived and not freed:
            if not exact:
                return dependent(w, y, beta, norm, s)
            if residual <= ROUNDING or refined == 2:
                return FACTORED if verified(beta, norm, s) else FAILED
            refined += 1
        else:
            exact, refined = factorise(w, s), 0
        newton_step(s, triangle(s) if exact else shifted(w, s))
        length = length_inside(beta, s)
        move(w, y, length, s)
        arrived = length == 1.0 and (exact or residual <= STALLED)
        if length < 1.0:
            bind(beta, s)
    return FAILED


@compiled
def dependent(w: Array, y: Array, beta: float, norm: float, s: Signal) -> int:
    """At the minimiser over dependent rows: ZERO where it is 0 and a dual strictly inside the box is found, else FAILED.

    Duals of x* = 0 satisfy W^T z = y; clipping to a smaller box and projecting back, in turn, leads inside where there is room.
    """
    k, n = w.shape
    if np.dot(s.x, s.x) > (STALLED * norm) ** 2:
        return FAILED
    columns, g, reach = w.T.copy(), np.empty((n, n)), np.empty(n, np.int64)
    banded = gram(columns, np.arange(n), np.zeros(n, np.int64), np.full(n, k), g, reach)
    if not factor(g, reach, banded, PIVOT):
        return FAILED  # W has a kernel, and x* need not stay 0
    for _ in range(CLIPS):
        for i in range(k):
            s.z[i] = min(max(s.z[i], -ROOM * beta), ROOM * beta)
        primal(w, y, s)
        solve(g, reach, s.x)
        slopes(w, s)
        s.z[:] += s.r
        if np.abs(s.z).max() < beta * (1.0 - TOUCH):
            s.x[:] = 0.0
            return ZERO
    return FAILED


@compiled
def triangle(s: Signal) -> Array:
    """The work array of the factor, (m, m)."""
    m = s.counts[0]
    return s.u[: m * m].reshape(m, m)


@compiled
def factorise(w: Array, s: Signal) -> bool:
    """Factor W_F W_F^T in place; False where the rows are dependent or too close to it."""
    m = s.counts[0]
    if m > w.shape[1]:
        return False
    u = triangle(s)
    return factor(u, s.reach, gram(w, s.rows[:m], s.first, s.end, u, s.reach), PIVOT)


@compiled
def shifted(w: Array, s: Signal) -> Array:
    """The factor of W_F W_F^T with its diagonal raised, for dependent rows on the way: its steps lead to the box."""
    m = s.counts[0]
    u = np.empty((m, m))
    banded = gram(w, s.rows[:m], s.first, s.end, u, s.reach)
    for a in range(m):
        u[a, a] *= 1.0 + SHIFT
    factor(u, s.reach, banded, 0.0)
    return u


@compiled
def newton_step(s: Signal, u: Array) -> None:
    """step <- (U^T U)^{-1} W_F x."""
    m, r, rows, step = s.counts[0], s.r, s.rows, s.step
    for a in range(m):
        step[a] = r[rows[a]]
    solve(u, s.reach, step[:m])


@compiled
def length_inside(beta: float, s: Signal) -> float:
    """The largest t <= 1 for which z_F + t step stays in the box."""
    length, z, rows, step = 1.0, s.z, s.rows, s.step
    for a in range(s.counts[0]):
        room = beta - math.copysign(1.0, step[a]) * z[rows[a]]
        if abs(step[a]) > room:
            length = min(length, room / abs(step[a]))
    return length


@compiled
def move(w: Array, y: Array, length: float, s: Signal) -> None:
    """z_F <- z_F + length step, and x afresh."""
    z, rows, step = s.z, s.rows, s.step
    for a in range(s.counts[0]):
        z[rows[a]] += length * step[a]
    primal(w, y, s)


@compiled
def bind(beta: float, s: Signal) -> None:
    """Free rows that have met their bound stay there."""
    z, state, rows = s.z, s.state, s.rows
    for a in range(s.counts[0]):
        i = rows[a]
        if abs(z[i]) >= beta * (1.0 - BOUND):
            state[i] = 1 if z[i] > 0.0 else -1
            z[i] = beta * state[i]


@compiled
def adjoint(w: Array, g: Array, status: int, floats: Array, integers: Array, h: Array, v: Array) -> bool:
    """h <- W_F^{+T} g (k), zero elsewhere; v <- g - W_F^T h (n); whether W_F v vanishes to rounding."""
    k, n = w.shape
    s = views(k, n, floats, integers)
    if status == ZERO:
        h[:], v[:] = 0.0, 0.0
        return True
    m = s.counts[0]
    rows, step, u = s.rows[:m], s.step[:m], triangle(s)
    first, end, lengths = s.first, s.end, s.lengths
    norm, residual, lifted = math.sqrt(np.dot(g, g)), 0.0, np.zeros(m)
    h[:], v[:] = 0.0, g
    for _ in range(4):
        residual = 0.0
        for a in range(m):
            i = rows[a]
            step[a] = row_dot(w, i, first[i], end[i], v)
            residual = max(residual, abs(step[a]) / lengths[i])
        if residual <= ROUNDING * norm:
            break
        if status == FACTORED:
            solve(u, s.reach, step)
        else:
            for a in range(m):
                step[a] /= lengths[rows[a]] ** 2
        lifted -= step
        v[:] = g
        rows_add(lifted, w, rows, first, end, s.counts[3] == 1, v)
    for a in range(m):
        h[rows[a]] = -lifted[a]
    return residual <= ACCEPTED * norm


@compiled
def gradient(w: Array, g: Array, status: int, floats: Array, integers: Array, out: Array) -> bool:
    """out <- -(z v^T + h x^T), shape (k, n); whether the adjoint is solved."""
    k, n = w.shape
    h, v = np.empty(k), np.empty(n)
    solved = adjoint(w, g, status, floats, integers, h, v)
    x, z = floats[:n], floats[n : n + k]
    for i in range(k):
        zi, hi = -z[i], -h[i]
        for j in range(n):
            out[i, j] = zi * v[j] + hi * x[j]
    return solved
