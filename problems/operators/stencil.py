"""Convolution with theta = the kernel."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device

from problems.arrays import Array
from problems.operators.parametrisations import Parametrisation


@dataclass(frozen=True)
class Stencil(Parametrisation):
    """(K(theta) x)_i = sum_t theta_t x_{i - t}, periodic, t from -(size // 2) on along every axis; k = n.

    shape: (n,) of a signal or (h, w) of an image, row after row; theta has the shape `size`. Time: n times the number of taps.
    |K|^2 is the largest square of the kernel's Fourier transform.
    """

    shape: tuple[int, ...]
    size: tuple[int, ...]
    keeps_rank = False

    def rows_of(self, theta: Any) -> int:
        return prod(self.shape)

    def apply(self, theta: Any, x: Any) -> Any:
        return self._shifted(theta, x, 1)

    def adjoint(self, theta: Any, z: Any) -> Any:
        return self._shifted(theta, z, -1)

    def matrix(self, theta: Any) -> Any:
        xp, n = array_namespace(theta), prod(self.shape)
        return self.apply(theta, xp.eye(n, dtype=theta.dtype, device=device(theta))).T

    def square_norm(self, theta: Array) -> float:
        padded = np.zeros(self.shape)
        for tap, shift in self._taps():
            padded[tuple(s % n for s, n in zip(shift, self.shape, strict=True))] += theta[tap]
        return float(np.max(np.abs(np.fft.fftn(padded)) ** 2))

    def pullback(self, theta: Array, z: Array, v: Array) -> Array:
        grad = np.empty_like(theta)
        for tap, shift in self._taps():
            grad[tap] = np.vdot(z, self._roll(v, shift))
        return grad

    def check(self, theta: Array, n: int) -> None:
        if prod(self.shape) != n:
            raise ValueError(f"shape must have the product n = {n} as y has, got {self.shape}")
        if theta.shape != self.size:
            raise ValueError(f"theta (kernel) must have shape {self.size}, got {theta.shape}")

    def _shifted(self, theta: Any, x: Any, sign: int) -> Any:
        moved = (theta[tap] * self._roll(x, tuple(sign * s for s in shift)) for tap, shift in self._taps())
        return sum(moved)

    def _roll(self, x: Any, shift: tuple[int, ...]) -> Any:
        xp = array_namespace(x)
        image = xp.reshape(x, (*x.shape[:-1], *self.shape))
        return xp.reshape(xp.roll(image, shift, axis=tuple(range(-len(shift), 0))), x.shape)

    def _taps(self) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
        """(index into theta, shift) of every tap."""
        for tap in itertools.product(*(range(count) for count in self.size)):
            yield tap, tuple(t - count // 2 for t, count in zip(tap, self.size, strict=True))


def gaussian(size: tuple[int, ...], sigma: float) -> Array:
    """A kernel of that shape, exp(-|t|^2 / (2 sigma^2)) with sum 1."""
    axes = [np.arange(count) - count // 2 for count in size]
    squares = sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij"))
    kernel = np.exp(-np.asarray(squares) / (2 * sigma**2))
    return np.asarray(kernel / kernel.sum())
