"""How the table of problems/data/drawing.py is made: c of best PSNR, or the c that makes half of the possible rows zero."""

from __future__ import annotations

import numpy as np

from problems.data.drawing import draw
from problems.data.signals import SIGNALS
from problems.operators.matrices import OPERATORS
from problems.solvers import box_dual

N, SIGMA, COUNT = 64, 0.1, 20
GRID = np.geomspace(0.02, 200.0, 61)


def tune(operator: str, signal: str) -> tuple[float, str, float]:
    """(c, rule, share of zero rows) at n = 64, sigma = 0.1, 20 signals."""
    w, y, target, _ = draw(N, SIGMA, 12345, operator, signal, COUNT, beta=1.0)
    errors, shares = np.array([_outcome(w, y, target, c * SIGMA) for c in GRID]).T
    best = int(errors.argmin())
    if 0.3 <= shares[best] <= 0.8:
        return _short(GRID[best]), "denoising", float(shares[best])
    limit = min(w.shape) / len(w)  # more independent zero rows than n would force x* = 0
    goal = min(0.5, 0.7 * limit)
    c = float(np.interp(goal, *_increasing(shares, np.log(GRID))))
    c = _short(np.exp(c))
    return c, "half", float(_outcome(w, y, target, c * SIGMA)[1])


def table() -> list[tuple[str, str, float, str, float]]:
    """(operator, signal, c, rule, share of zero rows) for every pair."""
    return [(operator, signal, *tune(operator, signal)) for operator in OPERATORS for signal in SIGNALS]


def _outcome(w: np.ndarray, y: np.ndarray, target: np.ndarray, beta: float) -> tuple[float, float]:
    """(mean squared error, share of zero rows)."""
    duals = [box_dual.solve(w, signal, beta) for signal in y]
    error = np.mean([(dual.x - clean) ** 2 for dual, clean in zip(duals, target, strict=True)])
    scale = np.linalg.norm(w, axis=1).max()
    return float(error), float(np.mean([np.abs(w @ dual.x) <= 1e-9 * scale for dual in duals]))


def _increasing(shares: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    kept = np.concatenate([[True], np.diff(np.maximum.accumulate(shares)) > 0])
    return np.maximum.accumulate(shares)[kept], values[kept]


def _short(c: float) -> float:
    return float(f"{c:.2g}")
