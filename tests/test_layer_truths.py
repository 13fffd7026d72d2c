"""The Jacobians that judge the transforms of the layers: those of the proof, and those of differences in 60 digits."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
from _exact import differences, matrix, prove, relative, solve_pattern
from _layers import COUNT, VARIED, Index, N, jacobians, member, problem

ROUNDING = 1e-15  # of 60 digits to float64, and of a sum of n of them


@pytest.mark.parametrize("index", sorted({member(varied, i) for varied in VARIED for i in range(COUNT)}), ids=str)
def test_the_jacobian_in_w_gives_the_proven_gradient(index: Index) -> None:
    found = problem(index)
    g, _ = found.loss_grad(found.reference().solution, found.theta)
    assert relative(np.tensordot(g, jacobians(index)[0], 1), found.reference().grad) < ROUNDING


def test_the_jacobians_are_those_of_differences() -> None:
    """One random combination of the entries of x*, in every entry of W, y and beta."""
    found, weights = problem(), np.random.default_rng(0).standard_normal(N)
    pattern = prove(found.theta, found.y, found.beta)

    def moved(j: int, h: mpmath.mpf) -> tuple[Any, Any, Any]:
        w, y, beta = matrix(found.theta), [mpmath.mpf(value) for value in found.y], mpmath.mpf(found.beta)
        if j < w.rows * N:
            w[j // N, j % N] += h
        elif j < (w.rows + 1) * N:
            y[j - w.rows * N] += h
        else:
            beta += h
        return w, y, beta

    def combined(at: tuple[Any, Any, Any]) -> mpmath.mpf:
        return sum(mpmath.mpf(a) * b for a, b in zip(weights, solve_pattern(*at, pattern)[0], strict=True))

    slopes = differences(found.theta.size + N + 1, moved, combined)
    truth = np.concatenate([np.ravel(np.tensordot(weights, a, 1)) for a in jacobians()])
    assert relative(truth, slopes) < ROUNDING
