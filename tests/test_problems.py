"""Instances: shapes, refusals by message, drawing, immutability, and the structure that methods ask for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from _exact import EXISTS

from methods import to_numpy
from methods.calculus.frameworks import FRAMEWORKS
from problems import OPERATORS, PROBLEMS, SIGNALS, THETAS, AnalysisL1, Ensemble, Weighted, smoothed
from problems.base import Array
from problems.data.drawing import BETA_RULES, default_beta
from problems.families.regression import sparse_minimiser
from problems.lasso import Lasso

W, Y = np.diff(np.eye(4), axis=0), np.array([1.0, 0.9, -0.5, -0.6])


def build(theta: Any = W, y: Any = Y, target: Any = Y, beta: Any = 0.1, **more: Any) -> AnalysisL1:
    return AnalysisL1(theta, y, target, beta, **more)


# Building


@pytest.mark.parametrize("batch", [None, 1, 3])
@pytest.mark.parametrize("theta", THETAS)
@pytest.mark.parametrize("operator", OPERATORS)
def test_shapes_of_a_drawn_instance(operator: str, theta: str, batch: int | None) -> None:
    problem = AnalysisL1.draw(n=9, operator=operator, theta=theta, batch=batch, seed=1)
    rows = {"tv": 8, "second-differences": 7, "dct-tv": 17, "random-half": 4, "random-2n": 18, "filters": 27}
    k = rows.get(operator, 9)
    assert problem.theta.shape == {"dense": (k, 9), "row-weights": (k,), "weight": ()}[theta]
    shape = (9,) if batch is None else (batch, 9)
    assert problem.y.shape == problem.target.shape == shape
    x = problem.solve(problem.theta)
    assert x.shape == shape
    assert problem.pattern(problem.theta).shape == (*shape[:-1], k)
    assert np.shape(problem.loss(x, problem.theta)) == ()
    slope, direct = problem.loss_grad(x, problem.theta)
    assert slope.shape == shape and direct.shape == problem.theta.shape
    assert problem.theta.dtype == problem.y.dtype == x.dtype == np.float64


REFUSED = [
    ({"theta": np.eye(4)[:3].T}, r"theta must have shape \(k, n\) with n = 4 as y has, got \(4, 3\); pass theta.T"),
    ({"theta": np.eye(3)}, r"theta must have shape \(k, n\) with n = 4 as y has, got \(3, 3\)$"),
    ({"theta": np.ones(4)}, r"theta must have shape \(k, n\) with n = 4 as y has, got \(4,\)"),
    ({"theta": W * 1j}, "theta must be real numbers, got dtype complex128"),
    ({"y": Y * 1j}, "y must be real numbers, got dtype complex128"),
    ({"y": ["a", "b"]}, "y must be real numbers, got dtype <U1"),
    ({"theta": W > 0}, "theta must be real numbers, got dtype bool"),
    ({"y": np.array([1.0, np.nan, np.inf, 0.0])}, "y must be finite, got 2 NaN or infinite entries"),
    ({"target": np.array([1.0, np.nan, 0.0, 0.0])}, "target must be finite, got 1 NaN or infinite entries"),
    ({"target": Y[:3]}, r"target must have the shape of y, \(4,\), got \(3,\)"),
    ({"target": Y[None]}, r"target must have the shape of y, \(4,\), got \(1, 4\)"),
    ({"y": np.zeros((2, 3, 4))}, r"y must have shape \(n,\) or \(batch, n\), got \(2, 3, 4\)"),
    ({"y": np.zeros((0, 4))}, r"y must have shape \(n,\) or \(batch, n\), got \(0, 4\)"),
    ({"y": 1.0}, r"y must have shape \(n,\) or \(batch, n\), got \(\)"),
    ({"beta": 0.0}, "beta must be a finite number > 0, got 0.0"),
    ({"beta": -1}, "beta must be a finite number > 0, got -1"),
    ({"beta": np.nan}, "beta must be a finite number > 0, got nan"),
    ({"beta": np.inf}, "beta must be a finite number > 0, got inf"),
    ({"beta": "0.1"}, "beta must be a finite number > 0, got '0.1'"),
    ({"beta": [0.1]}, r"beta must be a finite number > 0, got \[0.1\]"),
    ({"loss_scale": 0.0}, "loss_scale must be a finite number > 0, got 0.0"),
    ({"theta": np.zeros(4), "parametrisation": Weighted(W)}, r"must have shape \(\) or \(3,\), got \(4,\)"),
    ({"theta": np.zeros(3), "parametrisation": Weighted(W.T)}, r"W must have shape \(k, n\) with n = 4 as y has, got \(4, 3\)"),
]


@pytest.mark.parametrize(("changed", "message"), REFUSED, ids=[message[:50] for _, message in REFUSED])
def test_bad_data_are_named(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(**changed)


DRAW_REFUSED = [
    ({"operator": "tgv"}, "operator must be one of identity, scaled-identity, tv, .*, got 'tgv'"),
    ({"signal": "noise"}, "signal must be one of piecewise-constant, dct-sparse, image-patches, got 'noise'"),
    (
        {"theta": "tap"},
        "theta must be one of dense, row-weights, weight, sparse, sparse-row-weights, sparse-weight, taps, got 'tap'",
    ),
    ({"n": 20, "signal": "image-patches"}, "image-patches needs a square n such as 16, 36, 64, 144, got n = 20"),
    ({"n": 3}, "n must be at least 4, got 3"),
    ({"sigma": 0}, "sigma = 0 has no default beta; give beta"),
    ({"sigma": -0.1}, "sigma must be a finite number >= 0, got -0.1"),
    ({"sigma": float("nan")}, "sigma must be a finite number >= 0, got nan"),
    ({"batch": 0}, "batch must be None or at least 1, got 0"),
]


@pytest.mark.parametrize(("arguments", "message"), DRAW_REFUSED, ids=[message[:40] for _, message in DRAW_REFUSED])
def test_bad_draws_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AnalysisL1.draw(**arguments)


def test_integers_and_single_precision_become_float64() -> None:
    problem = build(theta=np.diff(np.eye(4, dtype=int), axis=0), y=[1, 2, 3, 4], target=np.ones(4, np.float32), beta=1)
    assert problem.theta.dtype == problem.y.dtype == problem.target.dtype == np.float64
    assert build(beta=np.int64(1)).beta == build(beta=np.float32(1)).beta == 1


def test_an_instance_is_immutable_and_keeps_no_hold_on_its_arguments() -> None:
    y = Y.copy()
    problem = build(y=y)
    y[0] = 99
    assert problem.y[0] == 1
    for array in (problem.theta, problem.y, problem.target):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    with pytest.raises(AttributeError):
        problem.beta = 2.0  # type: ignore[misc]


# Drawing


def same(a: AnalysisL1, b: AnalysisL1, name: str) -> bool:
    return np.array_equal(getattr(a, name), getattr(b, name))


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("operator", ["random", "filters"])
def test_the_seed_decides_everything(operator: str, signal: str) -> None:
    def draw(**more: Any) -> AnalysisL1:
        return AnalysisL1.draw(**{"n": 16, "seed": 3, "operator": operator, "signal": signal, **more})

    first = draw()
    assert all(same(first, draw(), name) for name in ("theta", "y", "target", "beta"))
    noisier = draw(sigma=0.3)
    assert same(first, noisier, "theta") and same(first, noisier, "target")
    np.testing.assert_allclose((noisier.y - noisier.target) / 0.3, (first.y - first.target) / 0.1, atol=1e-14)
    assert not any(same(first, draw(seed=4), name) for name in ("theta", "y", "target"))
    np.testing.assert_array_equal(draw(batch=2).target[0], first.target)


def test_noise_has_the_standard_deviation_asked_for() -> None:
    problem = AnalysisL1.draw(n=64, sigma=0.2, batch=100, beta=1.0)
    assert (problem.y - problem.target).std() == pytest.approx(0.2, rel=0.03)  # 6400 samples: 1 % is one deviation
    assert np.array_equal(AnalysisL1.draw(n=16, sigma=0, beta=1.0).y, AnalysisL1.draw(n=16, sigma=0, beta=1.0).target)


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("n", [4, 9, 64])
def test_signals_have_peak_one(signal: str, n: int) -> None:
    target = AnalysisL1.draw(n=n, signal=signal, batch=20).target
    np.testing.assert_allclose(np.abs(target).max(axis=1), 1, rtol=1e-15)
    assert len(np.unique(target, axis=0)) == 20


def test_signals_are_what_their_names_say() -> None:
    from scipy.fft import dct

    steps = AnalysisL1.draw(n=64, signal="piecewise-constant", batch=20).target
    assert (np.count_nonzero(np.diff(steps, axis=1), axis=1) == 5).all()  # 64 // 12 jumps
    harmonics = dct(AnalysisL1.draw(n=64, signal="dct-sparse", batch=20).target, norm="ortho")
    assert (np.count_nonzero(np.abs(harmonics) > 1e-12, axis=1) == 4).all()
    patches = AnalysisL1.draw(n=64, signal="image-patches", batch=20).target
    assert (patches >= 0).all() and (np.ptp(patches, axis=1) > 0.05).all()


def test_operators_are_what_their_names_say() -> None:
    def matrix(operator: str) -> Array:
        return AnalysisL1.draw(n=16, operator=operator).theta

    ramp = np.arange(16.0)
    np.testing.assert_array_equal(matrix("identity"), np.eye(16))
    np.testing.assert_array_equal(matrix("scaled-identity"), 0.1 * np.eye(16))
    np.testing.assert_array_equal(matrix("tv") @ ramp, 1)
    np.testing.assert_allclose(matrix("dct") @ matrix("dct").T, np.eye(16), atol=1e-14)
    shifted = (matrix("filters") @ np.roll(ramp, 1)).reshape(3, 16)
    np.testing.assert_allclose(shifted, np.roll((matrix("filters") @ ramp).reshape(3, 16), 1, axis=1), atol=1e-13)
    assert np.linalg.norm(matrix("random-2n"), axis=1).mean() == pytest.approx(1, rel=0.1)


def test_the_beta_table_is_complete() -> None:
    assert set(BETA_RULES) == {(operator, signal) for operator in OPERATORS for signal in SIGNALS}
    for (operator, signal), (c, rule) in BETA_RULES.items():
        assert rule in ("denoising", "half") and c > 0
        assert default_beta(operator, signal, 0.5) == 0.5 * c
    assert AnalysisL1.draw(n=16, sigma=0.2, operator="tv").beta == 0.2 * BETA_RULES["tv", "piecewise-constant"][0]


HEADLINE = [("tv", "piecewise-constant"), ("random", "piecewise-constant"), ("identity", "dct-sparse"), ("dct", "dct-sparse")]


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(("operator", "signal"), HEADLINE)
def test_headline_instances_have_zero_rows_and_others(operator: str, signal: str, seed: int) -> None:
    reference = AnalysisL1.draw(n=64, sigma=0.1, seed=seed, operator=operator, signal=signal).reference()
    assert reference.status in EXISTS
    assert 0.3 <= reference.zero_rows <= 0.8


@pytest.mark.parametrize(("problem", "theta"), [(one, theta) for one in PROBLEMS for theta in one.thetas])
def test_a_perturbed_theta_is_close_and_keeps_zeros(problem: Ensemble, theta: str) -> None:
    drawn = problem.small_instance(theta)
    moved = drawn.perturbed(np.random.default_rng(0))
    assert moved.shape == drawn.theta.shape
    scale = max(1.0, np.abs(drawn.theta).max())
    assert 0 < np.abs(moved - drawn.theta).max() < 0.06 * scale  # six deviations of one per cent
    if theta == "dense":
        assert np.array_equal(moved == 0, drawn.theta == 0)


# Structure


@pytest.mark.parametrize("batch", [None, 3])
@pytest.mark.parametrize("theta", THETAS)
@pytest.mark.parametrize("name", FRAMEWORKS)
def test_frameworks_compute_the_same_numbers(name: str, theta: str, batch: int | None) -> None:
    problem = AnalysisL1.draw(n=9, operator="random", theta=theta, batch=batch, seed=1)
    framework, pattern = FRAMEWORKS[name], problem.pattern(problem.theta)
    x = problem.closed_form(problem.theta, pattern)
    np.testing.assert_allclose(x, problem.solve(problem.theta), atol=1e-13)  # rounding times a condition number near 1
    expected = [x, problem.loss(x, problem.theta), smoothed(problem, 1e-2).objective(x, problem.theta)]
    with framework.active():
        t, s, u = (framework.array(part) for part in (problem.theta, pattern, x))
        found = [problem.closed_form(t, s), problem.loss(u, t), smoothed(problem, 1e-2).objective(u, t)]
        arrays = [to_numpy(part) for part in found]
    for array, truth in zip(arrays, expected, strict=True):
        assert array.dtype == np.float64
        np.testing.assert_allclose(array, truth, rtol=1e-12, atol=1e-13)


def test_the_loss_is_the_mean_over_the_batch_and_its_slope_is_its_derivative() -> None:
    problem = AnalysisL1.draw(n=9, batch=3, operator="random", seed=1)
    scaled = AnalysisL1(problem.theta, problem.y, problem.target, problem.beta, loss_scale=5.0)
    x, v = np.random.default_rng(0).standard_normal((2, 3, 9))
    assert scaled.loss(x, problem.theta) == pytest.approx(5 * ((x - problem.target) ** 2).sum() / 6, rel=1e-14)
    slope, direct = scaled.loss_grad(x, problem.theta)
    change = scaled.loss(x + v, problem.theta) - scaled.loss(x - v, problem.theta)
    assert change / 2 == pytest.approx((slope * v).sum(), rel=1e-12)  # exact: the loss is quadratic
    assert not direct.any()


def energy(problem: AnalysisL1, x: Array) -> float:
    rows = np.abs(problem.parametrisation.apply(problem.theta, x)).sum()
    return float(0.5 * ((x - problem.y) ** 2).sum() + problem.beta * rows)


@pytest.mark.parametrize("theta", THETAS)
def test_the_smoothed_energy_tends_to_the_energy_from_above(theta: str) -> None:
    problem = AnalysisL1.draw(n=9, operator="random", theta=theta, batch=2, seed=1)
    x = problem.solve(problem.theta)
    for eps in (1.0, 1e-2, 1e-4, 1e-8):
        above = float(smoothed(problem, eps).objective(x, problem.theta)) - energy(problem, x)
        assert -1e-13 <= above <= problem.beta * eps * 18 + 1e-13  # sqrt(t^2 + eps^2) - |t| lies in 0..eps, 18 rows
    assert float(smoothed(problem, 1.0).objective(x, problem.theta)) > energy(problem, x) + 0.1
    assert smoothed(problem, 1.0).initial().shape == x.shape


@pytest.mark.parametrize("theta", THETAS)
@pytest.mark.parametrize("operator", OPERATORS)
def test_x_star_minimises_the_energy(operator: str, theta: str) -> None:
    problem = AnalysisL1.draw(n=9, operator=operator, theta=theta, seed=1)
    x, rng = problem.solve(problem.theta), np.random.default_rng(0)
    for length in (1e-6, 1e-3, 1.0):
        for v in rng.standard_normal((20, 9)):
            # Strong convexity: the energy rises by at least 1/2 |length v|^2.
            assert energy(problem, x + length * v) - energy(problem, x) >= 0.5 * length**2 * (v @ v) - 1e-13


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_the_lasso_is_solved_from_a_guess_with_one_coefficient_more_or_less(sign: float) -> None:
    lasso = Lasso.draw(n=16, seed=1, theta="row-weights", signal="gaussian")
    x, weights = lasso.solve(lasso.theta), np.exp(lasso.theta)
    assert 0 < np.count_nonzero(x) < 16
    for j in range(16):
        guess = x.copy()
        guess[j] = 0.0 if x[j] else sign
        found = sparse_minimiser(lasso.a, lasso.y, weights, 0.0, guess)
        np.testing.assert_array_equal(found != 0, x != 0)
        np.testing.assert_allclose(found, x, rtol=1e-13)
