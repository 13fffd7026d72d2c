"""Denoising of photographs by isotropic total variation, differentiated in its weight."""

from __future__ import annotations

import numpy as np

from problems.data.photographs import crop
from problems.ensembles import Ensemble
from problems.families.isotropic import IsotropicTV


class ImageDenoising(IsotropicTV):
    """x*(t) = argmin 1/2 |x - y|^2 + exp(t) sum_b |(D x)_b|_2. Source: Rudin, Osher and Fatemi (1992)."""

    @classmethod
    def draw(cls, n: int, seed: int, theta: str, sigma: float) -> ImageDenoising:
        """White noise on a crop of a photograph; lambda = sigma."""
        rng = np.random.default_rng(seed)
        clean = crop(n, rng)
        noisy = clean + sigma * rng.standard_normal(n)
        return cls(np.log([sigma]), np.eye(n), np.zeros((0, n, n)), noisy, clean)


ENSEMBLE = Ensemble(
    name="image-denoising",
    draw=ImageDenoising.draw,
    citation="Rudin, Osher and Fatemi (1992)",
    formula="1/2 |x - y|^2 + e^t sum |(D x)_b|_2",
    thetas=("weight",),
    n=256,
    small=36,
    noise=True,
)
