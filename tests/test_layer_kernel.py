"""The kernel of the layers: forward mode is the transpose of reverse mode, and kept factors change nothing."""

from __future__ import annotations

import numpy as np
import pytest
from _layer_kernel import LayerKernel

from methods.blorc.batch import BatchSolver
from methods.blorc.kernels import KERNELS
from methods.layers.inputs import KinkWarning
from problems import AnalysisL1
from problems.base import Array

STATUSES = {"dct": "ORTHOGONAL", "random": "FACTORED", "zero": "ZERO"}


def drawn(kind: str, groups: int = 1, signals: int = 3, operators: int = 1) -> LayerKernel:
    """Operators near one of that kind, each with signals of its own."""
    axes = {"operator": "random-2n", "beta": 50.0} if kind == "zero" else {"operator": kind}
    problem = AnalysisL1.draw(n=12, batch=operators * groups * signals, seed=1, **axes)
    near = 1.0 + np.linspace(0.0, 0.1, operators)
    w = near[:, None, None] * np.array(problem.theta)
    return LayerKernel(w, np.array(problem.y).reshape(operators, groups, signals, 12), problem.beta * near)


def directions(kernel: LayerKernel) -> tuple[Array, Array, Array]:
    rng, groups = np.random.default_rng(1), kernel.y.shape[:2]
    dw = rng.standard_normal((*groups, *kernel.w.shape[1:]))
    return dw, rng.standard_normal(kernel.y.shape), rng.standard_normal(groups)


def close(found: Array, truth: Array, size: float = 1e-12) -> None:
    np.testing.assert_allclose(found, truth, rtol=0, atol=size * max(np.abs(truth).max(), 1e-300))


@pytest.mark.parametrize("kind", STATUSES)
def test_each_way_a_solution_ends_is_met(kind: str) -> None:
    kernel = drawn(kind)
    _, duals = kernel.solve()
    assert (duals[..., -1] == getattr(KERNELS.lib, STATUSES[kind])).all()


@pytest.mark.parametrize("signals", [1, 3, 9])
@pytest.mark.parametrize("kind", [*STATUSES, "tv", "random-2n"])
def test_the_solution_and_the_slope_in_w_are_those_of_a_batch(kind: str, signals: int) -> None:
    kernel = drawn(kind, signals=signals)
    (w,), ((y,),), (beta,) = kernel.w, kernel.y, kernel.beta
    g = directions(kernel)[1]
    truth = BatchSolver(y, float(beta)).solve(w)
    x, duals = kernel.solve()
    close(x[0, 0], truth.x, 1e-14)
    close(duals[0, 0, :, :-1], truth.z, 1e-14)
    in_w, in_y, _ = kernel.pull(duals, g)
    close(in_w[0, 0], truth.gradient(g[0, 0]))
    close(in_y[0, 0], truth.adjoint(g[0, 0])[1])


@pytest.mark.parametrize(("operators", "groups", "signals"), [(1, 1, 1), (1, 1, 9), (1, 4, 3), (3, 1, 2), (2, 2, 5)])
@pytest.mark.parametrize("kind", [*STATUSES, "tv", "random-2n"])
def test_forward_mode_is_the_transpose_of_reverse_mode(kind: str, operators: int, groups: int, signals: int) -> None:
    kernel = drawn(kind, groups, signals, operators)
    _, duals = kernel.solve()
    along, g = directions(kernel), np.random.default_rng(2).standard_normal(kernel.y.shape)
    slopes = kernel.pull(duals, g)
    for i in range(3):
        alone = [a if j == i else None for j, a in enumerate(along)]
        parts = slopes[i] * along[i], g * kernel.push(duals, *alone)
        inner, other = (float(part.sum()) for part in parts)
        assert inner == pytest.approx(other, abs=1e-12 * max(np.abs(part).sum() for part in parts))
    together = kernel.push(duals, *along)
    close(together, sum(kernel.push(duals, *(a if j == i else None for j, a in enumerate(along))) for i in range(3)))


@pytest.mark.parametrize("groups", [1, 3])
def test_a_group_has_the_slopes_of_its_signals(groups: int) -> None:
    kernel = drawn("random", groups, 4, operators=2)
    _, duals = kernel.solve()
    g = directions(kernel)[1]
    slopes = kernel.pull(duals, g)
    for i in range(2):
        for a in range(groups):
            at = slice(i, i + 1), slice(a, a + 1)
            alone = LayerKernel(kernel.w[at[0]], kernel.y[at], kernel.beta[at[0]])
            _, own = alone.solve()
            for mine, other in zip(slopes, alone.pull(own, g[at]), strict=True):
                close(mine[at], other)


@pytest.mark.parametrize("n", [17, 33])
def test_a_column_beyond_whole_tiles_has_its_sum_over_the_signals(n: int) -> None:
    """A tile is 4 registers wide, each of 2, 4 or 8 numbers: of 17 or of 33 columns one is left."""
    problem = AnalysisL1.draw(n=n, operator="random", batch=5, seed=1)
    w, y, beta = np.array(problem.theta)[None], np.array(problem.y)[None, None], np.array([problem.beta])
    kernel, g, truth = LayerKernel(w, y, beta), np.random.default_rng(1).standard_normal(y.shape), 0.0
    found, (_, duals) = np.full((1, 1, *w.shape[1:]), np.nan), kernel.solve()
    kernel._call("pull", None, duals, g, found, None, None)
    for b in range(5):
        alone = LayerKernel(w, y[:, :, b : b + 1], beta)
        truth = truth + alone.pull(alone.solve()[1], g[:, :, b : b + 1])[0]
    close(found, truth)


@pytest.mark.parametrize("signals", [3, 20])
@pytest.mark.parametrize("offset", [0, 3])
def test_kept_factors_give_the_same_slopes_wherever_they_lie(offset: int, signals: int) -> None:
    kernel = drawn("random", signals=signals)
    work, elsewhere = kernel.room(offset), kernel.room(5)
    _, duals = kernel.solve(work)
    g = directions(kernel)[1]
    truth = kernel.pull(duals, g)
    elsewhere[:] = work  # as when torch moves what is saved for the backward pass
    for given in (work, work, elsewhere):
        for mine, other in zip(kernel.pull(duals, g, given), truth, strict=True):
            close(mine, other)


def test_what_is_not_asked_for_is_not_written() -> None:
    kernel = drawn("random")
    _, duals = kernel.solve()
    g = directions(kernel)[1]
    slopes = kernel.pull(duals, g)
    for i, truth in enumerate(slopes):
        room = [np.full(truth.shape, np.nan) if j == i else None for j in range(3)]
        kernel._call("pull", None, duals, g, *room)
        np.testing.assert_array_equal(room[i], truth)


def test_a_signal_left_open_has_the_derivatives_of_one_that_is_not() -> None:
    kernel = drawn("random")
    _, duals = kernel.solve()
    along, g = directions(kernel), np.random.default_rng(2).standard_normal(kernel.y.shape)
    slopes, dx = kernel.pull(duals, g), kernel.push(duals, *along)
    duals[0, 0, 1, -1] = KERNELS.lib.FAILED
    for mine, other in zip((*kernel.pull(duals, g), kernel.push(duals, *along)), (*slopes, dx), strict=True):
        close(mine, other)


def test_dependent_rows_left_open_are_differentiated_in_y_and_beta() -> None:
    """|w x| + |w x| = |2 w x|: with W fixed there is no kink, and one row in place of two gives the same."""
    w = np.diff(np.eye(6), axis=0)
    y = np.array([1.0, 1.02, 0.98, -0.5, -0.52, 0.03])[None, None, None]
    twice = LayerKernel(np.concatenate([w, w[:1]])[None], y, np.array([0.1]))
    once = LayerKernel((w * np.array([2, 1, 1, 1, 1])[:, None])[None], y, np.array([0.1]))
    (_, duals), (_, other) = twice.solve(), once.solve()
    assert duals[0, 0, 0, -1] == KERNELS.lib.FAILED
    dy, dbeta = np.random.default_rng(0).standard_normal(y.shape), np.ones((1, 1))
    close(twice.push(duals, None, dy, dbeta), once.push(other, None, dy, dbeta))
    with pytest.warns(KinkWarning, match="dependent zero rows"):
        twice.push(duals, np.ones((1, 1, 6, 6)), dy, dbeta)
    with pytest.warns(KinkWarning, match="dependent zero rows"):
        twice.pull(duals, dy)


@pytest.mark.parametrize("kind", ["dct", "tv", "random", "random-2n", "circular-tv"])
def test_a_signal_of_zeros_is_no_kink(kind: str) -> None:
    """x* = 0 for every W."""
    kernel = drawn(kind)
    kernel.y[:] = 0.0
    x, duals = kernel.solve()
    slopes = kernel.pull(duals, np.ones(kernel.y.shape))  # warnings are errors
    assert not x.any() and not slopes[0].any() and not slopes[2].any()


@pytest.mark.parametrize(("beta", "why"), [(0.0, "beta must be"), (np.nan, "beta must be"), (np.inf, "beta must be")])
def test_a_beta_that_is_none_is_refused(beta: float, why: str) -> None:
    kernel = drawn("random")
    with pytest.raises(ValueError, match=why):
        LayerKernel(kernel.w, kernel.y, np.array([beta])).solve()


def test_no_signals_have_slopes_of_zero() -> None:
    kernel = drawn("random")
    none = LayerKernel(kernel.w, kernel.y[:, :, :0], kernel.beta)
    x, duals = none.solve()
    in_w, in_y, in_beta = none.pull(duals, x)
    assert in_y.size == 0 and not in_w.any() and not in_beta.any()
