"""Kernels on tiles: LANES signals that share W, one in each lane, and all arrays flat arrays of packs."""

from __future__ import annotations

from typing import Any

import numpy as np

from methods._exact.linear import SIZE
from methods._exact.packs import LANES, load, splat, store
from methods._exact.vectors import clip, differing, root
from problems._compiling import compiled
from problems.base import Array

SWEEPS, WARM = 16, 8  # of coordinate descent, at most, from nothing and from duals close by, with this relaxation
STABLE = 2  # of them in a row that bring no row to a bound or away from it are enough
RELAXATION = 1.6


@compiled
def multiply(m: Array, x: Array, out: Array) -> None:
    """out <- M x, four rows at a time."""
    rows, columns, i, zero = SIZE(m.shape[0]), SIZE(m.shape[1]), SIZE(0), splat(0.0)
    while i + SIZE(4) <= rows:
        s0, s1, s2, s3 = zero, zero, zero, zero
        for j in range(columns):
            v = load(x, j)
            s0 = s0 + splat(m[i, j]) * v
            s1 = s1 + splat(m[i + SIZE(1), j]) * v
            s2 = s2 + splat(m[i + SIZE(2), j]) * v
            s3 = s3 + splat(m[i + SIZE(3), j]) * v
        store(out, i, s0)
        store(out, i + SIZE(1), s1)
        store(out, i + SIZE(2), s2)
        store(out, i + SIZE(3), s3)
        i += SIZE(4)
    while i < rows:
        s0 = zero
        for j in range(columns):
            s0 = s0 + splat(m[i, j]) * load(x, j)
        store(out, i, s0)
        i += SIZE(1)


@compiled
def subtract(a: Array, b: Array, out: Array) -> None:
    """out <- a - b."""
    for i in range(SIZE(len(a))):
        out[i] = a[i] - b[i]


@compiled
def descend(gram: Array, right: Array, beta: float, z: Array, warm: bool) -> int:
    """Coordinate descent from z on the scaled system until it is stable in every lane; the number of sweeps.

    From nothing the first sweep is not relaxed. Four slopes are found at once, and then follow each other's rows.
    """
    k, sweeps, stable, clipped = SIZE(len(gram)), 0, 0, np.zeros(len(gram), np.uint64)
    bound, omega = splat(np.float32(beta)), splat(np.float32(RELAXATION if warm else 1.0))
    for _ in range(WARM if warm else SWEEPS):
        sweeps += 1
        changed = np.uint64(0)
        for a in range(SIZE(0), k, SIZE(4)):
            a1, a2, a3 = min(a + SIZE(1), k - SIZE(1)), min(a + SIZE(2), k - SIZE(1)), min(a + SIZE(3), k - SIZE(1))
            s0, s1, s2, s3 = load(right, a), load(right, a1), load(right, a2), load(right, a3)
            for b in range(k):
                v = load(z, b)
                s0 = s0 - splat(gram[a, b]) * v
                s1 = s1 - splat(gram[a1, b]) * v
                s2 = s2 - splat(gram[a2, b]) * v
                s3 = s3 - splat(gram[a3, b]) * v
            for i in range(a, min(a + SIZE(4), k)):
                old = load(z, i)
                raw = old + omega * s0
                new = clip(raw, bound)
                store(z, i, new)
                now, move = differing(new, raw), new - old
                changed |= now ^ clipped[i]
                clipped[i] = now
                s0, s1, s2 = s1 - splat(gram[a1, i]) * move, s2 - splat(gram[a2, i]) * move, s3 - splat(gram[a3, i]) * move
                a1, a2 = a2, a3
        omega = splat(np.float32(RELAXATION))
        stable = 0 if changed else stable + 1
        if stable == STABLE:
            break
    return sweeps


@compiled
def row(m: Any, i: Any) -> Any:
    """Where row i of an upper triangle (m, m) without what is below it would begin: entry (i, j) is at row(m, i) + j."""
    return i * m - i * (i + SIZE(1)) // SIZE(2)


@compiled
def factor(u: Array, size: int) -> None:
    """Overwrite the upper triangle of G (m, m) by U with G = U^T U, and 1 / u_ii on its diagonal; NaN where G is not definite.

    Four rows are eliminated at once, from two rows at a time.
    """
    m, one = SIZE(size), splat(1.0)
    for p in range(SIZE(0), m, SIZE(4)):
        q = min(p + SIZE(4), m)
        for i in range(p, q):
            at = row(m, i)
            for e in range(p, i):
                before = row(m, e)
                c = load(u, before + i)
                for j in range(i, m):
                    store(u, at + j, load(u, at + j) - c * load(u, before + j))
            scale = one / root(load(u, at + i))
            store(u, at + i, scale)
            for j in range(i + SIZE(1), m):
                store(u, at + j, load(u, at + j) * scale)
        below = q
        while below < m:
            below = eliminate(u, m, p, below)


@compiled
def eliminate(u: Array, m: Any, p: Any, i: Any) -> Any:
    """Subtract rows p .. p + 3 from rows i and i + 1; the next row."""
    r0, r1, r2, r3, first = row(m, p), row(m, p + SIZE(1)), row(m, p + SIZE(2)), row(m, p + SIZE(3)), row(m, i)
    c0, c1, c2, c3 = load(u, r0 + i), load(u, r1 + i), load(u, r2 + i), load(u, r3 + i)
    store(u, first + i, load(u, first + i) - c0 * c0 - c1 * c1 - c2 * c2 - c3 * c3)
    j = i + SIZE(1)
    if j == m:
        return j
    second = row(m, j)
    d0, d1, d2, d3 = load(u, r0 + j), load(u, r1 + j), load(u, r2 + j), load(u, r3 + j)
    for b in range(j, m):
        u0, u1, u2, u3 = load(u, r0 + b), load(u, r1 + b), load(u, r2 + b), load(u, r3 + b)
        store(u, first + b, load(u, first + b) - c0 * u0 - c1 * u1 - c2 * u2 - c3 * u3)
        store(u, second + b, load(u, second + b) - d0 * u0 - d1 * u1 - d2 * u2 - d3 * u3)
    return j + SIZE(1)


@compiled
def substitute(u: Array, size: int, t: Array) -> None:
    """Overwrite t (m) packs by (U^T U)^{-1} t."""
    m = SIZE(size)
    for i in range(m):
        s, place = load(t, i), SIZE(i)
        for p in range(i):
            s = s - load(u, place) * load(t, p)
            place = place + m - SIZE(1) - p
        store(t, i, s * load(u, place))
    for done in range(m):
        j = m - SIZE(1) - done
        s, at = load(t, j), row(m, j)
        for p in range(j + SIZE(1), m):
            s = s - load(u, at + p) * load(t, p)
        store(t, j, s * load(u, at + j))


@compiled
def inverse(u: Array, out: Array) -> None:
    """out <- (U^T U)^{-1} (k, k), LANES columns at a time from the diagonal down, and their mirror image."""
    k = SIZE(len(u))
    column = np.empty(len(u) * LANES)
    for first in range(SIZE(0), k, SIZE(LANES)):
        last = min(first + SIZE(LANES), k)
        column[:] = 0.0
        for j in range(first, last):
            column[j * SIZE(LANES) + j - first] = 1.0
        for i in range(first, k):
            s = load(column, i) / splat(u[i, i])
            store(column, i, s)
            for j in range(i + SIZE(1), k):
                store(column, j, load(column, j) - splat(u[i, j]) * s)
        for done in range(k - first):
            a = k - SIZE(1) - done
            s = load(column, a)
            for b in range(a + SIZE(1), k):
                s = s - splat(u[a, b]) * load(column, b)
            store(column, a, s / splat(u[a, a]))
        for i in range(first, k):
            for j in range(first, last):
                out[i, j] = column[i * SIZE(LANES) + j - first]
                out[j, i] = out[i, j]


@compiled
def gather(g: Array, rows: Array, count: Array, m: int, u: Array) -> None:
    """u, a triangle (m, m), <- G at the rows listed; ones on the diagonal fill up a lane that has fewer than m."""
    k, entries = SIZE(len(g)), g.reshape(g.size)
    line = np.empty(LANES, SIZE)
    for a in range(SIZE(m)):
        for lane in range(SIZE(LANES)):
            line[lane] = SIZE(rows[a * SIZE(LANES) + lane]) * k
        at = row(SIZE(m), a)
        for b in range(a, SIZE(m)):
            p, q = (at + b) * SIZE(LANES), b * SIZE(LANES)
            for lane in range(SIZE(LANES)):
                u[p + lane] = entries[line[lane] + SIZE(rows[q + lane])]
    for lane in range(LANES):
        for d in range(count[lane], m):
            for e in range(d + 1):
                u[(row(m, e) + d) * LANES + lane] = 1.0 if d == e else 0.0


@compiled
def read(signals: Array, order: Array, tile: Array) -> None:
    """tile <- the signals (batch, n) in this order; the last one fills up."""
    last = len(signals) - 1
    for lane in range(LANES):
        b = min(order[lane], last)
        for j in range(signals.shape[1]):
            tile[j * LANES + lane] = signals[b, j]


@compiled
def write(tile: Array, order: Array, signals: Array) -> None:
    """The reverse."""
    for lane in range(LANES):
        b = order[lane]
        if b < len(signals):
            for j in range(signals.shape[1]):
                signals[b, j] = tile[j * LANES + lane]
