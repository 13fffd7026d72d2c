"""Nonnegative least squares: x*(theta) = argmin over x >= 0 of 1/2 |A x - y|^2, differentiated in y or in A."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from problems.arrays import Array
from problems.ensembles import Ensemble
from problems.families.constrained import THETAS, ConstrainedLeastSquares
from problems.penalties import Nonnegative, Penalty


class NNLS(ConstrainedLeastSquares):
    """x*(theta) = argmin over x >= 0 of 1/2 |A x - y|^2. Source: Lawson and Hanson (1974), chapter 23."""

    penalty: ClassVar[Penalty] = Nonnegative()
    total: ClassVar[float | None] = None

    @classmethod
    def draw(cls, n: int, seed: int, theta: str, sigma: float) -> NNLS:
        """A of N(0, 1/m), m = 2n, half of x nonzero, noise of sigma times the root mean square of A x."""
        rng = np.random.default_rng(seed)
        a, x = rng.standard_normal((2 * n, n)) / np.sqrt(2 * n), np.zeros(n)
        x[rng.permutation(n)[: (n + 1) // 2]] = 0.5 + rng.random((n + 1) // 2)
        clean = a @ x
        y = clean + sigma * np.sqrt(np.mean(clean**2)) * rng.standard_normal(2 * n)
        return cls(y, x, a=a) if theta == "data" else cls(a, x, y=y)

    def support(self, a: Array, y: Array) -> Array:
        from scipy.optimize import nnls

        return np.asarray(nnls(a, y)[0] > 0)

    def constraints(self, x: Any) -> list[Any]:
        return [x >= 0]


ENSEMBLE = Ensemble(
    name="nnls",
    draw=NNLS.draw,
    citation="Lawson and Hanson (1974)",
    formula="1/2 |A x - y|^2, x >= 0",
    thetas=THETAS,
    noise=True,
)
