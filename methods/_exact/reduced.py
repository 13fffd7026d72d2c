"""The box dual over some rows of a dense W, from their Gram matrix G alone: x is not needed until its solution is checked.

A step of coordinate descent then costs one row of G, and a Newton step no product with W.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from methods._exact import definite
from methods._exact.columns import outer, turn
from methods._exact.eights import load, splat, store
from methods._exact.linear import SIZE, row_add
from methods._exact.steps import PIVOT, ROUNDING, bind, length_inside, solve_free
from methods._exact.work import DENSE, PASSES, STEPS, M, Signal
from problems._compiling import compiled
from problems.base import Array

SWEEPS = 12  # of coordinate descent before a Newton step, at most, with this relaxation
STABLE = 2  # of them in a row that change no state are enough
RELAXATION = 1.4
NEWTONS = 12  # projected steps, before the caller goes on without G


class Known(NamedTuple):
    """Rows of W with G = the products of each with each other; a batch shares those of all rows."""

    gram: Array  # G, its first `size` rows and columns
    turned: Array  # (n, whole eights) these rows as columns; nothing where all rows are known
    rows: Array  # (k), the first `size`
    place: Array  # (k) of a row among these; -1: not one of them
    size: Array  # (1)


@compiled
def nothing_known(k: int, n: int) -> Known:
    room = definite.padded(k)
    return Known(np.empty((room, room)), np.empty((n, room)), np.empty(k, np.int64), np.full(k, -1), np.zeros(1, np.int64))


@compiled
def learn(w: Array, norm: float, within: float, s: Signal, known: Known) -> None:
    """Add the free rows, and bound ones whose slope is at most this share of |w_i| |y|."""
    before = count = known.size[0]
    for i in range(len(w)):
        if known.place[i] < 0 and s.state[i] * s.r[i] <= within * s.lengths[i] * norm:
            known.place[i], known.rows[count] = count, i
            count += 1
    if count > before:
        known.size[0] = count
        turn(w, known.rows[:count], before, known.turned)
        outer(known.turned, before, count, known.gram)


@compiled
def reduced(n: int, beta: float, norm: float, s: Signal, known: Known) -> bool:
    """Move z to the minimiser over the known rows, from r = W x; whether it was found, with u the factor of its free rows."""
    count = known.size[0]
    r, moved = np.empty(count), np.empty(count)
    for a in range(count):
        r[a] = s.r[known.rows[a]]
    for _ in range(NEWTONS):
        stable = 0
        for _sweep in range(SWEEPS):
            s.counts[PASSES] += 1
            stable = 0 if sweep(beta, s, known, r) else stable + 1
            if stable == STABLE:
                break
        s.counts[STEPS] += 1
        list_free(norm, s, known, r)
        if s.counts[M] > n or not factorise(s, known):
            return False
        m = s.counts[M]
        for a in range(m):
            s.step[a] = r[known.place[s.rows[a]]]
        solve_free(s)
        if length_inside(beta, s) == 1.0:
            for a in range(m):
                s.z[s.rows[a]] += s.step[a]
            return True
        project(beta, s, known, r, moved)
    return False


@compiled
def sweep(beta: float, s: Signal, known: Known, r: Array) -> int:
    """z_i <- clip(z_i + omega r_i / |w_i|^2), r <- r - G dz; the number of rows that came to a bound or left it.

    Four rows after each other, then r, so that r is read and written a quarter as often.
    """
    changed, count, rows, gram, z, inverse, state = 0, SIZE(len(r)), known.rows, known.gram, s.z, s.inverse, s.state
    whole, ld, a = count // SIZE(8) * SIZE(8), SIZE(gram.shape[1]), SIZE(0)
    while a + SIZE(4) <= count:
        b, c, d = a + SIZE(1), a + SIZE(2), a + SIZE(3)
        i0, i1, i2, i3 = SIZE(rows[a]), SIZE(rows[b]), SIZE(rows[c]), SIZE(rows[d])
        n0 = clipped(z[i0], RELAXATION * inverse[i0], r[a], beta)
        m0 = n0 - z[i0]
        n1 = clipped(z[i1], RELAXATION * inverse[i1], r[b] - m0 * gram[a, b], beta)
        m1 = n1 - z[i1]
        n2 = clipped(z[i2], RELAXATION * inverse[i2], r[c] - m0 * gram[a, c] - m1 * gram[b, c], beta)
        m2 = n2 - z[i2]
        n3 = clipped(z[i3], RELAXATION * inverse[i3], r[d] - m0 * gram[a, d] - m1 * gram[b, d] - m2 * gram[c, d], beta)
        m3 = n3 - z[i3]
        if m0 != 0.0 or m1 != 0.0 or m2 != 0.0 or m3 != 0.0:
            e0, e1, e2, e3 = splat(m0), splat(m1), splat(m2), splat(m3)
            g0, g1, g2, g3 = a * ld, b * ld, c * ld, d * ld
            for j in range(SIZE(0), whole, SIZE(8)):
                fall = e0 * load(gram, g0 + j) + e1 * load(gram, g1 + j) + e2 * load(gram, g2 + j) + e3 * load(gram, g3 + j)
                store(r, j, load(r, j) - fall)
            for j in range(whole, count):
                r[j] -= m0 * gram[a, j] + m1 * gram[b, j] + m2 * gram[c, j] + m3 * gram[d, j]
            changed += settle(i0, n0, beta, z, state) + settle(i1, n1, beta, z, state)
            changed += settle(i2, n2, beta, z, state) + settle(i3, n3, beta, z, state)
        a += SIZE(4)
    for e in range(a, count):
        i = SIZE(rows[e])
        new = clipped(z[i], RELAXATION * inverse[i], r[e], beta)
        move = new - z[i]
        if move != 0.0:
            for j in range(count):
                r[j] -= move * gram[e, j]
            changed += settle(i, new, beta, z, state)
    return changed


@compiled
def clipped(z: float, share: float, slope: float, beta: float) -> float:
    """z + share * slope, clipped to the box."""
    return min(max(z + share * slope, -beta), beta)


@compiled
def settle(i: Any, new: float, beta: float, z: Array, state: Array) -> int:
    """z_i <- new, with its state; 1 where that is a new one."""
    before, now = state[i], 1 if new == beta else -1 if new == -beta else 0
    z[i], state[i] = new, now
    return 1 if now != before else 0


@compiled
def list_free(norm: float, s: Signal, known: Known, r: Array) -> None:
    """The known rows that are free, or bound and pulled inwards."""
    m = 0
    for i in range(len(known.place)):
        a = known.place[i]
        if a < 0:
            continue
        if s.state[i] * r[a] <= -ROUNDING * s.lengths[i] * norm:
            s.state[i] = 0
        if s.state[i] == 0:
            s.rows[m] = i
            m += 1
    s.counts[M] = m


@compiled
def factorise(s: Signal, known: Known) -> bool:
    """Factor G_FF; False where its rows are dependent or too close to it."""
    m, u, gram, place = s.counts[M], s.u, known.gram, s.reach
    for a in range(m):
        place[a] = known.place[s.rows[a]]
    last, ld = m - 1, SIZE(definite.padded(m))
    for a in range(0, m, 4):
        i0, i1 = SIZE(place[a]), SIZE(place[min(a + 1, last)])
        i2, i3 = SIZE(place[min(a + 2, last)]), SIZE(place[min(a + 3, last)])
        row = SIZE(a) * ld
        for b in range(SIZE(a) // SIZE(8) * SIZE(8), SIZE(m)):
            j = SIZE(place[b])
            u[row + b] = gram[i0, j]
            u[row + ld + b] = gram[i1, j]
            u[row + ld + ld + b] = gram[i2, j]
            u[row + ld + ld + ld + b] = gram[i3, j]
    s.reach[0] = DENSE
    return definite.factor(u, m, PIVOT, s.step)


@compiled
def project(beta: float, s: Signal, known: Known, r: Array, moved: Array) -> None:
    """Move z_F along the step, projected on the box, as far as |x| falls; else to the first bound: it cannot rise there."""
    m, z, rows, step, place = s.counts[M], s.z, s.rows, s.step, known.place
    length, drop = 1.0, np.empty(m)
    for attempt in range(6):
        if attempt == 5:
            length = length_inside(beta, s)
        moved[:], fall = r, 0.0
        for a in range(m):
            i = rows[a]
            drop[a] = z[i] - min(max(z[i] + length * step[a], -beta), beta)
            row_add(drop[a], known.gram, place[i], 0, len(r), moved)
        for a in range(m):
            fall -= drop[a] * (r[place[rows[a]]] + moved[place[rows[a]]])  # |x|^2 before, less |x|^2 after
        if fall > 0.0:
            break
        length *= 0.25
    for a in range(m):
        z[rows[a]] -= drop[a]
    r[:] = moved
    bind(beta, s)
