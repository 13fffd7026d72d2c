"""How the analysis operator K depends on theta: apply, adjoint, matrix, and the pullback d<z, K(theta) v>/dtheta."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from array_api_compat import array_namespace, device

from problems.arrays import Array, local

if TYPE_CHECKING:
    from scipy.sparse import csr_array

LOG = 700  # of weights whose exponential float64 can hold
DENSE = 2**27  # entries, 1 GiB: the largest matrix that a sparse operator is written out as


class Parametrisation(ABC):
    """K(theta) in R^{k x n}; x is (n,) or (batch, n), z is (k,) or (batch, k)."""

    keeps_rank: bool  # rank of any subset of rows constant in theta: then rank deficiency is no kink

    @abstractmethod
    def rows_of(self, theta: Any) -> int:
        """k, the number of rows."""

    @abstractmethod
    def apply(self, theta: Any, x: Any) -> Any:
        """K(theta) x, shape (k,) or (batch, k), in the caller's array library."""

    @abstractmethod
    def adjoint(self, theta: Any, z: Any) -> Any:
        """K(theta)^T z, shape (n,) or (batch, n), in the caller's array library."""

    @abstractmethod
    def matrix(self, theta: Any) -> Any:
        """K(theta) as a (k, n) array of the caller's array library; MemoryError where a sparse one is too large for that."""

    def sparse(self, theta: Array) -> csr_array | None:
        """K(theta) as a (k, n) scipy.sparse array where it is sparse, else None."""
        return None

    def square_norm(self, theta: Array) -> float:
        """|K(theta)|_2^2, theta in NumPy; of a sparse K the bound |K|_1 |K|_inf."""
        rows = self.sparse(theta)
        if rows is None:
            return float(np.linalg.norm(self.matrix(theta), 2) ** 2)
        sizes = abs(rows)
        return float(sizes.sum(axis=0).max() * sizes.sum(axis=1).max())

    @abstractmethod
    def pullback(self, theta: Array, z: Array, v: Array) -> Array:
        """d<z, K(theta) v>/dtheta with z and v held fixed, summed over the batch, in the shape of theta."""

    @abstractmethod
    def check(self, theta: Array, n: int) -> None:
        """ValueError naming the shape where theta cannot act on signals of length n."""


@dataclass(frozen=True)
class Dense(Parametrisation):
    """theta = W itself, shape (k, n)."""

    keeps_rank = False

    def rows_of(self, theta: Any) -> int:
        return int(theta.shape[0])

    def apply(self, theta: Any, x: Any) -> Any:
        return x @ theta.T

    def adjoint(self, theta: Any, z: Any) -> Any:
        return z @ theta

    def matrix(self, theta: Any) -> Any:
        return theta

    def pullback(self, theta: Array, z: Array, v: Array) -> Array:
        return np.outer(z, v) if z.ndim == 1 else z.T @ v

    def check(self, theta: Array, n: int) -> None:
        if theta.ndim != 2 or theta.shape[1] != n:
            hint = "; pass theta.T" if theta.ndim == 2 and theta.shape[0] == n else ""
            raise ValueError(f"theta must have shape (k, n) with n = {n} as y has, got {theta.shape}{hint}")


@dataclass(frozen=True, eq=False)
class Sparse(Parametrisation):
    """theta = the nonzero values of W on the pattern of `w` (k, n), a canonical scipy.sparse CSR array, shape (nnz,).

    (K x)_i is a sum over the places p of a row: theta[slot_ip] x[column_ip], gathered place by place, so that frameworks
    differentiate it too. Time and memory are k times the longest row (for K^T z: n times the longest column).
    """

    w: csr_array
    keeps_rank = False

    def __post_init__(self) -> None:
        if getattr(self.w, "format", None) != "csr":
            raise ValueError(f"W must be a scipy.sparse CSR array, got {_kind(self.w)}; pass scipy.sparse.csr_array(W)")
        if not self.w.has_canonical_format:
            remedy = "call W.sum_duplicates(), which works in place, before Sparse(W)"
            raise ValueError(f"W must have sorted indices and no duplicates; {remedy}")

    @cached_property
    def columns(self) -> Array:
        """The column of every value, (nnz,)."""
        return np.asarray(self.w.indices, dtype=np.int64)

    @cached_property
    def rows(self) -> Array:
        """The row of every value, (nnz,)."""
        return np.repeat(np.arange(self.w.shape[0]), np.diff(self.w.indptr))

    @cached_property
    def _by_rows(self) -> list[tuple[Array, Array]]:
        return _places(self.rows, self.columns, self.w.shape[0])

    @cached_property
    def _by_columns(self) -> list[tuple[Array, Array]]:
        return _places(self.columns, self.rows, self.w.shape[1])

    def rows_of(self, theta: Any) -> int:
        return int(self.w.shape[0])

    def apply(self, theta: Any, x: Any) -> Any:
        return _gathered(theta, x, self._by_rows)

    def adjoint(self, theta: Any, z: Any) -> Any:
        return _gathered(theta, z, self._by_columns)

    def matrix(self, theta: Any) -> Any:
        xp, (k, n) = array_namespace(theta), self.w.shape
        if k * n > DENSE:
            raise MemoryError(f"W of shape ({k}, {n}) must stay sparse: dense, it would take {8e-9 * k * n:.3g} GB")
        return self.apply(theta, xp.eye(n, dtype=theta.dtype, device=device(theta))).T

    def sparse(self, theta: Array) -> csr_array:
        from scipy.sparse import csr_array

        self.check(theta, self.w.shape[1])
        return csr_array((theta, self.w.indices, self.w.indptr), self.w.shape)

    def pullback(self, theta: Array, z: Array, v: Array) -> Array:
        values = z[..., self.rows] * v[..., self.columns]
        return values if values.ndim == 1 else values.sum(axis=0)

    def check(self, theta: Array, n: int) -> None:
        if self.w.shape[1] != n:
            raise ValueError(f"W must have shape (k, n) with n = {n} as y has, got {self.w.shape}")
        if theta.shape != (self.w.nnz,):
            raise ValueError(f"theta (values of W) must have shape (nnz,) = ({self.w.nnz},), got {theta.shape}")


def _kind(w: Any) -> str:
    """What a W that is no CSR array is called in a message."""
    return f"format {w.format!r}" if hasattr(w, "format") else type(w).__name__


def _places(groups: Array, partners: Array, count: int) -> list[tuple[Array, Array]]:
    """For p = 0, 1, ...: (slot of the p-th value of every group, its partner); the slot is past the end where there is none."""
    order = np.argsort(groups, kind="stable")
    start = np.searchsorted(groups[order], np.arange(count + 1))
    lengths = np.diff(start)
    places = []
    for p in range(lengths.max(initial=1)):
        present = lengths > p
        slots, others = np.full(count, len(groups)), np.zeros(count, dtype=np.int64)
        slots[present] = order[start[:-1][present] + p]
        others[present] = partners[slots[present]]
        places.append((slots, others))
    return places


def _gathered(theta: Any, x: Any, places: list[tuple[Array, Array]]) -> Any:
    """sum_p theta[slot_p] x[..., partner_p], with theta = 0 past its end."""
    xp = array_namespace(theta)
    values = xp.concat([theta, xp.zeros(1, dtype=theta.dtype, device=device(theta))])
    terms = (xp.take(values, local(theta, s)[1]) * xp.take(x, local(theta, o)[1], axis=-1) for s, o in places)
    return sum(terms)


@dataclass(frozen=True, eq=False)
class Weighted(Parametrisation):
    """K(theta) = diag(exp theta) W, W fixed, dense or sparse CSR: theta are log-weights, (k,), or one for all rows, ()."""

    w: Array | csr_array
    keeps_rank = True

    @cached_property
    def fixed(self) -> Sparse | None:
        """W as an operator in its values, where it is sparse."""
        return None if isinstance(self.w, np.ndarray) else Sparse(self.w)

    @property
    def _entries(self) -> Array:
        return np.asarray(self.w if self.fixed is None else self.w.data)

    def rows_of(self, theta: Any) -> int:
        return int(self.w.shape[0])

    def apply(self, theta: Any, x: Any) -> Any:
        return array_namespace(theta).exp(theta) * self._product(theta, x)

    def _product(self, theta: Any, x: Any) -> Any:
        """W x in the library of theta."""
        w = local(theta, self._entries)[1]
        return x @ w.T if self.fixed is None else self.fixed.apply(w, x)

    def adjoint(self, theta: Any, z: Any) -> Any:
        xp, w = local(theta, self._entries)
        scaled = xp.exp(theta) * z
        return scaled @ w if self.fixed is None else self.fixed.adjoint(w, scaled)

    def matrix(self, theta: Any) -> Any:
        xp, w = local(theta, self._entries)
        w = w if self.fixed is None else self.fixed.matrix(w)
        return xp.exp(theta)[..., None] * w if theta.ndim else xp.exp(theta) * w

    def sparse(self, theta: Array) -> csr_array | None:
        if self.fixed is None:
            return None
        self.check(theta, self.w.shape[1])
        weights = np.exp(theta)
        return self.fixed.sparse(self._entries * (weights[self.fixed.rows] if theta.ndim else weights))

    def pullback(self, theta: Array, z: Array, v: Array) -> Array:
        rows = np.exp(theta) * z * self._product(theta, v)
        rows = rows if rows.ndim == 1 else rows.sum(axis=0)
        return rows if theta.ndim else np.asarray(rows.sum())

    def check(self, theta: Array, n: int) -> None:
        if self.w.ndim != 2 or self.w.shape[1] != n:
            raise ValueError(f"W must have shape (k, n) with n = {n} as y has, got {self.w.shape}")
        if theta.shape not in ((), (self.w.shape[0],)):
            raise ValueError(f"theta (log-weights) must have shape () or ({self.w.shape[0]},), got {theta.shape}")
        if (np.abs(theta) > LOG).any():
            worst = float(theta.ravel()[np.abs(theta).argmax()])
            raise ValueError(
                f"theta (log-weights) must lie between -{LOG} and {LOG}, so that exp(theta) is a number, got {worst:g}"
            )


@dataclass(frozen=True)
class Filters(Parametrisation):
    """theta = the taps of square filters on a circular image of side x side pixels, (filters, size, size), never a matrix.

    Row p filters + f of K: (K x)_{p,f} = sum_ab taps_fab x_{p + (a, b)}, so K x = X taps^T with the patches X (n, size^2) of x.
    """

    side: int
    keeps_rank = False  # taps can break a dependence: a flat patch is none for filters whose mean is not zero

    def rows_of(self, theta: Any) -> int:
        return int(theta.shape[0]) * self.side**2

    def patches(self, theta: Array) -> Array:
        """The pixels under a filter at every pixel, (n, size^2)."""
        return _patches(self.side, theta.shape[-1])[0]

    def apply(self, theta: Any, x: Any) -> Any:
        taps = _flat(theta)
        xp, index = local(theta, self.patches(theta))
        values = xp.reshape(xp.take(x, xp.reshape(index, (-1,)), axis=-1), (*x.shape[:-1], *index.shape))
        return xp.reshape(values @ taps.T, (*x.shape[:-1], -1))

    def adjoint(self, theta: Any, z: Any) -> Any:
        taps = _flat(theta)
        xp, index = local(theta, _patches(self.side, theta.shape[-1])[1])
        values = xp.reshape(z, (*z.shape[:-1], -1, taps.shape[0])) @ taps
        values = xp.reshape(values, (*z.shape[:-1], -1))
        return xp.sum(xp.reshape(xp.take(values, xp.reshape(index, (-1,)), axis=-1), (*z.shape[:-1], *index.shape)), axis=-1)

    def matrix(self, theta: Any) -> Any:
        xp, n = array_namespace(theta), self.side**2
        if theta.shape[0] * n * n > DENSE:
            k = theta.shape[0] * n
            raise MemoryError(f"K of shape ({k}, {n}) must stay matrix-free: dense, it would take {8e-9 * k * n:.3g} GB")
        return self.apply(theta, xp.eye(n, dtype=theta.dtype, device=device(theta))).T

    def rows(self, theta: Array, chosen: Array) -> csr_array:
        """Some rows of K as a scipy.sparse array."""
        from scipy.sparse import csr_array

        filters, size = len(theta), theta.shape[-1] ** 2
        values, columns = theta.reshape(filters, size)[chosen % filters], self.patches(theta)[chosen // filters]
        return csr_array((values.ravel(), columns.ravel(), np.arange(len(chosen) + 1) * size), (len(chosen), self.side**2))

    def square_norm(self, theta: Array) -> float:
        transfer = np.fft.rfft2(theta, (self.side, self.side))
        return float((np.abs(transfer) ** 2).sum(axis=0).max())

    def pullback(self, theta: Array, z: Array, v: Array) -> Array:
        duals, patches = z.reshape(-1, len(theta)), v[..., self.patches(theta)].reshape(-1, theta.shape[-1] ** 2)
        return np.asarray((duals.T @ patches).reshape(theta.shape))

    def check(self, theta: Array, n: int) -> None:
        if n != self.side**2:
            raise ValueError(f"y must have n = {self.side**2} = {self.side} x {self.side} pixels, got n = {n}")
        square = theta.ndim == 3 and theta.shape[1] == theta.shape[2]
        if not (square and 0 not in theta.shape and theta.shape[-1] <= self.side):
            raise ValueError(f"theta (taps) must have shape (filters, size, size) with size <= {self.side}, got {theta.shape}")


def _flat(theta: Any) -> Any:
    """The taps as (filters, size^2)."""
    return array_namespace(theta).reshape(theta, (theta.shape[0], -1))


@cache
def _patches(side: int, size: int) -> tuple[Array, Array]:
    """(pixel under tap t at p, (n, size^2); for every pixel the places in that array which hold it, (n, size^2))."""
    near = (np.arange(side)[:, None] + np.arange(size)) % side
    pixels = (near[:, None, :, None] * side + near[None, :, None, :]).reshape(side * side, size * size)
    places = np.argsort(pixels, axis=None, kind="stable").reshape(side * side, size * size)
    for array in (pixels, places):
        array.flags.writeable = False
    return pixels, places
