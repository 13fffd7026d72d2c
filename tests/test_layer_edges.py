"""The layers where memory, threads, processes and the ends of shapes are at stake."""

from __future__ import annotations

import shutil
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from _pulls import by_torch
from torch.autograd import forward_ad

from methods.blorc import kernels
from methods.layers import AnalysisL1Layer, KinkWarning, analysis_l1
from methods.layers.open_signals import routes
from problems import AnalysisL1
from problems.base import Array
from problems.kernels import Kernels

ROOT = Path(__file__).parent.parent
LAYER = AnalysisL1Layer(0.1)
FLAT = np.array([1.0, 1.02, 0.98, -0.5, -0.52, 0.03])
TWICE = np.diff(np.eye(6), axis=0)[[0, 1, 2, 3, 4, 0]]  # row 0 twice, and flat there: a kink
ONCE = TWICE[:5]


def drawn(batch: int | None = None, n: int = 9) -> tuple[Any, Any]:
    problem = AnalysisL1.draw(n=n, operator="random", batch=batch, seed=1)
    return torch.tensor(problem.theta), torch.tensor(problem.y)


# Tensors without memory


def test_shapes_alone_are_followed_on_the_meta_device() -> None:
    w, y = (a.to("meta") for a in drawn(3))
    x = LAYER(w.requires_grad_(), y)
    x.sum().backward()
    assert x.is_meta and x.shape == y.shape and w.grad.shape == w.shape


def test_the_default_device_is_that_of_the_arguments() -> None:
    w, y = drawn(3)
    truth = LAYER(w, y)
    with torch.device("meta"):
        assert torch.equal(LAYER(w, y), truth)


@pytest.mark.parametrize("moved", [0, 1])
def test_arguments_on_two_devices_are_refused_in_one_line(moved: int) -> None:
    inputs = list(drawn())
    inputs[moved] = inputs[moved].to("meta")
    with pytest.raises(ValueError, match=r"^W, y and beta must be on one device, got .*meta.*; move them$"):
        LAYER(*inputs)


def test_what_is_traced_is_the_kernel_and_not_its_memory() -> None:
    from torch.fx.experimental.proxy_tensor import make_fx

    w, y = drawn(3)
    program = make_fx(LAYER)(w, y)
    other = 1.1 * w
    assert torch.equal(program(other, y), LAYER(other, y))


@pytest.mark.filterwarnings("ignore:Attempted to insert a get_attr Node:UserWarning")  # of torch's own linearize
def test_a_linearised_layer_gives_the_derivative() -> None:
    w, y = drawn(3)
    along = torch.ones_like(w)
    _, linear = torch.func.linearize(lambda w: LAYER(w, y), w)
    truth = torch.func.jvp(lambda w: LAYER(w, y), (w,), (along,))[1]
    assert torch.allclose(linear(along), truth, rtol=1e-12, atol=0)


# Threads and processes


def test_two_threads_go_back_through_one_graph() -> None:
    w, y = drawn(40, n=20)
    w.requires_grad_()
    x = LAYER(w, y)
    cotangents = [torch.randn(x.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(i)) for i in range(2)]

    def back(g: Any) -> list[Any]:
        return [torch.autograd.grad(x, w, g, retain_graph=True)[0] for _ in range(150)]

    truths = [back(g)[0] for g in cotangents]
    with ThreadPoolExecutor(2) as pool:
        for found, truth in zip(pool.map(back, cotangents), truths, strict=True):
            assert all(torch.equal(one, truth) for one in found)


def test_the_functions_that_c_calls_are_made_once_for_all_threads() -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: routes(), range(100)))
    assert all(pair is made[0] for pair in made)


@pytest.mark.parametrize("waits", [True, False])
def test_a_process_ends_while_a_kink_is_on_its_way(waits: bool) -> None:
    """XLA runs beside Python, and what is left open asks Python: the end of the interpreter must not wait for it."""
    code = f"""
import warnings
warnings.simplefilter("ignore")
import jax, jax.numpy as jnp, numpy as np
from methods.layers import analysis_l1
w, y = jnp.asarray(np.roll(np.eye(6), 1, 1) - np.eye(6)), jnp.ones((300, 6))
slope = jax.jit(jax.grad(lambda w: (analysis_l1(w, y, 0.1) ** 2).sum()))
jax.block_until_ready(slope(w))
last = slope(w)
if {waits}:
    jax.block_until_ready(last)
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60, capture_output=True)


def test_an_exported_program_runs_in_another_process(tmp_path: Path) -> None:
    import jax.export

    from methods.layers import EXPORTED

    w, y = np.eye(4, dtype=np.float32), np.arange(4, dtype=np.float32)
    checks = [jax.export.DisabledSafetyCheck.custom_call(name) for name in EXPORTED]
    program = jax.export.export(jax.jit(lambda w, y: analysis_l1(w, y, 0.5)), disabled_checks=checks)(w, y)
    (tmp_path / "program").write_bytes(program.serialize())
    code = f"""
import jax.export, numpy as np
from methods.layers.jax_function import register
register()
program = jax.export.deserialize(bytearray(open({str(tmp_path / "program")!r}, "rb").read()))
print(*np.asarray(program.call(np.eye(4, dtype=np.float32), np.arange(4, dtype=np.float32))))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60, capture_output=True, text=True)
    assert done.stdout.split() == ["0.0", "0.5", "1.5", "2.5"]


def test_a_header_of_the_other_kernel_changes_the_name_of_the_library(tmp_path: Path) -> None:
    """A library that was built for another layout of `layer` must not be taken."""
    from methods.layers.kernels import KERNELS
    from problems.kernels import build

    assert str(kernels.KERNELS.folder) in "".join(KERNELS.flags)
    other = tmp_path / "blorc"
    shutil.copytree(kernels.KERNELS.folder, other)
    (other / "layer.h").write_text((other / "layer.h").read_text().replace("SAID = 256", "SAID = 512"))
    changed = Kernels(KERNELS.folder, KERNELS.contract, lambda: (*KERNELS.headers()[:1], str(other)))
    same = Kernels(KERNELS.folder, KERNELS.contract, KERNELS.headers)
    names = [build.library_path(each.folder, each.flags) for each in (KERNELS, same, changed)]
    assert names[0] == names[1] != names[2]


# Doubts and values


def test_a_doubt_of_a_call_that_failed_is_not_told_in_the_next() -> None:
    y = torch.tensor(np.stack([FLAT, FLAT]))
    w = torch.tensor(TWICE, requires_grad=True)
    x = LAYER(w, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error", KinkWarning)
        with pytest.raises(KinkWarning):
            x.sum().backward()
    fixed = y.clone().requires_grad_()
    LAYER(torch.tensor(TWICE), fixed).sum().backward()  # no kink in y alone; warnings are errors
    assert torch.isfinite(fixed.grad).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("rows", [ONCE, np.eye(6)], ids=["factored", "orthogonal"])
def test_a_cotangent_that_is_not_finite_gives_nan_without_a_word(rows: Array, value: float) -> None:
    g = np.ones(6)
    g[2] = value
    in_w = by_torch(rows, FLAT, 0.1, g)[1]  # warnings are errors
    assert np.isnan(in_w).any()


def test_a_small_beta_is_refused_where_its_dtype_rounds_it_to_zero() -> None:
    w, y = jnp.eye(3, dtype=jnp.float32), jnp.ones(3, dtype=jnp.float32)
    for beta in (1e-50, 1e39):
        with pytest.raises(ValueError, match=r"^beta must be a finite number > 0 in float32, got 1e[+-]\d+$"):
            analysis_l1(w, y, beta)


# The ends of shapes


def test_no_signals_may_be_mapped_over() -> None:
    w, _ = drawn()
    none = torch.empty(0, 9, dtype=torch.float64)
    assert torch.func.vmap(lambda y: LAYER(w, y))(none).shape == (0, 9)
    assert torch.func.vmap(torch.func.grad(lambda w, y: LAYER(w, y).sum()), (None, 0))(w, none).shape == (0, 9, 9)
    with jax.enable_x64(True):
        arrays = jnp.asarray(w), jnp.zeros((0, 9))
        mapped = jax.vmap(jax.grad(lambda w, y: analysis_l1(w, y, 0.1).sum()), (None, 0))
        assert mapped(*arrays).shape == (0, 9, 9)


def test_a_list_may_hold_what_jit_traces() -> None:
    truth = analysis_l1(jnp.eye(3), jnp.array([1.0, 2.0, 3.0]), 0.5)
    found = jax.jit(lambda a: analysis_l1(jnp.eye(3), [a, 2.0, 3.0], 0.5))(1.0)
    np.testing.assert_array_equal(found, truth)


SPARSE = np.diff(np.eye(5), axis=0)


def sparse(w: Array = SPARSE) -> Any:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return torch.tensor(w).to_sparse_csr()


def test_a_sparse_w_takes_a_batch_of_none() -> None:
    w = sparse().requires_grad_()
    x = LAYER(w, torch.empty(0, 5, dtype=torch.float64))
    x.sum().backward()
    assert x.shape == (0, 5) and not w.grad.values().any()


def batched(w: Any, y: Any) -> Any:
    x = LAYER(w, y.requires_grad_())
    return torch.autograd.grad(x, y, torch.eye(5, dtype=torch.float64), is_grads_batched=True)


def dual(w: Any, y: Any) -> Any:
    with forward_ad.dual_level():
        return LAYER(w, forward_ad.make_dual(y, y))


REFUSED = {
    "forward mode": (dual, "no forward mode; pass W.to_dense"),
    "vmap": (lambda w, y: torch.func.vmap(lambda y: LAYER(w, y))(y[None]), "no rule for vmap: .* or pass W.to_dense"),
    "many cotangents": (batched, "one cotangent at a time: .* or pass W.to_dense"),
    "a beta a signal": (lambda w, y: AnalysisL1Layer(torch.ones(2))(w, y), "with one beta, got .*; pass W.to_dense"),
    "the meta device": (lambda w, y: LAYER(w.to("meta"), y.to("meta")), "values in memory, got the device meta; pass W"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_sparse_w_has_not_is_refused_with_the_way_out(name: str) -> None:
    run, message = REFUSED[name]
    with pytest.raises((RuntimeError, ValueError), match=f"^a sparse W .*{message}") as caught:
        run(sparse(), torch.ones(5, dtype=torch.float64))
    assert "\n" not in str(caught.value)
