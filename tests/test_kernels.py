"""The kernels of the compiled solver against NumPy, and its short cuts against the way round."""

from __future__ import annotations

import numpy as np
import pytest

from methods._exact import eights, full
from methods._exact.active import FREE, Duals, Listed, list_rows, settle_few
from methods._exact.batch import BatchSolver, Tiled
from methods._exact.columns import outer, turn
from methods._exact.dual import FACTORED, ORTHOGONAL
from methods._exact.packs import LANES, load, store
from methods._exact.proposal import RELAXATION, STABLE, propose
from methods._exact.reduced import share_of, sweep
from methods._exact.solver import Compiled, SignalSolver
from methods._exact.tiles import read, row
from methods._exact.vectors import clip, spread, totals
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
def pack_totals(a: Array, out: Array) -> None:
    s = totals(load(a, 0), load(a, 1), load(a, 2), load(a, 3), load(a, 4), load(a, 5), load(a, 6), load(a, 7))
    store(out, 0, s)
    _, _, c, _, _, _, _, h = spread(s)
    store(out, 1, c)
    store(out, 2, h)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_totals_of_packs_and_one_of_them_in_every_lane(dtype: type) -> None:
    a, out = np.random.default_rng(0).standard_normal((8, LANES)).astype(dtype), np.empty((3, LANES), dtype)
    pack_totals(a.ravel(), out.ravel())
    np.testing.assert_allclose(out[0, :8], a.sum(axis=1), rtol=0, atol=8 * LANES * np.finfo(dtype).eps)
    np.testing.assert_array_equal(out[0, 8:], 0.0)
    np.testing.assert_array_equal(out[1:], np.repeat(out[0, [2, 7]], LANES).reshape(2, LANES))


@compiled
def eight_totals(a: Array, out: Array) -> None:
    rows = eights.load(a, 0), eights.load(a, 8), eights.load(a, 16), eights.load(a, 24)
    s = totals(*rows, eights.load(a, 32), eights.load(a, 40), eights.load(a, 48), eights.load(a, 56))
    eights.store(out, 0, s)
    eights.store(out, 8, clip(s, eights.splat(1.0)))
    eights.store(out, 16, spread(s)[5])


def test_totals_of_eights_clipped_and_spread() -> None:
    a, out = np.random.default_rng(0).standard_normal((8, 8)), np.empty((3, 8))
    eight_totals(a.ravel(), out.ravel())
    np.testing.assert_allclose(out[0], a.sum(axis=1), rtol=0, atol=1e-14)
    np.testing.assert_array_equal(out[1], out[0].clip(-1.0, 1.0))
    np.testing.assert_array_equal(out[2], out[0, 5])


@pytest.mark.parametrize("count", [3, 8, 21])
def test_a_sweep_moves_eight_rows_at_once(count: int) -> None:
    rng, room, beta = np.random.default_rng(0), (count + 7) // 8 * 8, 0.2
    v, gram = rng.standard_normal((count, 30)), np.full((room + 8, room + 8), 3.0)
    gram[:count, :count] = v @ v.T
    z, r, share = np.zeros((3, room))
    r[:count], share[:count] = rng.standard_normal(count) * 5, 1.0 / np.diag(gram)[:count]
    far, slopes_far = z.copy(), r.copy()
    assert not sweep(1e9, gram, share, far, slopes_far)  # no row comes to its bound
    assert far[:count].all() and not far[count:].any()
    expected, slopes = z.copy(), r.copy()
    for a in range(0, room, 8):
        new = np.clip(expected[a : a + 8] + share[a : a + 8] * slopes[a : a + 8], -beta, beta)
        slopes -= (new - expected[a : a + 8]) @ gram[a : a + 8, :room]
        expected[a : a + 8] = new
    assert (np.abs(expected) == beta).any()
    assert sweep(beta, gram, share, z, r)
    np.testing.assert_allclose(z, expected, rtol=0, atol=1e-14)
    np.testing.assert_allclose(r[:count], slopes[:count], rtol=0, atol=1e-13)


def test_sweeps_over_rows_that_are_almost_the_same_do_not_diverge() -> None:
    rng = np.random.default_rng(0)
    v = 1.0 + 0.01 * rng.standard_normal((8, 20))
    x, z, beta = rng.standard_normal(20), np.zeros(8), 1e3
    gram, r, lengths = v @ v.T, v @ x, [np.linalg.norm(x)]
    share = np.array([share_of(gram, a, 8) for a in range(8)])
    for _ in range(20):
        sweep(beta, gram, share, z, r)
        lengths.append(np.linalg.norm(x - z @ v))
    assert (np.diff(lengths) <= 1e-12).all()
    assert lengths[-1] < lengths[0]


def solved(problem: AnalysisL1) -> Compiled:
    found = SignalSolver(np.array(problem.y), problem.beta).solve(np.array(problem.theta))
    assert isinstance(found, Compiled)
    return found


@pytest.mark.parametrize("n", [9, 36, 64])
def test_a_proposal_is_descent_on_eight_rows_at_once_in_single_precision(n: int) -> None:
    problem = AnalysisL1.draw(n=n, operator="random", seed=1)
    w, y, beta = np.array(problem.theta), np.array(problem.y), problem.beta
    floats, integers = sizes(*w.shape)
    signal = views(*w.shape, np.empty(floats), np.zeros(integers, np.int64))
    signal.lengths[:] = np.linalg.norm(w, axis=1)
    signal.inverse[:] = signal.lengths**-2
    last = propose(w, y, np.linalg.norm(y), beta, 6, signal)
    z = before = np.zeros(n)
    groups, most = -(-n // 8), STABLE / (1 + np.sqrt(8 / n)) ** 2
    for omega in (1.0, 1.0, *[RELAXATION] * 4)[: signal.counts[PASSES]]:
        before = z.copy()
        for group in range(groups):
            rows = slice(group, None, groups)
            z[rows] = np.clip(z[rows] + min(omega, most) * (w @ (y - z @ w) * signal.inverse)[rows], -beta, beta)
    np.testing.assert_allclose(signal.z, z, rtol=0, atol=1e-5 * beta)
    np.testing.assert_array_equal(signal.state, np.sign(z) * (np.abs(z) == beta))
    moved = np.sqrt(np.mean((signal.lengths * (z - before)) ** 2)) / np.linalg.norm(y)
    assert last == pytest.approx(moved, rel=1e-3)


@pytest.mark.parametrize("beta", [2.0, 1e3])
def test_a_proposal_makes_x_no_longer_where_rows_are_coherent(beta: float) -> None:
    rng = np.random.default_rng(1)
    w = 1.0 + 0.3 * rng.standard_normal((64, 64))
    y = np.repeat(rng.standard_normal(8), 8) + 0.1 * rng.standard_normal(64)
    floats, integers = sizes(*w.shape)
    signal = views(*w.shape, np.empty(floats), np.zeros(integers, np.int64))
    signal.lengths[:] = np.linalg.norm(w, axis=1)
    signal.inverse[:] = signal.lengths**-2
    propose(w, y, np.linalg.norm(y), beta, 7, signal)
    assert signal.z.any()
    assert np.linalg.norm(y - signal.z @ w) < np.linalg.norm(y)


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
