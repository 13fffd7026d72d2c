"""Sparse W: chains in O(n) and general rows against proven references, the chain proof against the dense one, refusals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from _exact import by_enumeration, optimality_gap, relative, touching_tv
from flint import ctx
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.sparse import csr_array, diags_array, random_array

from harness.plan.catalogue import with_ladders
from methods import METHODS, Gradient
from methods.blorc import Blorc
from methods.blorc.sparse import SparseSolver, _Chain
from problems import SPARSE_THETAS, AnalysisL1, SolveError, Sparse, Weighted
from problems.base import Array
from problems.operators.matrices import OPERATORS, SPARSE_OPERATORS
from problems.proofs import certificate, chain_proof
from problems.solvers import chain
from problems.solvers.box_dual import TOUCHING

# A direct method on well-conditioned data: x, z, v and h of a chain err by a few units in the last place (compensated sums),
# and so do the entries; a shared weight sums up to n of them. 1e-13 leaves a factor of 100.
CHAIN = 1e-13
GENERAL = 1e-11  # rounding times the condition of W0, up to 1e4 for third differences, which refinement does not remove


def blorc(problem: AnalysisL1) -> Gradient:
    return Blorc().prepare(problem)(problem.theta)


def on_values(w: Any, y: Array, target: Array, beta: float) -> AnalysisL1:
    """An instance in the values of W."""
    w = csr_array(w)
    w.sum_duplicates()
    return AnalysisL1(w.data, y, target, beta, parametrisation=Sparse(w))


def random_chain(rng: np.random.Generator, n: int) -> Any:
    a, c = (rng.choice([-1.0, 1.0], n - 1) * 10 ** rng.uniform(-0.5, 0.5, n - 1) for _ in range(2))
    return diags_array([a, c], offsets=[0, 1], shape=(n - 1, n))


# Chains


@pytest.mark.parametrize("theta", SPARSE_THETAS)
@pytest.mark.parametrize("n", [8, 32, 128, 256])
def test_tv_has_the_proven_gradient(n: int, theta: str) -> None:
    for seed in range(12 if n < 100 else 2):
        problem = AnalysisL1.draw(n=n, seed=seed, theta=theta, sigma=(0.02, 0.1, 0.5)[seed % 3])
        reference = certificate.certify(problem)  # by dense algebra
        assert reference.status == "proven"
        found = blorc(problem)
        assert relative(found.grad, reference.grad) < CHAIN
        assert found.note == "" and found.converged
        np.testing.assert_allclose(found.solution, reference.x[0], rtol=1e-15, atol=1e-16)


def test_the_values_have_the_entries_of_the_dense_gradient() -> None:
    sparse, dense = (AnalysisL1.draw(n=36, seed=4, theta=theta) for theta in ("sparse", "dense"))
    rows, columns = sparse.parametrisation.rows, sparse.parametrisation.columns
    truth = dense.reference().grad[rows, columns]
    assert relative(sparse.reference().grad, truth) < 3e-16  # both are correctly rounded
    assert relative(blorc(sparse).grad, truth) < CHAIN


@pytest.mark.parametrize("seed", range(15))
def test_any_chain_has_the_proven_gradient(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 40))
    y, target, beta = rng.standard_normal(n), rng.standard_normal(n), 10 ** rng.uniform(-1.5, 0.5)
    w = csr_array(random_chain(rng, n))
    logs = rng.uniform(-1, 1, n - 1)
    for problem in (on_values(w, y, target, beta), AnalysisL1(logs, y, target, beta, parametrisation=Weighted(w))):
        truth = certificate.certify(problem)
        assert truth.status in ("proven", "zero")
        found = blorc(problem)
        scale = np.linalg.norm(truth.grad) or 1.0
        assert np.linalg.norm(found.grad - truth.grad) < CHAIN * scale
        if truth.status == "proven":
            again = chain_proof.certify(problem)
            assert again.status == "proven" and np.array_equal(again.grad, truth.grad)  # both rounded correctly
            assert np.array_equal(again.signs, truth.signs) and np.array_equal(again.x, truth.x)


HEIGHT = st.one_of(st.integers(-3, 3).map(float), st.floats(-3, 3, allow_subnormal=False).map(lambda v: round(v, 3)))


@given(st.lists(HEIGHT, min_size=2, max_size=6), st.one_of(st.sampled_from([0.5, 1.0, 2.0]), st.floats(1e-3, 10)))
@example([0.0, 0.0, 0.0], 1.0)
@example([2.0, 2.0], 1.0)
@example([0.0, 2.0], 1.0)  # z = -beta exactly, x constant: a kink
@example([0.0, 1.0, 0.0, 1.0], 0.5)
@example([1.0, 0.0, 0.0, 1.0], 1.0)
def test_small_signals_with_ties_are_solved_and_kinks_are_noted(heights: list[float], beta: float) -> None:
    y = np.array(heights)
    problem = on_values(_tv(len(y)), y, np.sqrt(np.arange(len(y))), beta)
    found, w = SparseSolver(problem.y, beta).solve(_tv(len(y))), _tv(len(y)).toarray()
    if y.any():
        assert optimality_gap(w, y, beta, found.x, found.z) < 1e-14
    np.testing.assert_allclose(found.x, by_enumeration(w, y, beta), atol=1e-12)
    truth = certificate.certify(problem)
    assert truth.status in ("proven", "zero") or found.note or truth.reason == certificate.TOO_FINE
    if truth.grad is not None:
        np.testing.assert_allclose(blorc(problem).grad, truth.grad, atol=CHAIN * (1 + np.abs(truth.grad).max()))


def test_a_row_of_a_chain_that_is_zero_at_its_bound_is_noted() -> None:
    for w, y in touching_tv(200):
        found = SparseSolver(y, 1.0).solve(csr_array(w))
        assert isinstance(found, _Chain) and found.note == TOUCHING


def _tv(n: int) -> csr_array:
    return SPARSE_OPERATORS["tv"](n, np.random.default_rng(0))


@pytest.mark.parametrize("theta", SPARSE_THETAS)
def test_a_long_chain_has_the_proven_gradient(theta: str) -> None:
    problem = AnalysisL1.draw(n=30_000, seed=1, theta=theta)
    reference, found = problem.reference(), blorc(problem)
    assert reference.status == "proven" and reference.radius < 1.2e-16
    assert relative(found.grad, reference.grad) < CHAIN
    np.testing.assert_allclose(found.solution, reference.solution, rtol=1e-15, atol=1e-16)
    assert 0.3 < reference.zero_rows < 0.8 and reference.rank == round(reference.zero_rows * 29_999)


def test_a_chain_of_1e5_satisfies_the_optimality_conditions() -> None:
    problem = AnalysisL1.draw(n=100_000, seed=2, theta="sparse", signal="dct-sparse")
    w = problem.parametrisation.sparse(problem.theta)
    found = SparseSolver(problem.y, problem.beta).solve(w)
    np.testing.assert_allclose(found.x, problem.y - w.T @ found.z, atol=1e-15 * 8)  # y and z near 1: three roundings
    rows, bound = w @ found.x, np.abs(found.z) == problem.beta
    assert (np.abs(found.z[~bound]) < problem.beta).all() and (rows[~bound] == 0).all()
    assert (np.sign(rows[bound]) == np.sign(found.z[bound])).all()


@pytest.mark.parametrize("seed", [1, 3])
def test_a_million_perturbed_values_are_still_solved_as_a_chain(seed: int) -> None:
    problem = AnalysisL1.draw(n=10**6, seed=1, theta="sparse")
    w = problem.parametrisation.sparse(problem.perturbed(np.random.default_rng(seed)))
    edges = chain.edges(w)
    assert edges is not None
    s = np.cumprod(np.abs(edges[0] / edges[1]))
    assert s.max() / s.min() > 1e3  # its squares span the digits of float64
    found = _Chain.of(*edges, problem.beta, problem.y)
    assert found is not None and found.note == ""
    np.testing.assert_allclose(found.x, problem.y - w.T @ found.z, atol=1e-13)  # y and z near 1, steps of s within e^5


def test_a_timed_theta_is_solved_too() -> None:
    problem = AnalysisL1.draw(n=2000, seed=3, theta="sparse")
    moved = replace(problem, theta=problem.perturbed(np.random.default_rng(0)))
    assert relative(blorc(moved).grad, moved.reference().grad) < CHAIN


def test_constant_signals_and_total_smoothing() -> None:
    flat = AnalysisL1(_tv(9).data, np.full(9, 0.1), np.zeros(9), 0.7, parametrisation=Sparse(_tv(9)))
    assert np.array_equal(blorc(flat).solution, flat.y)
    smooth = replace(AnalysisL1.draw(n=30_000, theta="sparse"), beta=1e6)
    found = blorc(smooth)
    np.testing.assert_allclose(found.solution, np.mean(smooth.y), rtol=1e-13)  # the mean of NumPy is the one in doubt
    assert relative(found.grad, smooth.reference().grad) < CHAIN


def test_the_dual_of_a_long_segment_needs_compensated_sums() -> None:
    drawn = AnalysisL1.draw(n=30_000, theta="sparse")
    problem = replace(drawn, y=drawn.y + 10.0, beta=1e6)  # the rounding of a mean near 10, n times, is 1e-12 of z
    z = SparseSolver(problem.y, problem.beta).solve(problem.parametrisation.sparse(problem.theta)).z
    assert relative(z, chain_proof.certify(problem).z[0]) < 1e-15


# The chain proof


def test_the_chain_proof_refuses_a_wrong_pattern() -> None:
    problem = AnalysisL1.draw(n=64, seed=1, theta="sparse")
    edges = chain_proof.Edges.of(problem, problem.theta)
    signs = edges.signs(problem.y)
    with ctx.workprec(128):
        assert chain_proof.enclose(edges, problem.y, problem.target, signs).strict
        for i in range(0, 63, 3):
            wrong = signs.copy()
            wrong[i] = 1 if signs[i] == 0 else 0
            assert not chain_proof.enclose(edges, problem.y, problem.target, wrong).strict


def test_a_kink_is_not_proven_on_a_chain() -> None:
    n = 400  # beyond the dense proof
    y = np.zeros(n)
    y[n // 2 :] = 2.0
    problem = on_values(_tv(n), y, np.linspace(0, 1, n), 2.0 * n / 4)  # z = beta in the middle, x constant
    assert problem.reference().status == "undecided"
    assert "no gradient" in blorc(problem).note


def test_the_proof_of_a_batch_is_that_of_its_mean() -> None:
    problem = AnalysisL1.draw(n=400, seed=5, theta="sparse", batch=3)
    singles = [replace(problem, y=y, target=t).reference().grad for y, t in zip(problem.y, problem.target, strict=True)]
    assert relative(problem.reference().grad, np.mean(singles, axis=0)) < 1e-15
    assert relative(blorc(problem).grad, problem.reference().grad) < CHAIN


def test_solve_gives_the_solution_of_a_long_chain() -> None:
    problem = AnalysisL1.draw(n=3000, seed=5, theta="sparse-weight")
    moved = blorc(replace(problem, theta=np.array(0.1))).solution
    np.testing.assert_allclose(problem.solve(np.array(0.1)), moved, atol=1e-15)  # y near 1


def test_y_zero_is_a_gradient_of_zero() -> None:
    problem = on_values(_tv(400), np.zeros(400), np.ones(400), 1.0)
    assert problem.reference().status == "zero"
    assert not blorc(problem).grad.any()


# Other sparse operators

GENERAL_ROWS: dict[str, Callable[[np.random.Generator, int], Any]] = {
    "random": lambda rng, n: random_array((n, n), density=4 / n, rng=rng, data_sampler=rng.standard_normal) + 0.1 * _eye(n),
    "banded": lambda rng, n: diags_array([rng.standard_normal(n) for _ in range(5)], offsets=range(-2, 3), shape=(n, n)),
    "third differences": lambda rng, n: np.diff(np.eye(n), n=3, axis=0),
    "badly scaled": lambda rng, n: (
        diags_array(10 ** rng.uniform(-3, 3, n)) @ diags_array([1.0, -2.0, 1.0], offsets=range(3), shape=(n, n))
    ),
}


def _eye(n: int) -> Any:
    return diags_array(np.ones(n))


@pytest.mark.parametrize("kind", GENERAL_ROWS)
def test_general_rows_have_the_proven_gradient(kind: str) -> None:
    for seed in range(6):
        rng = np.random.default_rng(seed)
        n = (12, 64)[seed % 2]
        y, target = rng.standard_normal((2, n))
        problem = on_values(GENERAL_ROWS[kind](rng, n), y, target, 10 ** rng.uniform(-1.5, 0))
        truth, found = problem.reference(), blorc(problem)
        assert truth.status == "proven"
        assert relative(found.grad, truth.grad) < GENERAL


@pytest.mark.parametrize("theta", SPARSE_THETAS)
@pytest.mark.parametrize("operator", ["circular-tv", "second-differences", "identity", "scaled-identity"])
def test_drawn_operators_have_the_proven_gradient(operator: str, theta: str) -> None:
    problem = AnalysisL1.draw(n=36, seed=2, operator=operator, theta=theta, batch=2)
    truth, found = problem.reference(), blorc(problem)
    assert truth.status == "proven" and found.note == ""
    assert relative(found.grad, truth.grad) < GENERAL


def test_dependent_rows_are_handed_over_with_a_note() -> None:
    w, y = SPARSE_OPERATORS["circular-tv"](9, np.random.default_rng(0)), np.linspace(-1, 1, 9)
    problem = on_values(w, y, np.zeros(9), 50.0)  # all rows zero: one more than their rank
    assert "dependent" in blorc(problem).note
    assert problem.reference().status == "undecided"  # values on the pattern need not break the dependence
    weighted = AnalysisL1(np.zeros(()), y, np.zeros(9), 50.0, parametrisation=Weighted(w))
    assert weighted.reference().status == "zero" and np.abs(blorc(weighted).grad) < 1e-13


def test_dependent_rows_too_large_for_the_dense_route_are_refused() -> None:
    n = 2000
    problem = on_values(SPARSE_OPERATORS["circular-tv"](n, np.random.default_rng(0)), np.linspace(-1, 1, n), np.zeros(n), 1e4)
    with pytest.raises(SolveError, match=r"not verified on sparse rows, and \(2000, 2000\) is too large"):
        blorc(problem)
    assert "and this is none" in problem.reference().reason
    with pytest.raises(SolveError, match="and this is none"):
        problem.solve(problem.theta)


def test_a_nan_is_refused() -> None:
    problem = AnalysisL1.draw(n=16, theta="sparse")
    theta = np.array(problem.theta)
    theta[3] = np.nan
    with pytest.raises((SolveError, ValueError, np.linalg.LinAlgError)):
        Blorc().prepare(problem)(theta)


# What a problem with a sparse W says to others


@pytest.mark.parametrize("operator", SPARSE_OPERATORS)
def test_sparse_operators_are_the_dense_ones(operator: str) -> None:
    for n in (4, 9):
        made = (operators[operator](n, np.random.default_rng(0)) for operators in (SPARSE_OPERATORS, OPERATORS))
        sparse, dense = made
        assert sparse.has_canonical_format and np.array_equal(sparse.toarray(), dense)


@pytest.mark.parametrize(
    "label", ["unrolled-fista-torch", "closed-form-torch", "smoothed-ift-jax", "cvxpylayers-torch", "diffcp-dense"]
)
def test_other_methods_differentiate_the_values_too(label: str) -> None:
    problem = AnalysisL1.draw(n=8, seed=1, theta="sparse")
    method = with_ladders(METHODS)[label]
    assert method.unsupported(problem) is None
    grad = np.asarray(method.prepare(problem)(problem.theta).grad)
    # Their own accuracy is tested elsewhere (the smoothed one is 6 % off here); a wrong pullback would be off by its size.
    assert relative(grad, problem.reference().grad) < 0.2


REFUSED = [
    ({"operator": "dct"}, "a sparse W needs operator one of identity, .*got 'dct'; take a dense theta"),
    ({"theta": "sprase"}, "theta must be one of dense, .*sparse-weight, taps, got 'sprase'"),
]


@pytest.mark.parametrize(("axes", "message"), REFUSED)
def test_draws_that_cannot_be_are_refused(axes: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AnalysisL1.draw(**{"n": 16, "theta": "sparse", **axes})


def test_shapes_are_refused() -> None:
    y, w = np.zeros(4), _tv(4)
    with pytest.raises(ValueError, match=r"theta \(values of W\) must have shape \(nnz,\) = \(6,\), got \(5,\)"):
        AnalysisL1(np.ones(5), y, y, 1.0, parametrisation=Sparse(w))
    with pytest.raises(ValueError, match=r"W must have shape \(k, n\) with n = 5 as y has, got \(3, 4\)"):
        AnalysisL1(w.data, np.zeros(5), np.zeros(5), 1.0, parametrisation=Sparse(w))
    with pytest.raises(ValueError, match=r"must be a scipy\.sparse CSR array, got format 'coo'"):
        Sparse(w.tocoo())
    with pytest.raises(ValueError, match=r"shape \(nnz,\)"):
        Blorc().prepare(AnalysisL1.draw(n=8, theta="sparse"))(np.ones(3))


def test_a_large_sparse_w_is_not_written_out() -> None:
    problem = AnalysisL1.draw(n=100_000, theta="sparse")
    with pytest.raises(MemoryError, match=r"W of shape \(99999, 100000\) must stay sparse: dense, it would take 80 GB"):
        problem.parametrisation.matrix(problem.theta)


def test_chains_are_told_from_other_matrices() -> None:
    assert chain.edges(_tv(5)) is not None
    for other in (_tv(5)[:, ::-1], _tv(5)[:3], SPARSE_OPERATORS["circular-tv"](5, np.random.default_rng(0)), csr_array((4, 5))):
        assert chain.edges(csr_array(other)) is None
    broken = _tv(5)
    broken.data[2] = 0.0
    assert chain.edges(broken) is None


def test_dependent_rows_do_not_hide_a_kink_in_log_weights() -> None:
    """x* = (-2, -2) with z = 1 on the first row exactly; the row of zeros makes the zero rows dependent."""
    w = csr_array(np.array([[-2.0, 2.0], [0.0, 0.0], [0.0, 1.0]]))
    problem = AnalysisL1(np.zeros(3), np.array([-4.0, -1.0]), np.ones(2), 1.0, parametrisation=Weighted(w))
    assert problem.reference().status == "kink"
    assert Blorc().prepare(problem)(problem.theta).note == TOUCHING
