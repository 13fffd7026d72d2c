"""Training of the "trained" operator: BLORC's bilevel problem on piecewise-constant pairs, kept with the suite."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from methods import to_numpy
from methods.blorc import Blorc
from problems import SIGNALS, AnalysisL1
from problems.base import Array

N, SIGMA, BETA = 64, 0.1, 0.1
PAIRS, BATCH, EPOCHS, RATE = 4000, 100, 60, 3e-3
FILE = Path(__file__).parent.parent / "problems" / "data" / "trained.npy"


def train(show: Callable[[str], None]) -> Path:
    """Minimise the mean of 1/2 |x*(W) - target|^2 over W from W = I by Adam (Kingma and Ba, 2015), and write W to FILE.

    Piecewise-constant signals of peak 1, n = 64, white noise of 0.1, batches of 100 out of 4000 pairs, 60 epochs: minutes.
    """
    import torch

    rng = np.random.default_rng(0)
    target = SIGNALS["piecewise-constant"](PAIRS, N, rng)
    y = target + SIGMA * rng.standard_normal(target.shape)
    w = torch.eye(N, dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([w], lr=RATE)
    for epoch in range(EPOCHS):
        losses = []
        for part in rng.permutation(PAIRS).reshape(-1, BATCH):
            value, grad = _gradient(np.array(w.detach()), y[part], target[part])
            losses.append(value)
            w.grad = torch.from_numpy(grad)
            adam.step()
        show(f"epoch {epoch + 1}: mean loss {np.mean(losses):.4f}")
    np.save(FILE, w.detach().numpy())
    return FILE


def _gradient(w: Array, y: Array, target: Array) -> tuple[float, Array]:
    problem = AnalysisL1(w, y, target, BETA)
    gradient = Blorc().prepare(problem)(w)
    return float(gradient.value), to_numpy(gradient.grad)
