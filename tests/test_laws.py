"""Laws that hold whatever the instance: adjoints, convergence in every knob, homogeneity, rank."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from _exact import by_bvls, relative
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from methods import METHODS, PEERS, GradientMethod, to_numpy
from methods.blorc import Blorc
from methods.calculus.frameworks import FRAMEWORKS
from methods.finite_differences import DirectionalDifferences
from methods.smoothed import SmoothedIFT
from methods.unrolled import Unrolled
from problems import OPERATORS, SPARSE_THETAS, THETAS, AnalysisL1, Dense, Parametrisation, Sparse, Weighted
from problems.base import Array

ROUNDING = 1e-13  # sums of at most forty products of numbers near 1
SEED = st.integers(0, 2**32 - 1)
SIZE = st.integers(1, 6)


# <K v, z> = <v, K^T z>, and the pullback is the derivative of <z, K(theta) v>


def parametrised(kind: str, rng: np.random.Generator, k: int, n: int) -> tuple[Parametrisation, Array]:
    w: Any = rng.standard_normal((k, n))
    if kind.startswith("sparse"):
        w = csr_array(w * (rng.random((k, n)) < 0.5))
    if kind in ("dense", "sparse"):
        return (Dense(), w) if kind == "dense" else (Sparse(w), w.data)
    return Weighted(w), rng.standard_normal(k if kind.endswith("row-weights") else ()) * 0.5


def vectors(rng: np.random.Generator, k: int, n: int, batch: int | None) -> tuple[Array, Array]:
    shape = () if batch is None else (batch,)
    return rng.standard_normal((*shape, n)), rng.standard_normal((*shape, k))


@given(
    SEED,
    st.integers(1, 6),
    st.integers(1, 6),
    st.sampled_from([None, 1, 3]),
    st.sampled_from(THETAS + SPARSE_THETAS),
)
def test_apply_and_adjoint_are_adjoint_and_are_the_matrix(seed: int, k: int, n: int, batch: int | None, kind: str) -> None:
    rng = np.random.default_rng(seed)
    parametrisation, theta = parametrised(kind, rng, k, n)
    v, z = vectors(rng, k, n, batch)
    applied, adjoint = parametrisation.apply(theta, v), parametrisation.adjoint(theta, z)
    np.testing.assert_allclose((applied * z).sum(-1), (v * adjoint).sum(-1), atol=ROUNDING * 10)
    np.testing.assert_allclose(applied, v @ parametrisation.matrix(theta).T, atol=ROUNDING * 10)


@given(
    SEED,
    st.integers(1, 6),
    st.integers(1, 6),
    st.sampled_from([None, 1, 3]),
    st.sampled_from(THETAS + SPARSE_THETAS),
)
def test_the_pullback_is_the_derivative(seed: int, k: int, n: int, batch: int | None, kind: str) -> None:
    rng = np.random.default_rng(seed)
    parametrisation, theta = parametrised(kind, rng, k, n)
    v, z = vectors(rng, k, n, batch)
    direction = rng.standard_normal(theta.shape)
    # Complex step: no cancellation, so exact to rounding.
    slope = (z * parametrisation.apply(theta + 1e-30j * direction, v)).sum().imag / 1e-30
    pullback = parametrisation.pullback(theta, z, v)
    assert pullback.shape == theta.shape
    assert float((pullback * direction).sum()) == pytest.approx(slope, abs=ROUNDING * 100)


@pytest.mark.parametrize("kind", THETAS + SPARSE_THETAS)
@pytest.mark.parametrize("name", FRAMEWORKS)
@settings(max_examples=5)
@given(SEED)
def test_the_frameworks_agree_with_numpy(name: str, kind: str, seed: int) -> None:
    rng, framework = np.random.default_rng(seed), FRAMEWORKS[name]
    parametrisation, theta = parametrised(kind, rng, 4, 5)
    v, z = vectors(rng, 4, 5, 2)
    with framework.active():
        t, v_, z_ = (framework.array(part) for part in (theta, v, z))
        found = [parametrisation.apply(t, v_), parametrisation.adjoint(t, z_), parametrisation.matrix(t)]
        slope = framework.grad(lambda u: (z_ * parametrisation.apply(u, v_)).sum())(t)
        arrays = [to_numpy(part) for part in (*found, slope)]
    expected = [parametrisation.apply(theta, v), parametrisation.adjoint(theta, z), parametrisation.matrix(theta)]
    for array, truth in zip(arrays, (*expected, parametrisation.pullback(theta, z, v)), strict=True):
        assert array.dtype == np.float64
        np.testing.assert_allclose(array, truth, atol=ROUNDING * 10)


# Errors fall with the knob


def error(method: GradientMethod, problem: AnalysisL1) -> float:
    return relative(to_numpy(method.prepare(problem)(problem.theta).grad), problem.reference().grad)


@pytest.mark.parametrize("operator", ["tv", "random"])
@pytest.mark.parametrize("scheme", ["ista", "fista", "admm"])
def test_the_error_of_unrolling_falls_with_the_iterations(scheme: str, operator: str) -> None:
    problem = AnalysisL1.draw(n=12, operator=operator, seed=1)
    errors = [error(Unrolled(scheme, "torch", count), problem) for count in (10, 100, 1000, 4000)]
    for before, after in pairwise(errors):
        assert after < max(0.9 * before, 1e-10)  # 1e-10: where rounding, not convergence, decides
    assert errors[-1] < 1e-5 * errors[0]  # geometric once the pattern stands, where O(1/K) would give 1/400


@pytest.mark.parametrize("operator", ["tv", "random", "random-2n"])
def test_the_bias_of_smoothing_is_of_first_order(operator: str) -> None:
    problem = AnalysisL1.draw(n=12, operator=operator, seed=1)
    errors = [error(SmoothedIFT("torch", eps), problem) for eps in (1e-4, 1e-5, 1e-6)]
    for before, after in pairwise(errors):
        assert 5 < before / after < 20  # a decade of eps, a decade of error, once eps is below the margins


def wide() -> AnalysisL1:
    """An instance whose nearest kink is at least 0.2 away, so that steps up to 1e-2 stay on one piece."""
    problem = AnalysisL1.draw(n=4, operator="random", seed=18, beta=0.2)
    assert problem.reference().kink_distance > 0.2
    return problem


def slope_errors(problem: AnalysisL1, steps: Array) -> Array:
    """Median over directions of the error of central differences, one a step."""
    grad, errors = problem.reference().grad, []
    for seed in range(9):
        for h in steps:
            result = DirectionalDifferences(h=float(h), seed=seed).prepare(problem)(problem.theta)
            errors.append(abs(float(result.grad) - (grad * result.direction).sum()))
    return np.median(np.reshape(errors, (9, len(steps))), axis=0)


def test_central_differences_have_second_order_until_rounding() -> None:
    problem = wide()
    curved = np.geomspace(1e-4, 1e-2, 9)
    slope = np.polyfit(np.log(curved), np.log(slope_errors(problem, curved)), 1)[0]
    assert slope == pytest.approx(2, abs=0.05)  # the next term is h^2 / d^2 = 0.04 smaller
    rounding = np.geomspace(1e-13, 1e-8, 9)
    slope = np.polyfit(np.log(rounding), np.log(slope_errors(problem, rounding)), 1)[0]
    assert slope == pytest.approx(-1, abs=0.3)  # noise: medians of nine


def test_central_differences_across_a_kink_are_wrong() -> None:
    problem = AnalysisL1.draw(n=16, operator="tv", seed=0)
    grad, distance = problem.reference().grad, problem.reference().kink_distance
    coarse = DirectionalDifferences(h=100 * distance).prepare(problem)(problem.theta)
    assert abs(float(coarse.grad) - (grad * coarse.direction).sum()) > 1e-3 * np.linalg.norm(grad)


# The gradient itself


def untargeted(problem: AnalysisL1) -> AnalysisL1:
    return AnalysisL1(problem.theta, problem.y, np.zeros_like(problem.y), problem.beta)


@pytest.mark.parametrize("operator", ["identity", "tv", "dct", "random"])  # k <= n: the dual is unique
def test_without_a_target_the_gradient_is_minus_z_x(operator: str) -> None:
    problem = untargeted(AnalysisL1.draw(n=12, operator=operator, seed=2))
    x = by_bvls(problem.theta, problem.y, problem.beta)
    z = np.linalg.lstsq(problem.theta.T, problem.y - x, rcond=None)[0]
    expected = -np.outer(z, x)
    assert relative(problem.reference().grad, expected) < 1e-8  # bvls stops near 1e-10
    assert relative(Blorc().prepare(problem)(problem.theta).grad, expected) < 1e-8


@pytest.mark.parametrize("operator", OPERATORS)
def test_without_a_target_the_gradient_is_minus_z_x_of_the_same_solution(operator: str) -> None:
    problem = untargeted(AnalysisL1.draw(n=12, operator=operator, seed=2))
    reference = problem.reference()
    _, value, right = np.linalg.svd(reference.grad)
    assert value[1] < 1e-13 * value[0]  # rank one ...
    x = reference.solution / np.linalg.norm(reference.solution)
    np.testing.assert_allclose(abs(right[0] @ x), 1, rtol=1e-13)  # ... with x* on the right
    z = -reference.grad @ x / np.linalg.norm(reference.solution)
    assert relative(problem.y - z @ problem.theta, reference.solution) < 1e-12  # and a z with x* = y - W^T z on the left
    assert np.abs(z).max() <= problem.beta * (1 + 1e-12)


QUICK = [m for m in METHODS if m not in PEERS and "jax" not in m.requires and m.family != "cone program"]
QUICK = [m for m in QUICK if m.unsupported(AnalysisL1.draw(n=6)) is None]


@pytest.mark.parametrize("scale", [1e-6, 1e3])
@pytest.mark.parametrize("method", [*QUICK, None], ids=lambda method: method.name if method else "reference")
def test_the_gradient_is_homogeneous_in_the_loss(method: GradientMethod | None, scale: float) -> None:
    problem = AnalysisL1.draw(n=6, operator="random", seed=2, batch=2)
    scaled = replace(problem, loss_scale=scale)

    def grad(instance: AnalysisL1) -> Any:
        return instance.reference().grad if method is None else method.prepare(instance)(instance.theta).grad

    # Rounding; differences divide rounding of the losses by h = 1e-6.
    bound = 1e-7 if method is not None and method.name.startswith("fd-") else 1e-12
    assert relative(np.asarray(grad(scaled)) / scale, np.asarray(grad(problem))) < bound


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_dense_gradient_of_one_signal_has_rank_two(operator: str) -> None:
    problem = AnalysisL1.draw(n=12, operator=operator, seed=1)
    for grad in (problem.reference().grad, Blorc().prepare(problem)(problem.theta).grad):
        singular = np.linalg.svd(grad, compute_uv=False)
        assert singular[2] < 1e-12 * singular[0]
        # Rank one where no row is zero, as with the identities at this seed: then h = 0.
        assert (singular[1] > 1e-2 * singular[0]) == ("identity" not in operator)


@pytest.mark.parametrize("operator", OPERATORS)
def test_weight_gradients_are_contractions_of_the_dense_one(operator: str) -> None:
    dense = AnalysisL1.draw(n=12, operator=operator, seed=2)
    rows = (dense.reference().grad * dense.theta).sum(axis=1)  # chain rule through diag(exp theta) W at theta = 0
    for theta, expected in (("row-weights", rows), ("weight", rows.sum())):
        found = AnalysisL1.draw(n=12, operator=operator, seed=2, theta=theta).reference().grad
        np.testing.assert_allclose(found, expected, atol=1e-13 * np.abs(rows).sum())
