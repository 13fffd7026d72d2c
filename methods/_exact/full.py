"""Products with full rows of W on eights, several rows at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

from methods._exact.eights import lane, load, splat, store, totals
from methods._exact.linear import SIZE
from methods._exact.work import Signal
from problems._compiling import compiled
from problems.base import Array

FOUR, EIGHT = SIZE(4), SIZE(8)


@compiled
def dots(w: Array, rows: Array, x: Array, out: Array) -> None:
    """out_a <- w_rows[a] x, eight rows at a time; the last eight may overlap those before."""
    m, n = SIZE(len(rows)), SIZE(w.shape[1])
    if m < EIGHT:
        for a in range(m):
            out[a] = 0.0
            for j in range(n):
                out[a] += w[SIZE(rows[a]), j] * x[j]
        return
    for first in range(SIZE(0), m, EIGHT):
        begin = first if first + EIGHT <= m else m - EIGHT
        store(out, begin, eight_dots(w, rows, begin, x))
        for b in range(begin, begin + EIGHT):
            for j in range(n // EIGHT * EIGHT, n):
                out[b] += w[SIZE(rows[b]), j] * x[j]


@compiled
def eight_dots(w: Array, rows: Array, a: Any, x: Array) -> Any:
    """w_i x over whole eights for the eight rows listed from a on."""
    n = SIZE(w.shape[1])
    i0, i1, i2, i3 = SIZE(rows[a]) * n, SIZE(rows[a + 1]) * n, SIZE(rows[a + 2]) * n, SIZE(rows[a + 3]) * n
    i4, i5, i6, i7 = SIZE(rows[a + 4]) * n, SIZE(rows[a + 5]) * n, SIZE(rows[a + 6]) * n, SIZE(rows[a + 7]) * n
    s0 = splat(0.0)
    s1, s2, s3, s4, s5, s6, s7 = s0, s0, s0, s0, s0, s0, s0
    for j in range(SIZE(0), n // EIGHT * EIGHT, EIGHT):
        v = load(x, j)
        s0 += load(w, i0 + j) * v
        s1 += load(w, i1 + j) * v
        s2 += load(w, i2 + j) * v
        s3 += load(w, i3 + j) * v
        s4 += load(w, i4 + j) * v
        s5 += load(w, i5 + j) * v
        s6 += load(w, i6 + j) * v
        s7 += load(w, i7 + j) * v
    return totals(s0, s1, s2, s3, s4, s5, s6, s7)


@compiled
def subtract(c: Array, w: Array, rows: Array, x: Array) -> None:
    """x <- x - sum_a c_a w_rows[a], four rows at a time."""
    m, n, a = SIZE(len(rows)), SIZE(w.shape[1]), SIZE(0)
    while a + FOUR <= m:
        subtract_four(c[a], c[a + 1], c[a + 2], c[a + 3], w, rows[a], rows[a + 1], rows[a + 2], rows[a + 3], x)
        a += FOUR
    for b in range(a, m):
        for j in range(n):
            x[j] -= c[b] * w[SIZE(rows[b]), j]


@compiled
def subtract_four(c0: float, c1: float, c2: float, c3: float, w: Array, i0: int, i1: int, i2: int, i3: int, x: Array) -> None:
    """x <- x - c0 w_i0 - .. - c3 w_i3."""
    n = SIZE(w.shape[1])
    whole, p0, p1, p2, p3 = n // EIGHT * EIGHT, SIZE(i0) * n, SIZE(i1) * n, SIZE(i2) * n, SIZE(i3) * n
    e0, e1, e2, e3 = splat(c0), splat(c1), splat(c2), splat(c3)
    for j in range(SIZE(0), whole, EIGHT):
        fall = (e0 * load(w, p0 + j) + e1 * load(w, p1 + j)) + (e2 * load(w, p2 + j) + e3 * load(w, p3 + j))
        store(x, j, load(x, j) - fall)
    for j in range(whole, n):
        x[j] -= c0 * w[SIZE(i0), j] + c1 * w[SIZE(i1), j] + c2 * w[SIZE(i2), j] + c3 * w[SIZE(i3), j]


@compiled
def neighbours(w: Array) -> Array:
    """w_a w_b for a < b of each four rows: six products a four."""
    n, near = SIZE(w.shape[1]), np.empty((len(w) // 4, 6))
    for block in range(SIZE(len(near))):
        a = block * FOUR
        b, c, d = a + SIZE(1), a + SIZE(2), a + SIZE(3)
        ab, ac, ad, bc, bd, cd = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for j in range(n):
            ab += w[a, j] * w[b, j]
            ac += w[a, j] * w[c, j]
            ad += w[a, j] * w[d, j]
            bc += w[b, j] * w[c, j]
            bd += w[b, j] * w[d, j]
            cd += w[c, j] * w[d, j]
        near[block, 0], near[block, 1], near[block, 2] = ab, ac, ad
        near[block, 3], near[block, 4], near[block, 5] = bc, bd, cd
    return near


@compiled
def sweep(w: Array, near: Array, beta: float, omega: float, s: Signal) -> tuple[int, float]:
    """`sweep` of methods/_exact/steps.py over whole fours: their steps after each other, then x at once."""
    changed, largest, n = 0, 0.0, SIZE(w.shape[1])
    x, z, state, lengths, inverse = s.x, s.z, s.state, s.lengths, s.inverse
    for block in range(SIZE(len(near))):
        a = block * FOUR
        b, c, d = a + SIZE(1), a + SIZE(2), a + SIZE(3)
        p0, p1, p2, p3 = a * n, b * n, c * n, d * n
        s0 = splat(0.0)
        s1, s2, s3, t0, t1, t2, t3 = s0, s0, s0, s0, s0, s0, s0
        j = SIZE(0)
        while j + SIZE(16) <= n:
            u, v = load(x, j), load(x, j + EIGHT)
            s0 += load(w, p0 + j) * u
            s1 += load(w, p1 + j) * u
            s2 += load(w, p2 + j) * u
            s3 += load(w, p3 + j) * u
            t0 += load(w, p0 + j + EIGHT) * v
            t1 += load(w, p1 + j + EIGHT) * v
            t2 += load(w, p2 + j + EIGHT) * v
            t3 += load(w, p3 + j + EIGHT) * v
            j += SIZE(16)
        total = totals(s0, s1, s2, s3, t0, t1, t2, t3)
        r0, r1, r2, r3 = lane(total, 0), lane(total, 1), lane(total, 2), lane(total, 3)
        r0, r1, r2, r3 = r0 + lane(total, 4), r1 + lane(total, 5), r2 + lane(total, 6), r3 + lane(total, 7)
        for e in range(j, n):
            r0 += w[a, e] * x[e]
            r1 += w[b, e] * x[e]
            r2 += w[c, e] * x[e]
            r3 += w[d, e] * x[e]
        n0 = clipped(z[a], omega * inverse[a], r0, beta)
        m0 = n0 - z[a]
        n1 = clipped(z[b], omega * inverse[b], r1 - m0 * near[block, 0], beta)
        m1 = n1 - z[b]
        n2 = clipped(z[c], omega * inverse[c], r2 - m0 * near[block, 1] - m1 * near[block, 3], beta)
        m2 = n2 - z[c]
        n3 = clipped(z[d], omega * inverse[d], r3 - m0 * near[block, 2] - m1 * near[block, 4] - m2 * near[block, 5], beta)
        m3 = n3 - z[d]
        if m0 != 0.0 or m1 != 0.0 or m2 != 0.0 or m3 != 0.0:
            subtract_four(m0, m1, m2, m3, w, a, b, c, d, x)
            largest = max(largest, abs(m0) * lengths[a], abs(m1) * lengths[b], abs(m2) * lengths[c], abs(m3) * lengths[d])
            changed += settle(a, n0, beta, z, state) + settle(b, n1, beta, z, state)
            changed += settle(c, n2, beta, z, state) + settle(d, n3, beta, z, state)
    return changed, largest


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
