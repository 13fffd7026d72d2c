"""The kernels of the compiled solver against NumPy, and its short cuts against the way round."""

from __future__ import annotations

import numpy as np
import pytest

from methods._exact import full
from methods._exact.active import FREE, Duals, Listed, list_rows, settle_few
from methods._exact.batch import BatchSolver, Tiled
from methods._exact.columns import outer, turn
from methods._exact.dual import FACTORED, ORTHOGONAL
from methods._exact.packs import LANES, load, totals
from methods._exact.proposal import RELAXATION, propose
from methods._exact.solver import Compiled, SignalSolver
from methods._exact.tiles import read, row
from methods._exact.work import PASSES, sizes, views
from problems import AnalysisL1
from problems._compiling import compiled
from problems.base import Array


@pytest.mark.parametrize("n", [5, 8, 37])
@pytest.mark.parametrize("steps", [(1,), (7,), (16,), (3, 9), (8, 9, 20)])
def test_outer_products_sum_up_to_the_products_of_rows(n: int, steps: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    w, rows = rng.standard_normal((24, n)), rng.permutation(24)
    turned, gram, before = np.empty((n, 24)), np.full((24, 24), np.nan), 0
    for count in steps:
        turn(w, rows[:count], before, turned)
        outer(turned, before, count, gram)
        before = count
    listed = w[rows[:before]]
    np.testing.assert_allclose(gram[:before, :before], listed @ listed.T, rtol=0, atol=1e-13)


@pytest.mark.parametrize("n", [5, 8, 37, 64])
@pytest.mark.parametrize("m", [1, 2, 11])
def test_rows_are_subtracted_in_blocks_of_their_entries(n: int, m: int) -> None:
    rng = np.random.default_rng(0)
    w, rows, c, x = rng.standard_normal((12, n)), rng.permutation(12)[:m], rng.standard_normal(m), rng.standard_normal(n)
    expected = x - c @ w[rows]
    full.subtract(c, w, rows, x)
    np.testing.assert_allclose(x, expected, rtol=0, atol=1e-14)


@compiled
def sums(a: Array) -> tuple[float, float, float, float]:
    return totals(load(a, 0), load(a, 1), load(a, 2), load(a, 3))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_totals_of_packs(dtype: type) -> None:
    a = np.random.default_rng(0).standard_normal((4, LANES)).astype(dtype)
    np.testing.assert_allclose(sums(a.ravel()), a.sum(axis=1), rtol=0, atol=8 * LANES * np.finfo(dtype).eps)


def solved(problem: AnalysisL1) -> Compiled:
    found = SignalSolver(np.array(problem.y), problem.beta).solve(np.array(problem.theta))
    assert isinstance(found, Compiled)
    return found


@pytest.mark.parametrize("n", [9, 36])
def test_a_proposal_is_coordinate_descent_in_single_precision(n: int) -> None:
    problem = AnalysisL1.draw(n=n, operator="random", seed=1)
    w, y, beta = np.array(problem.theta), np.array(problem.y), problem.beta
    floats, integers = sizes(*w.shape)
    signal = views(*w.shape, np.empty(floats), np.zeros(integers, np.int64))
    signal.lengths[:] = np.linalg.norm(w, axis=1)
    last = propose(w, y, np.linalg.norm(y), beta, 6, signal)
    z = before = np.zeros(n)
    for omega in (1.0, 1.0, *[RELAXATION] * 4)[: signal.counts[PASSES]]:
        before = z.copy()
        for i, row_of_w in enumerate(w):
            z[i] = np.clip(z[i] + omega * (row_of_w @ (y - z @ w)) / (row_of_w @ row_of_w), -beta, beta)
    np.testing.assert_allclose(signal.z, z, rtol=0, atol=1e-5 * beta)
    np.testing.assert_array_equal(signal.state, np.sign(z) * (np.abs(z) == beta))
    moved = np.sqrt(np.mean((signal.lengths * (z - before)) ** 2)) / np.linalg.norm(y)
    assert last == pytest.approx(moved, rel=1e-3)


def test_orthogonal_rows_need_no_factor() -> None:
    assert solved(AnalysisL1.draw(n=24, operator="dct", seed=1)).status == ORTHOGONAL


def test_rows_that_only_begin_orthogonal_are_factored() -> None:
    problem = AnalysisL1.draw(n=24, operator="dct", seed=1)
    w = np.array(problem.theta)
    w[12:] += 0.1 * np.random.default_rng(0).standard_normal((12, 12)) @ w[12:]
    found = SignalSolver(np.array(problem.y), problem.beta).solve(w)
    assert isinstance(found, Compiled)
    assert found.status == FACTORED
    np.testing.assert_allclose(found.x, problem.y - w.T @ found.z, rtol=0, atol=1e-13)
    slopes, free = w @ found.x, np.abs(found.z) < problem.beta
    assert np.abs(slopes[free]).max() < 1e-13
    assert (slopes[~free] * found.z[~free]).min() > 0.0


def test_a_lane_is_settled_by_itself() -> None:
    """Rows are bound and freed at random in two lanes of a solved tile: they come back, with their factor."""
    problem = AnalysisL1.draw(n=24, operator="random", seed=1, batch=LANES)
    w, y = np.array(problem.theta), np.array(problem.y)
    found = BatchSolver(y, problem.beta).solve(w)
    assert isinstance(found, Tiled)
    assert found.tiles.form[0] == FREE
    state, u, m, order = found.tiles.state[0], found.tiles.u[0].copy(), int(found.tiles.size[0]), found.tiles.order
    duals, k = Duals(*np.zeros((7, len(w) * LANES))), len(w)
    read(y @ w.T, order, duals.c)
    read(found.z, order, duals.z)
    listed = Listed(np.zeros(k * LANES, np.int64), np.zeros(LANES, np.int64), np.linalg.norm(y[order[:LANES]], axis=1))
    list_rows(state, FREE, listed)
    spoilt, settled = state.copy(), duals.z.copy()
    for lane in (0, 5):
        spoilt[lane + LANES * np.random.default_rng(lane).permutation(k)[:3]] = 0
        u[lane::LANES] = duals.z[lane::LANES] = np.nan
    assert (spoilt != state).any()
    assert settle_few(found.shared.system, problem.beta, FREE, m, state, duals, listed, spoilt, u)
    np.testing.assert_array_equal(spoilt, state)
    np.testing.assert_allclose(duals.z, settled, rtol=0, atol=1e-12)
    for lane in (0, 5):
        free, factor = np.flatnonzero(state[lane::LANES] == 0), np.zeros((m, m))
        for a in range(m):
            factor[a, a:] = u[(row(m, a) + np.arange(a, m)) * LANES + lane]
            factor[a, a] = 1.0 / factor[a, a]
        np.testing.assert_allclose((factor.T @ factor)[: len(free), : len(free)], w[free] @ w[free].T, rtol=0, atol=1e-12)


def test_scales_that_single_precision_cannot_hold_end_with_finite_duals() -> None:
    problem = AnalysisL1.draw(n=9, operator="random", seed=1)
    w, y = np.array(problem.theta), 1e150 * problem.y
    w[3] *= 1e-160
    found = SignalSolver(y, problem.beta).solve(w)
    assert np.isfinite(found.x).all()
    assert np.isfinite(found.z).all()
    assert np.abs(found.z).max() <= problem.beta


def test_more_free_rows_than_columns_have_no_room_in_a_tile() -> None:
    problem = AnalysisL1.draw(n=9, operator="random-2n", seed=1, batch=LANES)
    y = np.array(problem.y)
    found = BatchSolver(y, 1e3).solve(np.array(problem.theta))
    assert isinstance(found, Tiled)
    assert len(found.left_open) == LANES
    assert np.abs(found.x).max() < 1e-10 * np.abs(y).max()
