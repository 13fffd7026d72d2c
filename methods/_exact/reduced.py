"""The box dual over some rows of a dense W, from their Gram matrix G alone: x is not needed until its solution is checked.

A step of coordinate descent then costs one row of G, and a Newton step no product with W.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from methods._exact import definite
from methods._exact.columns import outer, turn
from methods._exact.definite import padded
from methods._exact.eights import load, splat, store
from methods._exact.linear import SIZE, row_add
from methods._exact.steps import PIVOT, ROUNDING, bind, length_inside, solve_free
from methods._exact.vectors import clip, differing, spread
from methods._exact.work import DENSE, PASSES, STEPS, M, Signal
from problems._compiling import compiled
from problems.base import Array

SWEEPS = 12  # of coordinate descent before a Newton step, at most
STABLE = 2  # of them in a row that change no state are enough
RELAXATION = 1.2  # of theirs
NEWTONS = 12  # projected steps, before the caller goes on without G
EIGHT = SIZE(8)


class Known(NamedTuple):
    """Rows of W with G = the products of each with each other; a batch shares those of all rows."""

    gram: Array  # G, its first `size` rows and columns; finite up to whole eights
    turned: Array  # (n, whole eights) these rows as columns; nothing where all rows are known
    rows: Array  # (k), the first `size`
    place: Array  # (k) of a row among these; -1: not one of them
    size: Array  # (1)


@compiled
def nothing_known(k: int, n: int) -> Known:
    room = padded(k)
    return Known(np.empty((room, room)), np.empty((n, room)), np.empty(k, np.int64), np.full(k, -1), np.zeros(1, np.int64))


@compiled
def learn(w: Array, norm: float, within: float, s: Signal, known: Known) -> None:
    """Add the free rows, and bound ones whose slope is at most this share of |w_i| |y|, neighbours in W apart."""
    before = count = known.size[0]
    groups = padded(len(w)) // 8
    for group in range(groups):
        for i in range(group, len(w), groups):
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
    count, rows = known.size[0], known.rows
    room = np.zeros((4, padded(count)))
    r, z, share, moved = room[0], room[1], room[2], room[3]  # unpacked, they would count as strided
    for a in range(count):
        r[a], share[a] = s.r[rows[a]], share_of(known.gram, a, count)
    for _ in range(NEWTONS):
        descend(beta, s, known, share, z, r)
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
def descend(beta: float, s: Signal, known: Known, share: Array, z: Array, r: Array) -> None:
    """Sweeps, until some in a row change no state; z and r of the known rows side by side."""
    count, rows, stable = known.size[0], known.rows, 0
    for a in range(count):
        z[a] = s.z[rows[a]]
    for _ in range(SWEEPS):
        s.counts[PASSES] += 1
        stable = 0 if sweep(beta, known.gram, share, z, r) else stable + 1
        if stable == STABLE:
            break
    for a in range(count):
        s.z[rows[a]], s.state[rows[a]] = z[a], (z[a] == beta) - (z[a] == -beta)


@compiled
def share_of(gram: Array, a: int, count: int) -> float:
    """RELAXATION / G_aa, at most 2 / sum |G_ab| over the eight rows of a step, so that |x| cannot grow (Gershgorin)."""
    total, first = 0.0, a // 8 * 8
    for b in range(SIZE(first), SIZE(min(first + 8, count))):
        total += abs(gram[a, b])
    return min(RELAXATION / gram[a, a], 2.0 / total)


@compiled
def sweep(beta: float, gram: Array, share: Array, z: Array, r: Array) -> bool:
    """z_i <- clip(z_i + share_i r_i), r <- r - G dz, for eight rows at once; whether a row came to a bound or left it.

    Arrays are filled up to whole eights, with shares of 0.
    """
    ld, changed, high, low = SIZE(gram.shape[1]), np.uint64(0), splat(beta), splat(-beta)
    for a in range(SIZE(0), SIZE(len(r)), EIGHT):
        old = load(z, a)
        new = clip(old + load(share, a) * load(r, a), high)
        if not differing(old, new):
            continue
        store(z, a, new)
        changed |= differing(new, high) ^ differing(old, high) | differing(new, low) ^ differing(old, low)
        e0, e1, e2, e3, e4, e5, e6, e7 = spread(new - old)
        g0 = a * ld
        g1 = g0 + ld
        g2 = g1 + ld
        g3 = g2 + ld
        g4 = g3 + ld
        g5 = g4 + ld
        g6 = g5 + ld
        g7 = g6 + ld
        for j in range(SIZE(0), SIZE(len(r)), EIGHT):
            one = (e0 * load(gram, g0 + j) + e1 * load(gram, g1 + j)) + (e2 * load(gram, g2 + j) + e3 * load(gram, g3 + j))
            two = (e4 * load(gram, g4 + j) + e5 * load(gram, g5 + j)) + (e6 * load(gram, g6 + j) + e7 * load(gram, g7 + j))
            store(r, j, load(r, j) - (one + two))
    return changed != 0


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
    last, ld = m - 1, SIZE(padded(m))
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
