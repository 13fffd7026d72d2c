"""x*(W, y) in torch for a sparse W: chains in O(n), any other by coordinate descent and Newton on sparse rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd import Function

from methods.blorc.bounded import Adjoint, Bounded, Stack
from methods.layers.inputs import ONCE, check_beta, check_shapes, check_values, warn_at_kink

DENSE = "pass W.to_dense()"


@torch.compiler.disable(reason="the solvers of a sparse W are no operators of torch")
def solution(w: Tensor, y: Tensor, beta: Tensor) -> Tensor:
    """x* (..., n) for W (k, n) in CSR layout, y (..., n) and one beta; differentiable once, in reverse mode, in all three."""
    if beta.numel() != 1 or w.ndim != 2:
        raise ValueError(f"a sparse W must be (k, n) with one beta, got {tuple(w.shape)} and {tuple(beta.shape)}; {DENSE}")
    if w.is_meta:
        raise ValueError(f"a sparse W must have values in memory, got the device meta; {DENSE}")
    lead = check_shapes(w.shape, y.shape, ())
    dtype = torch.promote_types(w.dtype, y.dtype)
    values, signals, number = (a.to(torch.float64) for a in (w.values(), y, beta))
    pattern = w.crow_indices().numpy(), w.col_indices().numpy(), tuple(w.shape)
    x, _ = SparseSolution.apply(values, signals.reshape(math.prod(lead), y.shape[-1]), number.reshape(()), pattern)
    return x.reshape(*lead, y.shape[-1]).to(dtype)


class SparseSolution(Function):
    """x* (signals, n) from the values of W, and what is known of it; its gradient in them is that in W at its entries."""

    @staticmethod
    def forward(values: Tensor, y: Tensor, beta: Tensor, pattern: tuple[Any, ...]) -> tuple[Tensor, Any]:
        from scipy.sparse import csr_array

        from methods.blorc.sparse import SparseSolver

        starts, columns, shape = pattern
        w = csr_array((_array(values), columns, starts), shape=shape)
        signals, number = _array(y), float(beta)
        check_beta(number)
        check_values(w.data, signals, number)
        if not len(signals):
            return torch.empty_like(y), (w, number, None)
        found = SparseSolver(signals, number).solve(w)
        return torch.from_numpy(found.x.copy()), (w, number, found)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Any]) -> None:
        ctx.save_for_backward(*inputs[:3])  # for autograd to refuse what was changed in place since
        ctx.known = output[1]

    @staticmethod
    def backward(ctx: Any, g: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError(ONCE)
        _ = ctx.saved_tensors
        w, number, found = ctx.known
        if found is None:
            return g.new_zeros(w.nnz), torch.zeros_like(g), g.new_zeros(()), None
        h, v = found.adjoint(_array(g))
        if ctx.needs_input_grad[0]:
            warn_at_kink(_doubts(found))
        rows = np.repeat(np.arange(w.shape[0]), np.diff(w.indptr))
        signals = zip(found.z, v, h, found.x, strict=True)
        in_values = -sum(z[rows] * s[w.indices] + t[rows] * x[w.indices] for z, s, t, x in signals)
        signs = np.where(np.abs(found.z) >= number, np.sign(found.z), 0.0)
        in_beta = -np.vdot(signs, (w @ v.T).T)
        return torch.from_numpy(in_values), torch.from_numpy(v), g.new_tensor(in_beta), None

    @staticmethod
    def jvp(ctx: Any, *_: Any) -> Any:
        raise RuntimeError(f"a sparse W has no forward mode; {DENSE}")

    @staticmethod
    def vmap(info: Any, dims: Any, *_: Any) -> Any:
        raise RuntimeError(f"a sparse W has no rule for vmap: give y more leading axes, or {DENSE}")


def _array(a: Tensor) -> np.ndarray:
    """Its values, contiguous; RuntimeError where it stands for several, as in a vectorised Jacobian."""
    try:
        return np.ascontiguousarray(a.detach().resolve_neg().numpy())
    except RuntimeError:
        raise RuntimeError(
            f"a sparse W takes one cotangent at a time: leave vectorize and is_grads_batched, or {DENSE}"
        ) from None


def _doubts(found: Adjoint) -> set[str]:
    signals = found.signals if isinstance(found, Stack) else [found]
    return {signal.doubt if isinstance(signal, Bounded) else signal.note for signal in signals}
