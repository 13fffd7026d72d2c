"""Least squares over the simplex: x*(theta) = argmin over x >= 0, sum x = 1 of 1/2 |A x - y|^2, differentiated in y or in A."""

from __future__ import annotations

from ctypes import c_int
from typing import Any, ClassVar

import numpy as np

from problems.arrays import Array
from problems.base import SolveError
from problems.ensembles import Ensemble
from problems.families.constrained import THETAS, ConstrainedLeastSquares
from problems.penalties import Penalty, Simplex

EQUALITY = 5  # DAQP's mark
BOUND = 1e-9  # a coordinate of the solver's answer above it is free; the polishing refutes a wrong reading


class SimplexLeastSquares(ConstrainedLeastSquares):
    """x*(theta) = argmin over x >= 0, sum x = 1 of 1/2 |A x - y|^2: unmixing of spectra. Source: Heinz and Chang (2001)."""

    penalty: ClassVar[Penalty] = Simplex()
    total: ClassVar[float | None] = 1.0

    @classmethod
    def draw(cls, n: int, seed: int, theta: str, sigma: float) -> SimplexLeastSquares:
        """A of N(0, 1/m), m = 2n, a third of the shares nonzero, noise of standard deviation sigma."""
        rng = np.random.default_rng(seed)
        a, x = rng.standard_normal((2 * n, n)) / np.sqrt(2 * n), np.zeros(n)
        chosen = rng.permutation(n)[: max(2, n // 3)]
        x[chosen] = rng.dirichlet(np.full(len(chosen), 5.0))
        y = a @ x + sigma * rng.standard_normal(2 * n) / np.sqrt(2 * n)
        return cls(y, x, a=a) if theta == "data" else cls(a, x, y=y)

    def support(self, a: Array, y: Array) -> Array:
        import daqp

        n = a.shape[1]
        upper, lower = np.append(np.ones(n), 1.0), np.append(np.zeros(n), 1.0)
        sense = np.zeros(n + 1, dtype=c_int)
        sense[n] = EQUALITY
        x, _, flag, _ = daqp.solve(a.T @ a, -(a.T @ y), np.ones((1, n)), upper, lower, sense)
        if flag < 1:
            raise SolveError(f"DAQP ended with exit flag {flag}")
        return np.asarray(x > BOUND)

    def constraints(self, x: Any) -> list[Any]:
        import cvxpy as cp

        return [x >= 0, cp.sum(x) == 1]


ENSEMBLE = Ensemble(
    name="simplex-least-squares",
    draw=SimplexLeastSquares.draw,
    citation="Heinz and Chang (2001)",
    formula="1/2 |A x - y|^2, x >= 0, sum x = 1",
    thetas=THETAS,
    noise=True,
)
