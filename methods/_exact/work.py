"""The work arrays of one solve: what the functions of the compiled solver share."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from problems._compiling import compiled
from problems.base import Array

DENSE = -1
M, STEPS, PASSES, FULL = 0, 1, 2, 3  # places in `counts`: free rows, Newton steps, sweeps, whether all rows are full


class Signal(NamedTuple):
    """Views of the two work arrays, shared by the functions of one solve and by its adjoint."""

    x: Array  # (n)
    z: Array  # (k)
    r: Array  # (k) W x
    lengths: Array  # (k) |w_i|
    inverse: Array  # (k) 1 / |w_i|^2
    step: Array  # (k, and up to a multiple of 8) its first m entries
    u: Array  # the factor of W_F W_F^T: (m, m), or as methods/_exact/definite.py keeps it where reach_0 = DENSE
    first: Array  # (k) extents
    end: Array
    state: Array  # (k) the sign of a row at its bound, 0 for a free one
    rows: Array  # (k) the free rows F, its first m entries
    reach: Array  # (k) the skyline of u, its first m entries
    counts: Array  # (4)


def sizes(k: int, n: int) -> tuple[int, int]:
    """(floats, integers) of the work arrays of a solve."""
    return n + 5 * k + 7 + ((min(k, n) + 7) // 8 * 8) ** 2, 5 * k + 4


@cache
def size(shape: tuple[int, int]) -> int:
    """Floats of the one work array that a single signal has for both, and for g, v (n) and h (k)."""
    (k, n), (floats, integers) = shape, sizes(*shape)
    return floats + integers + 2 * n + k


@compiled
def split(k: int, n: int, work: Array) -> tuple[Array, Array]:
    """Its (floats, integers)."""
    end = n + 5 * k + 7 + ((min(k, n) + 7) // 8 * 8) ** 2
    return work[:end], work[end : end + 5 * k + 4].view(np.int64)


@compiled
def views(k: int, n: int, floats: Array, integers: Array) -> Signal:
    a, b = n + k, 2 * k
    return Signal(
        floats[:n],
        floats[n:a],
        floats[a : a + k],
        floats[a + k : a + b],
        floats[a + b : a + b + k],
        floats[a + b + k : a + 2 * b + 7],
        floats[a + 2 * b + 7 :],
        integers[:k],
        integers[k:b],
        integers[b : b + k],
        integers[b + k : 2 * b],
        integers[2 * b : 2 * b + k],
        integers[2 * b + k :],
    )


@compiled
def triangle(s: Signal) -> Array:
    """The work array of a banded factor, (m, m)."""
    m = s.counts[0]
    return s.u[: m * m].reshape(m, m)
