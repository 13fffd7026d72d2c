"""The C of chains, graphs and sweeps against NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from _exact import by_bvls
from scipy.sparse import csr_array, random_array
from scipy.sparse.csgraph import connected_components

from problems.base import Array
from problems.kernels import KERNELS
from problems.solvers import chain

# Chains


def drawn_chain(rng: np.random.Generator, n: int) -> tuple[Array, Array, Array]:
    """(a, c, W) with entries of either sign, apart by a factor of ten."""
    a, c = (rng.choice([-1.0, 1.0], n - 1) * 10 ** rng.uniform(-0.5, 0.5, n - 1) for _ in range(2))
    return a, c, np.diag(a) @ np.eye(n - 1, n) + np.diag(c) @ np.eye(n - 1, n, 1)


def minimised(a: Array, c: Array, beta: float, y: Array) -> tuple[int, Array, Array, Array]:
    """(status, x, z, state) of signals y (batch, n)."""
    batch, n = y.shape
    x, z, state = np.empty((batch, n)), np.empty((batch, n - 1)), np.empty((batch, n - 1), np.int8)
    work = np.empty(KERNELS.lib.CHAIN_WORK * n)
    return KERNELS.call("chain_minimise", batch, n, a, c, beta, y, x, z, state, work), x, z, state


@pytest.mark.parametrize("n", [2, 3, 7, 20])
def test_a_chain_is_solved_and_its_adjoint_is_the_least_norm_solution(n: int) -> None:
    rng = np.random.default_rng(n)
    for _ in range(10):
        (a, c, w), y, beta = drawn_chain(rng, n), rng.standard_normal((3, n)), 10 ** rng.uniform(-1, 0.5)
        status, x, z, state = minimised(a, c, beta, y)
        assert status == KERNELS.lib.CHAIN_VERIFIED
        np.testing.assert_allclose(x, y - z @ w, rtol=0, atol=1e-14)
        np.testing.assert_allclose(x, [by_bvls(w, row, beta) for row in y], rtol=0, atol=1e-9)  # of an iterative solver
        np.testing.assert_array_equal(z[state != 0], beta * state[state != 0])
        assert np.abs(z[state == 0]).max(initial=0.0) < beta
        g, h, v = rng.standard_normal((3, n)), np.full_like(z, np.nan), np.full_like(x, np.nan)
        KERNELS.call("chain_adjoint", 3, n, a, c, g, state, h, v)
        for signal in range(3):
            free = state[signal] == 0
            expected = np.linalg.lstsq(w[free].T, g[signal], rcond=None)[0] if free.any() else 0.0
            np.testing.assert_allclose(h[signal][free], expected, rtol=0, atol=1e-12)
            assert not h[signal][~free].any()
            np.testing.assert_allclose(v[signal], g[signal] - h[signal] @ w, rtol=0, atol=1e-13)
        pattern = [chain.signs(a, c, np.full(n - 1, beta), row) for row in y]
        np.testing.assert_array_equal(pattern, state)


def test_signals_of_a_batch_have_the_bits_they_have_alone() -> None:
    rng = np.random.default_rng(0)
    (a, c, _), y = drawn_chain(rng, 50), rng.standard_normal((4, 50))
    together, alone = minimised(a, c, 0.3, y)[1:], [minimised(a, c, 0.3, row[None])[1:] for row in y]
    for part, parts in zip(together, zip(*alone, strict=True), strict=True):
        np.testing.assert_array_equal(part, np.concatenate(parts))


def test_a_chain_whose_scale_runs_away_has_no_pattern() -> None:
    ones, steep = np.ones(5), np.full(5, 1e30)
    assert chain.signs(steep, ones, ones, np.ones(6)) is None
    assert chain.signs(ones, steep, ones, np.ones(6)) is None
    assert minimised(steep, ones, 1.0, np.ones((1, 6)))[0] == KERNELS.lib.CHAIN_FAILED


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_chain_of_what_is_not_finite_is_not_verified(bad: float) -> None:
    y = np.ones((1, 9))
    y[0, 4] = bad
    assert minimised(-np.ones(8), np.ones(8), 0.1, y)[0] == KERNELS.lib.CHAIN_FAILED
    y[0, 4], a = 1.0, -np.ones(8)
    a[3] = bad
    assert minimised(a, np.ones(8), 0.1, y)[0] == KERNELS.lib.CHAIN_FAILED


# Graphs


def drawn_graph(rng: np.random.Generator, n: int, k: int) -> tuple[Array, Array, Array, Array]:
    """(tail, head, first, around); parallel edges may be among them."""
    tail, head = np.array([rng.choice(n, 2, replace=False) for _ in range(k)], np.int32).T.copy()
    first, around = np.empty(n + 1, np.int32), np.empty(2 * k, np.int32)
    KERNELS.call("graph_adjacency", n, k, tail, head, first, around)
    return tail, head, first, around


def test_the_edges_at_a_node_are_listed() -> None:
    tail, head, first, around = drawn_graph(np.random.default_rng(0), 12, 20)
    for node in range(12):
        np.testing.assert_array_equal(around[first[node] : first[node + 1]], np.flatnonzero((tail == node) | (head == node)))


def test_relaxation_moves_edge_by_edge() -> None:
    rng = np.random.default_rng(1)
    tail, head, _, _ = drawn_graph(rng, 12, 30)
    bound, y, flow = rng.uniform(0, 0.3, 30), rng.standard_normal(12), np.zeros(30)
    x, expected, moved = y.copy(), y.copy(), np.zeros(30)
    KERNELS.call("graph_relax", 30, tail, head, bound, x, flow, 3, 1.7)
    for e in [*range(30)] * 3:
        new = np.clip(moved[e] + 0.85 * (expected[tail[e]] - expected[head[e]]), -bound[e], bound[e])
        expected[tail[e]] -= new - moved[e]
        expected[head[e]] += new - moved[e]
        moved[e] = new
    np.testing.assert_allclose(flow, moved, rtol=0, atol=1e-14)
    np.testing.assert_allclose(x, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("seed", range(30))
def test_a_graph_is_divided_into_regions_that_are_level(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, k = int(rng.integers(2, 30)), int(rng.integers(1, 80))
    tail, head, first, around = drawn_graph(rng, n, k)
    limits, y = rng.integers(0, 50, k), rng.integers(-100, 100, n)
    flow, levels, inside = rng.integers(-limits, limits + 1), y.copy(), np.ones(k, np.int8)
    label, work = np.empty(n, np.int32), (np.empty(n, np.int64), np.empty(5 * n, np.int32), np.empty(2 * n, np.int8))
    graph = first, around, tail, head
    assert KERNELS.call("graph_divide", n, k, *graph, limits, inside, flow, levels, label, *work) >= 1
    inflow = np.bincount(head, flow, n) - np.bincount(tail, flow, n)
    np.testing.assert_array_equal(levels, y + inflow)
    assert (np.abs(flow) <= limits).all()
    between = label[tail] != label[head]
    assert (inside == ~between).all() and (np.abs(flow[between]) == limits[between]).all()
    ends = tail[~between], head[~between]
    assert connected_components(csr_array((np.ones(len(ends[0])), ends), (n, n)), directed=False)[0] == len(set(label))
    for region in set(label):
        assert np.ptp(levels[label == region]) <= 1  # the remainder of a division
    steps = np.sign(flow) * (levels[tail] - levels[head])
    assert (steps[between & (limits > 0)] >= -1).all()  # what exceeds flows down, to the remainder


def test_averages_have_no_rounding_but_the_last() -> None:
    rng = np.random.default_rng(0)
    values, label = rng.standard_normal(1000) * 10 ** rng.uniform(-8, 8, 1000), rng.integers(0, 7, 1000)
    means, lost, sizes = np.empty(7), np.empty(7), np.empty(7, np.int64)
    KERNELS.call("graph_averages", 1000, 7, values, label, means, lost, sizes)
    expected = [math.fsum(values[label == r]) / (label == r).sum() for r in range(7)]
    np.testing.assert_allclose(means, expected, rtol=1e-15)


@pytest.mark.parametrize("against", [0, 1])
def test_what_is_reached_from_the_first_node_of_a_region(against: int) -> None:
    rng = np.random.default_rng(against)
    for _ in range(20):
        tail, head, first, around = drawn_graph(rng, 15, 25)
        room, label = rng.integers(0, 2, (25, 2)).astype(np.int8), rng.integers(0, 3, 15)
        queue, marks = np.empty(15, np.int32), np.empty(18, np.int8)
        graph = first, around, tail, head
        found = KERNELS.call("graph_reached", 15, 3, *graph, room, label, against, queue, marks)
        seen = set(np.unique(label, return_index=True)[1].tolist())
        for _ in range(15):
            for e in range(25):
                ways = [(tail[e], head[e]), (head[e], tail[e])]
                for u, v in (ways[way ^ against] for way in (0, 1) if room[e, way]):
                    if u in seen and label[u] == label[v]:
                        seen.add(int(v))
        assert found == len(seen)


# Sweeps


@pytest.mark.parametrize("size", [1, 7, 8, 9, 25])
def test_a_sweep_over_a_filter_bank_is_coordinate_descent(size: int) -> None:
    rng = np.random.default_rng(size)
    n, filters, beta = 40, 5, 0.1
    taps, y, z = rng.standard_normal((filters, size)), rng.standard_normal(n), np.zeros((n, filters))
    taps[2] = 0.0  # a filter that sees nothing does not move
    patches = np.array([rng.choice(n, size, replace=False) for _ in range(n)])
    x, expected, duals, work = y.copy(), y.copy(), z.copy(), np.empty(KERNELS.lib.sweep_filters_work(filters, size))
    for _ in range(3):
        changed = KERNELS.call("sweep_filters", n, filters, size, taps, patches, beta, 1.3, x, z, work)
        bound = np.abs(duals) == beta
        for p in range(n):
            for f in (0, 1, 3, 4):
                step = 1.3 * (taps[f] @ expected[patches[p]]) / (taps[f] @ taps[f])
                new = np.clip(duals[p, f] + step, -beta, beta)
                expected[patches[p]] -= (new - duals[p, f]) * taps[f]
                duals[p, f] = new
        np.testing.assert_allclose(z, duals, rtol=0, atol=1e-12)
        np.testing.assert_allclose(x, expected, rtol=0, atol=1e-12)
        assert changed == (bound != (np.abs(duals) == beta)).sum()


def test_a_sweep_over_sparse_rows_leaves_those_that_press_on_their_bound() -> None:
    rng = np.random.default_rng(0)
    w = csr_array(random_array((30, 20), density=0.2, rng=rng, data_sampler=rng.standard_normal) + 0.1 * np.eye(30, 20))
    w = csr_array(w[np.diff(w.indptr) > 0])
    k, beta, lengths = w.shape[0], 0.2, np.sqrt((w * w).sum(axis=1))
    rows = w.indptr.astype(np.int64), w.indices.astype(np.int32), w.data, lengths
    y, z, state = rng.standard_normal(20), np.zeros(k), np.zeros(k, np.int8)
    x, expected, duals, signs = y.copy(), y.copy(), z.copy(), np.zeros(k)
    for _ in range(4):
        changed, before = KERNELS.call("sweep_rows", k, *rows, beta, 1.4, x, z, state), signs.copy()
        for i, row in enumerate(w.toarray()):
            slope = row @ expected
            if signs[i] * slope <= 0:
                new = np.clip(duals[i] + 1.4 * slope / lengths[i] ** 2, -beta, beta)
                expected -= (new - duals[i]) * row
                duals[i], signs[i] = new, np.sign(new) * (abs(new) == beta)
        np.testing.assert_allclose(z, duals, rtol=0, atol=1e-12)
        np.testing.assert_allclose(x, expected, rtol=0, atol=1e-12)
        np.testing.assert_array_equal(state, signs)
        assert changed == (before != signs).sum()
    assert (state != 0).any() and (state == 0).any()
