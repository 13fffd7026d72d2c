"""Deblurring of photographs by isotropic total variation, differentiated in its weight and in the blur kernel."""

from __future__ import annotations

import math

import numpy as np

from problems.arrays import Array
from problems.data.photographs import crop
from problems.ensembles import Ensemble
from problems.families.isotropic import IsotropicTV

REACH = 1  # of the kernel, which has (2 REACH + 1)^2 taps


class Deblurring(IsotropicTV):
    """x*(t, k) = argmin 1/2 |k * x - y|^2 + exp(t) sum_b |(D x)_b|_2, theta = (t, nine taps k), * periodic convolution.

    Source: Chambolle and Pock (2011), section 6.2.
    """

    @classmethod
    def draw(cls, n: int, seed: int, theta: str, sigma: float) -> Deblurring:
        """A crop of a photograph, blurred by a Gaussian kernel of width 0.6, white noise of sigma / 10; lambda = sigma / 10."""
        rng = np.random.default_rng(seed)
        clean, shifts = crop(n, rng), _shifts(math.isqrt(n))
        taps = np.exp(-0.5 * (np.arange(-REACH, REACH + 1) / 0.6) ** 2)
        kernel = np.outer(taps, taps).ravel() / taps.sum() ** 2
        noisy = np.tensordot(kernel, shifts, axes=1) @ clean + sigma / 10 * rng.standard_normal(n)
        return cls(np.append(np.log(sigma / 10), kernel), np.zeros((n, n)), shifts, noisy, clean)


def _shifts(side: int) -> Array:
    """The periodic shifts by up to REACH pixels in both directions, ((2 REACH + 1)^2, n, n)."""
    steps = [np.roll(np.eye(side), step, axis=0) for step in range(-REACH, REACH + 1)]
    return np.array([np.kron(down, across) for down in steps for across in steps])


ENSEMBLE = Ensemble(
    name="deblurring",
    draw=Deblurring.draw,
    citation="Chambolle and Pock (2011)",
    formula="1/2 |k * x - y|^2 + e^t sum |(D x)_b|_2",
    thetas=("weight-and-kernel",),
    n=144,
    small=36,
    noise=True,
)
