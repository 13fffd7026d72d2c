"""Compiled exact solution of chains, min 1/2 |x - y|^2 + beta sum_i |a_i x_i + c_i x_{i+1}|, and its adjoint, in O(n).

Only the sign pattern is taken from the dynamic programme of problems/_chain.py. On a segment of zero rows x is a multiple of t,
with t_{j+1} = -(a_j / c_j) t_j and t = 1 at its first node, and z, h are running sums: all afresh, with compensation, so that x
and z err by a few units in the last place whatever n. Then the optimality conditions are checked.
"""

from __future__ import annotations

import numpy as np

from problems import _chain
from problems._compiling import compiled_as_written
from problems.base import Array

FAILED, VERIFIED, TOUCHING = 0, 1, 2

TOUCH = 1e-12  # a dual this close to its bound, or a bound row this close to zero, may be at a kink
ACCEPTED = 1e-11  # residual of y = x + W^T z and of zero rows, by share of max |y|, that is accepted as rounding

# The sums of the dynamic programme cancel by the squared spread of s, so that a wide one is cut into windows that overlap.
SPREAD = 1e3
WINDOW, SMALLEST, OVERLAP = 8192, 64, 4  # nodes at first and at least; a window looks ahead by one part in OVERLAP

pattern = compiled_as_written(_chain.pattern)


@compiled_as_written
def minimise(a: Array, c: Array, beta: float, y: Array, x: Array, z: Array, state: Array) -> int:
    """x (n), z (n - 1) and state (n - 1), the sign of z on bound rows and 0 on free ones; VERIFIED, TOUCHING or FAILED."""
    n = len(y)
    if not states(a, c, beta, y, state):
        return FAILED
    for i in range(n - 1):
        z[i] = beta * state[i]
    first = 0
    for last in range(n):
        if last == n - 1 or state[last] != 0:
            before = c[first - 1] * z[first - 1] if first > 0 else 0.0
            after = a[last] * z[last] if last < n - 1 else 0.0
            settle(a, c, y, first, last, before, after, x, z)
            first = last + 1
    return verified(a, c, beta, y, x, z, state)


@compiled_as_written
def states(a: Array, c: Array, beta: float, y: Array, state: Array) -> bool:
    """state (n - 1) <- `pattern`, in windows where s is wide: each begins behind the last bound row of the one before.

    That row's z is known and splits the problem. What a window sees too late makes a wrong pattern, which is not verified.
    """
    n = len(y)
    b, s, low, high = np.full(n - 1, beta), np.empty(n), np.empty(n), np.empty(n)
    knots, slopes, offsets = np.empty(2 * n), np.empty(2 * n), np.empty(2 * n)
    size = n if spread(a, c) <= SPREAD else WINDOW
    first, most, left = 0, n, y.copy()
    while True:
        end = min(first + size + size // OVERLAP, n)
        rows, nodes = slice(first, end - 1), slice(first, end)
        if not pattern(a[rows], c[rows], b[rows], left[nodes], state[rows], s, low, high, knots, slopes, offsets):
            most = size // 2
            if most < SMALLEST:
                return False
            size = most
            continue
        if end == n:
            return True
        last = first + size - 1
        while last >= first and state[last] == 0:
            last -= 1
        if last < first:
            size *= 2
            if size > most:
                return False
            continue
        left[last + 1] -= c[last] * beta * state[last]
        first, size = last + 1, min(WINDOW, most)


@compiled_as_written
def spread(a: Array, c: Array) -> float:
    """The largest |s| over the least."""
    s, least, largest = 1.0, 1.0, 1.0
    for i in range(len(a)):
        s *= abs(a[i] / c[i])
        least, largest = min(least, s), max(largest, s)
    return largest / least if least > 0.0 else np.inf


@compiled_as_written
def adjoint(a: Array, c: Array, g: Array, state: Array, h: Array, v: Array) -> None:
    """v <- P g (n), the part of g along t, segment by segment; h <- W_F^{+T} g (n - 1), zero on bound rows."""
    first, n = 0, len(g)
    h[:] = 0.0
    for last in range(n):
        if last == n - 1 or state[last] != 0:
            settle(a, c, g, first, last, 0.0, 0.0, v, h)
            first = last + 1


@compiled_as_written
def settle(a: Array, c: Array, y: Array, first: int, last: int, before: float, after: float, x: Array, z: Array) -> None:
    """x and z with y = x + W^T z and W x = 0 on first <= j <= last, where W^T z is `before` at first and `after` at last from
    the rows outside: x = t <t, y - W^T z> / <t, t> and c_j t_{j+1} z_j = before + sum_{i<=j} t_i (x_i - y_i).
    """
    mean, rest = multiple(a, c, y, first, last, before, after)
    total, lost, t = before, 0.0, 1.0
    for j in range(first, last):
        x[j] = mean * t + rest * t
        total, lost = add(total, lost, t * (mean * t))
        total, lost = add(total, lost, -t * y[j])
        lost += rest * t * t
        t *= -(a[j] / c[j])
        z[j] = (total + lost) / (c[j] * t)
    x[last] = mean * t + rest * t


@compiled_as_written
def multiple(a: Array, c: Array, y: Array, first: int, last: int, before: float, after: float) -> tuple[float, float]:
    """<t, y - p> / <t, t> over first <= j <= last as an unevaluated sum of two; p = before at first, plus after at last."""
    total, lost, square, t = -before, 0.0, 0.0, 1.0
    for j in range(first, last + 1):
        total, lost = add(total, lost, t * y[j])
        square += t * t
        if j < last:
            t *= -(a[j] / c[j])
    total, lost = add(total, lost, -t * after)
    mean = (total + lost) / square
    high, low = product(mean, square)
    return mean, ((total - high) - low + lost) / square


@compiled_as_written
def verified(a: Array, c: Array, beta: float, y: Array, x: Array, z: Array, state: Array) -> int:
    """y = x + W^T z, w_i x = 0 and |z_i| < beta on zero rows, z_i w_i x > 0 on bound ones: to rounding, or clear of it."""
    scale, n, touching = np.abs(y).max(), len(y), False
    for j in range(n):
        residual = y[j] - x[j]
        if j > 0:
            residual -= c[j - 1] * z[j - 1]
        if j < n - 1:
            residual -= a[j] * z[j]
        if not abs(residual) <= ACCEPTED * scale:
            return FAILED
    for i in range(n - 1):
        row, length = a[i] * x[i] + c[i] * x[i + 1], (abs(a[i]) + abs(c[i])) * scale
        if state[i] == 0:
            if abs(z[i]) > beta * (1.0 + TOUCH) or abs(row) > ACCEPTED * length:
                return FAILED
            touching = touching or abs(z[i]) > beta * (1.0 - TOUCH)
        else:
            if state[i] * row < -TOUCH * length:
                return FAILED
            touching = touching or state[i] * row < TOUCH * length
    return TOUCHING if touching else VERIFIED


@compiled_as_written
def add(total: float, lost: float, term: float) -> tuple[float, float]:
    """total + term, rounded, and what was lost so far; Knuth's sum, exact in any order of magnitudes."""
    new = total + term
    part = new - total
    return new, lost + ((total - (new - part)) + (term - part))


@compiled_as_written
def product(p: float, q: float) -> tuple[float, float]:
    """p q = high + low exactly, by Dekker's splitting in halves of 26 bits."""
    p_high, q_high = 134217729.0 * p, 134217729.0 * q
    p_high -= p_high - p
    q_high -= q_high - q
    p_low, q_low, high = p - p_high, q - q_high, p * q
    return high, ((p_high * q_high - high) + p_high * q_low + p_low * q_high) + p_low * q_low
