"""What the layers take and what they refuse: shapes, sparse W, types and values; and what their documentation says."""

from __future__ import annotations

import importlib
import inspect
import pickle
import pydoc
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse
import torch
from _exact import relative
from _layers import N, inputs
from _pulls import BY, RUNTIME_ERRORS, each_layer

from methods import layers
from methods.layers import AnalysisL1Layer, analysis_l1
from problems.base import Array

SAME = 1e-14  # two orders of summation of the same numbers
FLOAT32 = 2.0**-23  # two roundings
Shape = tuple[int, ...]

# Shapes

LEADING: list[tuple[Shape, Shape, Shape]] = [  # of W, y and beta
    ((), (), ()),
    ((), (1,), ()),
    ((), (0,), ()),
    ((), (3,), ()),
    ((), (2, 3), ()),
    ((), (2, 0, 3), ()),
    ((), (2, 1, 3), ()),
    ((3,), (3,), ()),
    ((1,), (3,), ()),
    ((3,), (1,), ()),
    ((3,), (), ()),
    ((0,), (0,), ()),
    ((2, 1), (3,), ()),
    ((2, 3), (2, 3), ()),
    ((3,), (2, 1), ()),
    ((), (3,), (1,)),
    ((), (3,), (3,)),
    ((), (2, 3), (3,)),
    ((), (2, 3), (2, 1)),
    ((3,), (3,), (3,)),
]


def drawn(leading: tuple[Shape, Shape, Shape]) -> list[Array]:
    """W, y and beta with these axes in front, every entry moved by some per cent."""
    rng = np.random.default_rng(0)
    values = zip(inputs(np.float64), leading, strict=False)
    return [a * (1 + 0.05 * rng.standard_normal(front + a.shape)) for a, front in values]


def summed(a: Array, shape: Shape) -> Array:
    """Over the axes along which `shape` was broadcast."""
    a = a.sum(axis=tuple(range(a.ndim - len(shape))))
    return a.sum(axis=tuple(i for i, size in enumerate(shape) if size == 1 != a.shape[i]), keepdims=True)


def by_loop(layer: str, w: Array, y: Array, beta: Array, g: Array) -> list[tuple[Array, float]]:
    """x* and the cotangents one signal at a time, and the largest entry of each before the sums, whose terms may cancel."""
    front = g.shape[:-1]
    spread = [np.broadcast_to(a, front + a.shape[a.ndim - own :]) for a, own in ((w, 2), (y, 1), (beta, 0))]
    found = [np.empty(front + shape) for shape in ((N,), w.shape[-2:], (N,), ())]
    for i in np.ndindex(front):
        for kept, part in zip(found, BY[layer](*(a[i] for a in spread), g[i]), strict=True):
            kept[i] = part
    totals = [found[0], *(summed(a, b.shape) for a, b in zip(found[1:], (w, y, beta), strict=True))]
    return [(total, np.abs(a).max(initial=0.0)) for total, a in zip(totals, found, strict=True)]


@pytest.mark.parametrize("leading", LEADING, ids=str)
@each_layer
def test_leading_axes_broadcast_and_give_what_a_loop_gives(layer: str, leading: tuple[Shape, Shape, Shape]) -> None:
    values = drawn(leading)
    g = np.random.default_rng(1).standard_normal((*np.broadcast_shapes(*leading), N))
    found = BY[layer](*values, g)
    assert [a.shape for a in found] == [g.shape, *(a.shape for a in values)]
    for a, (b, largest) in zip(found, by_loop(layer, *values, g), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=SAME * largest)


BAD_SHAPES: list[tuple[str, Shape, Shape, Shape]] = [
    ("W", (N,), (N,), ()),
    ("W", (), (N,), ()),
    ("W", (0, N), (N,), ()),
    ("W", (N, N - 1), (N,), ()),
    ("W", (N - 1, N), (N - 1,), ()),
    ("y", (N, N), (), ()),
    ("y", (N, N), (0,), ()),
    ("y", (N, N), (3, 0), ()),
    ("(W|y)", (2, N, N), (3, N), ()),
    ("(W|y)", (2, 3, N, N), (2, N), ()),
    ("beta", (N, N), (3, N), (2,)),
    ("beta", (3, N, N), (3, N), (2,)),
    ("beta", (N, N), (2, 3, N), (2,)),
]


def call_torch(w: Any, y: Any, beta: Any) -> Any:
    return AnalysisL1Layer(beta)(w, y)


def call_jax(w: Any, y: Any, beta: Any) -> Any:
    with jax.enable_x64(True):
        return jax.block_until_ready(analysis_l1(w, y, beta))


CALL: dict[str, tuple[Callable[..., Any], Callable[[Any], Any]]] = {
    "torch": (call_torch, torch.from_numpy),
    "jax": (call_jax, lambda a: a),
}


def refused(call: Callable[..., Any], values: Any, match: str, errors: Any = (TypeError, ValueError)) -> str:
    """The one line with which `values` are refused."""
    with pytest.raises(errors, match=match) as caught:
        call(*values)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("name", "w", "y", "beta"), BAD_SHAPES, ids=str)
@each_layer
def test_a_wrong_shape_is_named_in_one_line(layer: str, name: str, w: Shape, y: Shape, beta: Shape) -> None:
    call, own = CALL[layer]
    message = refused(call, [own(np.full(shape, 0.5)) for shape in (w, y, beta)], rf"^{name}\b", ValueError)
    assert "got" in message and any(str(shape) in message for shape in (w, y, beta))


# Sparse W, in torch

beta_state = pytest.mark.filterwarnings("ignore:Sparse (CSR|CSC|BSR) tensor support is in beta state:UserWarning")


def banded() -> Array:
    """Two entries and a zero in every row."""
    dense = np.zeros((N - 1, N))
    rng = np.random.default_rng(0)
    for i in range(N - 1):
        dense[i, i : i + 2] = (1, -1) + 0.1 * rng.standard_normal(2)
    return dense


def stored(dense: Array) -> Any:
    """As a CSR tensor that keeps one zero."""
    w = scipy.sparse.csr_array(dense)
    w[0, N - 1] = 1.0
    w.data[w.data == 1.0] = 0.0
    assert w.nnz == np.count_nonzero(dense) + 1
    parts = (torch.from_numpy(a) for a in (w.indptr.astype(int), w.indices.astype(int), w.data))
    return torch.sparse_csr_tensor(*parts, w.shape, check_invariants=True)


@beta_state
@pytest.mark.filterwarnings("ignore:Changing the sparsity structure:scipy.sparse.SparseEfficiencyWarning")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("front", [(), (3,), (2, 3)], ids=str)
def test_a_csr_w_has_the_dense_gradient_on_its_pattern(front: Shape, dtype: Any) -> None:
    dense, rng = banded(), np.random.default_rng(1)
    signals, weight = rng.standard_normal((*front, N)).cumsum(axis=-1).astype(dtype), np.asarray(0.2, dtype)
    g = rng.standard_normal((*front, N)).astype(dtype)
    w = stored(dense.astype(dtype)).requires_grad_()
    y, beta = (torch.tensor(a, requires_grad=True) for a in (signals, weight))
    x = AnalysisL1Layer(beta)(w, y)
    x.backward(torch.tensor(g))
    truth = BY["torch"](dense.astype(dtype), signals, weight, g)
    assert w.grad.layout == torch.sparse_csr and w.grad.shape == w.shape and w.grad.dtype == w.dtype
    assert torch.equal(w.grad.crow_indices(), w.crow_indices()) and torch.equal(w.grad.col_indices(), w.col_indices())
    rows = np.repeat(np.arange(N - 1), np.diff(w.crow_indices().numpy()))
    on_pattern = truth[1][rows, w.col_indices().numpy()]
    pairs = zip((x.detach(), w.grad.values(), y.grad, beta.grad), (truth[0], on_pattern, *truth[2:]), strict=True)
    assert max(relative(a, b) for a, b in pairs) <= (1e-13 if dtype == np.float64 else FLOAT32)


@beta_state
@pytest.mark.parametrize("convert", ["to_sparse_coo", "to_sparse_csc", "to_sparse_bsr"])
def test_other_sparse_layouts_of_w_are_sent_to_csr(convert: str) -> None:
    dense = torch.eye(4, dtype=torch.float64)
    w = dense.to_sparse_bsr((2, 2)) if convert.endswith("bsr") else getattr(dense, convert)()
    message = refused(call_torch, (w, dense[0], 0.1), r"^W must .*got")
    assert ".to_sparse_csr()" in message


@beta_state
def test_a_sparse_y_is_refused() -> None:
    dense = torch.eye(4, dtype=torch.float64)
    refused(call_torch, (dense, dense.to_sparse_csr(), 0.1), r"^y must .*got")


# Types and values

FLOATS = np.full((3, 3), 0.5)
WRONG_TORCH = {
    "list": FLOATS.tolist(),
    "None": None,
    "(ndarray|NumPy)": FLOATS,
    "(MaskedArray|masked)": np.ma.masked_array(FLOATS, FLOATS > 1),
    "(csr|sparse)": scipy.sparse.csr_array(FLOATS),
    "bool": torch.ones(3, 3, dtype=torch.bool),
    "int64": torch.ones(3, 3, dtype=torch.int64),
    "complex128": torch.ones(3, 3, dtype=torch.complex128),
    "str": "W",
    "float16": torch.ones(3, 3, dtype=torch.float16),
    "bfloat16": torch.ones(3, 3, dtype=torch.bfloat16),
}
WRONG_JAX = {
    "None": None,
    "str": "W",
    "(list|str|<U)": ["a", "b"],
    "(MaskedArray|masked)": np.ma.masked_array(FLOATS, FLOATS > 1),
    "(csr|sparse)": scipy.sparse.csr_array(FLOATS),
    "bool": np.ones((3, 3), bool),
    "int64": np.ones((3, 3), np.int64),
    "complex128": np.ones((3, 3), complex),
    "float16": np.ones((3, 3), np.float16),
    "bfloat16": np.ones((3, 3), jnp.bfloat16),
}
WRONG = [(layer, got, value) for layer, wrong in (("torch", WRONG_TORCH), ("jax", WRONG_JAX)) for got, value in wrong.items()]


def with_one(layer: str, name: str, value: Any) -> list[Any]:
    """W, y and beta that are right but for one."""
    _, own = CALL[layer]
    return list({"W": own(np.eye(3)), "y": own(np.ones(3)), "beta": 0.1, name: value}.values())


@pytest.mark.parametrize(("layer", "got", "value"), WRONG, ids=lambda part: part if isinstance(part, str) else "")
@pytest.mark.parametrize("name", ["W", "y"])
def test_what_is_no_array_of_floats_is_refused_in_one_line(name: str, layer: str, got: str, value: Any) -> None:
    message = refused(CALL[layer][0], with_one(layer, name, value), rf"^{name} must .*\bgot .*{got}")
    assert "float64" in message or "tensor" in message or "array" in message  # what it takes


@pytest.mark.parametrize("name", ["W", "y"])
def test_the_torch_layer_says_how_to_pass_a_numpy_array(name: str) -> None:
    refused(call_torch, with_one("torch", name, np.ones((3, 3))), rf"^{name} must .*torch\.from_numpy")


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_jax_function_takes_numpy_arrays(dtype: Any) -> None:
    w, y, beta, _ = inputs(dtype)
    with jax.enable_x64(dtype == np.float64):
        found, truth = analysis_l1(w, y, beta), analysis_l1(*map(jnp.asarray, (w, y, beta)))
    assert isinstance(found, jax.Array) and found.dtype == dtype
    np.testing.assert_array_equal(found, truth)


WRONG_BETAS = ["0.3", True, None, 0, 0.0, -1, -0.5, float("nan"), float("inf"), 1j, [0.1]]


@pytest.mark.parametrize("beta", WRONG_BETAS, ids=repr)
@each_layer
def test_a_wrong_beta_is_refused_in_one_line(layer: str, beta: Any) -> None:
    message = refused(CALL[layer][0], with_one(layer, "beta", beta), r"^beta must .*\bgot ")
    shown = (str(beta), repr(beta), type(beta).__name__, f"{beta:g}" if isinstance(beta, float) else "None")
    assert any(got in message.split("got ")[1] for got in shown)


@pytest.mark.parametrize(
    "beta", [torch.tensor(1), torch.tensor(True), torch.tensor(0.1j), torch.tensor(0.5, dtype=torch.float16)]
)
def test_a_beta_of_another_dtype_is_refused_in_one_line(beta: Any) -> None:
    kind = str(beta.dtype).removeprefix("torch.")
    refused(call_torch, with_one("torch", "beta", beta), rf"^beta must .*\bgot .*{kind}")
    refused(call_jax, with_one("jax", "beta", beta.numpy()), rf"^beta must .*\bgot .*{kind}")


@pytest.mark.parametrize("beta", [0.0, -1.0, np.nan, np.inf])
def test_a_tensor_with_a_wrong_beta_is_refused_in_one_line(beta: float) -> None:
    values = with_one("torch", "beta", torch.tensor(beta, dtype=torch.float64))
    refused(call_torch, values, r"^beta must be .*finite.*> 0.*\bgot ", ValueError)


@pytest.mark.parametrize("entry", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["W", "y"])
def test_entries_that_are_not_finite_are_refused(name: str, entry: float) -> None:
    value = np.eye(3) if name == "W" else np.ones((2, 3))  # one signal of a batch
    value[1, 1] = entry
    refused(call_torch, with_one("torch", name, torch.from_numpy(value)), rf"^{name} must be finite", ValueError)
    call_jax(*with_one("jax", name, np.ones_like(value)))
    for call in (call_jax, jax.jit(call_jax)):  # a program that has run before, and one that has not
        with pytest.raises(RUNTIME_ERRORS, match=f"{name} must be finite"):
            call(*with_one("jax", name, value))


# Documentation


def test_the_signature_names_beta() -> None:
    assert list(inspect.signature(AnalysisL1Layer).parameters) == ["beta"]
    assert list(inspect.signature(analysis_l1).parameters) == ["w", "y", "beta"]


@pytest.mark.parametrize("thing", [AnalysisL1Layer, analysis_l1])
def test_the_help_says_shapes_and_usage(thing: Any) -> None:
    text = pydoc.render_doc(thing, renderer=pydoc.plaintext)
    assert thing.__doc__.strip().splitlines()[0] in text
    for name, shape in (("W", r"\(\.\.\., k, n\)|\(k, n\)"), ("y", r"\(\.\.\., n\)|\(n,\)"), ("beta", r"\(\)")):
        assert re.search(rf"\b{name}\b[^.;]*({shape})", text), name
    assert re.search(r"AnalysisL1Layer\(.+\)\(W, y\)" if thing is AnalysisL1Layer else r"analysis_l1\(W, y, .+\)", text)


def test_the_help_of_the_module_lists_both_layers() -> None:
    text = pydoc.render_doc(layers, renderer=pydoc.plaintext)
    assert "class AnalysisL1Layer" in text and re.search(r"^ +analysis_l1\(", text, re.MULTILINE)


def test_the_class_is_where_it_says_it_is() -> None:
    module = importlib.import_module(AnalysisL1Layer.__module__)
    assert getattr(module, AnalysisL1Layer.__qualname__) is AnalysisL1Layer
    assert pickle.loads(pickle.dumps(AnalysisL1Layer)) is AnalysisL1Layer


@pytest.mark.parametrize("beta", [0.25, torch.tensor(0.25), torch.full((3,), 0.25), torch.nn.Parameter(torch.tensor(0.25))])
def test_the_module_prints_its_beta(beta: Any) -> None:
    assert re.fullmatch(r"AnalysisL1Layer\(beta=.*0\.25.*\)", repr(AnalysisL1Layer(beta)))
