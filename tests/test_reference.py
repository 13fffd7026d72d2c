"""The reference gradient against 60-digit differences; kinks are called kinks; the margins are distances."""

from __future__ import annotations

import math
from collections.abc import Callable

import mpmath
import numpy as np
import pytest
from _exact import EXISTS, by_bvls, differences, image_tv, matrix, prove, relative, solve_pattern

from problems import OPERATORS, AnalysisL1, Weighted
from problems.base import REFERENCE_STATUSES, Array, Reference
from problems.proofs import choice

ROUNDING = 4e-16  # the reference rounds an extended-precision gradient once: at most 1.1e-16 an entry, and its sums


def instance(w: Array, y: Array, beta: float, log_weights: Array | None = None) -> AnalysisL1:
    target = np.random.default_rng(99).standard_normal(len(y))
    if log_weights is None:
        return AnalysisL1(w, y, target, beta)
    return AnalysisL1(log_weights, y, target, beta, parametrisation=Weighted(w))


def exact_gradient(problem: AnalysisL1, operator: Callable[[int, mpmath.mpf], mpmath.matrix]) -> Array:
    """Central differences in 60 digits; operator(j, h) is K with entry j of theta moved by h."""
    pattern = prove(problem.parametrisation.matrix(problem.theta), problem.y, problem.beta)

    def loss(w: mpmath.matrix) -> mpmath.mpf:
        x, _ = solve_pattern(w, problem.y, problem.beta, pattern)
        return sum((a - mpmath.mpf(b)) ** 2 for a, b in zip(x, problem.target, strict=True)) / 2

    return differences(problem.theta.size, operator, loss).reshape(problem.theta.shape)


def dense_moves(w: Array) -> Callable[[int, mpmath.mpf], mpmath.matrix]:
    def moved(j: int, h: mpmath.mpf) -> mpmath.matrix:
        exact = matrix(w)
        exact[divmod(j, w.shape[1])] += h
        return exact

    return moved


def weight_moves(w: Array, theta: Array) -> Callable[[int, mpmath.mpf], mpmath.matrix]:
    def moved(j: int, h: mpmath.mpf) -> mpmath.matrix:
        exact = matrix(w)
        for i in range(len(w)):
            shift = h if theta.ndim == 0 or i == j else 0
            factor = mpmath.exp(mpmath.mpf(float(theta[i] if theta.ndim else theta)) + shift)
            for c in range(w.shape[1]):
                exact[i, c] *= factor
        return exact

    return moved


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_dense_gradient_is_right_to_rounding(operator: str) -> None:
    drawn = AnalysisL1.draw(n=5, operator=operator, seed=1)
    problem = instance(drawn.theta[:8], drawn.y, drawn.beta)  # eight rows: k > n where there are so many
    reference = problem.reference()
    assert reference.status in EXISTS
    assert relative(reference.grad, exact_gradient(problem, dense_moves(problem.theta))) < ROUNDING


@pytest.mark.parametrize("seed", range(4))
def test_the_dense_gradient_is_right_on_random_shapes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    problem = instance(rng.standard_normal((3 + seed, 5)), rng.standard_normal(5), 0.2 + 0.1 * seed)
    reference = problem.reference()
    assert 0 < reference.zero_rows < 1
    assert relative(reference.grad, exact_gradient(problem, dense_moves(problem.theta))) < ROUNDING


@pytest.mark.parametrize("log_weights", [np.array([0.1, -0.2, 0.3, 0.0]), np.array(-0.3)], ids=["rows", "one"])
def test_the_gradient_in_log_weights_is_right_to_rounding(log_weights: Array) -> None:
    w = np.diff(np.eye(5), axis=0)
    problem = instance(w, np.array([0.9, 1.1, 0.2, -0.7, -0.5]), 0.3, log_weights)
    exact = exact_gradient(problem, weight_moves(w, log_weights))
    reference = problem.reference()
    assert 0 < reference.zero_rows < 1
    assert relative(reference.grad, exact) < 10 * ROUNDING  # exp(theta) W is rounded before the reference starts


@pytest.mark.parametrize("operator", ["tv", "random", "random-2n"])
def test_solution_value_and_zero_rows_are_those_of_the_problem(operator: str) -> None:
    problem = AnalysisL1.draw(n=16, operator=operator, seed=3)
    reference = problem.reference()
    x = by_bvls(problem.theta, problem.y, problem.beta)
    np.testing.assert_allclose(reference.solution, x, atol=1e-8)  # bvls stops near 1e-10
    assert reference.value == pytest.approx(0.5 * ((x - problem.target) ** 2).sum(), rel=1e-8)
    zero = np.abs(problem.theta @ x) < 1e-7
    assert reference.zero_rows == zero.mean()
    assert reference.rank == zero.sum() == np.linalg.matrix_rank(problem.theta[zero])
    singular = np.linalg.svd(problem.theta[zero], compute_uv=False)
    assert reference.cond == pytest.approx(singular[0] / singular[-1], rel=1e-9)


# Where no gradient exists


def kinked(problem: AnalysisL1, reason: str) -> None:
    reference = problem.reference()
    assert (reference.status, reference.grad) == ("kink", None)
    assert reason in reference.reason
    assert math.isnan(reference.kink_distance) and math.isnan(reference.rho)


DEPENDENT, NOT_STRICT = "dependent", "strict complementarity"
FLAT = np.array([1.0, 1.02, 0.98, -0.5, -0.52, 0.03])  # two flat pieces and a value next to zero


def test_a_duplicated_zero_row_is_a_kink() -> None:
    d = np.diff(np.eye(6), axis=0)
    kinked(instance(np.concatenate([d, d[:1]]), FLAT, 0.1), DEPENDENT)


def test_a_duplicated_row_that_is_not_zero_is_none() -> None:
    d = np.diff(np.eye(6), axis=0)
    w = np.concatenate([d, d[2:3]])  # across the jump
    problem = instance(w, FLAT, 0.1)
    assert problem.reference().status in EXISTS
    assert relative(problem.reference().grad, exact_gradient(problem, dense_moves(w))) < ROUNDING


def test_identity_over_differences_is_a_kink() -> None:
    w = np.concatenate([np.eye(6), np.diff(np.eye(6), axis=0)])
    kinked(instance(w, np.array([1.0, 0.6, 0.02, 0.01, -0.02, -1.0]), 0.1), DEPENDENT)


def test_circular_differences_of_a_constant_are_a_kink() -> None:
    w = np.roll(np.eye(6), 1, axis=1) - np.eye(6)
    kinked(instance(w, FLAT, 10.0), DEPENDENT)
    kinked(instance(w, FLAT, 10.0), "6 zero rows of W have rank 5")


@pytest.mark.parametrize("sign", [1, -1])
def test_a_dual_on_the_edge_of_the_box_is_a_kink(sign: int) -> None:
    kinked(instance(np.eye(3), np.array([0.5 * sign, 2.0, -0.1]), 0.5), NOT_STRICT)  # z_0 = y_0 = beta, x_0 = 0


def test_off_the_edge_of_the_box_there_is_a_gradient() -> None:
    for y0 in (0.5 - 1e-6, 0.5 + 1e-6):
        problem = instance(np.eye(3), np.array([y0, 2.0, -0.1]), 0.5)
        assert relative(problem.reference().grad, exact_gradient(problem, dense_moves(np.eye(3)))) < ROUNDING


def test_flat_blocks_of_an_image_are_a_kink_in_the_entries_and_none_in_the_weights() -> None:
    w = image_tv(3)
    image = np.array([[1.0, 1.02, 0.1], [0.99, 1.01, 0.12], [-0.8, 0.3, -0.5]])
    kinked(instance(w, image.ravel(), 0.05), DEPENDENT)
    for log_weights in (np.linspace(-0.1, 0.1, len(w)), np.array(0.05)):
        problem = instance(w, image.ravel(), 0.05, log_weights)
        reference = problem.reference()
        assert reference.status in EXISTS
        exact = exact_gradient(problem, weight_moves(w, log_weights))
        assert relative(reference.grad, exact) < 10 * ROUNDING  # exp(theta) W is rounded before the reference starts


@pytest.mark.parametrize("operator", ["identity", "dct", "random", "random-2n", "filters"])
@pytest.mark.parametrize("theta", ["dense", "row-weights", "weight"])
def test_a_huge_beta_gives_zero_and_a_zero_gradient(operator: str, theta: str) -> None:
    problem = AnalysisL1.draw(n=8, operator=operator, beta=1e4, theta=theta)
    reference = problem.reference()
    assert reference.status == "zero"
    assert np.abs(reference.solution).max() < 1e-15  # extended precision
    assert not reference.grad.any()
    assert reference.grad.shape == problem.theta.shape


def test_a_constant_solution_has_a_zero_gradient_in_the_weights() -> None:
    problem = instance(image_tv(3), np.linspace(-1, 1, 9) ** 3, 10.0, np.zeros(12))
    reference = problem.reference()
    assert reference.status == "zero"
    np.testing.assert_allclose(reference.solution, problem.y.mean(), atol=1e-15)
    assert not reference.grad.any()


@pytest.mark.parametrize("delta", [1e-3, 1e-6])  # by Cholesky and by SVD
def test_nearly_dependent_zero_rows_keep_the_accuracy(delta: float) -> None:
    """y is made so that both near-equal rows are zero rows: without extended precision the error is 1e-16 / delta."""
    a, b, x = np.eye(5)[:3]
    w = np.stack([a + 0.3 * b, a + (0.3 + delta) * b + delta * np.eye(5)[3], x + 0.5 * np.eye(5)[4]])
    problem = instance(w, x + w.T @ np.array([0.1, -0.05, 0.3]), 0.3)
    reference = problem.reference()
    assert reference.cond > 1 / delta
    extended = 1e-18 / delta  # ten times the condition number in extended precision
    assert relative(reference.grad, exact_gradient(problem, dense_moves(w))) < max(ROUNDING, extended)


# The scalar problem x*(w) = argmin 1/2 (x - y)^2 + |w x| = soft(y, |w|)


def scalar(w: float, y: float) -> Reference:
    return AnalysisL1(theta=np.array([[w]]), y=np.array([y]), target=np.array([0.3]), beta=1.0).reference()


@pytest.mark.parametrize("y", [0.8, -0.8])
def test_the_scalar_problem_has_three_kinks(y: float) -> None:
    for w in (0.0, y, -y):
        assert scalar(w, y).status == "kink"


@pytest.mark.parametrize("y", [0.8, -0.8])
@pytest.mark.parametrize("w", [0.1, 1e-6, 0.8 - 1e-6, -0.1, -0.5, -1e-6])
def test_the_scalar_problem_between_its_kinks(w: float, y: float) -> None:
    x = math.copysign(abs(y) - abs(w), y)
    reference = scalar(w, y)
    assert reference.status in EXISTS
    assert reference.solution[0] == pytest.approx(x, rel=1e-9)  # x = y - |w| cancels six digits next to the kink
    assert reference.grad[0, 0] == pytest.approx(-math.copysign(1, w) * math.copysign(1, y) * (x - 0.3), rel=1e-12)
    first_order = abs(w) * abs(x) / abs(abs(y) - 2 * abs(w))  # margin |w| (|y| - |w|) over its slope
    assert reference.kink_distance == pytest.approx(first_order, rel=1e-9)
    assert 0 < reference.rho <= min(abs(w), abs(x))


@pytest.mark.parametrize("w", [0.8 + 1e-6, -0.8 - 1e-6, 5.0])
def test_the_scalar_problem_beyond_its_kinks_is_zero(w: float) -> None:
    reference = scalar(w, 0.8)
    assert (reference.status, reference.grad[0, 0]) == ("zero", 0.0)


# Margins


def margins(w: Array, problem: AnalysisL1, signs: Array) -> Array:
    """beta - |z_i| on zero rows and s_i w_i x* elsewhere, with the pattern held fixed."""
    w0, wa, s = w[signs == 0], w[signs != 0], signs[signs != 0]
    q = problem.y - problem.beta * s @ wa
    z = np.linalg.lstsq(w0.T, q, rcond=None)[0]
    return np.concatenate([problem.beta - np.abs(z), s * (wa @ (q - z @ w0))])


def nearest_kink(problem: AnalysisL1) -> tuple[float, Array]:
    """(first-order distance, unit direction) by central differences of the margins."""
    w, signs = problem.theta, problem.pattern(problem.theta)
    step = 1e-7 * np.linalg.norm(w)
    moves = [step * entry.reshape(w.shape) for entry in np.eye(w.size)]
    slopes = np.array([margins(w + d, problem, signs) - margins(w - d, problem, signs) for d in moves]) / (2 * step)
    distances = margins(w, problem, signs) / np.linalg.norm(slopes, axis=0)
    worst = int(distances.argmin())
    return distances[worst], -slopes[:, worst].reshape(w.shape) / np.linalg.norm(slopes[:, worst])


MARGIN_CASES = [("tv", 1), ("random", 2), ("dct", 1), ("random-2n", 0), ("filters", 2)]


@pytest.mark.parametrize(("operator", "seed"), MARGIN_CASES)
def test_the_kink_distance_is_the_first_order_distance(operator: str, seed: int) -> None:
    problem = AnalysisL1.draw(n=9, operator=operator, seed=seed)
    distance, direction = nearest_kink(problem)
    reference = problem.reference()
    assert reference.kink_distance == pytest.approx(distance, rel=1e-5)  # differences at 1e-7: curvature and rounding
    signs = problem.pattern(problem.theta)
    assert np.array_equal(signs, problem.pattern(problem.theta + 0.8 * distance * direction))
    assert not np.array_equal(signs, problem.pattern(problem.theta + 1.25 * distance * direction))


@pytest.mark.parametrize(("operator", "seed"), MARGIN_CASES)
def test_within_the_margins_the_pattern_stays(operator: str, seed: int) -> None:
    problem = AnalysisL1.draw(n=9, operator=operator, seed=seed)
    reference, signs = problem.reference(), problem.pattern(problem.theta)
    assert 0 < reference.rho <= 1.25 * reference.kink_distance  # rigorous, so no larger than the distance itself
    rng = np.random.default_rng(0)
    for radius in (0.5 * reference.kink_distance, 0.999 * reference.rho):
        for _ in range(10):
            direction = rng.standard_normal(problem.theta.shape)
            moved = problem.theta + radius * direction / np.linalg.norm(direction)
            assert np.array_equal(signs, problem.pattern(moved))
    assert np.array_equal(signs, problem.pattern(problem.theta + 0.999 * reference.rho * nearest_kink(problem)[1]))


@pytest.mark.parametrize(("operator", "seed"), MARGIN_CASES)
def test_rho_is_the_largest_radius_of_its_two_inequalities(operator: str, seed: int) -> None:
    problem = AnalysisL1.draw(n=9, operator=operator, seed=seed)
    w, signs, reference = problem.theta, problem.pattern(problem.theta), problem.reference()
    least = np.linalg.svd(w[signs == 0], compute_uv=False).min()
    norm, box = np.linalg.norm(problem.y), problem.beta * np.sqrt(len(w))
    inside, outside = np.split(margins(w, problem, signs), [int((signs == 0).sum())])
    lengths = np.linalg.norm(w[signs != 0], axis=1)

    def room(r: float) -> float:
        t = least - r
        on_a = outside - r * (norm + (lengths + r) * np.sqrt(box**2 + (norm / t) ** 2))
        return float(min(on_a.min(initial=np.inf), (inside - r * (norm / t**2 + box / t)).min(initial=np.inf)))

    assert room(reference.rho * (1 - 1e-6)) > 0 > room(reference.rho * (1 + 1e-6))


# Batches

KINK, PLAIN, ZERO = np.array([0.5, 2.0, -0.1]), np.array([1.5, 2.0, -0.1]), np.array([0.1, 0.2, -0.1])


@pytest.mark.parametrize(
    ("signals", "status"),
    [((ZERO, ZERO), ("zero",)), ((ZERO, PLAIN), EXISTS), ((PLAIN, KINK, ZERO), ("kink",)), ((PLAIN, PLAIN), EXISTS)],
    ids=["zero", "exists", "kink", "equal"],
)
def test_a_batch_has_the_worst_status(signals: tuple[Array, ...], status: tuple[str, ...]) -> None:
    y = np.stack(signals)
    reference = AnalysisL1(np.eye(3), y, np.zeros_like(y), 0.5).reference()
    assert reference.status in status
    assert (reference.grad is None) == (status == ("kink",))
    assert set(REFERENCE_STATUSES) >= set(status)


def test_a_batch_has_the_mean_gradient_and_the_least_margin() -> None:
    problem = AnalysisL1.draw(n=9, operator="random", seed=2, batch=3)
    pairs = zip(problem.y, problem.target, strict=True)
    singles = [AnalysisL1(problem.theta, y, target, problem.beta).reference() for y, target in pairs]
    reference = problem.reference()
    assert relative(reference.grad, np.mean([single.grad for single in singles], axis=0)) < 1e-15
    assert reference.value == pytest.approx(np.mean([single.value for single in singles]), rel=1e-14)
    assert reference.kink_distance == min(single.kink_distance for single in singles)
    assert reference.rho == min(single.rho for single in singles)
    assert reference.zero_rows == pytest.approx(np.mean([single.zero_rows for single in singles]))


def test_a_batch_whose_proof_would_take_too_long_is_undecided_at_once() -> None:
    problem = AnalysisL1.draw(n=1024, operator="identity", batch=100)
    found = problem.reference()
    assert (found.status, found.grad) == ("undecided", None)
    assert found.reason == "the proof of 100 signals would take about 267 s, above the limit of 150 s"
    assert np.isnan(found.solution).all() and found.solution.shape == problem.y.shape


def test_a_single_signal_is_proven_however_long_it_takes() -> None:
    assert choice.too_long(1, 10**4) == "" and choice.foreseen(1, 10**4) > choice.LONGEST_S
    assert choice.too_long(100, 64) == ""
