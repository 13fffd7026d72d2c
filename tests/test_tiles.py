"""Batches in tiles: packs and kernels against NumPy, gradients against proofs, and what a tile leaves open."""

from __future__ import annotations

import numpy as np
import pytest
from _exact import relative

from methods._exact import singles
from methods._exact.active import BOUND, DIAGONAL, FREE
from methods.blorc.batch import SEVERAL, SMALL, BatchSolver, Joined, Team, Tiled, product, steps
from methods._exact.packs import LANES, load, splat, store
from methods._exact.singles import Signals
from methods._exact.tiles import factor, gather, multiply, read, row, substitute, write
from methods._exact.vectors import clip, differing, root
from problems import AnalysisL1
from problems._compiling import compiled
from problems.base import Array


@compiled
def on_packs(a: Array, b: Array, bound: Array, out: Array) -> int:
    """out <- rows of results, one pack each; the lanes where a and b differ."""
    x, y = load(a, 0), load(b, 0)
    store(out, 0, x + y)
    store(out, 1, x - y)
    store(out, 2, x * y)
    store(out, 3, x / y)
    store(out, 4, clip(x, splat(bound[0])))
    store(out, 5, root(y))
    return int(differing(x, y))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_packs_compute_lane_by_lane(dtype: type) -> None:
    rng = np.random.default_rng(0)
    a, b, out = rng.standard_normal(LANES).astype(dtype), rng.random(LANES).astype(dtype) + 1, np.empty(6 * LANES, dtype)
    a[3], a[5] = np.nan, b[5]
    bits = on_packs(a, b, np.array([0.5], dtype), out)
    expected = np.concatenate([a + b, a - b, a * b, a / b, np.clip(a, -0.5, 0.5), np.sqrt(b)])
    np.testing.assert_allclose(out, expected, rtol=4 * np.finfo(dtype).eps)  # NaN stays NaN
    assert bits == 2**LANES - 1 - 2**5


@pytest.mark.parametrize("m", [1, 2, 3, 4, 5, 7, 8, 9, 13, 20])
def test_every_lane_has_its_factor(m: int) -> None:
    rng = np.random.default_rng(m)
    w = rng.standard_normal((30, 40))
    counts = np.minimum(np.arange(LANES) % (m + 1) + (m > 1), m)
    counts[0] = m
    listed, rows = [rng.choice(30, count, replace=False) for count in counts], np.zeros(30 * LANES, np.int64)
    right, u = rng.standard_normal((LANES, 30)), np.empty(m * (m + 1) // 2 * LANES)
    for lane, some in enumerate(listed):
        rows.reshape(30, LANES)[: len(some), lane] = some
    gather(w @ w.T, rows, counts, m, u)
    factor(u, m)
    t = right.T[:m].ravel().copy()
    substitute(u, m, t)
    for lane, some in enumerate(listed):
        gram = w[some] @ w[some].T
        diagonal = [u[(row(m, a) + a) * LANES + lane] for a in range(len(some))]
        np.testing.assert_allclose(diagonal, 1 / np.diag(np.linalg.cholesky(gram)), rtol=1e-12)
        solved = t.reshape(m, LANES)[: len(some), lane]
        np.testing.assert_allclose(solved, np.linalg.solve(gram, right[lane, : len(some)]), rtol=1e-9)


def test_signals_go_into_tiles_and_out_again() -> None:
    rng = np.random.default_rng(0)
    y, m = rng.standard_normal((20, 7)), rng.standard_normal((5, 7))
    order, tile, product = rng.permutation(20)[:LANES], np.empty(7 * LANES), np.empty(5 * LANES)
    read(y, order, tile)
    multiply(m, tile, product)
    out = np.full((20, 5), np.nan)
    write(product, order, out)
    np.testing.assert_allclose(out[order], y[order] @ m.T, rtol=1e-12, atol=1e-14)
    assert np.isnan(np.delete(out, order, axis=0)).all()


def drawn(operator: str, batch: int, n: int = 24, seed: int = 1) -> AnalysisL1:
    signal = "dct-sparse" if operator in ("identity", "dct") else "piecewise-constant"
    return AnalysisL1.draw(n=64 if operator == "trained" else n, seed=seed, operator=operator, signal=signal, batch=batch)


@pytest.mark.parametrize("operator", ["identity", "dct", "tv", "circular-tv", "random", "random-half", "random-2n", "trained"])
@pytest.mark.parametrize("batch", [12, 35])
def test_a_tiled_batch_has_the_proven_gradient(operator: str, batch: int) -> None:
    problem = drawn(operator, batch)
    truth = problem.reference()
    found = BatchSolver(np.array(problem.y), problem.beta).solve(np.array(problem.theta))
    assert isinstance(found, Tiled)
    _, g, _ = problem.evaluate(found.x, problem.theta)
    if truth.status == "proven":
        assert truth.grad is not None and relative(found.gradient(g), truth.grad) < 1e-12
    else:
        assert operator == "random-2n"  # some signals of which are zero


def test_tiles_take_the_form_that_has_the_least_to_factor() -> None:
    forms = {}
    for operator, beta in (("identity", 0.1), ("random", 0.1), ("random", 1.0)):
        problem = AnalysisL1.draw(n=24, seed=1, operator=operator, signal="piecewise-constant", batch=16, beta=beta)
        found = BatchSolver(np.array(problem.y), beta).solve(np.array(problem.theta))
        assert isinstance(found, Tiled)
        forms[operator, beta] = found.tiles.form.tolist()
    assert forms == {("identity", 0.1): [DIAGONAL], ("random", 0.1): [FREE], ("random", 1.0): [BOUND]}


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("batch", [1, 11, 12, 16, 17, 40, 100])
def test_threads_and_left_overs_change_no_signal(threads: int, batch: int) -> None:
    problem = drawn("tv", batch)
    w, y = np.array(problem.theta), np.array(problem.y)
    found, each = BatchSolver(y, problem.beta, threads=threads).solve(w), singles.solve(Signals(y, problem.beta), w, None)
    assert isinstance(found, Tiled if batch >= SEVERAL else Joined if threads > 1 and batch > 1 else singles.Singles)
    g = found.x - problem.target
    for name in ("x", "z"):
        np.testing.assert_allclose(getattr(found, name), getattr(each, name), atol=1e-13)
    for mine, other in zip(found.adjoint(g), each.adjoint(g), strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-13)
    assert relative(found.gradient(g), each.gradient(g)) < 1e-12


@pytest.mark.parametrize("batch", [5, 11, 40, 150])
def test_the_number_of_threads_changes_no_bit(batch: int) -> None:
    problem = drawn("tv", batch)
    w, y = np.array(problem.theta), np.array(problem.y)
    one, two = (BatchSolver(y, problem.beta, threads=threads).solve(w) for threads in (1, 2))
    np.testing.assert_array_equal(one.x, two.x)
    np.testing.assert_array_equal(one.gradient(one.x - problem.target), two.gradient(one.x - problem.target))


@pytest.mark.parametrize("count", [1, 127, 128, 300])
def test_products_in_steps_are_small_and_whole(count: int) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((count, 64)), rng.standard_normal((64, 64))
    np.testing.assert_allclose(product(a, b), a @ b, rtol=0, atol=1e-13)
    assert all(len(a[part]) * b.size <= SMALL for part in steps(count, b.size))


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("count", [1, 2, 3, 7, 16])
def test_a_team_does_all_of_the_work_once(threads: int, count: int) -> None:
    shares = Team(100, threads).share(range, count)
    assert [index for share in shares for index in share] == list(range(count))
    assert len(shares) == min(threads, count) and all(shares)


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


def test_what_a_tile_leaves_open_is_solved_all_the_same() -> None:
    problem = drawn("random", 20)
    w, y = np.array(problem.theta), np.array(problem.y)
    y[3], y[7] = 0.0, 1e-3 * y[7]  # x* = 0: z is not unique, and here its rows are dependent
    w[4] = w[5]
    found, each = BatchSolver(y, problem.beta).solve(w), singles.solve(Signals(y, problem.beta), w, None)
    assert isinstance(found, Tiled) and {3, 7} <= set(found.left_open.tolist())
    np.testing.assert_allclose(found.x, each.x, atol=1e-12)
    np.testing.assert_array_equal(found.x[3], 0.0)


@pytest.mark.parametrize("scale", [1e-100, 1e-9, 1e9, 1e100])
@pytest.mark.parametrize("spread", [0.0, 8.0])
def test_wild_scales(scale: float, spread: float) -> None:
    problem = drawn("random", 16, n=12)
    rows = 10.0 ** np.linspace(-spread / 2, spread / 2, 12)[:, None]
    w, y, beta = scale * rows * np.array(problem.theta), np.array(problem.y), problem.beta / scale
    found, each = BatchSolver(y, beta).solve(w), singles.solve(Signals(y, beta), w, None)
    np.testing.assert_allclose(found.x, each.x, atol=1e-12)


def test_a_lane_that_is_not_finite_harms_no_other() -> None:
    problem = drawn("tv", 16)
    w, y = np.array(problem.theta), np.array(problem.y)
    expected = BatchSolver(y, problem.beta).solve(w).x
    y[2] = np.nan
    found = BatchSolver(y, problem.beta).solve(w)
    assert isinstance(found, Tiled) and found.left_open.tolist() == [2]
    np.testing.assert_allclose(np.delete(found.x, 2, axis=0), np.delete(expected, 2, axis=0), atol=1e-13)
