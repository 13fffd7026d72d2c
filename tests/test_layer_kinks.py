"""Where x* has no derivative the layers warn, by whichever transform it is asked for; where it has one they do not."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from _exact import image_tv
from _pulls import RUNTIME_ERRORS

from methods.layers import AnalysisL1Layer, KinkWarning, analysis_l1
from problems import AnalysisL1
from problems.base import Array

CIRCULAR = np.roll(np.eye(6), 1, axis=1) - np.eye(6)
TV = np.diff(np.eye(6), axis=0)
TWICE = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
STAIRS = np.arange(3.0) + np.array([[0.0], [2.0], [0.0]])
KINKS = {  # W, y, beta
    "a row twice": (TWICE, np.array([0.5, 3.0]), 1.0),
    "a zero row at the bound": (TWICE, np.array([3.0, 1.0]), 1.0),
    "constant": (CIRCULAR, np.full(6, 0.5), 0.1),
    "constant image": (image_tv(3), np.full(9, 0.5), 0.1),
    "padded": (image_tv(4), np.pad([[1.0, -2.0]], ((0, 3), (0, 2))).ravel(), 0.1),
    "repeated": (np.concatenate([np.eye(6)] * 2), np.tile([0.05, 1.0, -2.0], 2), 0.1),
}
each_kink = pytest.mark.parametrize("kink", KINKS.values(), ids=KINKS)


@each_kink
def test_these_are_kinks(kink: tuple[Array, Array, float]) -> None:
    w, y, beta = kink
    assert AnalysisL1(w, y, np.linspace(0.1, 1.0, y.size), beta).reference().status == "kink"


def torch_backward(w: Any, y: Any, beta: float) -> None:
    AnalysisL1Layer(beta)(torch.tensor(w, requires_grad=True), torch.tensor(y)).sum().backward()


def torch_grad(w: Any, y: Any, beta: float) -> None:
    torch.func.grad(lambda w: AnalysisL1Layer(beta)(w, torch.tensor(y)).sum())(torch.tensor(w))


def torch_jvp(w: Any, y: Any, beta: float) -> None:
    w, y = torch.tensor(w), torch.tensor(y)
    torch.func.jvp(lambda w: AnalysisL1Layer(beta)(w, y), (w,), (torch.ones_like(w),))


def torch_vmap(w: Any, y: Any, beta: float) -> None:
    """Of grad, over W as well where there is a batch of it."""
    w, y = (torch.tensor(a) for a in together(w, y))
    torch.func.vmap(torch.func.grad(lambda w, y: AnalysisL1Layer(beta)(w, y).sum()))(w, y)


def jax_grad(w: Any, y: Any, beta: float) -> None:
    jax.block_until_ready(jax.jit(jax.grad(lambda w: analysis_l1(w, y, beta).sum()))(w))


def jax_jvp(w: Any, y: Any, beta: float) -> None:
    jax.block_until_ready(jax.jvp(lambda w: analysis_l1(w, y, beta), (w,), (jnp.ones_like(w),)))


def jax_vmap(w: Any, y: Any, beta: float) -> None:
    slope = jax.grad(lambda w, y: analysis_l1(w, y, beta).sum())
    jax.block_until_ready(jax.jit(jax.vmap(slope))(*together(w, y)))


def together(w: Any, y: Any) -> tuple[Any, Any]:
    """With a leading axis of the same length."""
    y = np.atleast_2d(y)
    return np.broadcast_to(w, (len(y), *w.shape[-2:])).copy(), y


WAYS: list[Callable[..., None]] = [torch_backward, torch_grad, torch_jvp, torch_vmap, jax_grad, jax_jvp, jax_vmap]
each_way = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)


@pytest.mark.parametrize("batch", [None, 2])
@each_kink
@each_way
def test_a_kink_warns(way: Callable[..., None], kink: tuple[Array, Array, float], batch: int | None) -> None:
    w, y, beta = kink
    with jax.enable_x64(True), pytest.warns(KinkWarning, match=r"^x\* may have no gradient here: "):
        way(w, y if batch is None else np.stack([y] * batch), beta)


@each_way
def test_a_kink_among_other_signals_warns(way: Callable[..., None]) -> None:
    y = np.stack([np.arange(6.0) * 0.7, np.full(6, 0.5), np.sin(np.arange(6.0))])
    with jax.enable_x64(True), pytest.warns(KinkWarning):
        way(CIRCULAR, y, 0.1)


@pytest.mark.parametrize("batch", [None, 2])
@pytest.mark.parametrize("w", [CIRCULAR, TV, np.concatenate([np.eye(6)] * 2)], ids=["circular TV", "TV", "[I; I]"])
@each_way
def test_a_zero_signal_does_not_warn(way: Callable[..., None], w: Array, batch: int | None) -> None:
    """x* = 0 for every W: its gradient in W is 0."""
    with jax.enable_x64(True):
        way(w, np.zeros(6) if batch is None else np.zeros((batch, 6)), 0.1)  # warnings are errors


def test_the_gradient_of_a_zero_signal_is_zero() -> None:
    w, y = torch.tensor(CIRCULAR, requires_grad=True), torch.zeros(6, dtype=torch.float64)
    AnalysisL1Layer(0.1)(w, y).sum().backward()
    assert w.grad.abs().max() == 0


@pytest.mark.parametrize("own", [False, True], ids=["W shared", "W of each signal"])
@each_way
def test_a_hundred_kinks_warn_once_for_each_reason(way: Callable[..., None], own: bool) -> None:
    y = np.repeat([KINKS["a row twice"][1], KINKS["a zero row at the bound"][1]], 50, axis=0)
    with jax.enable_x64(True), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        way(np.stack([TWICE] * 100) if own else TWICE, y, 1.0)
    found = [warning for warning in caught if warning.category is KinkWarning]
    assert 1 <= len(found) <= 2 and len(caught) == len(found)
    assert "dependent zero rows" in " ".join(str(warning.message) for warning in found)


@each_kink
@each_way
def test_a_kink_raises_where_warnings_are_errors(way: Callable[..., None], kink: tuple[Array, Array, float]) -> None:
    error = RUNTIME_ERRORS if way.__name__.startswith("jax") else KinkWarning
    with jax.enable_x64(True), pytest.raises(error, match=r"x\* may have no gradient here: "):
        way(*kink)
