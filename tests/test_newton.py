"""Newton's method where values say nothing: functions of any size, slopes of rounding alone, and overflow."""

from __future__ import annotations

import numpy as np
import pytest

from problems.base import Array
from problems.solvers.newton import newton


def minimised(scale: float, noise: float = 0.0, start: float = 0.0) -> tuple[Array, int, bool]:
    """scale cosh(x - 1), whose minimiser is 1, its slope off by a share of the scale."""
    rng = np.random.default_rng(0)
    return newton(
        lambda x: scale * float(np.cosh(x - 1).sum()),
        lambda x: scale * (np.sinh(x - 1) + noise * rng.standard_normal(x.shape)),
        lambda x, right: right / (scale * np.cosh(x - 1)),
        np.full(3, start),
        100,
    )


@pytest.mark.parametrize("scale", [1e-100, 1e-13, 1.0, 1e13])
@pytest.mark.parametrize("start", [0.0, -20.0])
def test_a_function_of_any_size_is_minimised(scale: float, start: float) -> None:
    x, _, converged = minimised(scale, start=start)
    assert converged and np.abs(x - 1).max() < 1e-14


def test_a_step_that_stays_large_is_rounding_and_no_end() -> None:
    x, count, converged = minimised(1e-30, noise=1e-3)
    assert not converged and count < 20
    assert 1e-5 < np.abs(x - 1).max() < 1e-2


def test_overflow_is_no_end() -> None:
    with np.errstate(all="ignore"):
        assert not minimised(1.0, start=-1e4)[2]
