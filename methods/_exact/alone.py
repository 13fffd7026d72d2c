"""The active set of methods/_exact/active.py for one lane by itself: a step of a tile would be one for all its lanes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from methods._exact import definite
from methods._exact.linear import SIZE, row_add
from methods._exact.packs import LANES
from methods._exact.steps import PIVOT
from methods._exact.tiles import row
from problems._compiling import compiled
from problems.base import Array

if TYPE_CHECKING:
    from methods._exact.active import Duals, Listed


class Lane(NamedTuple):
    """The work arrays of one lane."""

    state: Array  # (k) the sign of a row at its bound, 0 for a free one
    right: Array  # (k) W y, or K W y
    z: Array  # (k)
    r: Array  # (k) W x
    rows: Array  # (k) those that are listed, the first of them
    step: Array  # (m, and up to a multiple of 8)
    factor: Array  # as methods/_exact/definite.py keeps it


@compiled
def settle_lane(
    matrix: Array,
    bound: bool,
    slack: Array,
    beta: float,
    steps: int,
    p: int,
    m: int,
    duals: Duals,
    listed: Listed,
    state: Array,
    u: Array,
) -> int:
    """Move lane p to the minimiser; its steps, at most so many, or 0 where it came not there, or not with at most m rows.

    `matrix` is K, whose rows at their bounds are factored, or G and the free ones.
    """
    k, room = len(matrix), definite.padded(m)
    floats, integers = np.empty((3, k)), np.empty((2, k), np.int64)
    one = Lane(integers[0], floats[0], floats[1], floats[2], integers[1], np.empty(room), np.empty(room * room))
    source = duals.whole if bound else duals.c
    for i in range(k):
        one.state[i], one.right[i] = state[i * LANES + p], source[i * LANES + p]
    for taken in range(steps):
        count = 0
        for i in range(k):
            if (one.state[i] != 0) == bound:
                one.rows[count] = i
                count += 1
        if count > m or not step_lane(matrix, bound, beta, count, one):
            return 0
        if not exchange_lane(slack, beta, listed.norms[p], one):
            for i in range(k):
                state[i * LANES + p], duals.z[i * LANES + p] = one.state[i], one.z[i]
            listed.counts[p] = count
            for a in range(m):
                listed.rows[a * LANES + p] = one.rows[a] if a < count else 0
            write_factor(one.factor, count, m, p, u)
            return taken + 1
    return 0


@compiled
def step_lane(matrix: Array, bound: bool, beta: float, m: int, one: Lane) -> bool:
    """z and r at the minimiser for this state; False where the listed rows of `matrix` are dependent or too close to it."""
    state, z, r, rows, step, u = one.state, one.z, one.r, one.rows, one.step, one.factor
    value, other, ld = (z, r, SIZE(definite.padded(m))) if bound else (r, z, SIZE(definite.padded(m)))
    value[:] = one.right
    for i in range(len(matrix)):
        other[i] = 0.0 if bound else beta * state[i]
        if bound:
            value[i] -= beta * state[i]
        elif state[i] != 0:
            row_add(-beta * state[i], matrix, i, 0, len(matrix), value)
    for a in range(m):
        step[a] = value[rows[a]]
        for b in range(a, m):
            u[SIZE(a) * ld + SIZE(b)] = matrix[rows[a], rows[b]]
    if not definite.factor(u, m, PIVOT, np.empty(ld)):
        return False
    definite.solve(u, m, step)
    for a in range(m):
        row_add(-step[a], matrix, rows[a], 0, len(matrix), value)
    for a in range(m):
        other[rows[a]] = step[a]
        value[rows[a]] = beta * state[rows[a]] if bound else 0.0
    return True


@compiled
def exchange_lane(slack: Array, beta: float, norm: float, one: Lane) -> bool:
    """Bind free rows outside the box, free bound ones that their slope pulls inwards; whether there was any."""
    changed = False
    for i in range(len(slack)):
        if one.state[i] == 0 and not abs(one.z[i]) <= beta:
            one.state[i], changed = int(math.copysign(1.0, one.z[i])), True
        elif one.state[i] != 0 and one.state[i] * one.r[i] <= -slack[i] * norm:
            one.state[i], changed = 0, True
    return changed


@compiled
def write_factor(factor: Array, count: int, m: int, p: int, u: Array) -> None:
    """U^T D U (count) as lane p of a factor U^T U (m), with ones on the diagonal behind it."""
    ld = SIZE(definite.padded(count))
    for a in range(m):
        at, root = row(m, a), math.sqrt(factor[SIZE(a) * ld + SIZE(a)]) if a < count else 1.0
        for b in range(a + 1, m):
            u[(at + b) * LANES + p] = factor[SIZE(a) * ld + SIZE(b)] / root if b < count else 0.0
        u[(at + a) * LANES + p] = root
