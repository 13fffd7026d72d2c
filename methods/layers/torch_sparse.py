"""x*(W, y) in torch for a sparse W: chains in O(n), any other by coordinate descent and Newton on sparse rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd import Function

from methods._bounded import Adjoint, Bounded, Stack
from methods.layers.inputs import ONCE, check_beta, check_shapes, check_values, warn_at_kink


@torch.compiler.disable(reason="the solvers of a sparse W are no operators of torch")
def solution(w: Tensor, y: Tensor, beta: Tensor) -> Tensor:
    """x* (..., n) for W (k, n) in CSR layout, y (..., n) and one beta; differentiable once, in reverse mode, in all three."""
    if beta.numel() != 1:
        raise ValueError(f"beta must be one number where W is sparse, got shape {tuple(beta.shape)}; pass W.to_dense()")
    lead = check_shapes(w.shape, y.shape, ())
    dtype = torch.promote_types(w.dtype, y.dtype)
    values, signals, number = (a.to(torch.float64) for a in (w.values(), y, beta))
    pattern = w.crow_indices().numpy(), w.col_indices().numpy(), tuple(w.shape)
    x = SparseSolution.apply(values, signals.reshape(math.prod(lead), -1), number.reshape(()), pattern)
    return x.reshape(*lead, y.shape[-1]).to(dtype)


class SparseSolution(Function):
    """x* (signals, n) from the values of W; its gradient in them is that in W at its entries."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, y: Tensor, beta: Tensor, pattern: tuple[Any, ...]) -> Tensor:
        from scipy.sparse import csr_array

        from methods.blorc.sparse import SparseSolver

        starts, columns, shape = pattern
        w = csr_array((values.detach().numpy(), columns, starts), shape=shape)
        signals, number = y.detach().resolve_neg().numpy(), float(beta)
        check_beta(number)
        check_values(w.data, signals, number)
        ctx.save_for_backward(values, y, beta)  # for autograd to refuse what was changed in place since
        ctx.w, ctx.number = w, number
        ctx.found = SparseSolver(signals, number, keeps_rank=not ctx.needs_input_grad[0]).solve(w) if len(signals) else None
        return torch.from_numpy(ctx.found.x.copy()) if ctx.found else torch.empty_like(y)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError(ONCE)
        _ = ctx.saved_tensors
        w, found = ctx.w, ctx.found
        if found is None:
            return torch.zeros(w.nnz, dtype=g.dtype), torch.zeros_like(g), g.new_zeros(()), None
        h, v = found.adjoint(np.ascontiguousarray(g.resolve_neg().numpy()))
        warn_at_kink(_doubts(found))
        rows = np.repeat(np.arange(w.shape[0]), np.diff(w.indptr))
        signals = zip(found.z, v, h, found.x, strict=True)
        in_values = -sum(z[rows] * s[w.indices] + t[rows] * x[w.indices] for z, s, t, x in signals)
        signs = np.where(np.abs(found.z) >= ctx.number, np.sign(found.z), 0.0)
        in_beta = -np.vdot(signs, (w @ v.T).T)
        return torch.from_numpy(in_values), torch.from_numpy(v), torch.tensor(in_beta, dtype=g.dtype), None

    @staticmethod
    def jvp(ctx: Any, *_: Any) -> Any:
        raise RuntimeError("forward mode needs a dense W: pass W.to_dense()")


def _doubts(found: Adjoint) -> set[str]:
    signals = found.signals if isinstance(found, Stack) else [found]
    return {signal.doubt if isinstance(signal, Bounded) else signal.note for signal in signals}
