"""Duals of one signal by coordinate descent in single precision, for a dense W: a proposal, of which nothing is taken on trust.

Rows and signal are scaled to unit length, so that sums do not overflow: row i of V is w_i / |w_i|, its dual z_i |w_i| / |y|.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from methods._exact.linear import SIZE
from methods._exact.packs import LANES, differing, load, narrowed, splat, store, totals
from methods._exact.work import PASSES, Signal
from problems._compiling import compiled
from problems.base import Array

RELAXATION = 1.4  # from the third sweep on
FOUR, WIDTH = SIZE(4), SIZE(LANES)


@compiled
def propose(w: Array, y: Array, norm: float, beta: float, sweeps: int, s: Signal) -> float:
    """z and state <- those after so many sweeps, or fewer where the states settle; what the last one moved.

    That is the root mean square of |w_i| dz_i / |y|: slopes w_i x / (|w_i| |y|) that are as small may still change their sign.
    """
    k, packs = len(w), -(-w.shape[1] // LANES)
    room = -(-k // LANES) * LANES
    v, near = np.empty(room * packs * LANES, np.float32), np.empty((room // 4, 6), np.float32)
    x = np.zeros(packs * LANES, np.float32)
    z, before, bound = np.zeros(room, np.float32), np.empty(room, np.float32), np.ones(room, np.float32)
    scale_rows(w, s.lengths, v)
    for i in range(k):
        bound[i] = beta / norm * s.lengths[i]
    for j in range(SIZE(len(y))):
        x[j] = y[j] / norm
    neighbours(v, near)
    omega = np.float32(1.0)
    for count in range(sweeps):
        before[:] = z
        if count == 2:
            omega = np.float32(RELAXATION)
            near *= omega
        sweep(v, near, bound, omega, z, x)
        s.counts[PASSES] += 1
        if count and not changed(z, before, bound):
            break
    moves = np.float32(0.0)
    for i in range(SIZE(room)):
        moves += (z[i] - before[i]) * (z[i] - before[i])
    for i in range(k):
        s.state[i] = (z[i] == bound[i]) - (z[i] == -bound[i])
        s.z[i] = beta * s.state[i] if s.state[i] else min(max(z[i] * norm / s.lengths[i], -beta), beta)
    return math.sqrt(moves / k)


@compiled
def scale_rows(w: Array, lengths: Array, v: Array) -> None:
    """v <- the rows of V in whole packs, and rows of zeros behind them."""
    k, n = SIZE(w.shape[0]), SIZE(w.shape[1])
    packs, whole = (n + WIDTH - SIZE(1)) // WIDTH, n // WIDTH
    v[k * packs * WIDTH :] = 0.0
    for i in range(k):
        share = 1.0 / lengths[i]
        for j in range(whole):
            store(v, i * packs + j, narrowed(w, i * n + j * WIDTH, share))
        for j in range(whole * WIDTH, packs * WIDTH):
            v[i * packs * WIDTH + j] = share * w[i, j] if j < n else 0.0


@compiled
def neighbours(v: Array, near: Array) -> None:
    """near <- v_a v_b for a < b of each four rows: six products a four."""
    packs = SIZE(len(v) // (4 * len(near) * LANES))
    for block in range(SIZE(len(near))):
        p0 = block * FOUR * packs
        p1 = p0 + packs
        p2 = p1 + packs
        p3 = p2 + packs
        s0 = splat(np.float32(0.0))
        s1, s2, s3, s4, s5 = s0, s0, s0, s0, s0
        for j in range(packs):
            a, b, c, d = load(v, p0 + j), load(v, p1 + j), load(v, p2 + j), load(v, p3 + j)
            s0, s1, s2 = s0 + a * b, s1 + a * c, s2 + a * d
            s3, s4, s5 = s3 + b * c, s4 + b * d, s5 + c * d
        near[block, 0], near[block, 1], near[block, 2], near[block, 3] = totals(s0, s1, s2, s3)
        near[block, 4], near[block, 5], _, _ = totals(s4, s5, s4, s5)


@compiled
def sweep(v: Array, near: Array, bound: Array, omega: Any, z: Array, x: Array) -> None:
    """z_i <- clip(z_i + omega v_i x), x <- x - dz_i v_i, four rows after each other and then x at once.

    `near`: omega times the products of each four.
    """
    packs = SIZE(len(x)) // WIDTH
    for block in range(SIZE(len(near))):
        a = block * FOUR
        b, c, d = a + SIZE(1), a + SIZE(2), a + SIZE(3)
        p0, p1, p2, p3 = a * packs, b * packs, c * packs, d * packs
        s0 = splat(np.float32(0.0))
        s1, s2, s3 = s0, s0, s0
        for j in range(packs):
            u = load(x, j)
            s0 = s0 + load(v, p0 + j) * u
            s1 = s1 + load(v, p1 + j) * u
            s2 = s2 + load(v, p2 + j) * u
            s3 = s3 + load(v, p3 + j) * u
        r0, r1, r2, r3 = totals(s0, s1, s2, s3)
        n0, n1, n2, n3 = z[a] + omega * r0, z[b] + omega * r1, z[c] + omega * r2, z[d] + omega * r3
        n0 = min(max(n0, -bound[a]), bound[a])
        m0 = n0 - z[a]
        n1 = min(max(n1 - m0 * near[block, 0], -bound[b]), bound[b])
        m1 = n1 - z[b]
        n2 = min(max(n2 - m0 * near[block, 1] - m1 * near[block, 3], -bound[c]), bound[c])
        m2 = n2 - z[c]
        n3 = min(max(n3 - m0 * near[block, 2] - m1 * near[block, 4] - m2 * near[block, 5], -bound[d]), bound[d])
        m3 = n3 - z[d]
        z[a], z[b], z[c], z[d] = n0, n1, n2, n3
        e0, e1, e2, e3 = splat(m0), splat(m1), splat(m2), splat(m3)
        for j in range(packs):
            fall = (e0 * load(v, p0 + j) + e1 * load(v, p1 + j)) + (e2 * load(v, p2 + j) + e3 * load(v, p3 + j))
            store(x, j, load(x, j) - fall)


@compiled
def changed(z: Array, before: Array, bound: Array) -> bool:
    """Whether a row came to a bound or left it."""
    any_changed, zero = np.uint64(0), splat(np.float32(0.0))
    for i in range(SIZE(len(z)) // WIDTH):
        new, old, high = load(z, i), load(before, i), load(bound, i)
        low = zero - high
        any_changed |= differing(new, high) ^ differing(old, high) | differing(new, low) ^ differing(old, low)
    return any_changed != 0
