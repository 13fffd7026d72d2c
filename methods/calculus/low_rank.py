"""A gradient kept as the factors of its outer products, until somebody asks for the matrix."""

from __future__ import annotations

from typing import Any

import numpy as np

from problems.base import Array


class LowRankGradient:
    """left right^T with left (k, r) and right (n, r): (k + n) r numbers; the matrix (k, n) itself once r exceeds n / 2.

    np.asarray gives the matrix. Products with numbers, sums, differences, inner products and the Frobenius norm work on the
    factors while there are some. ValueError where shapes do not match.
    """

    __slots__ = ("_factors", "_matrix")
    __array_ufunc__ = None  # array + gradient is ours to answer

    def __init__(self, left: Array, right: Array) -> None:
        if left.ndim != 2 or right.ndim != 2 or left.shape[1] != right.shape[1]:
            raise ValueError(f"factors must have shapes (k, r) and (n, r), got {left.shape} and {right.shape}")
        dense = 2 * left.shape[1] > right.shape[0]
        self._matrix: Array | None = left @ right.T if dense else None
        self._factors = None if dense else (left, right)

    @property
    def factors(self) -> tuple[Array, Array] | None:
        """(left, right); None once the gradient is dense."""
        return self._factors

    @property
    def shape(self) -> tuple[int, ...]:
        if self._factors is None:
            return np.asarray(self._matrix).shape
        return len(self._factors[0]), len(self._factors[1])

    @property
    def nbytes(self) -> int:
        parts = self._factors if self._factors is not None else (self._matrix,)
        return sum(part.nbytes for part in parts if part is not None)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if self._factors is None:
            return np.array(self._matrix, dtype=dtype, copy=copy)
        if copy is False:
            raise ValueError("the matrix of a LowRankGradient is made when asked for, so copy=False cannot be met")
        return np.asarray(self._factors[0] @ self._factors[1].T, dtype=dtype)

    def __mul__(self, number: float) -> LowRankGradient:
        if self._factors is None:
            return self._dense(np.asarray(self._matrix) * number)
        return LowRankGradient(self._factors[0] * number, self._factors[1])

    __rmul__ = __mul__

    def __truediv__(self, number: float) -> LowRankGradient:
        return self * (1 / number)

    def __neg__(self) -> LowRankGradient:
        return self * -1.0

    def __add__(self, other: LowRankGradient | Array) -> LowRankGradient | Array:
        self._check(other)
        if not isinstance(other, LowRankGradient):
            return np.asarray(self) + other
        if self._factors is None or other._factors is None:
            return self._dense(np.asarray(self) + np.asarray(other))
        left, right = (np.concatenate(pair, axis=1) for pair in zip(self._factors, other._factors, strict=True))
        return LowRankGradient(left, right)

    __radd__ = __add__

    def __sub__(self, other: LowRankGradient | Array) -> LowRankGradient | Array:
        return self + -other

    def __rsub__(self, other: Array) -> LowRankGradient | Array:
        return -self + other

    def inner(self, other: LowRankGradient | Array) -> float:
        """<G, H> = sum_ij G_ij H_ij."""
        self._check(other)
        if self._factors is None:
            return float(np.vdot(np.asarray(self._matrix), np.asarray(other)))
        left, right = self._factors
        if isinstance(other, LowRankGradient) and other._factors is not None:
            return float(((left.T @ other._factors[0]) * (right.T @ other._factors[1])).sum())
        return float(((left.T @ np.asarray(other)) * right.T).sum())

    def norm(self) -> float:
        """|G|_F, from the triangles of both factors: squares of the factors would cancel."""
        if self._factors is None:
            return float(np.linalg.norm(np.asarray(self._matrix)))
        left, right = (np.asarray(np.linalg.qr(factor, mode="r")) for factor in self._factors)
        return float(np.linalg.norm(left @ right.T))

    @classmethod
    def _dense(cls, matrix: Array) -> LowRankGradient:
        made = cls.__new__(cls)
        made._matrix, made._factors = matrix, None
        return made

    def _check(self, other: LowRankGradient | Array) -> None:
        shape = other.shape if isinstance(other, LowRankGradient) else np.shape(other)
        if shape != self.shape:
            raise ValueError(f"expected a gradient of shape {self.shape}, got {shape}")


class OnPattern:
    """The entries of a gradient (k, n), kept as factors, at the places (rows, columns) of a sparse W: shape (nnz,).

    np.asarray makes them; `whole` is the gradient in all entries of W.
    """

    __slots__ = ("_columns", "_rows", "whole")

    def __init__(self, whole: LowRankGradient, rows: Array, columns: Array) -> None:
        self.whole, self._rows, self._columns = whole, rows, columns

    @property
    def shape(self) -> tuple[int, ...]:
        return self._rows.shape

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if copy is False:
            raise ValueError("the entries of an OnPattern are made when asked for, so copy=False cannot be met")
        if self.whole.factors is None:
            return np.asarray(np.asarray(self.whole)[self._rows, self._columns], dtype=dtype)
        entries = np.zeros(self.shape)
        for left, right in zip(*(factor.T for factor in self.whole.factors), strict=True):
            entries += left[self._rows] * right[self._columns]
        return np.asarray(entries, dtype=dtype)
