"""A primal-dual active set on the box dual of a tile of signals (Hintermueller, Ito and Kunisch, 2002).

Rows outside the box are bound, bound rows that their slope pulls inwards are freed, all at once. On G = W W^T, or its inverse
K, alone. A lane never writes into another one; what is not finite in one stays there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from methods._exact.alone import settle_lane
from methods._exact.packs import LANES
from methods._exact.tiles import factor, gather, multiply, substitute, subtract
from problems._compiling import compiled
from problems.base import Array

FEW = 4  # open lanes up to which each is settled by itself, by at most so many steps
ALONE, SPARE = 8, 1  # with so many rows more than the largest lane has had
FREE, BOUND, DIAGONAL = 0, 1, 2  # what is factored: G_FF, K_AA of the bound rows A with K = G^{-1}, or nothing to factor


class System(NamedTuple):
    """What the signals share."""

    gram: Array  # (k, k) G = W W^T
    inverse: Array  # (k, k) K = G^{-1}, where it is known
    slack: Array  # (k) a slope below this share of |y| is rounding


class Duals(NamedTuple):
    """The work arrays of a tile, k packs each."""

    c: Array  # W y
    z: Array  # or h
    r: Array  # W x
    step: Array
    t: Array
    packed: Array
    whole: Array  # K c


class Listed(NamedTuple):
    """The rows that are factored, and the lengths of the signals."""

    rows: Array  # (k packs) integers
    counts: Array  # (lanes) how many they are
    norms: Array  # (lanes) |y|, or |dL/dx|


@compiled
def settle(
    system: System, beta: float, form: int, steps: int, duals: Duals, listed: Listed, state: Array, u: Array
) -> tuple[int, int]:
    """Move z and state (k packs: the sign of a row at its bound, 0 for a free one) towards the minimiser.

    The number of steps, at most `steps`, and of rows in the factor u; 0 where there is no room for it.
    """
    m, before = 0, np.empty(len(state), np.int8)
    if form == BOUND:
        multiply(system.inverse, duals.c, duals.whole)
    for step in range(steps):
        m = list_rows(state, form, listed)
        if not has_room(u, m):
            return step, 0
        m += SPARE if has_room(u, m + SPARE) else 0
        gather(system.inverse if form == BOUND else system.gram, listed.rows, listed.counts, m, u)
        factor(u, m)
        if form == BOUND:
            step_on_bound(system, beta, state, m, u, duals, listed)
        else:
            step_on_free(system, beta, state, m, u, duals, listed)
        before[:] = state
        if not exchange(system, beta, duals, listed, state):
            return step + 1, m
        more = settle_few(system, beta, form, m, before, duals, listed, state, u)
        if more:
            return step + 1 + more, m
    return steps, m


@compiled
def has_room(u: Array, m: int) -> bool:
    return len(u) >= m * (m + 1) // 2 * LANES


@compiled
def settle_few(
    system: System, beta: float, form: int, m: int, before: Array, duals: Duals, listed: Listed, state: Array, u: Array
) -> int:
    """Settle the lanes whose state has changed one by one, if they are few; the most steps, or 0 where one is left open."""
    is_open = np.zeros(LANES, np.bool_)
    for i in range(len(system.slack)):
        for lane in range(LANES):
            p = i * LANES + lane
            is_open[lane] |= state[p] != before[p]
    if is_open.sum() > FEW:
        return 0
    matrix, most, settled = system.inverse if form == BOUND else system.gram, 0, True
    for one in np.flatnonzero(is_open):
        taken = settle_lane(matrix, form == BOUND, system.slack, beta, ALONE, one, m, duals, listed, state, u)
        settled, most = settled and taken > 0, max(most, taken)
    return most if settled else 0


@compiled
def list_rows(state: Array, form: int, listed: Listed) -> int:
    """List the rows that are factored, free or bound ones, in every lane; the largest number of them."""
    rows, counts, bound = listed.rows, listed.counts, form == BOUND
    counts[:], rows[:] = 0, 0
    for i in range(len(state) // LANES):
        for lane in range(LANES):
            if (state[i * LANES + lane] != 0) == bound:
                rows[counts[lane] * LANES + lane] = i
                counts[lane] += 1
    return counts.max()


@compiled
def step_on_bound(system: System, beta: float, state: Array, m: int, u: Array, duals: Duals, listed: Listed) -> None:
    """z_F and r_A at the minimiser for this state: K_AA r_A = (K c)_A - z_A, z = K (c - r)."""
    r, z, whole = duals.r, duals.z, duals.whole
    for p in range(len(state)):
        r[p] = whole[p] - beta * state[p]
    solve_listed(m, u, r, duals, listed)
    multiply(system.inverse, r, duals.t)
    for p in range(len(state)):
        z[p] = whole[p] - duals.t[p] if state[p] == 0 else beta * state[p]


@compiled
def step_on_free(system: System, beta: float, state: Array, m: int, u: Array, duals: Duals, listed: Listed) -> None:
    """The same: G_FF z_F = (c - G z_A)_F, r = c - G z."""
    r, z, c = duals.r, duals.z, duals.c
    for p in range(len(state)):
        z[p] = beta * state[p]
    multiply(system.gram, z, r)
    subtract(c, r, r)
    solve_free(system, state, FREE, m, u, duals, listed)
    add(duals.step, z)
    multiply(system.gram, duals.step, duals.t)
    subtract(r, duals.t, r)


@compiled
def solve_free(system: System, state: Array, form: int, m: int, u: Array, duals: Duals, listed: Listed) -> None:
    """step <- G_FF^{-1} r_F, and 0 on the bound rows A; by K_AA: t - K_:A K_AA^{-1} t_A with t = K (r_F, 0)."""
    step, t, k = duals.step, duals.t, len(system.gram)
    for p in range(len(state)):
        step[p] = duals.r[p] if state[p] == 0 else 0.0
    if form == DIAGONAL:
        for i in range(k):
            for p in range(i * LANES, (i + 1) * LANES):
                step[p] /= system.gram[i, i]
    elif form == FREE:
        solve_listed(m, u, step, duals, listed)
    else:
        multiply(system.inverse, step, t)
        step[:] = t
        solve_listed(m, u, step, duals, listed)
        multiply(system.inverse, step, duals.packed)
        for p in range(len(state)):
            step[p] = t[p] - duals.packed[p] if state[p] == 0 else 0.0


@compiled
def solve_listed(m: int, u: Array, a: Array, duals: Duals, listed: Listed) -> None:
    """a <- (U^T U)^{-1} of its listed rows, and 0 elsewhere."""
    rows, counts, packed = listed.rows, listed.counts, duals.packed
    for b in range(m):
        for lane in range(LANES):
            p = b * LANES + lane
            packed[p] = a[rows[p] * LANES + lane] if b < counts[lane] else 0.0
    substitute(u, m, packed)
    a[:] = 0.0
    for b in range(m):
        for lane in range(LANES):
            p = b * LANES + lane
            if b < counts[lane]:
                a[rows[p] * LANES + lane] = packed[p]


@compiled
def add(a: Array, b: Array) -> None:
    for p in range(len(a)):
        b[p] += a[p]


@compiled
def exchange(system: System, beta: float, duals: Duals, listed: Listed, state: Array) -> bool:
    """Bind free rows outside the box, free bound ones that their slope pulls inwards; whether there was any."""
    z, r, changed = duals.z, duals.r, np.int8(0)
    for i in range(len(system.slack)):
        for lane in range(LANES):
            p = i * LANES + lane
            now = state[p]
            outside = (now == 0) & (not abs(z[p]) <= beta)
            pulled = (now != 0) & (now * r[p] <= -system.slack[i] * listed.norms[lane])
            beyond = (z[p] > 0.0) - (z[p] < 0.0)
            state[p] = beyond if outside else 0 if pulled else now
            changed |= outside | pulled
    return changed != 0
