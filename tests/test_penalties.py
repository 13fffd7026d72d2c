"""Every penalty of PENALTIES: prox, conjugate, smoothing, entropy, manifold, and the same numbers from all array libraries."""

from __future__ import annotations

from typing import Any

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from methods import to_numpy
from methods.calculus.frameworks import FRAMEWORKS
from problems.base import Array
from problems.forms import Term
from problems.operators.parametrisations import Dense
from problems.penalties import L1, PENALTIES, Nuclear, Penalty
from problems.penalties.base import Penalty as Base
from problems.tangents import tangent

N = 6  # the length on which PENALTIES act
SPREAD = np.array([0.3, 0.5, 0.7, 0.9, 1.1, 0.4])
# Weights beside the scalar 0.7, of the penalties that take arrays.
ARRAYS = {"l1": SPREAD, "box": SPREAD, "squared-l2": SPREAD, "huber": SPREAD, "l21": SPREAD[:3]}
WEIGHTED = [(p, np.asarray(0.7)) for p in PENALTIES] + [(p, ARRAYS[p.name]) for p in PENALTIES if p.name in ARRAYS]


def has(penalty: Penalty, part: str) -> bool:
    return getattr(type(penalty), part) is not getattr(Base, part)


def over(cases: Any, part: str = "prox") -> Any:
    chosen = [case for case in cases if has(case[0], part)]
    return pytest.mark.parametrize(
        ("penalty", "weight"), chosen, ids=[f"{p.name}-{'array' if w.ndim else 'scalar'}" for p, w in chosen]
    )


def points(count: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal((count, N)) * np.array([0.2, 1.0, 3.0])[np.arange(count) % 3, None]


def test_every_penalty_says_what_it_is() -> None:
    assert len({p.name for p in PENALTIES}) == len(PENALTIES)
    assert all(p.formula and has(p, "prox") and has(p, "value") and has(p, "cvxpy") and has(p, "manifold") for p in PENALTIES)
    with pytest.raises(NotImplementedError, match="l1 has no entropy"):
        L1().mirror(np.zeros(2), 1.0)


@over(WEIGHTED)
def test_the_prox_minimises(penalty: Penalty, weight: Array) -> None:
    for z in points(3):
        u = cp.Variable(N)
        objective, constraints = penalty.cvxpy(u, weight)
        problem = cp.Problem(cp.Minimize(objective + cp.sum_squares(u - z) / (2 * 0.8)), constraints)
        problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-12, tol_gap_rel=1e-12, tol_feas=1e-12)
        # An interior point stops within 1e-12 of the least value, which is strongly convex: 1e-6 in u; SDPs lose a digit.
        np.testing.assert_allclose(penalty.prox(z, 0.8, weight), u.value, atol=1e-5)


@over(WEIGHTED)
def test_the_value_is_that_of_cvxpy(penalty: Penalty, weight: Array) -> None:
    z = penalty.prox(points(1)[0], 1.0, weight)
    objective = penalty.cvxpy(cp.Constant(z), weight)[0]
    assert float(penalty.value(z, weight)) == pytest.approx(float(getattr(objective, "value", objective)), abs=1e-12)


@over(WEIGHTED)
def test_the_prox_of_the_conjugate_is_a_subgradient_at_the_prox(penalty: Penalty, weight: Array) -> None:
    """z = prox_{s g}(z) + s y with y = prox_{g*/s}(z / s) in the subdifferential of g at the prox."""
    feasible = penalty.prox(points(30, seed=1), 1e-3, weight)
    for step in (0.3, 2.0):
        for z in points(6):
            u, y = penalty.prox(z, step, weight), penalty.conjugate_prox(z / step, 1 / step, weight)
            np.testing.assert_allclose(u + step * y, z, atol=1e-13)
            for v in feasible:
                assert penalty.value(v, weight) >= penalty.value(u, weight) + y @ (v - u) - 1e-12


@over(WEIGHTED)
@given(a=st.lists(st.floats(-10, 10), min_size=2 * N, max_size=2 * N), step=st.floats(1e-3, 1e3))
def test_the_prox_is_firmly_nonexpansive(penalty: Penalty, weight: Array, a: list[float], step: float) -> None:
    x, z = np.array(a).reshape(2, N)
    moved = penalty.prox(x, step, weight) - penalty.prox(z, step, weight)
    assert moved @ (x - z) >= moved @ moved - 1e-10  # rounding: entries up to 10, times 1e-16, times 600


@over(WEIGHTED, "smoothed")
def test_the_smoothing_lies_above_and_tends_to_the_value(penalty: Penalty, weight: Array) -> None:
    for z in points(6):
        value = float(penalty.value(z, weight))
        for eps in (1.0, 1e-2, 1e-5):
            above = float(penalty.smoothed(z, weight, eps)) - value
            assert -1e-12 <= above <= N * np.max(weight) * eps + 1e-12  # eps an entry; linf: eps log(2 N) = 2.5 eps


# Entropies


@over(WEIGHTED, "mirror")
def test_the_mirror_map_minimises_and_inverts_the_gradient_of_the_entropy(penalty: Penalty, weight: Array) -> None:
    c = points(4)
    z = penalty.mirror(c, weight)
    stationary = c + penalty.entropy_gradient(z, weight)
    normal = stationary.mean(axis=-1, keepdims=True) if penalty.name == "simplex" else 0.0  # the multiplier of the sum
    np.testing.assert_allclose(stationary, normal + 0 * c, atol=1e-8)  # artanh loses the digits of 1 - tanh(5)^2 = 2e-4
    np.testing.assert_allclose(penalty.prox(z, 1.0, weight), z, atol=1e-12)  # inside the set
    np.testing.assert_allclose(penalty.mirror(-penalty.entropy_gradient(z, weight), weight), z, rtol=1e-12)
    slope = points(4, seed=1)
    step = penalty.mirror_step(z, slope, weight)
    expected = penalty.mirror(slope - penalty.entropy_gradient(z, weight), weight)
    np.testing.assert_allclose(step, expected, rtol=1e-9, atol=1e-10)


@over(WEIGHTED, "mirror")
def test_the_entropy_is_as_convex_as_it_says(penalty: Penalty, weight: Array) -> None:
    a, b = penalty.mirror(points(50), weight), penalty.mirror(points(50, seed=1), weight)
    slopes = penalty.entropy_gradient(a, weight) - penalty.entropy_gradient(b, weight)
    rise, squares = (slopes * (a - b)).sum(axis=-1), ((a - b) ** 2).sum(axis=-1)
    assert (rise >= penalty.entropy_convexity(weight) * squares - 1e-12).all()


@over(WEIGHTED, "mirror")
def test_mirror_steps_stay_finite_on_the_boundary(penalty: Penalty, weight: Array) -> None:
    z = penalty.prox(points(6), 1.0, weight)
    moved = penalty.mirror_step(z, 30 * points(6, seed=1), weight)
    assert np.isfinite(moved).all()
    np.testing.assert_allclose(penalty.prox(moved, 1.0, weight)[z != 0], moved[z != 0], rtol=1e-12, atol=1e-15)


# Manifolds: the prox lands on them, and moves along them as the formula of partial smoothness says


def torch_hessian(f: Any, z: Array) -> tuple[Array, Array]:
    import torch

    t = torch.from_numpy(z.copy())
    return torch.func.grad(f)(t).numpy(), torch.func.jacrev(torch.func.grad(f))(t).numpy()


def jacobian(penalty: Penalty, z: Array, step: float, weight: Array) -> Array:
    import torch

    w = torch.from_numpy(weight.copy())
    return torch.func.jacrev(lambda t: penalty.prox(t, step, w))(torch.from_numpy(z.copy())).numpy()


@over(WEIGHTED, "manifold")
def test_the_derivative_of_the_prox_is_that_of_partial_smoothness(penalty: Penalty, weight: Array) -> None:
    """du = B (B^T (I/s + Hess G) B + curvature(grad F + grad G))^{-1} B^T dz/s: autodiff has each prox."""
    import torch

    step, dimensions = 0.8, set()
    for z in points(9):
        u = penalty.prox(z, step, weight)
        manifold = penalty.manifold(u, weight, tolerance=1e-12)
        w = torch.from_numpy(weight.copy())
        slope, hessian = torch_hessian(lambda v, m=manifold, w=w: m.representative(v, w), u)
        basis, gradient = manifold.basis, (u - z) / step + slope
        np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-14)
        np.testing.assert_allclose(basis.T @ gradient, 0, atol=1e-12)  # u is critical on the manifold
        inner = basis.T @ (np.eye(N) / step + hessian) @ basis + manifold.curvature(gradient)
        np.testing.assert_allclose(inner, inner.T, atol=1e-10)
        expected = basis @ np.linalg.solve(inner, basis.T) / step
        np.testing.assert_allclose(jacobian(penalty, z, step, weight), expected, atol=1e-9)
        dimensions.add(basis.shape[1])
    smooth = penalty.name in ("squared-l2", "quadratic-potential", "huber", "zero")
    assert dimensions == {N} if smooth else len(dimensions) > 1  # several manifolds were seen


@over(WEIGHTED, "manifold")
def test_the_representative_is_the_value_on_the_manifold(penalty: Penalty, weight: Array) -> None:
    for z in points(9):
        u = penalty.prox(z, 0.8, weight)
        manifold = penalty.manifold(u, weight, tolerance=1e-12)
        move = 1e-3 * manifold.basis @ np.ones(manifold.basis.shape[1])
        for v in (u, of_rank_of(u, u + move) if isinstance(penalty, Nuclear) else u + move):
            assert manifold.representative(v, weight) == pytest.approx(float(penalty.value(v, weight)), abs=1e-12)


def of_rank_of(u: Array, v: Array) -> Array:
    """v truncated to the rank of u."""
    rank = np.linalg.matrix_rank(u.reshape(2, 3), tol=1e-10)
    left, s, right = np.linalg.svd(v.reshape(2, 3), full_matrices=False)
    return np.ravel((left[:, :rank] * s[:rank]) @ right[:rank])


@pytest.mark.parametrize("penalty", [L1(), Nuclear((2, 3))], ids=lambda p: p.name)
def test_the_tangent_of_a_term_is_that_of_its_penalty_under_the_operator(penalty: Penalty) -> None:
    """argmin 1/2 |v - y|^2 + g(Q v) with Q orthogonal is Q^T prox(Q y): its derivative is known."""
    import torch

    q = np.linalg.qr(np.random.default_rng(2).standard_normal((N, N)))[0]
    term, w = (
        Term(penalty, Dense(), lambda theta: theta.new_tensor(0.7) if hasattr(theta, "new_tensor") else np.asarray(0.7)),
        0.7,
    )
    for y in points(6):
        v = q.T @ penalty.prox(q @ y, 1.0, np.asarray(w))
        manifold = tangent(term, q, v, tolerance=1e-10)
        slope, hessian = torch_hessian(lambda t, m=manifold: m.representative(t, torch.from_numpy(q)), v)
        basis = manifold.basis
        inner = basis.T @ (np.eye(N) + hessian) @ basis + manifold.curvature(v - y + slope)
        expected = q.T @ jacobian(penalty, q @ y, 1.0, np.asarray(w)) @ q
        np.testing.assert_allclose(basis @ np.linalg.solve(inner, basis.T), expected, atol=1e-9)


def test_the_tangent_of_total_variation_is_the_kernel_of_the_zero_rows() -> None:
    d, v = np.diff(np.eye(N), axis=0), np.array([1.0, 1.0, 1.0, 2.0, 2.0, 0.0])
    manifold = tangent(Term(L1(), Dense()), d, v)
    assert manifold.basis.shape == (N, 3)
    np.testing.assert_allclose(d[[0, 1, 3]] @ manifold.basis, 0, atol=1e-14)
    assert manifold.representative(v, d) == pytest.approx(3.0, rel=1e-15)


# Array libraries

SAME = ("value", "prox", "conjugate_prox", "smoothed", "mirror", "entropy_gradient", "mirror_step")


def evaluated(penalty: Penalty, part: str, z: Any, weight: Any) -> Any:
    more = {"prox": (0.8,), "conjugate_prox": (0.8,), "mirror_step": (z / 2,)}
    if part == "entropy_gradient":
        return penalty.entropy_gradient(penalty.mirror(z / 3, weight), weight)  # artanh(tanh(9)) keeps 9 digits
    if part == "smoothed":
        return penalty.smoothed(z, weight, 0.1)
    return getattr(penalty, part)(z, *more.get(part, ()), weight)


@pytest.mark.parametrize("name", FRAMEWORKS)
@over(WEIGHTED)
def test_frameworks_compute_the_same_numbers(penalty: Penalty, weight: Array, name: str) -> None:
    framework, z = FRAMEWORKS[name], points(6)
    parts = [part for part in SAME if has(penalty, part) or part == "conjugate_prox"]
    with framework.active():
        arrays = framework.array(z), framework.array(weight)
        found = [to_numpy(evaluated(penalty, part, *arrays)) for part in parts]
    for part, value in zip(parts, found, strict=True):
        assert value.dtype == np.float64
        np.testing.assert_allclose(value, evaluated(penalty, part, z, weight), rtol=1e-12, atol=1e-13)


@over(WEIGHTED)
def test_a_batch_is_its_signals(penalty: Penalty, weight: Array) -> None:
    z = points(6)
    for part in SAME:
        if has(penalty, part):
            single = [evaluated(penalty, part, row, weight) for row in z]
            whole = evaluated(penalty, part, z, weight)
            np.testing.assert_allclose(whole, sum(single) if np.ndim(whole) == 0 else single, rtol=1e-12, atol=1e-14)


@over(WEIGHTED)
def test_reverse_mode_is_finite_at_zeros_and_the_same_in_jax(penalty: Penalty, weight: Array) -> None:
    import jax

    for z in (np.zeros(N), np.array([0.0, 1.0, 2.0, 0.0, 0.5, -1.0])):
        found = jacobian(penalty, z, 0.8, weight)
        assert np.isfinite(found).all()
        if penalty.name in ("l1", "l21", "linf", "nuclear") and not z.any():
            assert not found.any()  # the prox vanishes around 0
        if penalty.name != "nonnegative":  # which has its kink at 0
            with jax.enable_x64(True):
                other = jax.jacrev(lambda t: penalty.prox(t, 0.8, weight))(jax.numpy.asarray(z))
            np.testing.assert_allclose(found, other, atol=1e-12)
