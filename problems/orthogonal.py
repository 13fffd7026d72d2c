"""Denoising under an orthogonal W: x* = W^T soft(W y, beta), signals that are sparse under W."""

from __future__ import annotations

import numpy as np

from problems.analysis_l1 import AnalysisL1
from problems.ensembles import Ensemble
from problems.operators.matrices import orthogonal


def draw(n: int, seed: int, theta: str, sigma: float, batch: int | None) -> AnalysisL1:
    """W of Haar measure, signals with n/8 coefficients of size 1/2 to 3/2 under it, white noise, beta = 2 sigma.

    sigma = 0 is refused, since beta would be 0. Source: Ghosh, McCann and Ravishankar (2022), section 7.3.
    """
    rng = np.random.default_rng(seed)
    w, count = orthogonal(n, rng), batch or 1
    coefficients = np.zeros((count, n))
    for row in coefficients:
        chosen = rng.choice(n, size=max(1, n // 8), replace=False)
        row[chosen] = rng.choice([-1.0, 1.0], len(chosen)) * (0.5 + rng.random(len(chosen)))
    clean = coefficients @ w
    noisy = clean + sigma * rng.standard_normal(clean.shape)
    shape = (n,) if batch is None else (count, n)
    return AnalysisL1(w, noisy.reshape(shape), clean.reshape(shape), 2 * sigma)


ENSEMBLE = Ensemble(
    name="orthogonal",
    draw=draw,
    citation="Ghosh, McCann and Ravishankar (2022), section 7.3",
    formula="1/2 |x - y|^2 + beta |W x|_1, W W' = I",
    thetas=("dense",),
    noise=True,
    batches=True,
)
