"""Chains, min 1/2 |x - y|^2 + sum_i b_i |a_i x_i + c_i x_{i+1}|: which W are, and the sign pattern of W x* in O(n).

1-D total variation has a = -1, c = 1. With s_0 = 1, s_{i+1} = -(a_i / c_i) s_i and x_i = s_i u_i a row is
c_i s_{i+1} (u_{i+1} - u_i): total variation in u with weights on nodes and edges.
"""

from __future__ import annotations

from collections.abc import MutableSequence, Sequence
from typing import TYPE_CHECKING

import numpy as np

from problems.base import Array

if TYPE_CHECKING:
    from scipy.sparse import csr_array

RANGE = 1e100  # of s, beyond which its squares and their sums may lose all digits


def edges(w: csr_array) -> tuple[Array, Array] | None:
    """(a, c) where row i of W is a_i at i and c_i at i + 1, none of them zero, for all i < n - 1; else None."""
    k, n = w.shape
    if k != n - 1 or k < 1 or w.nnz != 2 * k:
        return None
    indices, values = w.indices.reshape(k, 2), w.data.reshape(k, 2)
    rows = np.arange(k, dtype=indices.dtype)
    if not ((indices[:, 0] == rows).all() and (indices[:, 1] == rows + 1).all() and values.all()):
        return None
    return np.ascontiguousarray(values[:, 0]), np.ascontiguousarray(values[:, 1])


def pattern(
    a: Sequence[float],
    c: Sequence[float],
    b: Sequence[float],
    y: Sequence[float],
    state: MutableSequence[int],
    s: MutableSequence[float],
    low: MutableSequence[float],
    high: MutableSequence[float],
    knots: MutableSequence[float],
    slopes: MutableSequence[float],
    offsets: MutableSequence[float],
) -> bool:
    """state (n - 1) <- the sign of a_i x*_i + c_i x*_{i+1}; False where s leaves RANGE. It proves nothing.

    Work: s, low and high (n), knots, slopes and offsets (2n). Written for lists as for compilation by numba. The derivative of
    the least cost of the nodes 0..i is a rising, piecewise linear function of u_i: slope u + offset left of all knots, another
    such pair right of them, and a change by (slopes_k, offsets_k) at the knot k, left <= k <= right. Crossing an edge clips it
    at the weight of the edge, and u_i = clip(u_{i+1}, low_i, high_i). Source: Johnson (2013), with weights.
    """
    n = len(y)
    left, right, s[0] = n, n - 1, 1.0
    slope, offset = 1.0, -y[0]
    slope_right, offset_right = slope, offset
    for i in range(n - 1):
        new = -(a[i] / c[i]) * s[i]
        if not 1.0 / RANGE < abs(new) < RANGE:
            return False
        s[i + 1] = new
        bound = b[i] * abs(c[i] * new)
        while left <= right and slope * knots[left] + offset < -bound:
            slope += slopes[left]
            offset += offsets[left]
            left += 1
        low[i] = (-bound - offset) / slope
        while left <= right and slope_right * knots[right] + offset_right > bound:
            slope_right -= slopes[right]
            offset_right -= offsets[right]
            right -= 1
        high[i] = (bound - offset_right) / slope_right
        left -= 1
        knots[left], slopes[left], offsets[left] = low[i], slope, offset + bound
        right += 1
        knots[right], slopes[right], offsets[right] = high[i], -slope_right, bound - offset_right
        slope = slope_right = new * new
        offset, offset_right = -bound - new * y[i + 1], bound - new * y[i + 1]
    while left <= right and slope * knots[left] + offset < 0.0:
        slope += slopes[left]
        offset += offsets[left]
        left += 1
    u = -offset / slope
    for i in range(n - 2, -1, -1):
        sign = 1 if c[i] * s[i + 1] > 0.0 else -1
        state[i] = 0
        if u > high[i]:
            state[i], u = sign, high[i]
        elif u < low[i]:
            state[i], u = -sign, low[i]
    return True


def signs(a: Array, c: Array, b: Array, y: Array) -> Array | None:
    """The pattern in NumPy, int8 (n - 1), without compilation: a few seconds for n = 10^6; None where s leaves RANGE."""
    n = len(y)
    state, work = [0] * (n - 1), [[0.0] * size for size in (n, n, n, 2 * n, 2 * n, 2 * n)]
    with np.errstate(all="ignore"):
        found = pattern(a.tolist(), c.tolist(), b.tolist(), y.tolist(), state, *work)
    return np.array(state, dtype=np.int8) if found else None
