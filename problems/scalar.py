"""The scalar problem x*(w) = argmin 1/2 (x - y)^2 + |w x|, whose kinks lie at w = 0, y and -y."""

from __future__ import annotations

import numpy as np

from problems.analysis_l1 import AnalysisL1
from problems.ensembles import Ensemble


def draw(n: int, seed: int, theta: str, batch: int | None) -> AnalysisL1:
    """y in [1, 2], w in [y/4, 3y/4], so that x* = y - w is away from every kink; target in [0, 1]; n = k = 1.

    Source: Ghosh, McCann and Ravishankar (2022), figure 1.
    """
    rng = np.random.default_rng(seed)
    shape = (1,) if batch is None else (batch, 1)
    y, target = 1 + rng.random(shape), rng.random(shape)
    return AnalysisL1(np.array([[y.min() * (0.25 + 0.5 * rng.random())]]), y, target, 1.0)


ENSEMBLE = Ensemble(
    name="scalar",
    draw=draw,
    citation="Ghosh, McCann and Ravishankar (2022), figure 1",
    formula="1/2 (x - y)^2 + |w x|",
    thetas=("dense",),
    n=1,
    small=1,
    fixed_n=True,
    batches=True,
)
