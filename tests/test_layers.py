"""The drop-in layers of torch and JAX: gradients in W, y and beta, dtypes, batches, transformations, refusals, warnings."""

from __future__ import annotations

import copy
import os
import pickle
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import torch
from _exact import EXISTS, differences, matrix, prove, relative, solve_pattern
from _pulls import BY, RUNTIME_ERRORS, by_torch, each_layer

from methods.layers import AnalysisL1Layer, KinkWarning, analysis_l1
from problems import AnalysisL1
from problems.base import Array

EXACT = 1e-13  # rounding times a condition number of W0 below 4, as for the methods
SAME = 1e-14  # two orders of summation of the same numbers
ROUNDED = 2.0**-24  # half a unit in the last place of float32: all else is float64
SEEDS = {"random-2n": 2, "tv": 4}  # of instances whose kink distance exceeds 1e-3
OPERATORS = ("identity", "tv", "random", "random-2n")


@cache
def drawn(operator: str = "random", batch: int | None = None) -> AnalysisL1:
    return AnalysisL1.draw(n=9, operator=operator, batch=batch, seed=SEEDS.get(operator, 1))


each_batch = pytest.mark.parametrize("batch", [None, 3])


def slopes(problem: AnalysisL1) -> tuple[Array, float]:
    """dL/dy and dL/dbeta in 60 digits, at the proved pattern of every signal."""
    scale = 1 if problem.y.ndim == 1 else len(problem.y)
    in_y, in_beta = np.zeros_like(np.atleast_2d(problem.y)), 0.0
    for row, y, target in zip(in_y, np.atleast_2d(problem.y), np.atleast_2d(problem.target), strict=True):
        pattern = prove(problem.theta, y, problem.beta)
        w, exact = matrix(problem.theta), [mpmath.mpf(value) for value in y]

        def loss(at: tuple[Any, Any], w: Any = w, target: Array = target, pattern: Any = pattern) -> mpmath.mpf:
            x, _ = solve_pattern(w, *at, pattern)
            return sum((a - b) ** 2 for a, b in zip(x, target, strict=True)) / (2 * scale)

        def moved(j: int, h: mpmath.mpf, exact: list = exact) -> tuple[Any, Any]:
            return [value + h * (i == j) for i, value in enumerate(exact)], mpmath.mpf(problem.beta)

        row[:] = differences(len(y), moved, loss)
        in_beta += float(differences(1, lambda _, h, exact=exact: (exact, mpmath.mpf(problem.beta) + h), loss)[0])
    return in_y.reshape(problem.y.shape), in_beta


@each_batch
@pytest.mark.parametrize("operator", OPERATORS)
@each_layer
def test_solution_and_gradients_are_those_of_the_reference(layer: str, operator: str, batch: int | None) -> None:
    problem = drawn(operator, batch)
    reference = problem.reference()
    assert reference.status in EXISTS, reference.reason
    g, _ = problem.loss_grad(reference.solution, problem.theta)
    x, in_w, in_y, in_beta = BY[layer](problem.theta, problem.y, problem.beta, g)
    assert {a.dtype for a in (x, in_w, in_y, in_beta)} == {np.dtype(np.float64)}
    assert relative(x, reference.solution) < EXACT
    assert relative(in_w, reference.grad) < EXACT
    truth_y, truth_beta = slopes(problem)
    assert relative(in_y, truth_y) < EXACT
    assert in_beta == pytest.approx(truth_beta, rel=EXACT * 100)  # a sum of n terms that cancel to some per cent


@each_batch
@each_layer
def test_float32_is_the_rounded_result_of_float64(layer: str, batch: int | None) -> None:
    problem = drawn(batch=batch)
    inputs = [np.asarray(a, np.float32) for a in (problem.theta, problem.y, problem.beta, problem.y - problem.target)]
    single = BY[layer](*inputs)
    double = BY[layer](*(a.astype(np.float64) for a in inputs))
    for a, b in zip(single, double, strict=True):
        assert a.dtype == np.float32
        np.testing.assert_allclose(a, b, rtol=ROUNDED * (1 + 1e-6), atol=EXACT)


@each_layer
def test_mixed_dtypes_are_promoted_and_each_gradient_has_its_own(layer: str) -> None:
    problem = drawn()
    w, y = problem.theta.astype(np.float32), problem.y
    if layer == "torch":
        leaves = [torch.tensor(a, requires_grad=True) for a in (w, y)]
        x = AnalysisL1Layer(problem.beta)(*leaves)
        x.sum().backward()
        dtypes = [a.numpy().dtype for a in (x.detach(), *(leaf.grad for leaf in leaves))]
    else:
        with jax.enable_x64(True):
            x, pull_back = jax.vjp(lambda w, y: analysis_l1(w, y, problem.beta), w, y)
            dtypes = [a.dtype for a in (x, *pull_back(jnp.ones_like(x)))]
    assert dtypes == [np.float64, np.float32, np.float64]


@each_layer
def test_signals_that_go_another_way_share_a_batch(layer: str) -> None:
    problem = drawn("tv", 3)
    y = np.concatenate([problem.y[:1], np.zeros((1, 9)), problem.y[1:]])  # the compiled solver leaves y = 0 open
    g = np.random.default_rng(0).standard_normal(y.shape)
    together = BY[layer](problem.theta, y, problem.beta, g)
    apart = [by_torch(problem.theta, *pair) for pair in ((signal, problem.beta, h) for signal, h in zip(y, g, strict=True))]
    x, in_w, in_y, in_beta = map(np.stack, zip(*apart, strict=True))
    for a, b in zip(together, (x, in_w.sum(axis=0), in_y, in_beta.sum()), strict=True):
        np.testing.assert_allclose(a, b, atol=SAME * np.abs(b).max())


@each_layer
def test_a_small_beta_costs_its_gradient_no_digits(layer: str) -> None:
    problem = drawn()
    beta = 1e-9  # y - x* has 7 digits left
    g = np.random.default_rng(0).standard_normal(9)
    signs = np.sign(problem.theta @ problem.y)
    in_beta = BY[layer](problem.theta, problem.y, beta, g)[3]
    assert in_beta == pytest.approx(-(signs @ problem.theta) @ g, rel=EXACT)  # x* = y - beta W^T s


# torch


@each_batch
@pytest.mark.parametrize("operator", ["tv", "random-2n"])
def test_gradcheck(operator: str, batch: int | None) -> None:
    problem = drawn(operator, batch)
    assert problem.reference().kink_distance > 1e-4  # the pattern does not change within the step
    inputs = [torch.tensor(a, requires_grad=True) for a in (problem.theta, problem.y, np.asarray(problem.beta))]

    def layer(w: Any, y: Any, beta: Any) -> Any:
        return AnalysisL1Layer(beta)(w, y)

    # Step 1e-6: rounding 1e-16 / 1e-6 times numbers of order 1, curvature 1e-12 over margins of about 1e-2.
    assert torch.autograd.gradcheck(layer, inputs, eps=1e-6, atol=1e-7, rtol=1e-6)


@pytest.mark.parametrize("needed", [(w, y, b) for w in (0, 1) for y in (0, 1) for b in (0, 1)][1:])
def test_only_what_is_asked_for_is_returned(needed: tuple[int, int, int]) -> None:
    problem = drawn(batch=3)
    g = np.random.default_rng(0).standard_normal(problem.y.shape)
    arrays = (problem.theta, problem.y, np.asarray(problem.beta))
    inputs = [torch.tensor(a, requires_grad=bool(flag)) for a, flag in zip(arrays, needed, strict=True)]
    AnalysisL1Layer(inputs[2])(*inputs[:2]).backward(torch.tensor(g))
    for leaf, truth in zip(inputs, by_torch(*arrays, g)[1:], strict=True):
        if leaf.requires_grad:
            np.testing.assert_allclose(leaf.grad, truth, atol=SAME * np.abs(truth).max())
        else:
            assert leaf.grad is None


def test_any_layout_of_the_inputs_and_of_the_cotangent() -> None:
    problem = drawn("random-2n", 3)
    truth = by_torch(problem.theta, problem.y, problem.beta, np.ones_like(problem.y))
    w = torch.tensor(problem.theta.T.copy(), requires_grad=True)
    y = torch.tensor(problem.y.repeat(2, axis=1))[:, ::2]
    x = AnalysisL1Layer(problem.beta)(w.T, y)
    x.sum().backward()  # an expanded cotangent
    np.testing.assert_array_equal(x.detach(), truth[0])
    assert relative(w.grad.T, truth[1]) < SAME


def test_beta_is_learnt_where_it_is_a_parameter() -> None:
    problem = drawn(batch=3)
    layer = AnalysisL1Layer(torch.nn.Parameter(torch.tensor(problem.beta, dtype=torch.float64)))
    assert [name for name, _ in layer.named_parameters()] == ["beta"]
    w, y, target = map(torch.tensor, (problem.theta, problem.y, problem.target))
    optimiser = torch.optim.SGD(layer.parameters(), lr=1e-2)
    losses = []
    for _ in range(5):
        optimiser.zero_grad()
        loss = ((layer(w, y) - target) ** 2).sum()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert all(b < a for a, b in pairwise(losses))


def test_the_module_can_be_printed_copied_and_pickled() -> None:
    layer = AnalysisL1Layer(0.25)
    learnt = AnalysisL1Layer(torch.nn.Parameter(torch.tensor(0.25)))
    assert repr(layer) == repr(learnt) == "AnalysisL1Layer(beta=0.25)"
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert isinstance(other, AnalysisL1Layer) and other.beta == 0.25


def test_nothing_is_kept_where_no_gradient_is_asked_for() -> None:
    problem = drawn()
    layer = AnalysisL1Layer(problem.beta)
    w, y = torch.tensor(problem.theta, requires_grad=True), torch.tensor(problem.y)
    with torch.no_grad():
        x = layer(w, y)
    assert not x.requires_grad and relative(x, problem.reference().solution) < EXACT
    x.zero_()  # a tensor of its own
    assert relative(layer(w, y).detach(), problem.reference().solution) < EXACT


def test_inputs_changed_in_place_before_the_backward_pass_are_refused() -> None:
    problem = drawn()
    w, y = torch.tensor(problem.theta, requires_grad=True), torch.tensor(problem.y)
    x = AnalysisL1Layer(problem.beta)(w, y)
    with torch.no_grad():
        w.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        x.sum().backward()


def test_the_output_may_be_changed_in_place() -> None:
    problem = drawn()
    truth = by_torch(problem.theta, problem.y, problem.beta, np.full(9, 3.0))
    w = torch.tensor(problem.theta, requires_grad=True)
    AnalysisL1Layer(problem.beta)(w, torch.tensor(problem.y)).mul_(3).sum().backward()
    np.testing.assert_allclose(w.grad, truth[1], rtol=0, atol=SAME * np.abs(truth[1]).max())


def negative_view(a: Any) -> Any:
    """The same values, as the imaginary part of a conjugate, whose memory is that of the number itself."""
    view = torch.complex(torch.zeros_like(a), -a).conj().imag
    assert view.is_neg()
    return view


@pytest.mark.parametrize("spoilt", ["w", "y", "g"])
def test_negative_views_are_seen(spoilt: str) -> None:
    """Their memory holds the values with the other sign."""
    problem = drawn("random-2n")
    arrays = {"w": problem.theta, "y": problem.y, "g": np.random.default_rng(0).standard_normal(problem.y.shape)}
    truth = by_torch(arrays["w"], arrays["y"], problem.beta, arrays["g"])
    w, y, g = (negative_view(torch.tensor(a)) if name == spoilt else torch.tensor(a) for name, a in arrays.items())
    x = AnalysisL1Layer(problem.beta)(w.requires_grad_(), y)
    x.backward(g)
    np.testing.assert_array_equal(x.detach(), truth[0])
    assert relative(w.grad, truth[1]) < SAME


def test_w_may_be_replaced_between_the_passes() -> None:
    problem = drawn()
    truth = by_torch(problem.theta, problem.y, problem.beta, np.ones(9))
    w = torch.nn.Parameter(torch.tensor(problem.theta))
    x = AnalysisL1Layer(problem.beta)(w, torch.tensor(problem.y))
    w.data = torch.ones(9, 9, dtype=torch.float64)  # which autograd does not see
    x.sum().backward()
    assert relative(w.grad, truth[1]) < SAME


# JAX


def cotangent_of(w: Any, y: Any, beta: Any) -> Any:
    """All three gradients of a loss that is no sum over the entries."""
    return jax.grad(lambda *inputs: (analysis_l1(*inputs) ** 3).sum(), argnums=(0, 1, 2))(w, y, beta)


@each_batch
def test_jit_changes_nothing(batch: int | None) -> None:
    problem = drawn(batch=batch)
    with jax.enable_x64(True):
        for f in (analysis_l1, cotangent_of):
            eager, jitted = (g(problem.theta, problem.y, problem.beta) for g in (f, jax.jit(f)))
            jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=SAME * np.abs(b).max()), jitted, eager)


AXES: tuple[tuple[tuple[int | None, ...], ...], ...] = (
    ((None, 0, None),),
    ((0, None, None),),
    ((0, 0, None),),
    ((None, None, 0),),
    ((0, 0, 0),),
    ((0, None, None), (None, 0, None)),
    ((None, 0, None), (0, None, 0)),
)


@each_batch
@pytest.mark.parametrize("axes", AXES, ids=str)
def test_vmap_is_the_loop(axes: tuple[tuple[int | None, ...], ...], batch: int | None) -> None:
    problem = drawn(batch=batch)
    rng, sizes = np.random.default_rng(0), (2, 3)[: len(axes)]
    inputs = []
    for i, value in enumerate((problem.theta, problem.y, np.asarray(problem.beta))):
        lead = tuple(size for size, axis in zip(sizes, axes, strict=True) if axis[i] == 0)
        inputs.append(value * (1 + 0.05 * rng.standard_normal(lead + (1,) * value.ndim)))

    def loop(f: Callable[..., Any], axes: Any) -> Callable[..., Any]:
        if not axes:
            return f

        def looped(*args: Any) -> Any:
            size = next(len(a) for a, axis in zip(args, axes[0], strict=True) if axis == 0)
            picks = [[a if axis is None else a[i] for a, axis in zip(args, axes[0], strict=True)] for i in range(size)]
            return jax.tree.map(lambda *parts: np.stack(parts), *(loop(f, axes[1:])(*pick) for pick in picks))

        return looped

    with jax.enable_x64(True):
        for f in (analysis_l1, cotangent_of):
            mapped = f
            for axis in reversed(axes):
                mapped = jax.vmap(mapped, in_axes=axis)
            found, truth = jax.jit(mapped)(*inputs), loop(f, axes)(*inputs)
            jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=SAME * np.abs(b).max()), found, truth)


def test_the_jacobian_in_y_is_the_projector() -> None:
    problem = drawn("tv")
    with jax.enable_x64(True):
        p = np.asarray(jax.jacrev(analysis_l1, argnums=1)(problem.theta, problem.y, problem.beta))
    zero = problem.theta[problem.pattern(problem.theta) == 0]
    np.testing.assert_allclose(p, np.eye(9) - np.linalg.pinv(zero) @ zero, atol=EXACT)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs a process that can be bound to one core")
def test_one_core_is_enough() -> None:
    """JAX copies what exceeds 100 KB on threads of its own; with one core there is one, and the callback runs on it."""
    code = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import jax, numpy as np
from methods.layers import analysis_l1
step = jax.jit(jax.value_and_grad(lambda w, y: (analysis_l1(w, y, 0.1) ** 2).sum()))
rng = np.random.default_rng(0)
w, y = np.eye(300, dtype=np.float32), rng.standard_normal((100, 300)).astype(np.float32)
for _ in range(5):
    value, grad = step(w, y)
    jax.block_until_ready(grad)
print(float(value))
"""
    root = Path(__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True, timeout=60)
    y = np.random.default_rng(0).standard_normal((100, 300)).astype(np.float32)
    assert float(done.stdout) == pytest.approx((np.maximum(np.abs(y) - 0.1, 0) ** 2).sum(), rel=1e-5)  # sums of float32


# Kinks

DEPENDENT = np.diff(np.eye(6), axis=0)[[0, 1, 2, 3, 4, 0]]  # row 0 twice, and flat there
FLAT = np.array([1.0, 1.02, 0.98, -0.5, -0.52, 0.03])


@each_batch
@each_layer
def test_a_kink_warns_in_the_backward_pass(layer: str, batch: int | None) -> None:
    y = FLAT if batch is None else np.stack([FLAT] * batch)
    with pytest.warns(KinkWarning, match="x\\* may have no gradient here: dependent zero rows") as caught:
        BY[layer](DEPENDENT, y, 0.1, np.ones_like(y))
    assert len(caught) == 1


def test_the_warning_is_shown_once() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.resetwarnings()
        for _ in range(3):
            by_torch(DEPENDENT, FLAT, 0.1, np.ones(6))
    assert [warning.category for warning in caught] == [KinkWarning]


def test_dependent_rows_are_no_kink_in_y_and_beta() -> None:
    y, beta = torch.tensor(FLAT, requires_grad=True), torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
    g = np.random.default_rng(0).standard_normal(6)
    AnalysisL1Layer(beta)(torch.tensor(DEPENDENT), y).backward(torch.tensor(g))  # warnings are errors
    once = by_torch(DEPENDENT[:5] * np.array([2, 1, 1, 1, 1])[:, None], FLAT, 0.1, g)  # |w x| + |w x| = |2 w x|
    np.testing.assert_allclose(y.grad, once[2], atol=EXACT)
    assert float(beta.grad) == pytest.approx(float(once[3]), rel=EXACT * 100)  # terms that cancel


# Refusals

W, Y = np.eye(3), np.arange(3.0)
BAD = [
    ((np.ones((3, 2)), Y, 0.1), "W must have shape (..., k, n) with k > 0 and n = 3 as y has, got (3, 2); pass W.T"),
    ((np.ones((2, 2)), Y, 0.1), "W must have shape (..., k, n) with k > 0 and n = 3 as y has, got (2, 2)"),
    ((np.ones((0, 3)), Y, 0.1), "W must have shape (..., k, n) with k > 0 and n = 3 as y has, got (0, 3)"),
    ((np.ones(3), Y, 0.1), "W must have shape (..., k, n) with k > 0 and n = 3 as y has, got (3,)"),
    ((W, np.ones((2, 0)), 0.1), "y must have shape (..., n) with n > 0, got (2, 0)"),
    (
        (np.ones((4, 2, 3)), np.ones((5, 3)), 0.1),
        "W must have shape (..., k, n), its leading axes to be broadcast with (5,), got (4, 2, 3)",
    ),
    ((W, np.arange(3, dtype=np.int32), 0.1), "y must be float32 or float64, got {}int32; convert it first"),
    ((W.astype(np.float16), Y, 0.1), "W must be float32 or float64, got {}float16; convert it first"),
    ((W, Y, 0.0), "beta must be a finite number > 0, got 0"),
    ((W, Y, -1.5), "beta must be a finite number > 0, got -1.5"),
    ((W, Y, float("nan")), "beta must be a finite number > 0, got nan"),
]
HIDDEN = [  # what JAX sees when the compiled code runs
    ((W, np.array([0.0, np.nan, 1.0]), 0.1), "y must be finite, got 1 NaN or infinite entries"),
    ((np.full((3, 3), np.inf), Y, 0.1), "W must be finite, got 9 NaN or infinite entries"),
]


@pytest.mark.parametrize(("inputs", "message"), BAD + HIDDEN, ids=range(len(BAD + HIDDEN)))
def test_torch_refuses_in_one_line(inputs: tuple[Any, Any, Any], message: str) -> None:
    w, y, beta = inputs
    with pytest.raises(ValueError, match=f"^{re.escape(message.format('torch.'))}$"):
        AnalysisL1Layer(beta)(torch.tensor(w), torch.tensor(y))


@pytest.mark.parametrize(("inputs", "message"), BAD, ids=range(len(BAD)))
def test_jax_refuses_in_one_line(inputs: tuple[Any, Any, Any], message: str) -> None:
    with jax.enable_x64(True), pytest.raises(ValueError, match=f"^{re.escape(message.format(''))}$"):
        analysis_l1(*inputs)


@pytest.mark.parametrize(("inputs", "message"), HIDDEN, ids=range(len(HIDDEN)))
def test_jax_passes_on_what_the_solver_refuses(inputs: tuple[Any, Any, Any], message: str) -> None:
    with jax.enable_x64(True), pytest.raises(RUNTIME_ERRORS, match=f"ValueError: {re.escape(message)}"):
        jax.block_until_ready(analysis_l1(*inputs))


# Loading


def test_a_framework_is_loaded_when_its_layer_is() -> None:
    code = """
import sys
import methods.layers
assert not {"torch", "jax", "cffi"} & set(sys.modules)
from methods.layers import AnalysisL1Layer
assert "torch" in sys.modules and not "jax" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent.parent, check=True, timeout=60)
    with pytest.raises(AttributeError, match="has no attribute 'Layer'"):
        from methods import layers

        _ = layers.Layer
