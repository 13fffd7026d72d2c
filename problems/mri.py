"""Reconstruction of a photograph from radial lines of its Fourier plane, differentiated in the weight of total variation."""

from __future__ import annotations

import math

import numpy as np

from problems.arrays import Array
from problems.data.photographs import crop
from problems.ensembles import Ensemble
from problems.families.isotropic import IsotropicTV

LINES = 5  # through the centre of the Fourier plane


class MRI(IsotropicTV):
    """x*(t) = argmin 1/2 |M F x - y|^2 + exp(t) sum_b |(D x)_b|_2, F the unitary 2-D Fourier transform, M a radial mask.

    Complex data are stacked: real parts, then imaginary parts. Source: Lustig, Donoho and Pauly (2007).
    """

    @classmethod
    def draw(cls, n: int, seed: int, theta: str, sigma: float) -> MRI:
        """A crop of a photograph, white noise of sigma / 10 on each real number; lambda = sigma / 4."""
        rng = np.random.default_rng(seed)
        clean, a = crop(n, rng), sampling(math.isqrt(n))
        noisy = a @ clean + sigma / 10 * rng.standard_normal(len(a))
        return cls(np.log([sigma / 4]), a, np.zeros((0, *a.shape)), noisy, clean)


def sampling(side: int) -> Array:
    """M F as a real matrix (2 m, side^2) for the frequencies within half a step of LINES lines through zero."""
    frequency = np.fft.fftfreq(side) * side
    down, across = np.meshgrid(frequency, frequency, indexing="ij")
    angles = np.pi * np.arange(LINES) / LINES
    distance = [np.abs(down * np.cos(angle) - across * np.sin(angle)) for angle in angles]
    mask = (np.min(distance, axis=0) <= 0.5).ravel()
    transform = np.fft.fft(np.eye(side), norm="ortho")
    rows = np.kron(transform, transform)[mask]
    return np.concatenate([rows.real, rows.imag])


ENSEMBLE = Ensemble(
    name="mri",
    draw=MRI.draw,
    citation="Lustig, Donoho and Pauly (2007)",
    formula="1/2 |M F x - y|^2 + e^t sum |(D x)_b|_2",
    thetas=("weight",),
    n=256,
    small=36,
    noise=True,
)
