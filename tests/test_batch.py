"""Batches: solutions that are known, gradients against proofs, signals that harm no other, and what the kernel leaves open."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest
from _exact import relative

from methods.blorc.batch import BatchSolver
from methods.blorc.bounded import Stack
from methods.blorc.kernels import KERNELS
from methods.blorc.solver import SignalSolver
from problems import AnalysisL1
from problems.base import Array
from problems.solvers.box_dual import DEPENDENT

SEVERAL = KERNELS.lib.SEVERAL


def one_by_one(y: Array, beta: float, w: Array) -> Stack:
    return Stack([SignalSolver(row, beta).solve(w) for row in y])


@dataclass(frozen=True)
class Known:
    """Signals whose solutions are known: z and x come first, y = x + W^T z."""

    w: Array
    beta: float
    z: Array
    x: Array
    free: Array

    @classmethod
    def draw(cls, k: int, n: int, batch: int) -> Known:
        """In turn with 0, 1, .. free rows, those of each signal chosen by lot."""
        rng, beta = np.random.default_rng(k + n), 0.5
        w, most = rng.standard_normal((k, n)), min(k, n - 1 if k <= n else n // 2)
        free, z, x = np.zeros((batch, k), bool), np.empty((batch, k)), np.empty((batch, n))
        for b in range(batch):
            free[b, rng.permutation(k)[: b % (most + 1)]] = True
            u, some = rng.standard_normal(n), w[free[b]]
            x[b] = u - np.linalg.pinv(some) @ (some @ u)
            z[b] = np.where(free[b], beta * rng.uniform(-0.9, 0.9, k), beta * np.sign(w @ x[b]))
        return cls(w, beta, z, x, free)


SIZES = [(2, 2), (2, 3), (3, 3), (4, 8), (5, 9), (7, 12), (8, 8), (9, 17), (13, 40), (20, 24), (30, 33), (9, 6), (40, 20)]


@pytest.mark.parametrize(("k", "n"), SIZES)
def test_every_signal_has_its_solution_and_its_adjoint(k: int, n: int) -> None:
    known = Known.draw(k, n, 40)
    found = BatchSolver(known.x + known.z @ known.w, known.beta).solve(known.w)
    assert not found.notes
    # Rounding of at most 30 random rows, times the condition of those that are free.
    np.testing.assert_allclose(found.x, known.x, rtol=0, atol=1e-11)
    np.testing.assert_allclose(found.z, known.z, rtol=0, atol=1e-9)
    assert (found.status == KERNELS.lib.FACTORED).all()
    g = np.random.default_rng(0).standard_normal(known.x.shape)
    h, v = found.adjoint(g)
    for b, free in enumerate(known.free):
        expected = np.linalg.pinv(known.w[free].T) @ g[b]
        np.testing.assert_allclose(h[b][free], expected, rtol=0, atol=1e-9 * (1.0 + np.abs(expected).max(initial=0.0)))
        assert not h[b][~free].any()
        np.testing.assert_allclose(v[b], g[b] - known.w.T @ h[b], rtol=0, atol=1e-9 * (1.0 + np.abs(h[b]).max()))
    expected = -(found.z.T @ v + h.T @ found.x)
    np.testing.assert_allclose(found.gradient(g), expected, rtol=0, atol=1e-13 * np.abs(expected).max())


def test_the_adjoint_of_nothing_is_nothing() -> None:
    known = Known.draw(9, 17, 24)
    h, v = BatchSolver(known.x + known.z @ known.w, known.beta).solve(known.w).adjoint(np.zeros(known.x.shape))
    assert not h.any() and not v.any()


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("count", [1, 2, 3, 7, 16])
def test_threads_do_all_of_the_work_once(threads: int, count: int) -> None:
    solver, done = BatchSolver(np.ones((count, 1)), 1.0, threads=threads), np.zeros(count, int)

    def call(part: int) -> None:
        done[solver.parts[part]] += 1

    solver.each(call)
    assert (done == 1).all()
    assert len(solver.parts) == min(threads, count)


# Batches


def drawn(operator: str, batch: int, n: int = 24, seed: int = 1) -> AnalysisL1:
    signal = "dct-sparse" if operator in ("identity", "dct") else "piecewise-constant"
    return AnalysisL1.draw(n=64 if operator == "trained" else n, seed=seed, operator=operator, signal=signal, batch=batch)


@pytest.mark.parametrize("operator", ["identity", "dct", "tv", "circular-tv", "random", "random-half", "random-2n", "trained"])
@pytest.mark.parametrize("batch", [SEVERAL, 35])
def test_a_batch_has_the_proven_gradient(operator: str, batch: int) -> None:
    problem = drawn(operator, batch)
    truth = problem.reference()
    found = BatchSolver(np.array(problem.y), problem.beta).solve(np.array(problem.theta))
    orthogonal = operator in ("identity", "dct")
    assert (found.status == (KERNELS.lib.ORTHOGONAL if orthogonal else KERNELS.lib.FACTORED)).all() or operator == "random-2n"
    _, g, _ = problem.evaluate(found.x, problem.theta)
    if truth.status == "proven":
        assert truth.grad is not None and relative(found.gradient(g), truth.grad) < 1e-12
    else:
        assert operator == "random-2n"  # some signals of which are zero


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("batch", [1, 2, 7, SEVERAL - 1, SEVERAL, 24, 25, 32, 33, 40, 100])
def test_threads_and_left_overs_change_no_signal(threads: int, batch: int) -> None:
    problem = drawn("tv", batch)
    w, y = np.array(problem.theta), np.array(problem.y)
    found, each = BatchSolver(y, problem.beta, threads=threads).solve(w), one_by_one(y, problem.beta, w)
    g = found.x - problem.target
    for name in ("x", "z"):
        np.testing.assert_allclose(getattr(found, name), getattr(each, name), atol=1e-13)
    for mine, other in zip(found.adjoint(g), each.adjoint(g), strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-13)
    assert relative(found.gradient(g), each.gradient(g)) < 1e-12


@pytest.mark.parametrize("operator", ["tv", "random", "random-2n"])
@pytest.mark.parametrize("batch", [SEVERAL - 1, SEVERAL, 40, 150])
def test_the_number_of_threads_changes_no_bit(operator: str, batch: int) -> None:
    problem = drawn(operator, batch)
    w, y = np.array(problem.theta), np.array(problem.y)
    one, two = (BatchSolver(y, problem.beta, threads=threads).solve(w) for threads in (1, 2))
    g = one.x - problem.target
    np.testing.assert_array_equal(one.x, two.x)
    np.testing.assert_array_equal(one.z, two.z)
    np.testing.assert_array_equal(one.gradient(g), two.gradient(g))


@pytest.mark.parametrize("operator", ["identity", "tv", "random", "random-half", "trained"])
def test_a_warm_start_has_the_gradient_of_a_cold_one(operator: str) -> None:
    problem = drawn(operator, 40)
    w, y = np.array(problem.theta), np.array(problem.y)
    solver = BatchSolver(y, problem.beta)
    near, moved = solver.solve(w).z, w + 1e-3 * np.random.default_rng(0).standard_normal(w.shape)
    start, cold, warm = near.copy(), solver.solve(moved), solver.solve(moved, near)
    g = cold.x - problem.target
    assert relative(warm.gradient(g), cold.gradient(g)) < 1e-12
    assert warm.iterations < cold.iterations or operator == "identity"
    np.testing.assert_array_equal(near, start)


@pytest.mark.parametrize("operator", ["identity", "tv", "random", "random-2n", "trained"])
def test_a_start_from_anywhere_leads_to_the_same_solution(operator: str) -> None:
    problem = drawn(operator, 24)
    w, y, rng = np.array(problem.theta), np.array(problem.y), np.random.default_rng(0)
    solver, cold = BatchSolver(y, problem.beta), one_by_one(y, problem.beta, w)
    far = 3.0 * problem.beta * rng.standard_normal(cold.z.shape)
    far[5] = np.nan
    np.testing.assert_allclose(solver.solve(w, far).x, cold.x, atol=1e-12)
    np.testing.assert_allclose(solver.solve(w, np.asfortranarray(cold.z)).x, cold.x, atol=1e-12)


# What the kernel leaves open


def test_what_is_left_open_is_solved_all_the_same() -> None:
    problem = drawn("random", 24)
    w, y = np.array(problem.theta), np.array(problem.y)
    y[3], y[7] = 0.0, 1e-3 * y[7]  # x* = 0: z is not unique, and here its rows are dependent
    w[4] = w[5]
    found, each = BatchSolver(y, problem.beta).solve(w), one_by_one(y, problem.beta, w)
    assert found.status[3] == KERNELS.lib.FAILED
    np.testing.assert_allclose(found.x, each.x, atol=1e-12)
    np.testing.assert_array_equal(found.x[3], 0.0)
    assert found.note == each.note != ""
    assert found.doubt == DEPENDENT
    assert len(found.notes) == sum(one.note != "" for one in each.signals)


@pytest.mark.parametrize("scale", [1e-100, 1e-9, 1e9, 1e100])
@pytest.mark.parametrize("spread", [0.0, 8.0, 30.0])
def test_wild_scales(scale: float, spread: float) -> None:
    problem = drawn("random", 24, n=12)
    rows = 10.0 ** np.linspace(-spread / 2, spread / 2, 12)[:, None]
    w, y, beta = scale * rows * np.array(problem.theta), np.array(problem.y), problem.beta / scale
    np.testing.assert_allclose(BatchSolver(y, beta).solve(w).x, one_by_one(y, beta, w).x, atol=1e-12)


@pytest.mark.parametrize("size", [0.0, 1e-170, 1e170])
def test_rows_that_have_no_length_in_float64_are_solved_one_by_one(size: float) -> None:
    problem = drawn("tv", 24)
    w, y = np.array(problem.theta), np.array(problem.y)
    w[4] *= size
    with np.errstate(all="ignore"):
        found, each = BatchSolver(y, problem.beta).solve(w), one_by_one(y, problem.beta, w)
    np.testing.assert_allclose(found.x, each.x, atol=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e200])
@pytest.mark.parametrize("operator", ["tv", "random"])
def test_a_signal_that_is_not_finite_harms_no_other(operator: str, bad: float) -> None:
    problem = drawn(operator, 24)
    w, y = np.array(problem.theta), np.array(problem.y)
    expected = BatchSolver(y, problem.beta).solve(w).x
    y[2, 5] = bad
    with np.errstate(all="ignore"):  # of that signal by itself
        found = BatchSolver(y, problem.beta).solve(w)
    assert np.flatnonzero(found.status == KERNELS.lib.FAILED).tolist() == [2]
    np.testing.assert_allclose(np.delete(found.x, 2, axis=0), np.delete(expected, 2, axis=0), atol=1e-13)


def test_more_free_rows_than_columns_are_dependent() -> None:
    problem = AnalysisL1.draw(n=9, operator="random-2n", seed=1, batch=24)
    y = np.array(problem.y)
    found = BatchSolver(y, 1e3).solve(np.array(problem.theta))
    assert (found.status == KERNELS.lib.ZERO).all()
    assert np.abs(found.x).max() < 1e-10 * np.abs(y).max()


FORKED = """
import os, signal
import numpy as np
from methods.blorc.batch import BatchSolver
solver, w = BatchSolver(np.ones((2, 3)), 0.1, threads=2), np.eye(3)
solver.solve(w)
if child := os.fork():
    assert os.waitpid(child, 0)[1] == 0
else:
    signal.alarm(20)
    solver.solve(w)
"""


def test_a_solver_with_threads_solves_in_a_fork_too() -> None:
    subprocess.run([sys.executable, "-W", "ignore", "-c", FORKED], check=True)
