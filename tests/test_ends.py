"""Every problem at the ends of its domain: solutions that are 0, constant or a vertex, weights of all sizes, y = 0."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from methods import METHODS
from problems import PROBLEMS, Ensemble, Problem, SolveError
from problems.base import Array
from problems.deblurring import Deblurring
from problems.elastic_net import ElasticNet
from problems.families.isotropic import IsotropicTV
from problems.image_denoising import ImageDenoising
from problems.lasso import Lasso
from problems.mri import MRI
from problems.smooth_tv import SmoothTV
from problems.tv_value import TVValue

A, Y = np.array([[0.1, 0.7], [0.3, 0.2], [0.9, 0.4]]), np.array([1.1, 2.3, 0.7])
WEIGHTS = [10.0**power for power in range(-12, 13, 2)]


def gives_zero(problem: Problem) -> None:
    """The reference says that the gradient is exactly 0, and no method that answers is judged by its relative error."""
    found = problem.reference()
    assert (found.status, found.radius) == ("zero", 0.0), found
    assert found.grad is not None and not found.grad.any() and found.grad.shape == problem.theta.shape


@pytest.mark.parametrize("factor", [1.5, 10.0, 1e12])
@pytest.mark.parametrize("rows", [False, True])
def test_a_lasso_whose_solution_is_0_has_gradient_0(factor: float, rows: bool) -> None:
    log = np.log(factor * np.abs(A.T @ Y).max())
    problem = Lasso(np.full(2, log) if rows else np.asarray(log), A, Y, A, Y)
    gives_zero(problem)
    assert not problem.solve(problem.theta).any()


@pytest.mark.parametrize("factor", [1.5, 10.0, 1e12])
def test_an_elastic_net_whose_solution_is_0_has_gradient_0(factor: float) -> None:
    gives_zero(ElasticNet(np.log([factor * np.abs(A.T @ Y).max(), 0.1]), A, Y, A, Y))


def test_without_data_every_gradient_is_0() -> None:
    gives_zero(Lasso(np.zeros(2), A, 0 * Y, A, Y))
    gives_zero(ElasticNet(np.zeros(2), A, 0 * Y, A, Y))


def soft(y: Array, weight: float) -> Array:
    return np.sign(y) * np.maximum(np.abs(y) - weight, 0.0)


@pytest.mark.parametrize("weight", WEIGHTS)
def test_a_lasso_of_orthogonal_columns_is_soft_thresholding(weight: float) -> None:
    """x* = soft(y, w) and dx*/dlog w = -w sign(x*)."""
    y, goal, log = np.array([3.0, -2.0, 0.5]), np.array([1.0, 1.0, 1.0]), np.log(weight)
    w = float(np.exp(log))
    problem = Lasso(np.asarray(log), np.eye(3), y, np.eye(3), goal)
    x = soft(y, w)
    assert np.abs(problem.solve(problem.theta) - x).max() <= 1e-15 * 3
    truth = float((-w * np.sign(x) * (x - goal)).sum()) / 3
    found = problem.reference()
    assert found.status == ("proven" if x.any() else "zero")
    assert (
        found.grad is not None
        and abs(float(found.grad) - truth) <= 1e-13 * max(w * np.abs(x - goal).max(), abs(truth)) * x.any()
    )


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("ridge", [1e-12, 1.0, 1e12])
def test_an_elastic_net_of_orthogonal_columns_is_scaled_soft_thresholding(weight: float, ridge: float) -> None:
    """x* = soft(y, l1) / (1 + l2), dx*/dlog l1 = -l1 sign(x*) / (1 + l2), dx*/dlog l2 = -l2 x* / (1 + l2)."""
    y, goal, logs = np.array([3.0, -2.0, 0.5]), np.array([1.0, 1.0, 1.0]), np.log([weight, ridge])
    l1, l2 = np.exp(logs)
    problem = ElasticNet(logs, np.eye(3), y, np.eye(3), goal)
    x = soft(y, l1) / (1 + l2)
    assert np.abs(problem.solve(logs) - x).max() <= 1e-14 * max(np.abs(x).max(), 1e-300)
    terms = np.array([-l1 * np.sign(x) / (1 + l2), -l2 * x / (1 + l2)]) * (x - goal) / 3
    found = problem.reference()
    assert found.status == ("proven" if x.any() else "zero")
    assert found.grad is not None and (np.abs(found.grad - terms.sum(axis=1)) <= 1e-12 * np.abs(terms).max(axis=1)).all()


@pytest.mark.parametrize("weight", [1e-2, 1e-8, 1e-10, 1e-12])
def test_a_small_weight_keeps_all_coefficients(weight: float) -> None:
    """Signs (+, +): A^T A x = A^T y - w, solved in fractions."""
    exact, data = [[Fraction(v) for v in row] for row in A.tolist()], [Fraction(v) for v in Y.tolist()]
    g = [[sum(row[i] * row[j] for row in exact) for j in (0, 1)] for i in (0, 1)]
    w = Fraction(float(np.exp(np.log(weight))))
    b = [sum(row[i] * v for row, v in zip(exact, data, strict=True)) - w for i in (0, 1)]
    determinant = g[0][0] * g[1][1] - g[0][1] ** 2
    x = [(g[1][1] * b[0] - g[0][1] * b[1]) / determinant, (g[0][0] * b[1] - g[0][1] * b[0]) / determinant]
    assert min(x) > 0
    problem = Lasso(np.asarray(np.log(weight)), A, Y, A, Y)
    assert np.abs(problem.solve(problem.theta) - [float(v) for v in x]).max() < 1e-14
    assert problem.reference().status == "proven"


def test_a_log_weight_beyond_float64_is_refused_in_words() -> None:
    for log in (800.0, -800.0):
        with pytest.raises(SolveError, match="a log-weight must be between"):
            Lasso(np.asarray(log), A, Y, A, Y).solve(np.asarray(log))
        with pytest.raises(SolveError, match="a log-weight must be between"):
            ElasticNet(np.array([log, 0.0]), A, Y, A, Y).solve(np.array([log, 0.0]))


def test_a_column_given_twice_has_no_reference_gradient() -> None:
    """x* is not unique where both are in use."""
    twice = np.column_stack([A[:, 0], A[:, 0]])
    found = Lasso(np.zeros(2) - 3, twice, Y, twice, Y).reference()
    assert (found.status, found.grad) == ("undecided", None)


@pytest.mark.parametrize("level", [0.7, -0.1, 0.0])
def test_the_value_of_a_constant_signal_has_gradient_0(level: float) -> None:
    """p = 0 at x* = u, so dp/du = u - x* = 0; a method that answers 0 exactly is right."""
    problem = TVValue(np.append(np.log(0.1), np.full(6, level)))
    gives_zero(problem)
    method = next(m for m in METHODS if m.label == "partial-smoothness-torch")
    assert np.abs(np.asarray(method.prepare(problem)(problem.theta).grad)).max() < 1e-15


@pytest.mark.parametrize("c", [0.5, -2.0, 0.0])
def test_smooth_variation_of_a_constant_signal_moves_with_its_last_weight_alone(c: float) -> None:
    """x* = c / (1 + xi) everywhere, dx*/dlog xi = -c xi / (1 + xi)^2, and D x* = 0."""
    xi, target = float(np.exp(np.log(1e-3))), np.linspace(0.0, 1.0, 4)
    found = SmoothTV(np.log([0.1, 0.1, xi]), np.full(4, c), target).reference()
    truth = np.array([0.0, 0.0, -c * xi / (1 + xi) ** 2 * (c / (1 + xi) - target).sum()])
    assert found.status == ("proven" if c else "zero")
    assert found.grad is not None and np.abs(found.grad - truth).max() <= 1e-14 * xi * abs(c)  # the sum cancels


@pytest.mark.parametrize("weight", [10.0, 1e6, 1e12])
def test_an_image_under_a_large_weight_is_its_mean(weight: float) -> None:
    """|z_b| <= sum |y - mean| = 3 for some dual, below the weight, so x* = 1/2 whatever the weight is."""
    problem = ImageDenoising(np.log([weight]), np.eye(9), np.zeros((0, 9, 9)), np.linspace(0.0, 1.0, 9), np.zeros(9))
    gives_zero(problem)
    assert np.abs(problem.reference().solution - 0.5).max() <= 1e-15


@pytest.mark.parametrize("kind", [Deblurring, MRI])
def test_other_images_under_a_large_weight_are_constant(kind: type[IsotropicTV]) -> None:
    """x* = c with c = <A 1, y> / |A 1|^2, so a weight changes nothing."""
    drawn = kind.draw(16, 0, "weight", 0.1)
    problem = kind(np.append(np.log(1e3), drawn.theta[1:]), drawn.a, drawn.shifts, drawn.y, drawn.target)
    found, flat = problem.reference(), problem.forward(problem.theta).sum(axis=1)
    assert np.abs(found.solution - flat @ problem.y / (flat @ flat)).max() <= 1e-14
    assert found.grad is not None and found.grad[0] == 0.0
    assert found.status == ("proven" if len(problem.theta) > 1 else "zero")


@pytest.mark.parametrize("level", [0.0, 0.5])
def test_a_constant_image_stays_constant(level: float) -> None:
    gives_zero(ImageDenoising(np.log([0.1]), np.eye(9), np.zeros((0, 9, 9)), np.full(9, level), np.linspace(0.0, 1.0, 9)))


IMAGES = tuple(
    problem for problem in PROBLEMS if problem.name in {"image-denoising", "deblurring", "mri", "learned-potentials"}
)


@pytest.mark.parametrize("problem", IMAGES, ids=lambda problem: problem.name)
@pytest.mark.parametrize("n", [1, 2, 5])
def test_an_image_of_no_size_says_which_there_are(problem: Ensemble, n: int) -> None:
    with pytest.raises(ValueError, match=f"images need a square n of at least 4, such as 36, 64, 256, got n = {n}"):
        problem.instance(n, 0, problem.thetas[0])
