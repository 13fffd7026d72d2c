"""The steps of the kernel of one signal against NumPy, and its short cuts against the way round."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
from _exact import matrix, relative, touching_tv

from methods.blorc.kernels import KERNELS
from methods.blorc.solver import Compiled, SignalSolver, layout
from problems import AnalysisL1
from problems.base import Array
from problems.kernels import build
from problems.solvers.box_dual import TOUCHING

RELAXATION = 1.5  # of coordinate descent, as signal.c has it


@pytest.fixture(scope="session")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """probe(name, arguments ...): a function of probe/probe.h, arrays for its pointers."""
    from cffi import FFI

    folder, target = Path(__file__).parent / "probe", tmp_path_factory.mktemp("probe") / "probe.so"
    build.build(folder, KERNELS.flags, target)
    ffi = FFI()
    ffi.cdef("\n".join(line for line in (folder / "probe.h").read_text().splitlines() if not line.startswith("#")))
    lib = ffi.dlopen(str(target))
    kinds = {np.dtype(np.float64): "double[]", np.dtype(np.int64): "int64_t[]"}

    def call(name: str, *arguments: Any) -> Any:
        given = [ffi.from_buffer(kinds[a.dtype], a) if isinstance(a, np.ndarray) else a for a in arguments]
        return getattr(lib, name)(*given)

    return call


def room(w: Array) -> Array:
    return np.empty(layout(*w.shape)[0])


def banded(m: int, n: int, width: int, rng: np.random.Generator) -> Array:
    """Rows with `width` entries each, moving from left to right."""
    w = np.zeros((m, n))
    for i, first in enumerate(np.linspace(0, n - width, m).astype(int)):
        w[i, first : first + width] = rng.standard_normal(width)
    return w


def shaped(kind: str, m: int, n: int) -> Array:
    rng = np.random.default_rng(m)
    w = rng.standard_normal((m, n)) if kind == "dense" else banded(m, n, 3, rng)
    if kind == "unordered":
        w = w[rng.permutation(m)]
    if kind == "arrow":
        w[-1] = rng.standard_normal(n)
    return w


@pytest.mark.parametrize("kind", ["dense", "banded", "unordered", "arrow"])
@pytest.mark.parametrize(("m", "n"), [(1, 3), (2, 20), (5, 20), (8, 33), (13, 70), (40, 130)])
def test_rows_are_measured_on_the_columns_they_cover(probe: Callable[..., Any], kind: str, m: int, n: int) -> None:
    w, lanes = shaped(kind, m, n), probe("lanes_of_machine")
    first, end, size = np.empty(m, np.int64), np.empty(m, np.int64), np.empty(m)
    assert probe("probe_measure", m, n, w, np.ones(n), room(w), first, end, size)
    np.testing.assert_allclose(size, np.linalg.norm(w, axis=1), rtol=1e-14)
    for block in range(-(-m // lanes)):
        columns = np.flatnonzero(w[block * lanes : (block + 1) * lanes].any(axis=0))
        assert first[block] == columns[0] // lanes * lanes
        assert end[block] == (columns[-1] // lanes + 1) * lanes


@pytest.mark.parametrize(
    ("w", "y"), [(np.zeros((2, 3)), np.ones(3)), (np.full((1, 2), np.nan), np.ones(2)), (np.eye(2), np.full(2, np.nan))]
)
def test_rows_without_a_length_and_what_is_not_finite_are_not_sound(probe: Callable[..., Any], w: Array, y: Array) -> None:
    k, n = w.shape
    assert not probe("probe_measure", k, n, w, y, room(w), *np.empty((2, k), np.int64), np.empty(k))


@pytest.mark.parametrize("kind", ["dense", "banded", "unordered", "arrow"])
@pytest.mark.parametrize("m", [1, 2, 3, 4, 5, 8, 13, 20, 37])
def test_the_factor_of_listed_rows_solves(probe: Callable[..., Any], kind: str, m: int) -> None:
    n = 40
    w, rng = shaped(kind, m, n), np.random.default_rng(m)
    for count in {1, (m + 1) // 2, m}:
        rows = np.sort(rng.permutation(m)[:count])
        right = rng.standard_normal(count)
        found = right.copy()
        assert probe("probe_solve", m, n, w, rows, count, room(w), found)
        # Backward stable: the residual is rounding times |G| |solution|, for at most 37 rows.
        gram = w[rows] @ w[rows].T
        assert np.linalg.norm(gram @ found - right) <= 1e-13 * np.linalg.norm(gram) * np.linalg.norm(found)


@pytest.mark.parametrize("width", [2, 20])
@pytest.mark.parametrize("m", [6, 21])
def test_dependent_rows_have_about_the_nearest_solution(probe: Callable[..., Any], width: int, m: int) -> None:
    w, rng = banded(m, 30, width, np.random.default_rng(0)), np.random.default_rng(1)
    w[4] = w[3]
    right = w @ rng.standard_normal(30)  # in the range of the singular matrix
    found = right.copy()
    assert not probe("probe_solve", m, 30, w, np.arange(m), m, room(w), found)
    # The diagonal is raised by 1e-12 of itself, and the condition of the others is below 1e5.
    np.testing.assert_allclose(w @ (w.T @ found), right, rtol=0, atol=1e-7)
    nearest = np.linalg.pinv(w @ w.T) @ right
    np.testing.assert_allclose(found, nearest, rtol=0, atol=1e-3 * np.abs(nearest).max())


@pytest.mark.parametrize("kind", ["dense", "banded", "arrow"])
@pytest.mark.parametrize(("m", "n"), [(3, 3), (8, 8), (21, 30), (40, 64), (70, 33)])
def test_a_sweep_is_coordinate_descent_row_after_row(probe: Callable[..., Any], kind: str, m: int, n: int) -> None:
    w, rng, beta = shaped(kind, m, n), np.random.default_rng(0), 0.2
    y, z, x = rng.standard_normal(n), np.zeros(m), np.empty(n)
    expected, state = np.zeros(m), np.zeros(m)
    left = y.copy()
    for _ in range(3):
        before = state
        for i in range(m):
            new = np.clip(expected[i] + RELAXATION * (w[i] @ left) / (w[i] @ w[i]), -beta, beta)
            left -= (new - expected[i]) * w[i]
            expected[i] = new
        state = np.sign(expected) * (np.abs(expected) == beta)
    changed = probe("probe_sweep", m, n, w, y, beta, 3, room(w), z, x)
    assert bool(changed) == bool((state != before).any())
    np.testing.assert_allclose(z, expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(x, left, rtol=0, atol=1e-12)


@pytest.mark.parametrize("beta", [2.0, 1e3])
def test_sweeps_make_x_no_longer_where_rows_are_coherent(probe: Callable[..., Any], beta: float) -> None:
    rng = np.random.default_rng(1)
    w = 1.0 + 0.3 * rng.standard_normal((64, 64))
    y = np.repeat(rng.standard_normal(8), 8) + 0.1 * rng.standard_normal(64)
    z, x, lengths = np.zeros(64), np.empty(64), [np.linalg.norm(y)]
    for _ in range(10):
        probe("probe_sweep", 64, 64, w, y, beta, 1, room(w), z, x)
        lengths.append(np.linalg.norm(x))
    assert (np.diff(lengths) <= 1e-12).all()
    assert lengths[-1] < 0.9 * lengths[0]


def solved(w: Array, y: Array, beta: float) -> Compiled:
    found = SignalSolver(y, beta).solve(w)
    assert isinstance(found, Compiled)
    return found


@pytest.mark.parametrize("n", [1, 5, 24, 70])
def test_orthogonal_rows_need_no_factor(probe: Callable[..., Any], n: int) -> None:
    rng = np.random.default_rng(0)
    w = 3.0 * np.linalg.qr(rng.standard_normal((n, n)))[0] * rng.uniform(0.5, 2.0, (n, 1))
    assert probe("probe_orthogonal", n, n, w, np.ones(n), room(w))
    assert solved(w, rng.standard_normal(n), 0.1).status == KERNELS.lib.ORTHOGONAL


def test_rows_that_only_begin_orthogonal_are_factored(probe: Callable[..., Any]) -> None:
    problem = AnalysisL1.draw(n=24, operator="dct", seed=1)
    w = np.array(problem.theta)
    w[12:] += 0.1 * np.random.default_rng(0).standard_normal((12, 12)) @ w[12:]
    assert not probe("probe_orthogonal", 24, 24, w, np.array(problem.y), room(w))
    found = solved(w, np.array(problem.y), problem.beta)
    assert found.status == KERNELS.lib.FACTORED
    np.testing.assert_allclose(found.x, problem.y - w.T @ found.z, rtol=0, atol=1e-13)
    slopes, free = w @ found.x, np.abs(found.z) < problem.beta
    assert np.abs(slopes[free]).max() < 1e-13
    assert (slopes[~free] * found.z[~free]).min() > 0.0


def test_rows_that_begin_orthogonal_and_come_again_are_no_short_cut(probe: Callable[..., Any]) -> None:
    w = np.concatenate([np.eye(9), np.eye(9)])
    assert not probe("probe_orthogonal", 18, 9, w, np.ones(9), room(w))
    y = np.array([0.0, 3, -3, 3, 3, -3, 3, 3, 3])  # row 0 and row 9 are zero, and the same
    assert SignalSolver(y, 1.0).solve(w).doubt


def test_scales_far_apart_end_with_finite_duals() -> None:
    problem = AnalysisL1.draw(n=9, operator="random", seed=1)
    w, y = np.array(problem.theta), 1e150 * problem.y
    w[3] *= 1e-160
    found = SignalSolver(y, problem.beta).solve(w)
    assert np.isfinite(found.x).all()
    assert np.isfinite(found.z).all()
    assert np.abs(found.z).max() <= problem.beta


def test_the_solution_keeps_w_of_its_own() -> None:
    problem = AnalysisL1.draw(n=20, operator="random", seed=1)
    w, g = np.array(problem.theta), np.ones(20)
    found = solved(w, np.array(problem.y), problem.beta)
    expected = found.gradient(g)
    w[:] = np.nan
    np.testing.assert_array_equal(found.gradient(g), expected)


def test_x_that_is_zero_for_every_w_close_by_has_a_zero_adjoint() -> None:
    problem = AnalysisL1.draw(n=8, operator="random-2n", beta=50.0)
    w, y = np.array(problem.theta), np.array(problem.y)
    found = solved(w, y, 50.0)
    assert found.status == KERNELS.lib.ZERO
    assert not found.x.any()
    assert np.abs(found.z).max() < 50.0
    np.testing.assert_allclose(found.z @ w, y, rtol=0, atol=1e-12)
    assert not found.gradient(np.ones(8)).any()
    assert not any(part.any() for part in found.adjoint(np.ones(8)))


def test_what_the_kernel_cannot_read_is_converted_or_refused() -> None:
    problem = AnalysisL1.draw(n=16)
    w, solver = np.array(problem.theta), SignalSolver(np.array(problem.y), problem.beta)
    found, g = solver.solve(w), np.arange(16)
    np.testing.assert_array_equal(found.gradient(g.astype(np.float32)), found.gradient(g.astype(float)))
    with pytest.raises(ValueError, match=r"the cotangent must have 16 entries, got 15"):
        found.adjoint(g[1:])
    with pytest.raises(ValueError, match=r"near must have 15 entries, got 16"):
        solver.solve(w, np.zeros(16))


def test_a_solution_of_zero_that_any_change_of_the_rows_may_move_is_in_doubt() -> None:
    """|y| is the sum of all |z_i w_i|: every dual is at its bound, and k > n hides that from the rank."""
    w, y = np.array([[1.0], [-1.0], [1.0]]), np.array([0.75])
    assert SignalSolver(y, 0.25).solve(w).note == TOUCHING
    assert AnalysisL1(w, y, np.ones(1), 0.25).reference().status == "kink"


def test_a_dual_at_its_bound_but_for_rounding_is_in_doubt() -> None:
    assert all(SignalSolver(y, 1.0).solve(w).doubt for w, y in touching_tv(200))


@pytest.mark.parametrize("seed", range(5))
def test_the_adjoint_is_refined_to_rounding(seed: int) -> None:
    rng, (k, n), condition = np.random.default_rng(seed), (8, 12), 1e3
    left, right = (np.linalg.qr(rng.standard_normal((size, size)))[0] for size in (k, n))
    w = left * condition ** -np.linspace(0.0, 1.0, k) @ right[:k]
    y = right[k:].T @ rng.standard_normal(n - k) + rng.uniform(-0.9, 0.9, k) @ w  # all rows are zero rows
    found, g = solved(w, y, 1.0), rng.standard_normal(n)
    h, _ = found.adjoint(g)
    assert found.status == KERNELS.lib.FACTORED and found.handed is None
    exact = matrix(w)
    truth = mpmath.lu_solve(exact * exact.T, exact * mpmath.matrix(g.tolist()))
    # Rounding of W v, 1e-16 of |g|, over the least singular value squared: 1e-10 |g|, and |h| is about 1e3 |g|.
    assert relative(h, np.array(list(truth), dtype=np.float64)) < 1e-12
