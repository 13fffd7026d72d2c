"""The parts of the compiled solvers one by one, and the least that any solver must do; they are timed, never used.

Either over T solved instances of one signal, W = ws[t], whose work arrays have one row each; or over the tiles of a batch.
"""

from __future__ import annotations

import math

import numpy as np

from methods._exact import full
from methods._exact.active import BOUND, DIAGONAL, FREE, list_rows, step_on_bound, step_on_free
from methods._exact.active import solve_free as solve_rows
from methods._exact.adjoint import adjoint, write
from methods._exact.dual import FACTORED, minimise, verified
from methods._exact.lanes import Shared, Tiles, Work, norms, verify, work_arrays
from methods._exact.linear import extents, row_dot, rows_subtract
from methods._exact.packs import LANES
from methods._exact.steps import factorise, free_rows, slopes, solve_free
from methods._exact.tiles import factor, gather, multiply, read, subtract
from methods._exact.tiles import write as write_tile
from methods._exact.work import FULL, M, Signal, views
from problems._compiling import compiled
from problems.base import Array


@compiled
def minimise_each(ws: Array, y: Array, beta: float, floats: Array, integers: Array, status: Array) -> None:
    """Solve for one signal at every W."""
    for t in range(len(ws)):
        status[t] = minimise(ws[t], y, beta, False, floats[t], integers[t])


@compiled
def adjoints(ws: Array, gs: Array, status: Array, floats: Array, integers: Array, h: Array, v: Array) -> None:
    for t in range(len(gs)):
        adjoint(ws[t], gs[t], status[t], floats[t], integers[t], h[t], v[t])


@compiled
def scan(ws: Array, floats: Array, integers: Array) -> None:
    """The extents and lengths of the rows of every W."""
    for t in range(len(ws)):
        s = views(ws.shape[1], ws.shape[2], floats[t], integers[t])
        extents(ws[t], s.first, s.end, s.lengths, s.inverse)


@compiled
def factors(ws: Array, status: Array, floats: Array, integers: Array) -> None:
    """The products and the factor of the free rows, where the solution has one."""
    for t in range(len(status)):
        if status[t] == FACTORED:
            s = views(ws.shape[1], ws.shape[2], floats[t], integers[t])
            factorise(ws[t], s)


@compiled
def checks(ws: Array, y: Array, beta: float, floats: Array, integers: Array) -> bool:
    """Whether every solution verifies."""
    right = True
    for t in range(len(floats)):
        s = views(ws.shape[1], ws.shape[2], floats[t], integers[t])
        norm = math.sqrt(np.dot(y, y))
        slopes(ws[t], s)
        free_rows(norm, s, 0.0)
        right = verified(beta, norm, s) and right
    return right


@compiled
def writes(floats: Array, h: Array, v: Array, out: Array) -> None:
    """The dense gradients."""
    k, n = out.shape
    for t in range(len(floats)):
        write(floats[t, n : n + k], v[t], h[t], floats[t, :n], out)


@compiled
def least(w: Array, y: Array, g: Array, status: int, floats: Array, integers: Array, h: Array, v: Array) -> None:
    """x*, z, h and v with the pattern given away and nothing verified: two passes over W, one factor, two solves."""
    k, n = w.shape
    s = views(k, n, floats, integers)
    m, rows, step = s.counts[M], s.rows[: s.counts[M]], s.step
    s.x[:], v[:], h[:] = y, g, 0.0
    bound, is_full = np.flatnonzero(s.state), s.counts[FULL] == 1
    subtract_rows(s.z[bound], w, bound, is_full, s, s.x)
    if status == FACTORED:
        factorise(w, s)
    for right, solved in ((s.x, s.z), (v, h)):
        if is_full:
            full.dots(w, rows, right, step)
        else:
            for a in range(m):
                step[a] = row_dot(w, rows[a], s.first[rows[a]], s.end[rows[a]], right)
        if status == FACTORED:
            solve_free(s)
        else:
            step[:m] *= s.inverse[rows]
        solved[rows] = step[:m]
        subtract_rows(step, w, rows, is_full, s, right)


@compiled
def subtract_rows(c: Array, w: Array, rows: Array, is_full: bool, s: Signal, x: Array) -> None:
    """x <- x - sum_a c_a w_rows[a]."""
    if is_full:
        full.subtract(c, w, rows, x)
    else:
        rows_subtract(c, w, rows, s.first, s.end, x)


@compiled
def least_gradient(w: Array, y: Array, g: Array, status: int, floats: Array, integers: Array, out: Array) -> None:
    """The same for one signal, with its dense gradient."""
    k, n = w.shape
    h, v = np.empty(k), np.empty(n)
    least(w, y, g, status, floats, integers, h, v)
    write(floats[n : n + k], v, h, floats[:n], out)


@compiled
def tile_factors(shared: Shared, tiles: Tiles) -> None:
    """The factor of every tile, from the states."""
    work = work_arrays(*shared.w.shape)
    for t in range(len(tiles.form)):
        tile_factor(shared, tiles, t, work)


@compiled
def tile_factor(shared: Shared, tiles: Tiles, t: int, work: Work) -> None:
    form, rows, system = tiles.form[t], tiles.size[t], shared.system
    list_rows(tiles.state[t], form, work.listed)
    if form != DIAGONAL:
        gather(system.inverse if form == BOUND else system.gram, work.listed.rows, work.listed.counts, rows, tiles.u[t])
        factor(tiles.u[t], rows)


@compiled
def tile_checks(shared: Shared, y: Array, z: Array, beta: float, tiles: Tiles) -> bool:
    """Whether every lane verifies."""
    work, right = work_arrays(*shared.w.shape), True
    for t in range(len(tiles.form)):
        read(y, tiles.order[t * LANES :], work.y)
        read(z, tiles.order[t * LANES :], work.duals.z)
        norms(work.y, work.listed.norms)
        list_rows(tiles.state[t], tiles.form[t], work.listed)
        verified = verify(shared, beta, tiles.form[t], tiles.size[t], tiles.u[t], tiles.state[t], work)
        right = right and verified.all()
    return right


@compiled
def tile_least(
    shared: Shared, y: Array, c: Array, g: Array, beta: float, tiles: Tiles, x: Array, z: Array, h: Array, v: Array
) -> None:
    """`least` for the signals in tiles, c = W y; G and its inverse, which all share, are given away too."""
    work = work_arrays(*shared.w.shape)
    duals = work.duals
    for t in range(len(tiles.form)):
        u, state, form, rows, order = tiles.u[t], tiles.state[t], tiles.form[t], tiles.size[t], tiles.order[t * LANES :]
        tile_factor(shared, tiles, t, work)
        read(y, order, work.y)
        read(c, order, duals.c)
        if form == BOUND:
            multiply(shared.system.inverse, duals.c, duals.whole)
            step_on_bound(shared.system, beta, state, rows, u, duals, work.listed)
        elif form == FREE:
            step_on_free(shared.system, beta, state, rows, u, duals, work.listed)
        else:
            for i in range(len(shared.lengths)):
                for p in range(i * LANES, (i + 1) * LANES):
                    duals.z[p] = beta * state[p] if state[p] else duals.c[p] / shared.system.gram[i, i]
        multiply(shared.columns, duals.z, work.x)
        subtract(work.y, work.x, work.x)
        write_tile(duals.z, order, z)
        write_tile(work.x, order, x)
        read(g, order, work.y)
        multiply(shared.w, work.y, duals.r)
        solve_rows(shared.system, state, form, rows, u, duals, work.listed)
        multiply(shared.columns, duals.step, work.x)
        subtract(work.y, work.x, work.x)
        write_tile(duals.step, order, h)
        write_tile(work.x, order, v)
