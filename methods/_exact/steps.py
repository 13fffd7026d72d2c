"""The steps of the compiled solver: sweeps of coordinate descent, Newton steps on the free rows, and moves inside the box.

Tolerances are relative to |w_i| |y| and to beta: the scale of a row is of no matter.
"""

from __future__ import annotations

import math

import numpy as np

from methods._exact import definite, full
from methods._exact.columns import outer, turn
from methods._exact.linear import dots, factor, gram, is_banded, row_add, row_dot, rows_subtract, solve
from methods._exact.work import DENSE, FULL, M, Signal, triangle
from problems._compiling import compiled
from problems.base import Array

ROUNDING = 2e-15  # residual of a free row, by share of |w_i| |y|, above which a solution is refined
PIVOT = 1e-12  # of the Cholesky factor, by share of the diagonal: below it the rows count as dependent
SHIFT = 1e-12  # of the diagonal of W_F W_F^T where its rows are dependent
BOUND = 1e-14  # a dual this close to its bound has met it


@compiled
def sweep(w: Array, beta: float, omega: float, s: Signal) -> tuple[int, float]:
    """z_i <- clip(z_i + omega w_i x / |w_i|^2) for all rows; (rows that changed state, largest |w_i| |dz_i|).

    A row that its slope holds at its bound is left alone.
    """
    changed, largest = 0, 0.0
    x, z, state, first, end, lengths, inverse = s.x, s.z, s.state, s.first, s.end, s.lengths, s.inverse
    for i in range(len(w)):
        lo, hi = first[i], end[i]
        slope = row_dot(w, i, lo, hi, x)
        if state[i] * slope > 0.0:
            continue
        new, now = z[i] + omega * (inverse[i] * slope), 0
        if new >= beta:
            new, now = beta, 1
        elif new <= -beta:
            new, now = -beta, -1
        move = new - z[i]
        if move != 0.0:
            row_add(-move, w, i, lo, hi, x)
            z[i] = new
            largest = max(largest, abs(move) * lengths[i])
        if now != state[i]:
            state[i] = now
            changed += 1
    return changed, largest


@compiled
def primal(w: Array, y: Array, s: Signal) -> None:
    """x <- y - W^T z, afresh."""
    x, z, first, end = s.x, s.z, s.first, s.end
    x[:] = y
    if s.counts[FULL] == 1:
        full.subtract(z, w, np.arange(len(w)), x)
    else:
        for i in range(len(w)):
            row_add(-z[i], w, i, first[i], end[i], x)


@compiled
def slopes(w: Array, s: Signal) -> None:
    """r <- W x."""
    if s.counts[FULL] == 1:
        full.dots(w, np.arange(len(w)), s.x, s.r)
    else:
        dots(w, s.first, s.end, s.x, s.r)


@compiled
def free_rows(norm: float, s: Signal, share: float) -> tuple[bool, float]:
    """List the free rows, after freeing bound ones that their slope pulls inwards by at least `share` of the strongest pull.

    (Whether any was freed, the largest residual of a free row.)
    """
    freed, worst, strongest, m = False, 0.0, ROUNDING, 0
    r, state, lengths, inverse, rows = s.r, s.state, s.lengths, s.inverse, s.rows
    if share > 0.0:
        for i in range(len(r)):
            strongest = max(strongest, -share * state[i] * r[i] / (lengths[i] * norm))
    for i in range(len(r)):
        if state[i] * r[i] <= -strongest * lengths[i] * norm:
            state[i] = 0
            freed = True
        if state[i] == 0:
            rows[m] = i
            m += 1
            worst = max(worst, r[i] * inverse[i] * r[i])
    s.counts[M] = m
    return freed, math.sqrt(worst) / norm


@compiled
def factorise(w: Array, s: Signal) -> bool:
    """Factor W_F W_F^T in place; False where the rows are dependent or too close to it."""
    m = s.counts[M]
    if m > w.shape[1]:
        return False
    u, rows = triangle(s), s.rows[:m]
    if is_banded(w, rows, s.first, s.end):
        gram(w, rows, s.first, s.end, u, s.reach)
        return factor(u, s.reach, True, PIVOT)
    ld = definite.padded(m)
    turned = np.empty((w.shape[1], ld))
    turn(w, rows, 0, turned)
    outer(turned, 0, m, s.u[: ld * ld].reshape(ld, ld))
    s.reach[0] = DENSE
    return definite.factor(s.u, m, PIVOT, s.step)


@compiled
def solve_free(s: Signal) -> None:
    """Overwrite the first m entries of step by (W_F W_F^T)^{-1} times them."""
    m = s.counts[M]
    if s.reach[0] == DENSE:
        definite.solve(s.u, m, s.step)
    else:
        solve(triangle(s), s.reach, s.step[:m])


@compiled
def newton_step(s: Signal) -> None:
    """step <- (W_F W_F^T)^{-1} W_F x."""
    r, rows, step = s.r, s.rows, s.step
    for a in range(s.counts[M]):
        step[a] = r[rows[a]]
    solve_free(s)


@compiled
def shifted_step(w: Array, s: Signal) -> None:
    """The same with the diagonal raised, for dependent rows on the way: such steps lead to the box."""
    m, r, rows, step = s.counts[M], s.r, s.rows, s.step
    u = np.empty((m, m))
    banded = gram(w, s.rows[:m], s.first, s.end, u, s.reach)
    for a in range(m):
        u[a, a] *= 1.0 + SHIFT
    factor(u, s.reach, banded, 0.0)
    for a in range(m):
        step[a] = r[rows[a]]
    solve(u, s.reach, step[:m])


@compiled
def length_inside(beta: float, s: Signal) -> float:
    """The largest t <= 1 for which z_F + t step stays in the box."""
    length, z, rows, step = 1.0, s.z, s.rows, s.step
    for a in range(s.counts[M]):
        room = beta - math.copysign(1.0, step[a]) * z[rows[a]]
        if abs(step[a]) > room:
            length = min(length, room / abs(step[a]))
    return length


@compiled
def move(w: Array, y: Array, length: float, s: Signal) -> None:
    """z_F <- z_F + length step, and x afresh."""
    z, rows, step = s.z, s.rows, s.step
    for a in range(s.counts[M]):
        z[rows[a]] += length * step[a]
    primal(w, y, s)


@compiled
def bind(beta: float, s: Signal) -> None:
    """Free rows that have met their bound stay there."""
    z, state, rows = s.z, s.state, s.rows
    for a in range(s.counts[M]):
        i = rows[a]
        if abs(z[i]) >= beta * (1.0 - BOUND):
            state[i] = 1 if z[i] > 0.0 else -1
            z[i] = beta * state[i]


@compiled
def project(w: Array, beta: float, s: Signal) -> None:
    """Move z_F along the step, projected on the box, as far as |x| falls; else to the first bound: it cannot rise there."""
    m, x, z, rows, step = s.counts[M], s.x, s.z, s.rows[: s.counts[M]], s.step
    moved, gain, before, length = np.empty(len(x)), np.empty(m), np.dot(x, x), 1.0
    for attempt in range(6):
        if attempt == 5:
            length = length_inside(beta, s)
        for a in range(m):
            gain[a] = min(max(z[rows[a]] + length * step[a], -beta), beta) - z[rows[a]]
        moved[:] = x
        if s.counts[FULL] == 1:
            full.subtract(gain, w, rows, moved)
        else:
            rows_subtract(gain, w, rows, s.first, s.end, moved)
        if np.dot(moved, moved) < before:
            break
        length *= 0.25
    for a in range(m):
        z[rows[a]] += gain[a]
    x[:] = moved
    bind(beta, s)
