"""The prover: what it proves agrees with 60-digit differences, what is wrong is never proven, and kinks are shown exactly."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import mpmath
import numpy as np
import pytest
from _exact import Pattern, by_bvls, differences, image_tv, matrix, solve_pattern
from flint import arb, arb_mat, ctx, fmpz_mat
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from problems import OPERATORS, AnalysisL1, Weighted, storage
from problems.base import Array
from problems.proofs import arithmetic, margins, pattern_proof, proof_cache
from problems.proofs.certificate import Certificate, certify, enclose_gradient, signals
from problems.proofs.pattern_proof import Proof, attempt, prove

STYLES = ("gauss", "integers", "wide")


def drawn(style: str, k: int, n: int, seed: int) -> tuple[Array, Array, float]:
    """(W, y, beta): integers hit kinks, and wide entries range from 1e-8 to 1e8."""
    rng = np.random.default_rng(seed)
    if style == "integers":
        return rng.integers(-2, 3, (k, n)).astype(float), rng.integers(-4, 5, n) / 2, float(rng.integers(1, 4)) / 2
    w, y = rng.standard_normal((k, n)), rng.standard_normal(n)
    if style == "wide":
        w, y = w * 10.0 ** rng.integers(-8, 9, (k, n)), y * 10.0 ** rng.integers(-8, 9, n)
    return w, y, float(np.abs(w @ y).mean() / (w**2).sum() * rng.uniform(0.1, 4))


def instance(w: Array, y: Array, beta: float, log_weights: Array | None = None, target: Array | None = None) -> AnalysisL1:
    target = np.random.default_rng(99).standard_normal(len(y)) if target is None else target
    if log_weights is None:
        return AnalysisL1(w, y, target, beta)
    return AnalysisL1(log_weights, y, target, beta, parametrisation=Weighted(w))


def proof(w: Array, y: Array, beta: float) -> Proof:
    return prove(signals(instance(w, y, beta))[0])


def by_differences(problem: AnalysisL1, signs: Array) -> Array | None:
    """60-digit central differences; at each step the optimality conditions are checked, or None where the pattern changes."""
    pattern = Pattern(signs, [int(i) for i in np.flatnonzero(signs == 0)])
    optimal = True

    def moved(j: int, h: mpmath.mpf) -> mpmath.matrix:
        w = matrix(problem.theta)
        w[divmod(j, problem.theta.shape[1])] += h
        return w

    def loss(w: mpmath.matrix) -> mpmath.mpf:
        nonlocal optimal
        x, z = solve_pattern(w, problem.y, problem.beta, pattern)
        slopes = [int(signs[i]) * sum(w[int(i), j] * x[j] for j in range(len(x))) for i in np.flatnonzero(signs)]
        optimal &= all(abs(value) <= problem.beta for value in z) and all(slope >= 0 for slope in slopes)
        return sum((a - mpmath.mpf(b)) ** 2 for a, b in zip(x, problem.target.tolist(), strict=True)) / 2

    grad = differences(problem.theta.size, moved, loss).reshape(problem.theta.shape)
    return grad if optimal else None


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(STYLES), st.integers(1, 5), st.integers(1, 5), st.integers(0, 2**32))
def test_what_is_proven_agrees_with_60_digit_differences(style: str, k: int, n: int, seed: int) -> None:
    w, y, beta = drawn(style, k, n, seed)
    assume(beta > 0)
    problem = instance(w, y, beta)
    found = certify(problem)
    assert found.status != "undecided"
    assume(found.status == "proven")
    exact = by_differences(problem, found.signs[0])
    assume(exact is not None)  # margins below the step of 1e-20
    assert found.grad is not None
    assert np.linalg.norm(found.grad - exact) <= 1e-10 * np.linalg.norm(exact)


# Every pattern


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(STYLES), st.integers(1, 4), st.integers(1, 4), st.integers(0, 2**32))
def test_of_all_patterns_exactly_one_is_proven_where_there_is_a_gradient(style: str, k: int, n: int, seed: int) -> None:
    w, y, beta = drawn(style, k, n, seed)
    assume(beta > 0 and y.any())
    signal = signals(instance(w, y, beta))[0]
    whole = prove(signal)
    attempts = [attempt(signal, np.array(signs, dtype=np.int8)) for signs in itertools.product((-1, 0, 1), repeat=k)]
    statuses = [found.status for found in attempts if found is not None]
    if whole.status in ("proven", "zero"):
        assert statuses == [whole.status]
    else:
        assert set(statuses) <= {"kink"}


@pytest.mark.parametrize("operator", OPERATORS)
def test_no_corrupted_pattern_is_proven(operator: str) -> None:
    problem = AnalysisL1.draw(n=12, operator=operator, seed=1)
    signal = signals(problem)[0]
    right = prove(signal)
    assert right.status == "proven"
    for row, sign in itertools.product(range(len(right.signs)), (-1, 0, 1)):
        signs = right.signs.copy()
        signs[row] = sign
        found = attempt(signal, signs)
        assert (found is not None) == (sign == right.signs[row])


@pytest.mark.parametrize("operator", ["tv", "random", "random-2n", "filters"])
def test_a_wrong_start_changes_nothing(operator: str, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = AnalysisL1.draw(n=12, operator=operator, seed=2)
    right = certify(problem)
    rng = np.random.default_rng(0)
    k = len(problem.theta)
    for _ in range(5):
        signs, z = rng.integers(-1, 2, k).astype(np.int8), rng.uniform(-1, 1, k) * problem.beta
        monkeypatch.setattr(pattern_proof, "_found", lambda signal, found=(signs, z): found)
        again = certify(problem)
        assert again.status == right.status == "proven"
        assert np.array_equal(again.grad, right.grad)


# At, and one unit in the last place beside, a kink


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("y", [0.8, -0.3, 1e-200])
def test_the_scalar_problem_one_unit_beside_its_kink(y: float, sign: int) -> None:
    w = sign * abs(y)
    inner, outer = np.nextafter(w, 0), np.nextafter(w, 2 * w)
    statuses = [proof(np.array([[value]]), np.array([y]), 1.0).status for value in (inner, w, outer)]
    assert statuses == ["proven", "kink", "zero"]
    assert proof(np.zeros((1, 1)), np.array([y]), 1.0).status == "kink"
    assert proof(np.array([[5e-324]]), np.array([y]), 1.0).status == "proven"


HADAMARD = 0.5 * np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]])


@pytest.mark.parametrize("row", range(4))
def test_an_orthogonal_operator_at_its_threshold(row: int) -> None:
    y = np.array([1.5, -0.25, 0.75, 3.0])
    beta = abs(float(HADAMARD[row] @ y))  # exact in float64
    below, at, above = (proof(HADAMARD, y, value) for value in (np.nextafter(beta, 0), beta, np.nextafter(beta, 9)))
    assert (below.status, at.status) == ("proven", "kink")
    assert above.status == ("zero" if beta == np.abs(HADAMARD @ y).max() else "proven")
    assert "strict complementarity" in at.reason
    assert below.signs[row] and not above.signs[row]


TALL = [
    ("a repeated row", np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), np.array([2.0, 0.5]), 1.0),
    ("a unique dual", np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), np.array([2.0, 1.5]), 1.0),
    ("two scalars", np.array([[1.0], [1.0]]), np.array([2.0]), 1.0),
    ("a row of zeros", np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]), np.array([1.0, 1.0]), 1.0),
]


@pytest.mark.parametrize(("name", "w", "y", "beta"), TALL, ids=lambda value: value if isinstance(value, str) else "")
def test_more_rows_than_unknowns_at_the_threshold_of_zero(name: str, w: Array, y: Array, beta: float) -> None:
    for weights in (None, np.zeros(len(w)), np.zeros(())):
        at = certify(instance(w, y, beta, weights))
        assert (at.status, at.grad) == ("kink", None)
        assert "strict complementarity" in at.reason and not at.x.any()
    assert proof(w, y, np.nextafter(beta, 9)).status == "zero"
    assert proof(w, y, np.nextafter(beta, 0)).status in ("proven", "kink")  # dependent rows may still be zero


def test_at_a_threshold_of_zero_the_solution_leaves_it_on_one_side_only() -> None:
    kinks, step = 0, 1e-6
    for seed in range(400):
        k, n = 1 + seed % 5, 1 + seed % 4
        w, y, beta = drawn("integers", k, n, seed)
        found = certify(instance(w, y, beta))
        if found.status == "kink" and found.rank[0] == n:
            below, above = (np.linalg.norm(by_bvls(w * scale, y, beta)) for scale in (1 - step, 1 + step))
            # x* moves by at least step times the fall of the objective along one direction: fractions of small integers.
            assert above < 1e-9 < 1e-8 < below
            kinks += 1
    assert kinks > 10


def test_a_pattern_with_a_slack_of_1e_15_is_proven() -> None:
    w = np.array([[1.0, 0.5], [0.25, 1.0]])
    for slack in (1e-15, -1e-15):
        y = np.array([2.0, 0.0]) + w.T @ np.array([0.5, 0.5 - slack])
        problem = instance(w, y, 0.5)
        found = certify(problem)
        exact = by_differences(problem, found.signs[0])
        assert found.status == "proven" and exact is not None
        assert np.linalg.norm(found.grad - exact) <= 2e-16 * np.linalg.norm(exact)


# Dependent rows

FLAT = np.array([1.0, 1.02, 0.98, -0.5, -0.52, 0.03])
D = np.diff(np.eye(6), axis=0)
IMAGE = np.array([[1.0, 1.02, 0.1], [0.99, 1.01, 0.12], [-0.8, 0.3, -0.5]]).ravel()
DEPENDENT = [
    ("duplicate", np.concatenate([D, D[:1]]), FLAT, 0.1),
    ("identity over differences", np.concatenate([np.eye(6), D]), np.array([1.0, 0.6, 0.02, 0.01, -0.02, -1.0]), 0.1),
    ("image", image_tv(3), IMAGE, 0.05),
    ("zero row", np.concatenate([D, np.zeros((1, 6))]), FLAT, 0.1),
]


@pytest.mark.parametrize(("name", "w", "y", "beta"), DEPENDENT, ids=lambda value: value if isinstance(value, str) else "")
def test_dependent_zero_rows_are_a_kink_in_the_entries_and_none_in_the_weights(
    name: str, w: Array, y: Array, beta: float
) -> None:
    dense = certify(instance(w, y, beta))
    assert (dense.status, dense.grad) == ("kink", None)
    assert "dependent" in dense.reason
    for weights in (np.zeros(len(w)), np.linspace(-0.1, 0.1, len(w)), np.array(0.05)):
        assert certify(instance(w, y, beta, weights)).status == "proven"
    same = certify(instance(w, y, beta, np.zeros(len(w))))
    np.testing.assert_allclose(same.x, dense.x, rtol=1e-15)


def test_circular_differences_of_a_constant() -> None:
    w = np.roll(np.eye(6), 1, axis=1) - np.eye(6)
    assert certify(instance(w, FLAT, 10.0)).status == "kink"
    found = certify(instance(w, FLAT, 10.0, np.zeros(6)))
    assert (found.status, found.radius) == ("zero", 0.0)
    assert found.grad is not None and not found.grad.any()


@pytest.mark.parametrize("w", [np.diff(np.eye(5), axis=0), np.arange(12.0).reshape(4, 3), np.eye(3)[[0, 1, 0, 2, 1]] * np.pi])
def test_the_rank_is_exact(w: Array) -> None:
    stacked = np.concatenate([w, w[0:1] + w[1:2], 2.0**-600 * w])
    assert arithmetic.rank(w) == arithmetic.rank(stacked) == fmpz_mat(arithmetic.integer_rows(w)).rank()


def test_a_rank_that_float64_cannot_see() -> None:
    w = np.array([[1.0, -1.0, 0.0], [1.0, -1.0, 1e-300]])
    assert arithmetic.rank(w) == 2
    assert arithmetic.rank(np.zeros((2, 3))) == 0


# Ends of the range


def test_the_smallest_and_the_emptiest_cases() -> None:
    assert proof(np.eye(3), np.zeros(3), 1.0).status == "zero"
    assert proof(np.zeros((2, 3)), np.zeros(3), 1.0).status == "zero"
    assert proof(np.zeros((2, 3)), np.ones(3), 1.0).status == "kink"
    none_zero = proof(np.eye(3), np.array([2.0, 3.0, -4.0]), 1.0)
    assert (none_zero.status, none_zero.rank) == ("proven", 0)
    all_zero = proof(D, FLAT, 100.0)
    assert (all_zero.status, all_zero.rank) == ("proven", 5)


def test_a_target_equal_to_the_solution_has_a_zero_gradient() -> None:
    for last in (0.5, 1.0):  # off and on the kink
        found = certify(instance(np.eye(2), np.array([3.0, last]), 1.0, target=np.array([2.0, 0.0])))
        assert (found.status, found.radius) == ("proven", 0.0)
        assert found.grad is not None and not found.grad.any()
    beside = certify(instance(np.eye(2), np.array([3.0, 0.5]), 1.0, target=np.array([2.0, 5e-324])))
    assert beside.status == "proven" or beside.grad is None


def test_a_batch_of_which_one_signal_is_at_its_target_has_the_gradient_of_the_other() -> None:
    """W = I and y_i > beta: x* = y - beta and z = beta; dL/dW is half of -z (x* - target)^T of the second signal."""
    y, target = np.array([[2.0, 3.0], [2.0, 5.0]]), np.array([[1.5, 2.5], [0.0, 0.0]])
    found = certify(instance(np.eye(2), y, 0.5, target=target))
    assert found.status == "proven"
    np.testing.assert_array_equal(found.grad, -0.5 * np.outer([0.5, 0.5], [1.5, 4.5]))  # dyadic numbers: exact


@pytest.mark.parametrize("scale", [1e-3, 1e-14, 1e14])
def test_the_gradient_scales_with_the_loss(scale: float) -> None:
    problem = AnalysisL1.draw(n=16, operator="random", seed=0)
    scaled = AnalysisL1(problem.theta, problem.y, problem.target, problem.beta, scale)
    one, other = certify(problem), certify(scaled)
    assert np.linalg.norm(other.grad / scale - one.grad) <= 4e-16 * np.linalg.norm(one.grad)


# The radius


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("theta", ["dense", "row-weights", "weight"])
def test_the_gradient_is_within_its_radius(operator: str, theta: str) -> None:
    problem = AnalysisL1.draw(n=16, operator=operator, seed=3, theta=theta, batch=2)
    found = certify(problem)
    assert found.status in ("proven", "zero")
    assert found.grad is not None and found.grad.shape == problem.theta.shape
    if found.status == "zero":
        return
    assert 0 < found.radius < 1.2e-16
    with ctx.workprec(512):
        exact = enclose_gradient(problem, [prove(signal).at(512) for signal in signals(problem)]).entries()
        errors = [value - entry for value, entry in zip(found.grad.ravel().tolist(), exact, strict=True)]
        assert all(abs(error) <= 2.0**-53 * abs(entry) for error, entry in zip(errors, exact, strict=True))
        squared, norm = sum(error * error for error in errors), sum(entry * entry for entry in exact)
        assert squared <= found.radius**2 * norm


def test_what_is_rounded_is_no_closer_than_its_balls_are_wide() -> None:
    values, error = arithmetic.rounded(arb_mat([[arb(1, 1e-3), arb(2, 1e-3)]]))
    np.testing.assert_array_equal(values, [[1.0, 2.0]])
    assert math.sqrt(2) * 1e-3 <= error < math.sqrt(2) * 1.001e-3  # room for 30 bits of a radius and for rounding up


def test_the_least_singular_value_is_bounded_from_below() -> None:
    for delta in (1.0, 1e-4, 1e-8):
        w = np.array([[1.0, 1.0, 0.3], [1.0, 1.0 + delta, 0.3]])
        least = min(mpmath.svd_r(matrix(w), compute_uv=False))
        assert least * (1 - 1e-4) - 1e-12 < margins.sigma_below(w) <= least
    assert margins.sigma_below(np.zeros((0, 3))) == math.inf


# The cache


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(storage.VARIABLE, str(tmp_path))
    return tmp_path / "proofs"


def refuse(problem: AnalysisL1) -> Certificate:
    raise AssertionError("proven again")


def test_a_hit_returns_the_same_bits(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for problem in (AnalysisL1.draw(n=8, operator="tv"), instance(*DEPENDENT[0][1:]), instance(np.eye(2), np.ones(2), 9.0)):
        first = proof_cache.certified(problem)
        with monkeypatch.context() as patched:
            patched.setattr("problems.proofs.certificate.certify", refuse)
            again = proof_cache.certified(problem)
        for name, value in vars(first).items():
            np.testing.assert_array_equal(getattr(again, name), value)
            assert type(getattr(again, name)) is type(value)


def test_another_instance_misses(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = AnalysisL1.draw(n=8, operator="tv")
    parts = [problem.theta, problem.y, problem.target, problem.beta, problem.loss_scale]
    proof_cache.certified(problem)
    monkeypatch.setattr("problems.proofs.certificate.certify", refuse)
    for i, part in enumerate(parts):
        other = [*parts[:i], np.nextafter(part, 9.0) if i > 2 else part + 1e-15, *parts[i + 1 :]]
        with pytest.raises(AssertionError, match="proven again"):
            proof_cache.certified(AnalysisL1(*other))


@pytest.mark.parametrize("damage", [b"", b"PK", None])
def test_a_damaged_entry_is_proven_again(folder: Path, damage: bytes | None) -> None:
    problem = AnalysisL1.draw(n=8, operator="tv")
    first = proof_cache.certified(problem)
    (entry,) = folder.iterdir()
    content = bytearray(entry.read_bytes())
    content[len(content) // 2] ^= 1
    entry.write_bytes(bytes(content) if damage is None else damage)
    np.testing.assert_array_equal(proof_cache.certified(problem).grad, first.grad)
    assert [path.suffix for path in folder.iterdir()] == [".npz"]


def test_no_folder_and_no_cache_are_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = AnalysisL1.draw(n=8, operator="tv")
    (tmp_path / "file").touch()
    for setting in ("0", str(tmp_path / "file" / "below")):
        monkeypatch.setenv(storage.VARIABLE, setting)
        assert proof_cache.certified(problem).status == "proven"
    monkeypatch.delenv(storage.VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    proof_cache.certified(problem)
    assert len(list((tmp_path / "dargmin" / "proofs").iterdir())) == 1
