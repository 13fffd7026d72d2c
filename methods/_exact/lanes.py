"""The box dual and its adjoint for a tile of signals that share W: a signal in each lane.

Coordinate descent in single precision proposes a pattern, an active set in double precision settles it, and the conditions are
verified on W. A lane that is left open is solved as a signal of its own.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from methods._exact.active import BOUND, DIAGONAL, FREE, Duals, Listed, System, add, list_rows, settle, solve_free
from methods._exact.dual import ACCEPTED, TOUCH
from methods._exact.linear import factor
from methods._exact.packs import LANES
from methods._exact.steps import PIVOT, ROUNDING
from methods._exact.tiles import descend, inverse, multiply, read, row, subtract, write
from problems._compiling import compiled
from problems.base import Array

STEPS = 8  # of the active set, at most
REFINED = 3  # refinements, at most
REFINABLE = 1e-9  # residual of the free rows, relative, that one refinement takes to rounding
ORTHOGONAL = 1e-12  # cosine of two rows below which they are orthogonal to rounding
NEAR = 1e-7  # share of the box by which single precision may miss a bound
ADVANTAGE = 0.75  # K_AA is factored where A has at most this share of the free rows


class Shared(NamedTuple):
    """What the signals of a batch share."""

    w: Array  # (k, n)
    columns: Array  # (n, k) W^T
    lengths: Array  # (k) |w_i|
    scaled: Array  # (k, k) rows of G divided by |w_i|^2, in single precision
    system: System
    has_inverse: Array  # (1) whether K is known
    diagonal: bool  # G is, to rounding


class Tiles(NamedTuple):
    """The solutions of all tiles, for the adjoint: one row a tile."""

    state: Array  # (tiles, k packs) the sign of a row at its bound, 0 for a free one
    form: Array  # (tiles) what is factored
    size: Array  # (tiles) rows of the factor
    u: Array  # (tiles, packs of a triangle) the factor
    iterations: Array  # (tiles)
    order: Array  # (tiles lanes) the signal in each lane


class Work(NamedTuple):
    """The work arrays of one tile."""

    y: Array  # (n) packs, or dL/dx
    x: Array  # (n), or v
    single: Array  # (k) z in single precision
    right: Array  # (k) W y, scaled
    duals: Duals
    listed: Listed
    residual: Array  # (lanes) of the free rows, relative


@compiled
def work_arrays(k: int, n: int) -> Work:
    signals, a, b = np.empty((2, n * LANES)), np.empty((7, k * LANES)), np.empty((2, k * LANES), np.float32)
    duals = Duals(a[0], a[1], a[2], a[3], a[4], a[5], a[6])
    listed = Listed(np.empty(k * LANES, np.int64), np.empty(LANES, np.int64), np.empty(LANES))
    return Work(signals[0], signals[1], b[0], b[1], duals, listed, np.empty(LANES))


@compiled
def share(w: Array, gram: Array) -> Shared:
    """What the signals share, but for K."""
    (k, n), lengths, close = w.shape, np.empty(len(w)), 0
    columns, scaled = np.empty((n, k)), np.empty((k, k), np.float32)
    for i in range(k):
        lengths[i] = math.sqrt(gram[i, i])
        for j in range(n):
            columns[j, i] = w[i, j]
    for i in range(k):
        share = 1.0 / gram[i, i]
        for j in range(k):
            scaled[i, j] = gram[i, j] * share
            close += abs(gram[i, j]) > ORTHOGONAL * lengths[i] * lengths[j]
    system = System(gram, np.empty((k, k)), ROUNDING * lengths)
    return Shared(w, columns, lengths, scaled, system, np.zeros(1, np.bool_), close <= k)


@compiled
def invert(shared: Shared) -> None:
    """K, where G is definite and not only close to it."""
    gram = shared.system.gram
    k, u = len(gram), gram.copy()
    if factor(u, np.full(k, k), False, PIVOT):
        inverse(u, shared.system.inverse)
        shared.has_inverse[0] = True


@compiled
def minimise(
    shared: Shared, y: Array, c: Array, beta: float, warm: bool, x: Array, z: Array, tiles: Tiles, solved: Array
) -> None:
    """x*, z of the signals y (batch, n), c (batch, k) = W y; solved (batch): whether the solution is verified.

    z holds duals of a W close by where `warm`. The three steps can be called one by one, the outer two for a part of the tiles.
    """
    propose_all(shared, c, beta, warm, z, tiles, 0, len(tiles.form))
    arrange(shared, beta, z, tiles)
    solve_all(shared, y, c, beta, x, z, tiles, solved, 0, len(tiles.form))


@compiled
def propose_all(shared: Shared, c: Array, beta: float, warm: bool, z: Array, tiles: Tiles, first: int, last: int) -> None:
    """`propose` for the signals of tiles first .. last - 1 in their natural order."""
    work, natural = work_arrays(*shared.w.shape), np.arange(last * LANES)
    for t in range(first, last):
        read(c, natural[t * LANES :], work.duals.c)
        if warm:
            read(z, natural[t * LANES :], work.duals.z)
        tiles.iterations[t] = propose(shared, beta, warm, work)
        write(work.duals.z, natural[t * LANES :], z)


@compiled
def arrange(shared: Shared, beta: float, z: Array, tiles: Tiles) -> None:
    """Signals with as many free rows share a tile, since its factor is as large as the most; what each tile factors.

    K pays where half of the signals are to use it.
    """
    k, n = shared.w.shape
    free = np.zeros(len(z), np.int64)
    bind(beta, z, free)
    order = np.argsort(free, kind="mergesort")
    tiles.order[: len(z)], tiles.order[len(z) :] = order, order[-1]
    middle = free[order[len(order) // 2]]
    if not shared.diagonal and k <= n and k - middle <= ADVANTAGE * middle:
        invert(shared)
    plan(shared, free, tiles)


@compiled
def solve_all(
    shared: Shared, y: Array, c: Array, beta: float, x: Array, z: Array, tiles: Tiles, solved: Array, first: int, last: int
) -> None:
    """`solve_tile` for tiles first .. last - 1, which hold other signals than the rest."""
    work = work_arrays(*shared.w.shape)
    for t in range(first, last):
        order = tiles.order[t * LANES : (t + 1) * LANES]
        read(y, order, work.y)
        read(c, order, work.duals.c)
        read(z, order, work.duals.z)
        norms(work.y, work.listed.norms)
        right = solve_tile(shared, beta, work, tiles, t)
        write(work.x, order, x)
        write(work.duals.z, order, z)
        for lane in range(LANES):
            solved[order[lane]] = right[lane]


@compiled
def plan(shared: Shared, free: Array, tiles: Tiles) -> None:
    """Choose what each tile factors."""
    k = len(shared.lengths)
    for t in range(len(tiles.form)):
        most, least = free[tiles.order[(t + 1) * LANES - 1]], free[tiles.order[t * LANES]]
        fewer_bound = shared.has_inverse[0] and k - least <= ADVANTAGE * most
        tiles.form[t] = DIAGONAL if shared.diagonal else BOUND if fewer_bound else FREE


@compiled
def propose(shared: Shared, beta: float, warm: bool, work: Work) -> int:
    """z by coordinate descent, from 0 or from z, which one sweep ends where rows are orthogonal; the number of sweeps."""
    right, z, single = work.right, work.duals.z, work.single
    for i in range(len(shared.lengths)):
        share = 1.0 / shared.lengths[i] ** 2
        for p in range(i * LANES, (i + 1) * LANES):
            if shared.diagonal:
                z[p] = min(max(work.duals.c[p] * share, -beta), beta)
            else:
                right[p], single[p] = work.duals.c[p] * share, z[p] if warm else 0.0
    if shared.diagonal:
        return 1
    sweeps = descend(shared.scaled, right, beta, single, warm)
    z[:] = single
    return sweeps


@compiled
def bind(beta: float, z: Array, free: Array) -> None:
    """Move z (batch, k) that is at a bound in single precision onto it; free (batch): how many are not."""
    near = beta * (1.0 - NEAR)
    for b in range(len(z)):
        for i in range(z.shape[1]):
            if abs(z[b, i]) < near:
                free[b] += 1
            else:
                z[b, i] = math.copysign(beta, z[b, i])


@compiled
def solve_tile(shared: Shared, beta: float, work: Work, tiles: Tiles, t: int) -> Array:
    """Whether each lane is verified."""
    u, state, form, duals, m = tiles.u[t], tiles.state[t], tiles.form[t], work.duals, 0
    for p in range(len(state)):
        state[p] = (duals.z[p] == beta) - (duals.z[p] == -beta)
    if form != DIAGONAL:
        steps, m = settle(shared.system, beta, form, STEPS, duals, work.listed, state, u)
        tiles.iterations[t] += steps
    tiles.size[t] = m
    return verify(shared, beta, form, m, u, state, work)


@compiled
def verify(shared: Shared, beta: float, form: int, m: int, u: Array, state: Array, work: Work) -> Array:
    """x, with z refined; whether |z_i| < beta and w_i x = 0 on free rows, s_i w_i x > 0 on bound ones, clear of rounding."""
    duals, listed, lengths, residual = work.duals, work.listed, shared.lengths, work.residual
    z, r, right = duals.z, duals.r, independent(shared, form, m, u, listed)
    for refined in range(REFINED):
        multiply(shared.columns, z, work.x)
        subtract(work.y, work.x, work.x)
        multiply(shared.w, work.x, r)
        free_residual(lengths, state, r, listed.norms, residual)
        if refined == REFINED - 1 or not (right & (residual > ROUNDING)).any():
            break
        solve_free(shared.system, state, form, m, u, duals, listed)
        add(duals.step, z)
    for i in range(len(lengths)):
        for lane in range(LANES):
            p = i * LANES + lane
            if state[p] == 0:
                right[lane] &= abs(z[p]) <= beta * (1.0 - TOUCH)
            else:
                right[lane] &= (z[p] == beta * state[p]) & (state[p] * r[p] >= TOUCH * lengths[i] * listed.norms[lane])
    return right & (residual <= ACCEPTED) & (listed.norms > 0.0) & (listed.norms < np.inf)


@compiled
def independent(shared: Shared, form: int, m: int, u: Array, listed: Listed) -> Array:
    """Whether all pivots are above PIVOT of their diagonal."""
    right, g = np.ones(LANES, np.bool_), shared.system.inverse if form == BOUND else shared.system.gram
    if form != DIAGONAL:
        for lane in range(LANES):
            right[lane] = listed.counts[lane] <= m  # more of them had no room
            for a in range(min(listed.counts[lane], m)):
                i, scale = listed.rows[a * LANES + lane], u[(row(m, a) + a) * LANES + lane]
                right[lane] &= scale * scale * PIVOT * g[i, i] < 1.0
    return right


@compiled
def free_residual(lengths: Array, state: Array, r: Array, norms: Array, residual: Array) -> None:
    """The largest |r_i| / (|w_i| norm) of a free row."""
    residual[:] = 0.0
    for i in range(len(lengths)):
        for lane in range(LANES):
            p = i * LANES + lane
            if state[p] == 0:
                size = abs(r[p]) / (lengths[i] * norms[lane])
                if not size <= residual[lane]:
                    residual[lane] = size


@compiled
def norms(signals: Array, out: Array) -> None:
    out[:] = 0.0
    for j in range(len(signals) // LANES):
        for lane in range(LANES):
            out[lane] += signals[j * LANES + lane] ** 2
    for lane in range(LANES):
        out[lane] = math.sqrt(out[lane])


@compiled
def adjoint(shared: Shared, g: Array, tiles: Tiles, h: Array, v: Array, solved: Array, first: int, last: int) -> None:
    """For the signals of tiles first .. last - 1: h (batch, k) <- W_F^{+T} g, zero elsewhere; v (batch, n) <- g - W_F^T h;
    solved &= whether W_F v vanishes to rounding.

    From a residual of REFINABLE one more step ends there: the one before has shown what a step gains.
    """
    lengths, work = shared.lengths, work_arrays(*shared.w.shape)
    duals, listed, residual = work.duals, work.listed, work.residual
    for t in range(first, last):
        u, state, form, m, order = tiles.u[t], tiles.state[t], tiles.form[t], tiles.size[t], tiles.order[t * LANES :]
        read(g, order, work.y)
        norms(work.y, listed.norms)
        list_rows(state, form, listed)
        duals.z[:], work.x[:] = 0.0, work.y
        for _ in range(REFINED):
            multiply(shared.w, work.x, duals.r)
            free_residual(lengths, state, duals.r, listed.norms, residual)
            if not (residual > ROUNDING).any():
                break
            solve_free(shared.system, state, form, m, u, duals, listed)
            add(duals.step, duals.z)
            multiply(shared.columns, duals.z, work.x)
            subtract(work.y, work.x, work.x)
            if not (residual > REFINABLE).any():
                break
        write(duals.z, order, h)
        write(work.x, order, v)
        for lane in range(LANES):
            solved[order[lane]] &= not residual[lane] > REFINABLE
