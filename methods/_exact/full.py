"""Products with full rows of W on eights, several rows or entries at a time."""

from __future__ import annotations

from typing import Any

from methods._exact.eights import load, splat, store
from methods._exact.linear import SIZE, row_add
from methods._exact.vectors import totals
from problems._compiling import compiled
from problems.base import Array

EIGHT = SIZE(8)


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
    """x <- x - sum_a c_a w_rows[a], 32 entries of x at a time."""
    m, n, j = SIZE(len(rows)), SIZE(w.shape[1]), SIZE(0)
    while j + SIZE(32) <= n:
        s0, s1, s2, s3 = load(x, j), load(x, j + SIZE(8)), load(x, j + SIZE(16)), load(x, j + SIZE(24))
        for a in range(m):
            at, e = SIZE(rows[a]) * n + j, splat(-c[a])
            s0 += e * load(w, at)
            s1 += e * load(w, at + SIZE(8))
            s2 += e * load(w, at + SIZE(16))
            s3 += e * load(w, at + SIZE(24))
        store(x, j, s0)
        store(x, j + SIZE(8), s1)
        store(x, j + SIZE(16), s2)
        store(x, j + SIZE(24), s3)
        j += SIZE(32)
    while j + EIGHT <= n:
        s0, s1 = load(x, j), splat(0.0)
        for a in range(SIZE(0), m // SIZE(2) * SIZE(2), SIZE(2)):
            s0 += splat(-c[a]) * load(w, SIZE(rows[a]) * n + j)
            s1 += splat(-c[a + SIZE(1)]) * load(w, SIZE(rows[a + SIZE(1)]) * n + j)
        if m % SIZE(2):
            s1 += splat(-c[m - SIZE(1)]) * load(w, SIZE(rows[m - SIZE(1)]) * n + j)
        store(x, j, s0 + s1)
        j += EIGHT
    if j < n:
        for a in range(m):
            row_add(-c[a], w, rows[a], j, n, x)
