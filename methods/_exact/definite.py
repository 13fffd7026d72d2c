"""G = U^T D U of a dense Gram matrix, U unit upper triangular, and solves with it, on eights.

A matrix (m, m) lies in rows of `padded(m)` entries: whole eights, with a row and a column of the unit matrix for each that is
added. After `factor` U stands above the diagonal and D^{-1} on it.
"""

from __future__ import annotations

from typing import Any

from methods._exact.eights import load, splat, store
from methods._exact.linear import SIZE
from methods._exact.vectors import lane, totals
from problems._compiling import compiled
from problems.base import Array

EIGHT, FOUR = SIZE(8), SIZE(4)


@compiled
def padded(m: int) -> int:
    """The multiple of 8 from m on."""
    return (m + 7) // 8 * 8


@compiled
def pad(u: Array, size: int) -> None:
    """Add rows and columns of the unit matrix."""
    m, ld = SIZE(size), SIZE(padded(size))
    for i in range(m):
        for j in range(m, ld):
            u[i * ld + j] = 0.0
    for i in range(m, ld):
        for j in range(ld):
            u[i * ld + j] = 0.0
        u[i * ld + i] = 1.0


@compiled
def factor(u: Array, size: int, least: float, diagonal: Array) -> bool:
    """Overwrite G, its upper triangle, by U and D^{-1}; False where a pivot falls below `least` of its diagonal.

    Four rows are eliminated at once, from four rows at a time. `diagonal` is overwritten.
    """
    pad(u, size)
    m, ld = SIZE(size), SIZE(padded(size))
    for i in range(ld):
        diagonal[i] = least * u[i * ld + i]
    for p in range(SIZE(0), m, FOUR):
        q = p + FOUR
        a = p * ld
        b = a + ld
        c = b + ld
        d = c + ld
        d0, t01, t02, t03 = u[a + p], u[a + p + 1], u[a + p + 2], u[a + p + 3]
        d1, t12, t13 = u[b + p + 1], u[b + p + 2], u[b + p + 3]
        d2, t23, d3 = u[c + p + 2], u[c + p + 3], u[d + p + 3]
        v0 = 1.0 / d0
        u01, u02, u03 = t01 * v0, t02 * v0, t03 * v0
        d1, t12, t13 = d1 - u01 * t01, t12 - u01 * t02, t13 - u01 * t03
        v1 = 1.0 / d1
        u12, u13 = t12 * v1, t13 * v1
        d2, t23 = d2 - u02 * t02 - u12 * t12, t23 - u02 * t03 - u12 * t13
        v2 = 1.0 / d2
        u23 = t23 * v2
        d3 = d3 - u03 * t03 - u13 * t13 - u23 * t23
        v3 = 1.0 / d3
        if not (d0 > diagonal[p] and d1 > diagonal[p + 1] and d2 > diagonal[p + 2] and d3 > diagonal[p + 3]):
            return False
        for j in range(q // EIGHT * EIGHT, ld, EIGHT):
            r0 = load(u, a + j)
            r1 = load(u, b + j) - splat(u01) * r0
            r2 = load(u, c + j) - splat(u02) * r0 - splat(u12) * r1
            r3 = load(u, d + j) - splat(u03) * r0 - splat(u13) * r1 - splat(u23) * r2
            store(u, a + j, splat(v0) * r0)
            store(u, b + j, splat(v1) * r1)
            store(u, c + j, splat(v2) * r2)
            store(u, d + j, splat(v3) * r3)
        for i in range(q, m, FOUR):
            eliminate(u, ld, a, i, d0, d1, d2, d3)
        u[a + p], u[a + p + 1], u[a + p + 2], u[a + p + 3] = v0, u01, u02, u03
        u[b + p], u[b + p + 1], u[b + p + 2], u[b + p + 3] = 0.0, v1, u12, u13
        u[c + p], u[c + p + 1], u[c + p + 2], u[c + p + 3] = 0.0, 0.0, v2, u23
        u[d + p], u[d + p + 1], u[d + p + 2], u[d + p + 3] = 0.0, 0.0, 0.0, v3
    return True


@compiled
def eliminate(u: Array, ld: Any, a: Any, i: Any, d0: float, d1: float, d2: float, d3: float) -> None:
    """Subtract what the four rows at a, with pivots d, have in rows i .. i + 3."""
    b = a + ld
    c = b + ld
    d = c + ld
    e = i * ld
    f = e + ld
    g = f + ld
    h = g + ld
    e0, e1, e2, e3 = splat(d0 * u[a + i]), splat(d1 * u[b + i]), splat(d2 * u[c + i]), splat(d3 * u[d + i])
    i += SIZE(1)
    f0, f1, f2, f3 = splat(d0 * u[a + i]), splat(d1 * u[b + i]), splat(d2 * u[c + i]), splat(d3 * u[d + i])
    i += SIZE(1)
    g0, g1, g2, g3 = splat(d0 * u[a + i]), splat(d1 * u[b + i]), splat(d2 * u[c + i]), splat(d3 * u[d + i])
    i += SIZE(1)
    h0, h1, h2, h3 = splat(d0 * u[a + i]), splat(d1 * u[b + i]), splat(d2 * u[c + i]), splat(d3 * u[d + i])
    for j in range(i // EIGHT * EIGHT, ld, EIGHT):
        r0, r1, r2, r3 = load(u, a + j), load(u, b + j), load(u, c + j), load(u, d + j)
        store(u, e + j, load(u, e + j) - e0 * r0 - e1 * r1 - e2 * r2 - e3 * r3)
        store(u, f + j, load(u, f + j) - f0 * r0 - f1 * r1 - f2 * r2 - f3 * r3)
        store(u, g + j, load(u, g + j) - g0 * r0 - g1 * r1 - g2 * r2 - g3 * r3)
        store(u, h + j, load(u, h + j) - h0 * r0 - h1 * r1 - h2 * r2 - h3 * r3)


@compiled
def solve(u: Array, size: int, r: Array) -> None:
    """Overwrite r (m), which has room for `padded(m)`, by G^{-1} r."""
    m, ld = SIZE(size), SIZE(padded(size))
    for i in range(m, ld):
        r[i] = 0.0
    for p in range(SIZE(0), m, FOUR):
        forward(u, ld, p, r)
    back = (m + FOUR - SIZE(1)) // FOUR
    while back > 0:
        back -= SIZE(1)
        backward(u, ld, back * FOUR, r)


@compiled
def forward(u: Array, ld: Any, p: Any, r: Array) -> None:
    """Solve with rows p .. p + 3 of U^T D, and subtract what they have in the rows that follow."""
    a = p * ld
    b = a + ld
    c = b + ld
    d = c + ld
    r0 = r[p]
    r1 = r[p + 1] - u[a + p + 1] * r0
    r2 = r[p + 2] - u[a + p + 2] * r0 - u[b + p + 2] * r1
    r3 = r[p + 3] - u[a + p + 3] * r0 - u[b + p + 3] * r1 - u[c + p + 3] * r2
    e0, e1, e2, e3 = splat(r0), splat(r1), splat(r2), splat(r3)
    for j in range((p + FOUR) // EIGHT * EIGHT, ld, EIGHT):
        store(r, j, load(r, j) - e0 * load(u, a + j) - e1 * load(u, b + j) - e2 * load(u, c + j) - e3 * load(u, d + j))
    r[p], r[p + 1], r[p + 2], r[p + 3] = r0 * u[a + p], r1 * u[b + p + 1], r2 * u[c + p + 2], r3 * u[d + p + 3]


@compiled
def backward(u: Array, ld: Any, p: Any, r: Array) -> None:
    """Solve with rows p .. p + 3 of U, those that follow being solved."""
    a = p * ld
    b = a + ld
    c = b + ld
    d = c + ld
    q = p + FOUR
    r0, r1, r2, r3 = r[p], r[p + 1], r[p + 2], r[p + 3]
    if q % EIGHT:
        for j in range(q, q + FOUR):
            r0 -= u[a + j] * r[j]
            r1 -= u[b + j] * r[j]
            r2 -= u[c + j] * r[j]
            r3 -= u[d + j] * r[j]
    s0 = splat(0.0)
    s1, s2, s3 = s0, s0, s0
    for j in range((q + FOUR) // EIGHT * EIGHT, ld, EIGHT):
        x = load(r, j)
        s0 += x * load(u, a + j)
        s1 += x * load(u, b + j)
        s2 += x * load(u, c + j)
        s3 += x * load(u, d + j)
    s = totals(s0, s1, s2, s3, s0, s1, s2, s3)
    r3 -= lane(s, 3)
    r2 -= lane(s, 2) + u[c + p + 3] * r3
    r1 -= lane(s, 1) + u[b + p + 3] * r3 + u[b + p + 2] * r2
    r0 -= lane(s, 0) + u[a + p + 3] * r3 + u[a + p + 2] * r2 + u[a + p + 1] * r1
    r[p], r[p + 1], r[p + 2], r[p + 3] = r0, r1, r2, r3
