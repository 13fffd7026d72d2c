"""Duals of one signal by block descent in single precision, for a dense W: a proposal, of which nothing is taken on trust.

Eight rows move at once, each as if it were alone, so that a sweep has an eighth of the steps that wait for each other.
Rows and signal are scaled to unit length, so that sums do not overflow: row i of V is w_i / |w_i|, its dual z_i |w_i| / |y|.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from methods._exact.linear import SIZE
from methods._exact.packs import LANES, load, narrowed, splat, store
from methods._exact.vectors import clip, differing, spread, totals
from methods._exact.work import PASSES, Signal
from problems._compiling import compiled
from problems.base import Array

RELAXATION = 1.4  # from the third sweep on, 1 before
STABLE = 2.6  # at most this over the largest eigenvalue of the products of eight random rows; half of it once x has grown
GROWN = 1.0001  # |x|^2, by rounding
EIGHT, WIDTH = SIZE(8), SIZE(LANES)


@compiled
def propose(w: Array, y: Array, norm: float, beta: float, sweeps: int, s: Signal) -> float:
    """z and state <- those after so many sweeps, or fewer where the states settle; what the last one moved.

    That is the root mean square of |w_i| dz_i / |y|: slopes w_i x / (|w_i| |y|) that are as small may still change their sign.
    """
    k, packs, groups = SIZE(len(w)), SIZE(-(-w.shape[1] // LANES)), SIZE(-(-len(w) // 8))
    v, x = np.empty(groups * EIGHT * packs * WIDTH, np.float32), np.zeros(packs * WIDTH, np.float32)
    z, bound = np.zeros(groups * WIDTH, np.float32), np.ones(groups * WIDTH, np.float32)
    before, held, stable = np.empty_like(z), np.empty_like(x), STABLE / (1.0 + math.sqrt(8.0 / w.shape[1])) ** 2
    scale_rows(w, s.lengths, s.inverse, v)
    i = SIZE(0)
    for lane in range(EIGHT):
        for p in range(lane, min(groups, k - i) * WIDTH, WIDTH):
            bound[p] = beta / norm * s.lengths[i]
            i += SIZE(1)
    for j in range(SIZE(len(y))):
        x[j] = y[j] / norm
    square = squared(x)
    for count in range(sweeps):
        before[:], held[:], last = z, x, square
        sweep(v, bound, np.float32(min(RELAXATION if count > 1 else 1.0, stable)), z, x)
        s.counts[PASSES] += 1
        square = squared(x)
        if square > GROWN * last:
            z[:], x[:], square, stable = before, held, last, 0.5 * stable
        elif count and not changed(z, before, bound):
            break
    moves = np.float32(0.0)
    for p in range(SIZE(len(z))):
        moves += (z[p] - before[p]) * (z[p] - before[p])
    i = SIZE(0)
    for lane in range(EIGHT):
        for p in range(lane, min(groups, k - i) * WIDTH, WIDTH):
            s.state[i] = (z[p] == bound[p]) - (z[p] == -bound[p])
            s.z[i] = beta * s.state[i] if s.state[i] else min(max(z[p] * norm * s.lengths[i] * s.inverse[i], -beta), beta)
            i += SIZE(1)
    return math.sqrt(moves / k)


@compiled
def scale_rows(w: Array, lengths: Array, inverse: Array, v: Array) -> None:
    """v <- the rows of V in whole packs, in groups of eight that lie far from each other in W, zeros behind them."""
    k, n = SIZE(w.shape[0]), SIZE(w.shape[1])
    packs, whole, groups = (n + WIDTH - SIZE(1)) // WIDTH, n // WIDTH, (k + EIGHT - SIZE(1)) // EIGHT
    if n % WIDTH or k % EIGHT:
        v[:] = 0.0
    i = SIZE(0)
    for lane in range(EIGHT):
        for group in range(min(groups, k - i)):
            place, share = (group * EIGHT + lane) * packs, lengths[i] * inverse[i]
            for j in range(whole):
                store(v, place + j, narrowed(w, i * n + j * WIDTH, share))
            for j in range(whole * WIDTH, n):
                v[place * WIDTH + j] = share * w[i, j]
            i += SIZE(1)


@compiled
def sweep(v: Array, bound: Array, omega: Any, z: Array, x: Array) -> None:
    """z_i <- clip(z_i + omega v_i x), x <- x - dz_i v_i, for groups of eight rows as if they were orthogonal to each other.

    The second eight lanes of a group's duals are zero.
    """
    packs, step = SIZE(len(x)) // WIDTH, splat(omega)
    for group in range(SIZE(len(z)) // WIDTH):
        p0 = group * EIGHT * packs
        p1 = p0 + packs
        p2 = p1 + packs
        p3 = p2 + packs
        p4 = p3 + packs
        p5 = p4 + packs
        p6 = p5 + packs
        p7 = p6 + packs
        s0 = splat(np.float32(0.0))
        s1, s2, s3, s4, s5, s6, s7 = s0, s0, s0, s0, s0, s0, s0
        for j in range(packs):
            u = load(x, j)
            s0 = s0 + load(v, p0 + j) * u
            s1 = s1 + load(v, p1 + j) * u
            s2 = s2 + load(v, p2 + j) * u
            s3 = s3 + load(v, p3 + j) * u
            s4 = s4 + load(v, p4 + j) * u
            s5 = s5 + load(v, p5 + j) * u
            s6 = s6 + load(v, p6 + j) * u
            s7 = s7 + load(v, p7 + j) * u
        old = load(z, group)
        new = clip(old + step * totals(s0, s1, s2, s3, s4, s5, s6, s7), load(bound, group))
        store(z, group, new)
        e0, e1, e2, e3, e4, e5, e6, e7 = spread(new - old)
        for j in range(packs):
            one = (e0 * load(v, p0 + j) + e1 * load(v, p1 + j)) + (e2 * load(v, p2 + j) + e3 * load(v, p3 + j))
            two = (e4 * load(v, p4 + j) + e5 * load(v, p5 + j)) + (e6 * load(v, p6 + j) + e7 * load(v, p7 + j))
            store(x, j, load(x, j) - (one + two))


@compiled
def squared(x: Array) -> Any:
    """|x|^2, without the call of BLAS that np.dot would be."""
    total = np.float32(0.0)
    for j in range(SIZE(len(x))):
        total += x[j] * x[j]
    return total


@compiled
def changed(z: Array, before: Array, bound: Array) -> bool:
    """Whether a row came to a bound or left it."""
    any_changed, zero = np.uint64(0), splat(np.float32(0.0))
    for i in range(SIZE(len(z)) // WIDTH):
        new, old, high = load(z, i), load(before, i), load(bound, i)
        low = zero - high
        any_changed |= differing(new, high) ^ differing(old, high) | differing(new, low) ^ differing(old, low)
    return any_changed != 0
