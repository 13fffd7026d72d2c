"""The exact solver of the box dual, against bounded least squares, enumeration, and its optimality conditions."""

from __future__ import annotations

import numpy as np
import pytest
from _exact import by_bvls, by_enumeration, optimality_gap
from hypothesis import example, given
from hypothesis import strategies as st

from problems import OPERATORS, AnalysisL1
from problems.base import Array
from problems.solvers.box_dual import RowFactor, solve

GAP = 1e-9  # ten times the slack that the solver's own verification grants to rounding


def check(w: Array, y: Array, beta: float) -> Array:
    """Solve, and verify the optimality conditions and the sign pattern by code of the test's own."""
    dual = solve(w, y, beta)
    assert optimality_gap(w, y, beta, dual.x, dual.z) < GAP
    rows, lengths = w @ dual.x, np.linalg.norm(w, axis=1) * np.linalg.norm(y)
    assert (np.abs(rows[dual.signs == 0]) <= GAP * lengths[dual.signs == 0]).all()
    assert (dual.signs * rows >= -GAP * lengths).all()
    assert np.array_equal(np.abs(dual.z[dual.signs != 0]), np.full(int((dual.signs != 0).sum()), beta))
    return dual.x


@st.composite
def instances(draw: st.DrawFn) -> tuple[Array, Array, float]:
    """(W, y, beta): k below, at and above n; plain, duplicated, zero, integer and badly scaled rows."""
    n, k = draw(st.integers(1, 6)), draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["plain", "duplicated", "opposite", "zero", "integer", "scaled"]))
    w, y = rng.standard_normal((k, n)), rng.standard_normal(n)
    if kind in ("duplicated", "opposite"):
        w[k // 2 :] = (1 if kind == "duplicated" else -2) * w[: k - k // 2]
    elif kind == "zero":
        w[rng.random(k) < 0.5] = 0
    elif kind == "integer":
        w, y = rng.integers(-2, 3, (k, n)).astype(float), rng.integers(-3, 4, n) + 0.5
    elif kind == "scaled":
        w *= 10 ** rng.uniform(-3, 3, (k, 1))
    return w, y, 10.0 ** draw(st.integers(-12, 9))


@given(instances())
@example((np.eye(3), np.array([1.0, -2.0, 0.5]), 1.0))  # |z_0| = beta exactly, x_0 = 0
@example((np.zeros((2, 3)), np.array([1.0, -2.0, 0.5]), 1.0))
def test_the_optimality_conditions_hold(instance: tuple[Array, Array, float]) -> None:
    check(*instance)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("shape", [(3, 2), (3, 5), (4, 4), (5, 3), (5, 6)], ids=str)
def test_enumeration_of_all_patterns_agrees(shape: tuple[int, int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    w, y = rng.standard_normal(shape), rng.standard_normal(shape[1])
    for beta in (0.05, 0.3, 2.0):
        np.testing.assert_allclose(check(w, y, beta), by_enumeration(w, y, beta), atol=1e-11)  # two direct solves


@pytest.mark.parametrize("rows", [[0, 0, 1], [0, 1, 0, 1, 2], [2, 2, 2]], ids=str)
def test_enumeration_agrees_on_repeated_rows(rows: list[int]) -> None:
    rng = np.random.default_rng(7)
    w, y = rng.standard_normal((3, 4))[rows], rng.standard_normal(4)
    for beta in (0.05, 0.3, 2.0):
        np.testing.assert_allclose(check(w, y, beta), by_enumeration(w, y, beta), atol=1e-11)


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("n", [16, 36])
def test_bounded_least_squares_agrees(operator: str, n: int) -> None:
    for seed in range(2):
        problem = AnalysisL1.draw(n=n, operator=operator, seed=seed)
        x = check(problem.theta, problem.y, problem.beta)
        np.testing.assert_allclose(x, by_bvls(problem.theta, problem.y, problem.beta), atol=1e-8)  # bvls stops near 1e-10


@pytest.mark.parametrize("seed", range(2, 402, 4))
def test_bound_duals_on_dependent_zero_rows_are_told_from_nonzero_rows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    w, y = np.roll(np.eye(8), 1, axis=1) - np.eye(8), rng.standard_normal(8)
    dual = solve(w, y, 10 ** rng.uniform(-1, 0.5))  # z may be a vertex of the dual face: on some seeds it is
    assert np.array_equal(dual.signs == 0, np.abs(w @ dual.x) < 1e-9)
    assert dual.factor.full_rank == (not (dual.signs == 0).all())


@pytest.mark.parametrize("operator", ["identity", "random-2n", "filters"])
def test_a_huge_beta_gives_zero(operator: str) -> None:
    problem = AnalysisL1.draw(n=16, operator=operator, beta=1e6)
    x = check(problem.theta, problem.y, 1e6)
    assert np.abs(x).max() < 1e-11 * np.abs(problem.y).max()  # rounding times a condition number below 1e4


def test_a_huge_beta_keeps_the_kernel() -> None:
    problem = AnalysisL1.draw(n=16, operator="tv", beta=1e6)
    np.testing.assert_allclose(check(problem.theta, problem.y, 1e6), problem.y.mean(), rtol=1e-12)


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_tiny_beta_leaves_y(operator: str) -> None:
    problem = AnalysisL1.draw(n=16, operator=operator, beta=1e-9)
    bound = 1e-9 * np.linalg.norm(problem.theta, 2) * np.sqrt(len(problem.theta))
    assert np.linalg.norm(check(problem.theta, problem.y, 1e-9) - problem.y) <= bound * (1 + 1e-6)


@given(st.integers(0, 2**32 - 1), st.floats(1e-6, 1e6), st.floats(1e-6, 1e6))
def test_scaling_the_data_scales_the_solution(seed: int, signal: float, operator: float) -> None:
    rng = np.random.default_rng(seed)
    w, y = rng.standard_normal((4, 5)), rng.standard_normal(5)
    scaled = check(operator * w, signal * y, 0.3 * signal / operator)
    np.testing.assert_allclose(scaled / signal, solve(w, y, 0.3).x, atol=1e-9)


@pytest.mark.parametrize("rows", [[0, 1, 2], [0, 1, 0], [], [0, 1, 2, 3, 4, 0]], ids=str)
def test_the_row_factor_lifts_the_projection(rows: list[int]) -> None:
    rng = np.random.default_rng(3)
    w0, v = rng.standard_normal((5, 4))[rows], rng.standard_normal(4)
    factor = RowFactor.of(w0)
    inverse = np.linalg.pinv(w0.T)
    np.testing.assert_allclose(w0.T @ factor.lift(v), w0.T @ (inverse @ v), atol=1e-12)  # condition below 100
    if factor.full_rank:
        np.testing.assert_allclose(factor.lift(v), inverse @ v, atol=1e-12)
    assert factor.rank == (np.linalg.matrix_rank(w0) if rows else 0)
    assert factor.full_rank == (len(set(rows)) == len(rows) <= 4)


def test_an_ill_conditioned_factor_keeps_the_accuracy_of_the_rows() -> None:
    rng = np.random.default_rng(4)
    w0 = rng.standard_normal((3, 6))
    w0[2] = w0[0] + 1e-7 * w0[1]  # the Gram matrix would lose all digits: condition 1e14
    v = w0.T @ np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(w0.T @ RowFactor.of(w0).lift(v), v, atol=1e-8)


def test_rows_of_any_scale_are_one_problem() -> None:
    rng = np.random.default_rng(5)
    w, y = rng.standard_normal((5, 6)), rng.standard_normal(6)
    scales = 10.0 ** np.array([-8, -4, 0, 4, 8])
    scaled, bounds = scales[:, None] * w, np.array([0.3])
    for row in range(5):  # one row alone is soft thresholding along it, at any scale
        dual = solve(scaled[row : row + 1], y, 0.3)
        z = np.clip(scaled[row] @ y / (scaled[row] @ scaled[row]), -bounds, bounds)
        np.testing.assert_allclose(dual.z, z, rtol=1e-12)  # one division
    assert optimality_gap(scaled, y, 0.3, solve(scaled, y, 0.3).x, solve(scaled, y, 0.3).z) < GAP
