"""The exact solver of the box dual, its adjoint, batches and warm starts."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from methods import METHODS, Chained, GradientMethod, to_numpy
from methods.blorc import Blorc
from methods.blorc.batch import BatchSolver
from methods.blorc.daqp import BlorcDaqp
from methods.blorc.kernels import KERNELS
from methods.blorc.lapack_limit import LapackLimit
from methods.blorc.solver import HANDED, Compiled, SignalSolver
from methods.blorc.warm import BlorcWarm
from problems import OPERATORS, AnalysisL1
from problems.base import Array
from problems.solvers import box_dual

EXACT = [method for method in METHODS if method.name.startswith("blorc") and method.name != "blorc-paper"]
# Rounding of one factorisation of W0 W0^T, refined: some units of 1e-16 times cond(W0), which stays below 1e3 here.
ROUNDING = 1e-12


def drawn(operator: str, n: int, seed: int, batch: int | None = None) -> AnalysisL1:
    signal = "dct-sparse" if operator in ("identity", "dct") else "piecewise-constant"
    return AnalysisL1.draw(n=n, seed=seed, operator=operator, signal=signal, batch=batch)


def error(problem: AnalysisL1, grad: Array) -> float:
    truth = problem.reference().grad
    assert truth is not None
    return float(np.linalg.norm(grad - truth) / (np.linalg.norm(truth) or 1.0))


def status(problem: AnalysisL1) -> int:
    """How the kernel ends on an instance; FAILED where the signal is handed over."""
    found = SignalSolver(np.array(problem.y), problem.beta).solve(np.array(problem.theta))
    return found.status if isinstance(found, Compiled) else KERNELS.lib.FAILED


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("n", [5, 16, 36])
def test_the_gradient_is_the_proven_one_or_a_doubt_is_noted(operator: str, n: int) -> None:
    for seed in range(3):
        problem = drawn(operator, n, seed)
        gradient = Blorc().prepare(problem)(np.array(problem.theta))
        if problem.reference().grad is None:
            assert gradient.note not in ("", HANDED)
        else:
            assert error(problem, to_numpy(gradient.grad)) <= ROUNDING or gradient.note not in ("", HANDED)


@pytest.mark.parametrize("method", [*EXACT, LapackLimit()], ids=lambda method: method.label)
@pytest.mark.parametrize("operator", ["identity", "tv", "circular-tv", "random", "random-2n", "trained"])
@pytest.mark.parametrize("batch", [None, 4])
def test_every_entry_returns_the_proven_gradient(method: Blorc, operator: str, batch: int | None) -> None:
    problem = drawn(operator, 64 if operator == "trained" else 24, 3, batch)
    gradient = method.prepare(problem)(np.array(problem.theta))
    assert error(problem, to_numpy(gradient.grad)) <= ROUNDING
    np.testing.assert_allclose(to_numpy(gradient.solution), problem.reference().solution, atol=1e-13)  # |y| below 10


def test_a_w_that_came_through_a_pipe_is_not_copied() -> None:
    problem = drawn("random", 9, 1)
    w = pickle.loads(pickle.dumps(np.array(problem.theta)))
    assert w.dtype is not np.dtype(np.float64)  # an equal one
    found = SignalSolver(np.array(problem.y), problem.beta).solve(w)
    assert isinstance(found, Compiled)
    assert found.w is w


def test_each_way_to_end_is_taken() -> None:
    assert status(drawn("dct", 16, 0)) == KERNELS.lib.ORTHOGONAL
    assert status(drawn("tv", 16, 0)) == KERNELS.lib.FACTORED
    assert status(AnalysisL1.draw(n=8, operator="random-2n", beta=50.0)) == KERNELS.lib.ZERO
    w = np.concatenate([np.diff(np.eye(6), axis=0)] * 2)  # every row twice
    assert status(AnalysisL1(w, np.array([0, 0.1, 0, 1, 1.1, 1]), np.zeros(6), 0.2)) == KERNELS.lib.FAILED
    assert status(AnalysisL1(np.zeros((2, 3)), np.ones(3), np.zeros(3), 1.0)) == KERNELS.lib.FAILED


def test_what_is_left_open_goes_to_the_bounded_active_set_with_a_note() -> None:
    y = np.array([0, 0.1, 0, 1, 1.1, 1])
    w = np.diff(np.eye(6), axis=0)
    found = SignalSolver(y, 0.2).solve(np.concatenate([w, w]))
    assert found.note == box_dual.DEPENDENT
    kept = SignalSolver(y, 0.2, keeps_rank=True).solve(np.concatenate([w, w]))
    assert kept.note == HANDED
    np.testing.assert_allclose(found.x, SignalSolver(y, 0.4).solve(w).x, atol=1e-14)  # one row of twice the weight


@pytest.mark.parametrize(("n", "c"), [(26, 0.7), (38, 0.6)])
def test_an_adjoint_that_rounding_spoils_says_so(n: int, c: float) -> None:
    """Rows after Kahan: every pivot is well above rounding, and the condition is 1e9 or 1e11."""
    m, rng = n - 2, np.random.default_rng(0)
    s, q = np.sqrt(1 - c * c), np.linalg.qr(rng.standard_normal((n, n)))[0]
    w = (np.diag(s ** np.arange(m)) @ (np.eye(m) - c * np.triu(np.ones((m, m)), 1))).T @ q[:m]
    w /= np.linalg.norm(w, axis=1)[:, None]
    y = q[m:].T @ rng.standard_normal(2) + rng.uniform(-0.5, 0.5, m) @ w  # all rows are zero rows
    problem = AnalysisL1(w, y, rng.standard_normal(n), 1.0)
    assert problem.reference().grad is not None
    gradient = Blorc().prepare(problem)(w)
    assert gradient.note not in ("", HANDED) or error(problem, to_numpy(gradient.grad)) <= 1e-10  # what it promises


@pytest.mark.parametrize("bad", [np.ones((3, 5)), np.ones(4), np.ones((2, 4, 1))], ids=lambda bad: str(bad.shape))
def test_a_wrong_shape_is_refused(bad: Array) -> None:
    for solver in (SignalSolver(np.ones(4), 0.1), BatchSolver(np.ones((2, 4)), 0.1)):
        with pytest.raises(ValueError, match=r"theta must have shape \(k, n\) with n = 4"):
            solver.solve(bad)
        with pytest.raises(ValueError, match=r"theta must have at least one row, got shape \(0, 4\)"):
            solver.solve(np.ones((0, 4)))


@given(st.integers(0, 2**32 - 1), st.floats(1e-3, 1e3))
def test_the_scale_of_a_row_is_of_no_matter(seed: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    w, y, g = rng.standard_normal((4, 6)), rng.standard_normal(6), rng.standard_normal(6)
    scales = spread ** np.arange(4.0)
    z = rng.uniform(-0.9, 0.9, 4) / scales  # strictly inside the box of scaled rows: all of them are zero rows
    y = y - np.linalg.pinv(w) @ (w @ y) + (scales * z) @ w
    beta = float(np.abs(z).max() * 1.1)
    found = SignalSolver(y, beta).solve(scales[:, None] * w)
    h, v = found.adjoint(g)
    # x* is the projection of y on ker W, and h the pseudo-inverse: rounding times cond(w) of 4 random rows out of 6.
    np.testing.assert_allclose(found.z * scales, scales * z, atol=1e-9)
    np.testing.assert_allclose(h * scales, np.linalg.pinv(w.T) @ g, atol=1e-9)
    np.testing.assert_allclose(v, g - np.linalg.pinv(w) @ (w @ g), atol=1e-9)


@pytest.mark.parametrize("batch", [7, 40])
@pytest.mark.parametrize("operator", ["identity", "tv", "random", "random-2n", "filters"])
def test_a_batch_is_its_signals_on_any_number_of_threads(operator: str, batch: int) -> None:
    problem = drawn(operator, 24, 1, batch)
    w, y, g = np.array(problem.theta), np.array(problem.y), np.array(problem.y - problem.target)
    alone = [SignalSolver(row, problem.beta).solve(w) for row in y]
    one_thread = BatchSolver(y, problem.beta).solve(w)
    for threads in (1, 2, 3):
        found = BatchSolver(y, problem.beta, threads=threads).solve(w)
        np.testing.assert_array_equal(found.z, one_thread.z)
        np.testing.assert_array_equal(found.gradient(g), one_thread.gradient(g))
        # A batch shares W W^T, so its path to the solution is another: rounding, of z times the condition of W0 W0^T.
        np.testing.assert_allclose(found.x, np.stack([one.x for one in alone]), rtol=0, atol=1e-13)
        np.testing.assert_allclose(found.z, np.stack([one.z for one in alone]), rtol=0, atol=1e-11)
        grad = sum(one.gradient(row) for one, row in zip(alone, g, strict=True))
        np.testing.assert_allclose(found.gradient(g), grad, atol=1e-11 * float(np.abs(grad).max()))  # order of the sums


@pytest.mark.parametrize("operator", ["identity", "tv", "random", "random-2n", "filters"])
def test_any_start_leads_to_the_same_solution(operator: str) -> None:
    problem = drawn(operator, 24, 2)
    w, y, rng = np.array(problem.theta), np.array(problem.y), np.random.default_rng(0)
    cold = SignalSolver(y, problem.beta).solve(w)
    for near in (cold.z, np.zeros(len(w)), 3 * problem.beta * rng.standard_normal(len(w))):
        np.testing.assert_allclose(SignalSolver(y, problem.beta).solve(w, near).x, cold.x, atol=1e-13)


def test_the_state_of_a_warm_start_is_handed_in_and_out() -> None:
    problem = drawn("tv", 24, 0, 5)
    prepared, theta = BlorcWarm().prepare(problem), np.array(problem.theta)
    assert isinstance(prepared, Chained)
    gradient, state = prepared.step(theta, None)
    moved = theta - 1e-3 * to_numpy(gradient.grad)
    warm, _ = prepared.step(moved, state)
    assert error(replace(problem, theta=moved), to_numpy(warm.grad)) <= ROUNDING
    cold = BlorcWarm(warm=False).prepare(problem)(moved)
    assert warm.iterations is not None and cold.iterations is not None and warm.iterations < cold.iterations
    np.testing.assert_array_equal(to_numpy(prepared(theta).grad), to_numpy(gradient.grad))  # called, it starts afresh


def test_daqp_names_dependent_rows_of_a_batch() -> None:
    w = np.concatenate([np.diff(np.eye(6), axis=0)] * 2)
    y = np.array([[0, 0.1, 0, 1, 1.1, 1], [0, 1, 2, 3, 4, 5.5]])
    problem = AnalysisL1(w, y, np.zeros((2, 6)), 0.2)
    note = BlorcDaqp().prepare(problem)(w).note
    assert note == "dependent zero rows in 1 of 2 signals: no gradient in the entries of W"


@pytest.mark.parametrize("method", EXACT, ids=lambda method: method.name)
def test_a_theta_that_is_not_finite_is_named(method: GradientMethod) -> None:
    for theta in ("dense", "sparse", "sparse-row-weights"):
        problem = AnalysisL1.draw(n=16, theta=theta)
        if method.unsupported(problem):
            continue
        call, broken = method.prepare(problem), problem.theta.copy()
        broken.flat[3] = np.nan
        with np.errstate(all="ignore"), pytest.raises(Exception, match="must be finite"):
            call(broken)
