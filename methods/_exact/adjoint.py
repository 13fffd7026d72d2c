"""The compiled adjoint of W -> x* at a solution of methods/_exact/dual.py, and the dense rank-2 gradient."""

from __future__ import annotations

import math

import numpy as np

from methods._exact import full
from methods._exact.dual import ACCEPTED, FACTORED, ZERO
from methods._exact.linear import SIZE, row_dot, rows_subtract
from methods._exact.steps import ROUNDING, solve_free
from methods._exact.work import FULL, M, split, views
from problems._compiling import compiled
from problems.base import Array


@compiled
def adjoint(w: Array, g: Array, status: int, floats: Array, integers: Array, h: Array, v: Array) -> bool:
    """h <- W_F^{+T} g (k), zero elsewhere; v <- g - W_F^T h (n); whether W_F v vanishes to rounding."""
    k, n = w.shape
    s = views(k, n, floats, integers)
    if status == ZERO:
        h[:], v[:] = 0.0, 0.0
        return True
    m = s.counts[M]
    rows, step, inverse, first, end, is_full = s.rows[:m], s.step, s.inverse, s.first, s.end, s.counts[FULL] == 1
    norm, residual, lifted = math.sqrt(np.dot(g, g)), 0.0, np.zeros(m)
    h[:], v[:] = 0.0, g
    for _ in range(4):
        worst = 0.0
        if is_full:
            full.dots(w, rows, v, step)
        for a in range(m):
            if not is_full:
                step[a] = row_dot(w, rows[a], first[rows[a]], end[rows[a]], v)
            worst = max(worst, step[a] * inverse[rows[a]] * step[a])
        residual = math.sqrt(worst)
        if residual <= ROUNDING * norm:
            break
        if status == FACTORED:
            solve_free(s)
        else:
            for a in range(m):
                step[a] *= inverse[rows[a]]
        for a in range(m):
            lifted[a] += step[a]
        v[:] = g
        if is_full:
            full.subtract(lifted, w, rows, v)
        else:
            rows_subtract(lifted, w, rows, first, end, v)
    for a in range(m):
        h[rows[a]] = lifted[a]
    return residual <= ACCEPTED * norm


@compiled
def lift(w: Array, g: Array, status: int, work: Array, h: Array, v: Array) -> bool:
    """`adjoint` in the one work array of a single signal."""
    floats, integers = split(w.shape[0], w.shape[1], work)
    return adjoint(w, g, status, floats, integers, h, v)


@compiled
def gradient(w: Array, g: Array, status: int, work: Array, out: Array) -> bool:
    """out <- -(z v^T + h x^T), shape (k, n); whether the adjoint is solved."""
    k, n = w.shape
    end = len(work)
    v, h = work[end - n - k : end - k], work[end - k :]
    solved = lift(w, g, status, work, h, v)
    write(work[n : n + k], v, h, work[:n], out)
    return solved


@compiled
def squared(w: Array, target: Array, scale: float, status: int, work: Array, out: Array) -> float:
    """out <- the gradient of scale / 2 |x - target|^2, which is returned; NaN where the adjoint is not solved."""
    k, n = w.shape
    g, value = work[len(work) - 2 * n - k : len(work) - n - k], 0.0
    for j in range(SIZE(n)):
        error = work[j] - target[j]
        g[j] = scale * error
        value += error * error
    return 0.5 * scale * value if gradient(w, g, status, work, out) else np.nan


@compiled
def write(z: Array, v: Array, h: Array, x: Array, out: Array) -> None:
    """out <- -(z v^T + h x^T)."""
    for i in range(len(z)):
        zi, hi = -z[i], -h[i]
        for j in range(len(x)):
            out[i, j] = zi * v[j] + hi * x[j]


@compiled
def write_all(z: Array, v: Array, h: Array, x: Array, out: Array) -> None:
    """out <- -(z^T v + h^T x), the sum over the signals."""
    for i in range(len(out)):
        for b in range(len(z)):
            zi, hi = -z[b, i], -h[b, i]
            for j in range(SIZE(out.shape[1])):
                out[i, j] = zi * v[b, j] + hi * x[b, j] + (out[i, j] if b > 0 else 0.0)
