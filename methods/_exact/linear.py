"""Compiled linear algebra on the rows of W: products on their extents, Gram matrices, Cholesky factors and solves.

Inner loops run over unsigned ranges and make no views: with signed ones the compiler checks every index for a negative one and
uses no vector registers, and a view counts references, which costs as much as a row of 64.
"""

from __future__ import annotations

import math

import numpy as np

from problems._compiling import compiled
from problems.base import Array

SIZE = np.uintp


@compiled
def row_dot(w: Array, i: int, lo: int, hi: int, x: Array) -> float:
    """w_i x over lo <= j < hi."""
    s = 0.0
    for j in range(SIZE(lo), SIZE(hi)):
        s += w[i, j] * x[j]
    return s


@compiled
def dots(w: Array, first: Array, end: Array, x: Array, out: Array) -> None:
    """out_i <- w_i x for all rows."""
    for i in range(len(w)):
        out[i] = row_dot(w, i, first[i], end[i], x)


@compiled
def row_add(c: float, w: Array, i: int, lo: int, hi: int, x: Array) -> None:
    """x <- x + c w_i over lo <= j < hi."""
    for j in range(SIZE(lo), SIZE(hi)):
        x[j] += c * w[i, j]


@compiled
def pair_dot(w: Array, i: int, other: int, lo: int, hi: int) -> float:
    """w_i w_other over lo <= j < hi."""
    s = 0.0
    for j in range(SIZE(lo), SIZE(hi)):
        s += w[i, j] * w[other, j]
    return s


@compiled
def any_nonzero(w: Array, i: int, lo: int, hi: int) -> bool:
    s = 0.0
    for j in range(SIZE(lo), SIZE(hi)):
        s += abs(w[i, j])
    return s != 0.0


@compiled
def extents(w: Array, first: Array, end: Array, lengths: Array, inverse: Array) -> bool:
    """Row i is zero outside first_i <= j < end_i; lengths_i = |w_i|, inverse_i = 1 / |w_i|^2; whether all rows are full.

    The search starts at the extent of the row before: neighbours in a band are close to each other.
    """
    k, n = w.shape
    lo, hi, full = 0, n, True
    for i in range(k):
        if any_nonzero(w, i, 0, lo):
            lo = 0
        while lo < n and w[i, lo] == 0.0:
            lo += 1
        hi = max(min(hi + 1, n), lo)
        if any_nonzero(w, i, hi, n):
            hi = n
        while hi > lo and w[i, hi - 1] == 0.0:
            hi -= 1
        first[i], end[i], lengths[i] = lo, hi, pair_dot(w, i, i, lo, hi)
        full = full and lo == 0 and hi == n
    for i in range(SIZE(k)):
        lengths[i], inverse[i] = math.sqrt(lengths[i]), 1.0 / lengths[i]
    return full


@compiled
def rows_subtract(c: Array, w: Array, rows: Array, first: Array, end: Array, x: Array) -> None:
    """x <- x - sum_a c_a w_rows[a]."""
    for a in range(len(rows)):
        i = rows[a]
        row_add(-c[a], w, i, first[i], end[i], x)


@compiled
def is_banded(w: Array, rows: Array, first: Array, end: Array) -> bool:
    """Whether the extents of the rows F cover at most half of W_F."""
    total = 0
    for a in range(len(rows)):
        total += end[rows[a]] - first[rows[a]]
    return 2 * total <= len(rows) * w.shape[1]


@compiled
def gram(w: Array, rows: Array, first: Array, end: Array, g: Array, reach: Array) -> bool:
    """g <- upper triangle of W_F W_F^T (m, m) for the rows F; whether they are banded, so that most of it is zero.

    reach_a never falls: row a of the triangle, and of its factor, is zero from column reach_a on, and is not written there.
    """
    m, ordered = len(rows), True
    for a in range(1, m):
        ordered = ordered and first[rows[a]] >= first[rows[a - 1]]
    if not is_banded(w, rows, first, end):
        reach[:m] = m
        for a in range(m):
            for b in range(a, m):
                g[a, b] = pair_dot(w, rows[a], rows[b], 0, w.shape[1])
        return False
    furthest = 0
    for a in range(m):
        i, last = rows[a], a
        for b in range(a, m):
            j = rows[b]
            lo, hi = max(first[i], first[j]), min(end[i], end[j])
            if lo < hi:
                g[a, b] = pair_dot(w, i, j, lo, hi)
                last = b
            elif ordered and b >= furthest:
                break
            else:
                g[a, b] = 0.0
        furthest = max(furthest, last + 1)
        reach[a] = furthest
    return True


@compiled
def factor(u: Array, reach: Array, banded: bool, least: float) -> bool:
    """Overwrite the upper triangle of G (m, m) by U with G = U^T U; False where a pivot falls below `least` of its diagonal.

    Row-oriented, so that inner loops are contiguous. `banded`: zero multipliers are skipped, so that a band costs O(m) and
    the skyline is kept; else four rows are eliminated at once.
    """
    return _factor_banded(u, reach, least) if banded else _factor_dense(u, least)


@compiled
def _factor_banded(u: Array, reach: Array, least: float) -> bool:
    m, diagonal = len(u), np.diag(u).copy()
    for p in range(m):
        if not u[p, p] > least * diagonal[p]:
            return False
        scale, end = 1.0 / math.sqrt(u[p, p]), reach[p]
        for j in range(SIZE(p), SIZE(end)):
            u[p, j] *= scale
        for i in range(p + 1, end):
            c = u[p, i]
            if c != 0.0:
                for j in range(SIZE(i), SIZE(end)):
                    u[i, j] -= c * u[p, j]
    return True


@compiled
def _factor_dense(u: Array, least: float) -> bool:
    m, diagonal = len(u), np.diag(u).copy()
    for p in range(0, m, 4):
        q = min(p + 4, m)
        for i in range(p, q):
            for before in range(p, i):
                c = u[before, i]
                for j in range(SIZE(i), SIZE(m)):
                    u[i, j] -= c * u[before, j]
            if not u[i, i] > least * diagonal[i]:
                return False
            scale = 1.0 / math.sqrt(u[i, i])
            for j in range(SIZE(i), SIZE(m)):
                u[i, j] *= scale
        for i in range(q, m):
            c0, c1, c2, c3 = u[p, i], u[p + 1, i], u[p + 2, i], u[p + 3, i]
            for j in range(SIZE(i), SIZE(m)):
                u[i, j] -= c0 * u[p, j] + c1 * u[p + 1, j] + c2 * u[p + 2, j] + c3 * u[p + 3, j]
    return True


@compiled
def solve(u: Array, reach: Array, r: Array) -> None:
    """Overwrite r (m,) by G^{-1} r."""
    m = len(u)
    for i in range(m):
        r[i] /= u[i, i]
        row_add(-r[i], u, i, i + 1, reach[i], r)
    for i in range(m - 1, -1, -1):
        r[i] = (r[i] - row_dot(u, i, i + 1, reach[i], r)) / u[i, i]
