"""Linear operators, those that pylops has too against it: adjoint, matrix, norm, pullback, all array libraries."""

from __future__ import annotations

from typing import Any

import numpy as np
import pylops
import pytest

from methods import to_numpy
from methods.calculus.frameworks import FRAMEWORKS
from problems.base import Array
from problems.operators.differences import Differences1D, Differences2D
from problems.operators.fixed import Fixed
from problems.operators.fourier import Fourier2D, radial_mask
from problems.operators.parametrisations import Dense, Parametrisation, Weighted
from problems.operators.stencil import Stencil, gaussian

H, W = 4, 5
RNG = np.random.default_rng(3)
NONE, KERNEL, LINE = np.zeros(()), RNG.standard_normal((3, 3)), RNG.standard_normal(4)
MASK = radial_mask((H, W), 3)
# name -> (operator, theta, n, the same of pylops or a matrix)
OPERATORS: dict[str, tuple[Parametrisation, Array, int, Any]] = {
    "dense": (Dense(), RNG.standard_normal((3, 6)), 6, None),
    "weighted": (Weighted(RNG.standard_normal((3, 6))), RNG.standard_normal(3), 6, None),
    "fixed": (Fixed(RNG.standard_normal((3, 6))), NONE, 6, None),
    "differences-1d": (Differences1D(7), NONE, 7, np.diff(np.eye(7), axis=0)),
    "differences-2d": (
        Differences2D(H, W),
        NONE,
        H * W,
        pylops.VStack([pylops.FirstDerivative((H, W), axis=axis, kind="forward") for axis in (1, 0)]),
    ),
    "gradient-of-pylops": (Fixed.of(pylops.Gradient((H, W), kind="forward")), NONE, H * W, None),
    "stencil-1d": (Stencil((7,), (4,)), LINE, 7, None),
    "stencil-2d": (Stencil((H, W), (3, 3)), KERNEL, H * W, None),
    "blur": (Fixed(gaussian((3, 3), 1.0), Stencil((H, W), (3, 3))), NONE, H * W, None),
    "fourier": (Fourier2D(MASK), NONE, H * W, None),
}
each = pytest.mark.parametrize("name", OPERATORS)


def drawn(name: str, batch: tuple[int, ...] = ()) -> tuple[Parametrisation, Array, Array, Array]:
    """(operator, theta, x, z)."""
    operator, theta, n, _ = OPERATORS[name]
    rng = np.random.default_rng(5)
    return operator, theta, rng.standard_normal((*batch, n)), rng.standard_normal((*batch, operator.rows_of(theta)))


@each
def test_the_adjoint_is_the_adjoint_and_the_matrix_the_matrix(name: str) -> None:
    operator, theta, x, z = drawn(name, (3,))
    k = operator.matrix(theta)
    assert k.shape == (z.shape[-1], x.shape[-1])
    np.testing.assert_allclose(operator.apply(theta, x), x @ k.T, atol=1e-13)
    np.testing.assert_allclose(operator.adjoint(theta, z), z @ k, atol=1e-13)
    np.testing.assert_allclose(operator.apply(theta, x[0]), k @ x[0], atol=1e-13)
    rows = operator.sparse(theta)
    if rows is not None:
        np.testing.assert_allclose(rows.toarray(), k, atol=1e-14)


@each
def test_the_norm_is_the_norm(name: str) -> None:
    operator, theta, _, _ = drawn(name)
    truth = np.linalg.norm(operator.matrix(theta), 2) ** 2
    assert truth <= operator.square_norm(theta) * (1 + 1e-12)
    assert operator.square_norm(theta) <= truth * (1 + 1e-12)  # of a mask that holds -k with k too


@each
@pytest.mark.parametrize("batch", [(), (3,)])
def test_the_pullback_is_that_of_autodiff(name: str, batch: tuple[int, ...]) -> None:
    import torch

    operator, theta, x, z = drawn(name, batch)
    leaf, u, v = torch.from_numpy(theta.copy()).requires_grad_(), torch.from_numpy(z), torch.from_numpy(x)
    inner = torch.sum(u * operator.apply(leaf, v)) + 0 * leaf.sum()
    expected = torch.autograd.grad(inner, leaf)[0].numpy()
    found = operator.pullback(theta, z, x)
    assert found.shape == theta.shape
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("library", FRAMEWORKS)
@each
def test_frameworks_compute_the_same_numbers(name: str, library: str) -> None:
    operator, theta, x, z = drawn(name, (2,))
    framework = FRAMEWORKS[library]
    with framework.active():
        t, u, v = (framework.array(part) for part in (theta, x, z))
        found = [to_numpy(part) for part in (operator.apply(t, u), operator.adjoint(t, v), operator.matrix(t))]
    for value, truth in zip(found, (operator.apply(theta, x), operator.adjoint(theta, z), operator.matrix(theta)), strict=True):
        assert value.dtype == np.float64
        np.testing.assert_allclose(value, truth, atol=1e-13)


@pytest.mark.parametrize("name", [name for name, (*_, judge) in OPERATORS.items() if judge is not None])
def test_matrix_free_operators_are_those_of_pylops(name: str) -> None:
    operator, theta, _, judge = OPERATORS[name]
    np.testing.assert_allclose(operator.matrix(theta), judge if isinstance(judge, np.ndarray) else judge.todense(), atol=1e-14)


def test_convolutions_are_those_of_pylops_away_from_the_edge() -> None:
    """pylops pads with zeros, ours is periodic: the same where the kernel stays inside."""
    plane = pylops.signalprocessing.Convolve2D((H, W), KERNEL, offset=(1, 1)).todense()
    inside = np.arange(H * W).reshape(H, W)[1:-1, 1:-1].ravel()
    np.testing.assert_allclose(Stencil((H, W), (3, 3)).matrix(KERNEL)[inside], plane[inside], atol=1e-14)
    line = pylops.signalprocessing.Convolve1D(9, LINE, offset=2).todense()
    np.testing.assert_allclose(Stencil((9,), (4,)).matrix(LINE)[2:-2], line[2:-2], atol=1e-14)


def test_the_subsampled_transform_is_that_of_pylops() -> None:
    kept = np.flatnonzero(MASK)
    transform = pylops.Restriction(H * W, kept, dtype="complex128") * pylops.signalprocessing.FFT2D((H, W), norm="ortho")
    matrix = transform.todense()
    np.testing.assert_allclose(Fourier2D(MASK).matrix(NONE), np.concatenate([matrix.real, matrix.imag]), atol=1e-14)


def test_a_radial_mask_is_symmetric_holds_zero_and_grows_with_its_lines() -> None:
    for lines in (1, 3, 8):
        mask = radial_mask((8, 8), lines)
        assert mask[0, 0]
        inner = np.fft.fftshift(mask)[1:, 1:]  # -4 has no partner
        np.testing.assert_array_equal(inner, inner[::-1, ::-1])
    assert radial_mask((8, 8), 1).sum() == 8 < radial_mask((8, 8), 4).sum() < 64


REFUSED = [
    (Differences1D(7), NONE, 6, r"K must have shape \(k, n\) with n = 6 as y has, got \(6, 7\)"),
    (Stencil((7,), (4,)), LINE, 6, r"shape must have the product n = 6 as y has, got \(7,\)"),
    (Stencil((7,), (3,)), LINE, 7, r"theta \(kernel\) must have shape \(3,\), got \(4,\)"),
    (Fixed(np.ones((2, 3))), NONE, 2, r"must have shape \(k, n\) with n = 2 as y has, got \(2, 3\)"),
]


@pytest.mark.parametrize(("operator", "theta", "n", "message"), REFUSED)
def test_bad_shapes_are_named(operator: Parametrisation, theta: Array, n: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        operator.check(theta, n)
