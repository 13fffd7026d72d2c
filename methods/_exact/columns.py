"""G = W_F W_F^T as a sum of outer products: the rows F of W turned into columns, so that no sum runs along a register.

A matrix of m rows turned lies in n rows of `definite.padded(m)` entries; what fills up the last eight repeats its last row.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from methods._exact.eights import load, splat, store, transposed
from methods._exact.linear import SIZE
from problems._compiling import compiled
from problems.base import Array

EIGHT = SIZE(8)


@compiled
def turn(w: Array, rows: Array, before: int, turned: Array) -> None:
    """The columns of `turned` (n, whole eights) from `before` on <- the rows of W listed from there on."""
    n, ld, last = SIZE(w.shape[1]), SIZE(turned.shape[1]), len(rows) - 1
    rows_of, place = np.empty(8, SIZE), np.empty(8, SIZE)
    for first in range(before // 8 * 8, len(rows), 8):
        for b in range(8):
            rows_of[b] = rows[min(first + b, last)]
            place[b] = rows_of[b] * n
        p0, p1, p2, p3, p4, p5, p6, p7 = place[0], place[1], place[2], place[3], place[4], place[5], place[6], place[7]
        j = SIZE(0)
        while j + EIGHT <= n:
            t0, t1, t2, t3, t4, t5, t6, t7 = transposed(
                load(w, p0 + j),
                load(w, p1 + j),
                load(w, p2 + j),
                load(w, p3 + j),
                load(w, p4 + j),
                load(w, p5 + j),
                load(w, p6 + j),
                load(w, p7 + j),
            )
            put(turned, j * ld + SIZE(first), ld, t0, t1, t2, t3, t4, t5, t6, t7)
            j += EIGHT
        while j < n:
            for b in range(8):
                turned[j, first + b] = w[rows_of[b], j]
            j += SIZE(1)


@compiled
def outer(turned: Array, before: int, count: int, gram: Array) -> None:
    """gram (whole eights) <- the products of the first `count` columns with each other, one of the two from `before` on."""
    n, ld, wide = SIZE(turned.shape[0]), SIZE(turned.shape[1]), SIZE(gram.shape[1])
    for p in range(SIZE(before) // EIGHT * EIGHT, SIZE(count), EIGHT):
        for q in range(SIZE(0), p + EIGHT, EIGHT):
            s0 = splat(0.0)
            s1, s2, s3, s4, s5, s6, s7 = s0, s0, s0, s0, s0, s0, s0
            for j in range(n):
                u = load(turned, j * ld + q)
                s0 += splat(turned[j, p]) * u
                s1 += splat(turned[j, p + SIZE(1)]) * u
                s2 += splat(turned[j, p + SIZE(2)]) * u
                s3 += splat(turned[j, p + SIZE(3)]) * u
                s4 += splat(turned[j, p + SIZE(4)]) * u
                s5 += splat(turned[j, p + SIZE(5)]) * u
                s6 += splat(turned[j, p + SIZE(6)]) * u
                s7 += splat(turned[j, p + SIZE(7)]) * u
            put(gram, p * wide + q, wide, s0, s1, s2, s3, s4, s5, s6, s7)
            if p != q:
                t0, t1, t2, t3, t4, t5, t6, t7 = transposed(s0, s1, s2, s3, s4, s5, s6, s7)
                put(gram, q * wide + p, wide, t0, t1, t2, t3, t4, t5, t6, t7)


@compiled
def put(a: Array, at: Any, ld: Any, s0: Any, s1: Any, s2: Any, s3: Any, s4: Any, s5: Any, s6: Any, s7: Any) -> None:
    """Eight eights below each other, the first at a place."""
    store(a, at, s0)
    at += ld
    store(a, at, s1)
    at += ld
    store(a, at, s2)
    at += ld
    store(a, at, s3)
    at += ld
    store(a, at, s4)
    at += ld
    store(a, at, s5)
    at += ld
    store(a, at, s6)
    at += ld
    store(a, at, s7)
