"""The parts of the compiled solver one by one, and the least that any solver must do; they are timed, never used.

Everything runs over T solved instances, whose work arrays have one row each: W is ws[t] or, where they share it, ws[0].
"""

from __future__ import annotations

import math

import numpy as np

from methods._exact import reduced
from methods._exact.adjoint import adjoint, write
from methods._exact.dual import FACTORED, minimise, verified
from methods._exact.linear import extents, row_add, row_dot
from methods._exact.reduced import Known
from methods._exact.steps import factorise, free_rows, slopes, solve_free
from methods._exact.work import M, Signal, views
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
        adjoint(ws[t % len(ws)], gs[t], status[t], floats[t], integers[t], h[t], v[t])


@compiled
def scan(ws: Array, floats: Array, integers: Array) -> None:
    """The extents and lengths of the rows of every W."""
    for t in range(len(ws)):
        s = views(ws.shape[1], ws.shape[2], floats[t], integers[t])
        extents(ws[t], s.first, s.end, s.lengths, s.inverse)


@compiled
def factors(ws: Array, shared: Known, status: Array, floats: Array, integers: Array) -> None:
    """The products and the factor of the free rows, where the solution has one."""
    for t in range(len(status)):
        if status[t] == FACTORED:
            s = views(ws.shape[1], ws.shape[2], floats[t], integers[t])
            _factor(ws[t % len(ws)], shared, s)


@compiled
def checks(ws: Array, ys: Array, beta: float, floats: Array, integers: Array) -> bool:
    """Whether every solution verifies."""
    right = True
    for t in range(len(floats)):
        y, s = ys[t % len(ys)], views(ws.shape[1], ws.shape[2], floats[t], integers[t])
        norm = math.sqrt(np.dot(y, y))
        slopes(ws[t % len(ws)], s)
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
def least(w: Array, y: Array, g: Array, shared: Known, status: int, floats: Array, integers: Array, h: Array, v: Array) -> None:
    """x*, z, h and v with the pattern given away and nothing verified: two passes over W, one factor, two solves."""
    k, n = w.shape
    s = views(k, n, floats, integers)
    m, first, end, rows, step = s.counts[M], s.first, s.end, s.rows, s.step
    s.x[:], v[:], h[:] = y, g, 0.0
    for i in range(k):
        if s.state[i] != 0:
            row_add(-s.z[i], w, i, first[i], end[i], s.x)
    if status == FACTORED:
        _factor(w, shared, s)
    for right, solved in ((s.x, s.z), (v, h)):
        for a in range(m):
            step[a] = row_dot(w, rows[a], first[rows[a]], end[rows[a]], right)
        if status == FACTORED:
            solve_free(s)
        else:
            step[:m] *= s.inverse[rows[:m]]
        for a in range(m):
            i = rows[a]
            solved[i] = step[a]
            row_add(-step[a], w, i, first[i], end[i], right)


@compiled
def least_all(
    w: Array, ys: Array, gs: Array, shared: Known, status: Array, floats: Array, integers: Array, h: Array, v: Array
) -> None:
    """The same for the signals of a batch."""
    for t in range(len(ys)):
        least(w, ys[t], gs[t], shared, status[t], floats[t], integers[t], h[t], v[t])


@compiled
def least_gradient(
    w: Array, y: Array, g: Array, shared: Known, status: int, floats: Array, integers: Array, out: Array
) -> None:
    """The same for one signal, with its dense gradient."""
    k, n = w.shape
    h, v = np.empty(k), np.empty(n)
    least(w, y, g, shared, status, floats, integers, h, v)
    write(floats[n : n + k], v, h, floats[:n], out)


@compiled
def _factor(w: Array, shared: Known, s: Signal) -> bool:
    return reduced.factorise(s, shared) if len(shared.rows) else factorise(w, s)
