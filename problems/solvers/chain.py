"""Chains, min 1/2 |x - y|^2 + sum_i b_i |a_i x_i + c_i x_{i+1}|: which W are, and the sign pattern of W x* in O(n).

1-D total variation has a = -1, c = 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from problems.arrays import Array
from problems.kernels import KERNELS

if TYPE_CHECKING:
    from scipy.sparse import csr_array


def edges(w: csr_array) -> tuple[Array, Array] | None:
    """(a, c) where row i of W is a_i at i and c_i at i + 1, none of them zero, for all i < n - 1; else None."""
    k, n = w.shape
    if k != n - 1 or k < 1 or w.nnz != 2 * k:
        return None
    indices, values = w.indices.reshape(k, 2), w.data.reshape(k, 2).astype(np.float64, copy=False)
    rows = np.arange(k, dtype=indices.dtype)
    if not ((indices[:, 0] == rows).all() and (indices[:, 1] == rows + 1).all() and values.all()):
        return None
    return np.ascontiguousarray(values[:, 0]), np.ascontiguousarray(values[:, 1])


def signs(a: Array, c: Array, b: Array, y: Array) -> Array | None:
    """The pattern, int8 (n - 1), which proves nothing; None where squares and their sums may lose all digits."""
    state, work = np.empty(len(a), np.int8), np.empty(KERNELS.lib.CHAIN_PATTERN_WORK * len(y))
    found = KERNELS.call("chain_pattern", len(y), a, c, b, np.ascontiguousarray(y), state, work)
    return state if found else None
