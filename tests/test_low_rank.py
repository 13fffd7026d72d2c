"""LowRankGradient against the matrix it stands for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from methods.blorc import Blorc
from methods.blorc.factors import BlorcFactors
from methods.calculus.low_rank import LowRankGradient, OnPattern
from problems import AnalysisL1
from problems.base import Array


def made(seed: int, rank: int) -> tuple[LowRankGradient, Array]:
    rng = np.random.default_rng(seed)
    left, right = rng.standard_normal((7, rank)), rng.standard_normal((9, rank))
    return LowRankGradient(left, right), left @ right.T


# Sums of at most 81 products of numbers of order one: below 1e-13.


@given(st.integers(0, 1000), st.integers(0, 9), st.integers(0, 9), st.floats(-1e3, 1e3))
def test_arithmetic_is_that_of_the_matrices(seed: int, rank: int, other: int, number: float) -> None:
    (a, dense_a), (b, dense_b) = made(seed, rank), made(seed + 1, other)
    tolerance = 1e-13 * (1 + abs(number))
    np.testing.assert_allclose(np.asarray(a), dense_a, atol=1e-13)
    np.testing.assert_allclose(np.asarray(number * a), number * dense_a, atol=tolerance)
    np.testing.assert_allclose(np.asarray(a * number - b), number * dense_a - dense_b, atol=tolerance)
    np.testing.assert_allclose(np.asarray(-a + dense_b), dense_b - dense_a, atol=1e-12)
    np.testing.assert_allclose(np.asarray(dense_b - a), dense_b - dense_a, atol=1e-12)
    np.testing.assert_allclose(np.asarray(a / 4.0), dense_a / 4, atol=1e-13)
    assert a.inner(b) == pytest.approx(float((dense_a * dense_b).sum()), abs=1e-11)
    assert a.inner(dense_b) == pytest.approx(float((dense_a * dense_b).sum()), abs=1e-11)
    assert a.norm() == pytest.approx(float(np.linalg.norm(dense_a)), abs=1e-12)


def test_it_is_dense_once_its_rank_exceeds_half_of_n() -> None:
    two, _ = made(0, 2)
    assert two.factors is not None and two.shape == (7, 9) and two.nbytes == 8 * 2 * (7 + 9)
    four = two + two
    assert isinstance(four, LowRankGradient) and four.factors is not None
    six = four + two
    assert isinstance(six, LowRankGradient) and six.factors is None and six.nbytes == 8 * 7 * 9
    np.testing.assert_allclose(np.asarray(six), 3 * np.asarray(two), atol=1e-13)
    assert six.norm() == pytest.approx(3 * two.norm()) and (six * 2).factors is None


def test_the_norm_of_a_small_difference_keeps_its_digits() -> None:
    one, dense = made(3, 1)
    left, right = one.factors or (dense, dense)
    other = LowRankGradient(left, right * (1 + 1e-10))
    difference = other - one
    assert isinstance(difference, LowRankGradient)
    assert difference.norm() == pytest.approx(1e-10 * one.norm(), rel=1e-5)  # squared first, it would be lost in 1e-16


def test_shapes_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match=r"factors must have shapes \(k, r\) and \(n, r\), got \(3, 2\) and \(4, 1\)"):
        LowRankGradient(np.ones((3, 2)), np.ones((4, 1)))
    two, _ = made(0, 2)
    with pytest.raises(ValueError, match=r"expected a gradient of shape \(7, 9\), got \(9, 7\)"):
        two.inner(np.ones((9, 7)))
    with pytest.raises(ValueError, match="copy=False"):
        np.array(two, copy=False)


@pytest.mark.parametrize("rank", [2, 6])
def test_on_a_pattern_are_the_entries_of_the_matrix(rank: int) -> None:
    whole, dense = made(1, rank)
    rows, columns = np.array([0, 6, 3]), np.array([8, 0, 3])
    part = OnPattern(whole, rows, columns)
    np.testing.assert_allclose(np.asarray(part), dense[rows, columns], atol=1e-13)
    assert part.shape == (3,) and (part.whole.factors is None) == (rank == 6)
    with pytest.raises(ValueError, match="copy=False"):
        np.array(part, copy=False)


@pytest.mark.parametrize("batch", [None, 3])
def test_the_factors_of_a_long_chain_are_the_gradient_in_all_of_w(batch: int | None) -> None:
    problem = AnalysisL1.draw(n=3000, theta="sparse", seed=1, batch=batch)
    found, plain = (method.prepare(problem)(problem.theta).grad for method in (BlorcFactors(), Blorc()))
    np.testing.assert_allclose(np.asarray(found), plain, rtol=1e-13, atol=1e-16)
    left, right = found.whole.factors
    assert left.shape == (2999, 2 * (batch or 1)) and right.shape == (3000, 2 * (batch or 1))


def test_the_factors_of_a_sparse_w_reach_beyond_its_pattern() -> None:
    sparse, dense = (AnalysisL1.draw(n=36, theta=theta, seed=1) for theta in ("sparse", "dense"))
    found = BlorcFactors().prepare(sparse)(sparse.theta).grad
    np.testing.assert_allclose(np.asarray(found.whole), dense.reference().grad, rtol=1e-11, atol=1e-14)
