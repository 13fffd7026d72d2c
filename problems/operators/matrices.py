"""Analysis operators W of a drawn instance: name -> function of (n, rng) returning a (k, n) matrix, dense or scipy.sparse."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from problems.arrays import Array

if TYPE_CHECKING:
    from scipy.sparse import csr_array

SCALE = 0.1  # of "scaled-identity"
FILTER = 5  # pixels along a side of "dct-filters"


def differences(n: int) -> Array:
    """First differences: D x = x_{i+1} - x_i, shape (n - 1, n)."""
    return np.diff(np.eye(n), axis=0)


def jumps(x: Any) -> Any:
    """D x for x (n,) of any array library."""
    return x[1:] - x[:-1]


def identity(n: int, rng: np.random.Generator) -> Array:
    """W = I, shape (n, n)."""
    return np.eye(n)


def scaled_identity(n: int, rng: np.random.Generator) -> Array:
    """W = 0.1 I, shape (n, n)."""
    return SCALE * np.eye(n)


def tv(n: int, rng: np.random.Generator) -> Array:
    """1-D total variation: (W x)_i = x_{i+1} - x_i, shape (n - 1, n)."""
    return differences(n)


def circular_tv(n: int, rng: np.random.Generator) -> Array:
    """Circular total variation: x_{i+1} - x_i with x_{n+1} = x_1, shape (n, n), rank n - 1."""
    return np.roll(np.eye(n), 1, axis=1) - np.eye(n)


def second_differences(n: int, rng: np.random.Generator) -> Array:
    """x_i - 2 x_{i+1} + x_{i+2}, shape (n - 2, n)."""
    return np.diff(np.eye(n), n=2, axis=0)


def orthogonal(n: int, rng: np.random.Generator) -> Array:
    """A random orthogonal matrix (of Haar measure), shape (n, n)."""
    q, r = np.linalg.qr(rng.standard_normal((n, n)))
    return q * np.sign(np.diagonal(r))


def dct(n: int, rng: np.random.Generator) -> Array:
    """The orthonormal DCT-II, shape (n, n)."""
    from scipy.fft import dct as transform

    return np.ascontiguousarray(transform(np.eye(n), axis=0, norm="ortho"))


def random(n: int, rng: np.random.Generator) -> Array:
    """Independent N(0, 1/n) entries, shape (n, n): rows of about unit norm."""
    return rng.standard_normal((n, n)) / np.sqrt(n)


def random_wide(n: int, rng: np.random.Generator) -> Array:
    """Independent N(0, 1/n) entries, shape (n // 2, n)."""
    return rng.standard_normal((n // 2, n)) / np.sqrt(n)


def random_tall(n: int, rng: np.random.Generator) -> Array:
    """Independent N(0, 1/n) entries, shape (2n, n)."""
    return rng.standard_normal((2 * n, n)) / np.sqrt(n)


def filters(n: int, rng: np.random.Generator) -> Array:
    """Three circular filters with five (or n, if fewer) Gaussian taps of unit norm, stacked: shape (3n, n)."""
    from scipy.linalg import circulant

    size = min(5, n)
    taps = rng.standard_normal((3, size))
    taps /= np.linalg.norm(taps, axis=1, keepdims=True)
    columns = np.zeros((3, n))
    columns[:, :size] = taps
    return np.concatenate([circulant(column) for column in columns])


def dct_tv(n: int, rng: np.random.Generator) -> Array:
    """The DCT above 1-D total variation, shape (2n - 1, n)."""
    return np.concatenate([dct(n, rng), tv(n, rng)])


def trained(n: int, rng: np.random.Generator) -> Array:
    """A dense W trained on piecewise-constant signals (`dargmin train-operator`), shape (64, 64); ValueError for another n."""
    w: Array = np.load(Path(__file__).parents[1] / "data" / "trained.npy")
    if w.shape[1] != n:
        raise ValueError(f"operator 'trained' has n = {w.shape[1]}, got n = {n}")
    return w


OPERATORS: dict[str, Callable[[int, np.random.Generator], Array]] = {
    "identity": identity,
    "scaled-identity": scaled_identity,
    "tv": tv,
    "circular-tv": circular_tv,
    "second-differences": second_differences,
    "orthogonal": orthogonal,
    "dct": dct,
    "dct-tv": dct_tv,
    "random": random,
    "random-half": random_wide,
    "random-2n": random_tall,
    "filters": filters,
}
FIXED_OPERATORS: dict[str, Callable[[int, np.random.Generator], Array]] = {"trained": trained}  # of one n each


def _banded(n: int, taps: tuple[float, ...]) -> csr_array:
    """(W x)_i = sum_j taps_j x_{i+j}, shape (n + 1 - len(taps), n)."""
    from scipy.sparse import csr_array

    rows, width = n + 1 - len(taps), len(taps)
    indices = np.arange(rows)[:, None] + np.arange(width)
    return csr_array((np.tile(taps, rows), indices.ravel(), np.arange(rows + 1) * width), (rows, n))


def _circular_tv(n: int) -> csr_array:
    from scipy.sparse import csr_array

    rows, ones = np.arange(n), np.ones(n)
    w = csr_array((np.append(-ones, ones), (np.tile(rows, 2), np.append(rows, (rows + 1) % n))), (n, n))
    w.sum_duplicates()
    return w


# The same matrices as above, for sizes that no dense one reaches.
SPARSE_OPERATORS: dict[str, Callable[[int, np.random.Generator], csr_array]] = {
    "identity": lambda n, rng: _banded(n, (1.0,)),
    "scaled-identity": lambda n, rng: _banded(n, (SCALE,)),
    "tv": lambda n, rng: _banded(n, (-1.0, 1.0)),
    "circular-tv": lambda n, rng: _circular_tv(n),
    "second-differences": lambda n, rng: _banded(n, (1.0, -2.0, 1.0)),
}


def tv_2d(n: int) -> csr_array:
    """Anisotropic total variation of an image of n = side^2 pixels: differences along rows, then along columns of pixels.

    Shape (2 side (side - 1), n); a flat block of 2 x 2 pixels makes its four rows dependent.
    """
    from scipy.sparse import csr_array

    side = image_side(n)
    pixels = np.arange(n).reshape(side, side)
    tails = np.concatenate([pixels[:, :-1].ravel(), pixels[:-1].ravel()])
    heads = np.concatenate([pixels[:, 1:].ravel(), pixels[1:].ravel()])
    k = len(tails)
    columns = np.stack((tails, heads), axis=1).ravel()
    return csr_array((np.tile((-1.0, 1.0), k), columns, 2 * np.arange(k + 1)), (k, n))


def dct_filters(n: int) -> Array:
    """The taps of 24 filters of 5 x 5: the two-dimensional DCT-II without its constant, of unit norm, shape (24, 5, 5)."""
    if image_side(n) < FILTER:
        raise ValueError(f"dct-filters need images of at least {FILTER} x {FILTER} pixels, got n = {n}")
    basis = dct(FILTER, np.random.default_rng(0))
    return np.einsum("ai,bj->abij", basis, basis).reshape(-1, FILTER, FILTER)[1:]


def image_side(n: int) -> int:
    """sqrt(n); ValueError where n is no square."""
    side = math.isqrt(n)
    if side * side != n:
        raise ValueError(f"an image has a square n such as 64, 256 or 262144, got n = {n}")
    return side


IMAGE_OPERATORS: dict[str, Callable[[int, np.random.Generator], Any]] = {
    "tv-2d": lambda n, rng: tv_2d(n),  # scipy.sparse
    "dct-filters": lambda n, rng: dct_filters(n),  # taps
}
