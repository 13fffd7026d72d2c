"""Kernels on tiles: LANES signals that share W, one in each lane, and all arrays flat arrays of packs."""

from __future__ import annotations

from typing import Any

import numpy as np

from methods._exact.linear import SIZE
from methods._exact.packs import LANES, clip, differing, load, root, splat, store
from problems._compiling import compiled
from problems.base import Array

SWEEPS = 8  # of coordinate descent, at most, with this relaxation
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
def descend(gram: Array, right: Array, beta: float, z: Array, first: float) -> int:
    """Coordinate descent from z on the scaled system until it is stable in every lane; the number of sweeps.

    `first`: the relaxation of the first sweep.
    """
    k, sweeps, stable = SIZE(len(gram)), 0, 0
    bound, low, omega = splat(np.float32(beta)), splat(np.float32(-beta)), splat(np.float32(first))
    for _ in range(SWEEPS):
        sweeps += 1
        changed = np.uint64(0)
        for a in range(k):
            s0, s1, b = load(right, a), splat(np.float32(0.0)), SIZE(0)
            s2, s3 = s1, s1
            while b + SIZE(4) <= k:
                s0 = s0 - splat(gram[a, b]) * load(z, b)
                s1 = s1 - splat(gram[a, b + SIZE(1)]) * load(z, b + SIZE(1))
                s2 = s2 - splat(gram[a, b + SIZE(2)]) * load(z, b + SIZE(2))
                s3 = s3 - splat(gram[a, b + SIZE(3)]) * load(z, b + SIZE(3))
                b += SIZE(4)
            while b < k:
                s0 = s0 - splat(gram[a, b]) * load(z, b)
                b += SIZE(1)
            old = load(z, a)
            new = clip(old + omega * ((s0 + s1) + (s2 + s3)), bound)
            changed |= differing(new, bound) ^ differing(old, bound) | differing(new, low) ^ differing(old, low)
            store(z, a, new)
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
def columns_of_inverse(u: Array, out: Array) -> None:
    """out <- (U^T U)^{-1} (k, k), LANES columns at a time."""
    k = SIZE(len(u))
    column = np.empty(len(u) * LANES)
    for first in range(0, len(u), LANES):
        column[:] = 0.0
        for lane in range(min(LANES, len(u) - first)):
            column[(first + lane) * LANES + lane] = 1.0
        for i in range(SIZE(first), k):
            s = load(column, i)
            for p in range(SIZE(first), i):
                s = s - splat(u[p, i]) * load(column, p)
            store(column, i, s / splat(u[i, i]))
        for done in range(k):
            j = k - SIZE(1) - done
            s = load(column, j)
            for p in range(j + SIZE(1), k):
                s = s - splat(u[j, p]) * load(column, p)
            store(column, j, s / splat(u[j, j]))
        for row in range(len(u)):
            for lane in range(min(LANES, len(u) - first)):
                out[row, first + lane] = column[row * LANES + lane]


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
