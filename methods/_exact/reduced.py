"""The box dual over some rows of a dense W, from their Gram matrix G alone: x is not needed until its solution is checked.

A step of coordinate descent then costs one row of G, and a Newton step no product with W.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from methods._exact.linear import SIZE, factor, products, row_add, solve
from methods._exact.steps import PIVOT, ROUNDING, bind, length_inside
from methods._exact.work import PASSES, STEPS, M, Signal, triangle
from problems._compiling import compiled
from problems.base import Array

SWEEPS = 12  # of coordinate descent before a Newton step, at most, with this relaxation
STABLE = 2  # of them in a row that change no state are enough
RELAXATION = 1.4
NEWTONS = 12  # projected steps, before the caller goes on without G


class Known(NamedTuple):
    """Rows of W with G = the products of each with each other; a batch shares those of all rows."""

    gram: Array  # (k, k), its first `size` rows and columns
    rows: Array  # (k), the first `size`
    place: Array  # (k) of a row among these; -1: not one of them
    size: Array  # (1)


@compiled
def nothing_known(k: int) -> Known:
    return Known(np.empty((k, k)), np.empty(k, np.int64), np.full(k, -1), np.zeros(1, np.int64))


@compiled
def learn(w: Array, s: Signal, known: Known) -> None:
    """Add the free rows."""
    before = count = known.size[0]
    for a in range(s.counts[M]):
        i = s.rows[a]
        if known.place[i] < 0:
            known.place[i], known.rows[count] = count, i
            count += 1
    if count > before:
        known.size[0] = count
        products(w, known.rows[:count], before, known.gram)


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
        solve(triangle(s), s.reach, s.step[:m])
        if length_inside(beta, s) == 1.0:
            for a in range(m):
                s.z[s.rows[a]] += s.step[a]
            return True
        project(beta, s, known, r, moved)
    return False


@compiled
def sweep(beta: float, s: Signal, known: Known, r: Array) -> int:
    """z_i <- clip(z_i + omega r_i / |w_i|^2), r <- r - G dz; the number of rows that came to a bound or left it."""
    changed, count, rows, gram, z, state, inverse = 0, SIZE(len(r)), known.rows, known.gram, s.z, s.state, s.inverse
    for a in range(count):
        i = SIZE(rows[a])
        old = z[i]
        new = min(max(old + RELAXATION * (inverse[i] * r[a]), -beta), beta)
        move = new - old
        if move != 0.0:
            for b in range(count):
                r[b] -= move * gram[a, b]
            z[i] = new
            now = 1 if new == beta else -1 if new == -beta else 0
            if now != state[i]:
                state[i] = now
                changed += 1
    return changed


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
    m, u, gram, place = s.counts[M], triangle(s), known.gram, s.reach
    for a in range(m):
        place[a] = known.place[s.rows[a]]
    for a in range(SIZE(m)):
        i = SIZE(place[a])
        for b in range(a, SIZE(m)):
            u[a, b] = gram[i, SIZE(place[b])]
    s.reach[:m] = m
    return factor(u, s.reach, False, PIVOT)


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
