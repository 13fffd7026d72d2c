"""Subsampled Fourier transforms of real images: magnetic resonance imaging."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from problems.arrays import Array, local
from problems.operators.fixed import Constant


@dataclass(frozen=True, eq=False)
class Fourier2D(Constant):
    """K x = [Re F x; Im F x] on the frequencies of `mask`, F the unitary transform of an image (h, w), row after row.

    mask: boolean (h, w), frequencies as numpy.fft orders them; k = 2 |mask|. K^T z = Re F^H (z_Re + i z_Im); |K| <= 1.
    """

    mask: Array

    @property
    def shape(self) -> tuple[int, int]:
        return 2 * len(self._frequencies), self.mask.size

    @cached_property
    def _frequencies(self) -> Array:
        return np.flatnonzero(self.mask)

    @cached_property
    def _slots(self) -> Array:
        """For every frequency its place among those of the mask, one past the end where it has none."""
        slots = np.full(self.mask.size, len(self._frequencies))
        slots[self._frequencies] = np.arange(len(self._frequencies))
        return slots

    def apply(self, theta: Any, x: Any) -> Any:
        xp, kept = local(x, self._frequencies)
        image = xp.reshape(x, (*x.shape[:-1], *self.mask.shape))
        transform = xp.reshape(xp.fft.fftn(image, axes=(-2, -1), norm="ortho"), x.shape)
        found = xp.take(transform, kept, axis=-1)
        return xp.concat([xp.real(found), xp.imag(found)], axis=-1)

    def adjoint(self, theta: Any, z: Any) -> Any:
        xp, slots = local(z, self._slots)
        count, batch = len(self._frequencies), z.shape[:-1]
        values = xp.concat([z[..., :count] + 1j * z[..., count:], 0j * z[..., :1]], axis=-1)
        spectrum = xp.reshape(xp.take(values, slots, axis=-1), (*batch, *self.mask.shape))
        return xp.reshape(xp.real(xp.fft.ifftn(spectrum, axes=(-2, -1), norm="ortho")), (*batch, self.mask.size))

    def square_norm(self, theta: Array) -> float:
        return 1.0


def radial_mask(shape: tuple[int, int], lines: int) -> Array:
    """Frequencies within half a pixel of one of `lines` lines through 0 at equal angles, as numpy.fft orders them."""
    rows, columns = (np.fft.fftfreq(count) * count for count in shape)
    mask = np.zeros(shape, dtype=bool)
    for angle in np.pi * np.arange(lines) / lines:
        mask |= np.abs(rows[:, None] * np.cos(angle) - columns * np.sin(angle)) <= 0.5
    return mask
