"""x*(W, y) as a torch.nn.Module, on an autograd.Function around the compiled exact solver."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from methods import _layer_signal
from methods._layer import beta_slopes, check_shapes, check_values, outer_sum, warn_at_kink
from methods._layer_signal import Slopes
from problems.base import Array

if TYPE_CHECKING:
    from methods._bounded import Exact


def solution(w: Any, y: Any, beta: Any) -> Any:
    """x*(W, y), shape of y, in the wider dtype of the two; differentiable once in W, y and, where it is a tensor, beta."""
    return _function()(w, y, beta)


@cache
def module_class() -> Any:
    """The class AnalysisL1Layer, made when torch is first asked for."""
    import torch

    class AnalysisL1Layer(torch.nn.Module):
        """x = AnalysisL1Layer(beta)(W, y): x* = argmin_x 1/2 |x - y|^2 + beta |W x|_1, with its exact gradient.

        W (k, n), y and x (n,) or (batch, n); CPU tensors of float32 or float64. beta > 0: a number, a tensor of shape () or an
        nn.Parameter, which is then learnt. First derivatives only. Raises ValueError naming the argument, and SolveError
        where no sign pattern verifies; warns with KinkWarning where the gradient may not exist.
        """

        def __init__(self, beta: Any) -> None:
            super().__init__()
            self.beta = beta

        def forward(self, w: Any, y: Any) -> Any:
            return _function()(w, y, self.beta)

        def extra_repr(self) -> str:
            return f"beta={_number(self.beta):g}"

    AnalysisL1Layer.__module__, AnalysisL1Layer.__qualname__ = "methods.layers", "AnalysisL1Layer"  # where pickle finds it
    return AnalysisL1Layer


@cache
def _function() -> Callable[[Any, Any, Any], Any]:
    import torch

    solve_signal = _layer_signal.solver()

    class ExactSolution(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, w: Any, y: Any, beta: Any) -> Any:
            needed = ctx.needs_input_grad
            alone = needed == (True, False, False) and solve_signal(w, y, beta)
            x, ctx.slopes = alone or _solved(w, y, beta, not needed[0])
            ctx.save_for_backward(w, y)  # for autograd to refuse what was changed in place since
            return x

        @staticmethod
        def backward(ctx: Any, g: Any) -> tuple[Any, Any, Any]:
            """Autograd casts to the dtype of each input."""
            if torch.is_grad_enabled():
                raise RuntimeError(
                    "AnalysisL1Layer has first derivatives only: call backward or grad without create_graph=True"
                )
            _ = ctx.saved_tensors
            return ctx.slopes(g, ctx.needs_input_grad)

    apply = super(torch.autograd.Function, ExactSolution).apply  # what torch puts around it takes as long as the adjoint
    transformed = torch._C._are_functorch_transforms_active

    def applied(w: Any, y: Any, beta: Any) -> Any:
        if transformed():
            raise RuntimeError("AnalysisL1Layer has no rules for torch.func: call backward or torch.autograd.grad")
        return apply(w, y, beta)

    return applied


def _solved(w: Any, y: Any, beta: Any, keeps_rank: bool) -> tuple[Any, Slopes]:
    """x* and its slopes, for whatever the layer takes."""
    import torch

    check_shapes(tuple(w.shape), tuple(y.shape))
    number = _number(beta)
    rows, signals = _float64("W", w), _float64("y", y)
    check_values(rows, signals, number)
    found = _solvers()[y.ndim - 1](signals, number, keeps_rank).solve(rows)
    x = torch.from_numpy(found.x.copy())  # a copy: the adjoint needs its own
    slopes = partial(_slopes, found, rows, number)
    return x if w.dtype == torch.float64 else x.to(torch.promote_types(w.dtype, y.dtype)), slopes


def _slopes(found: Exact, w: Array, beta: float, g: Any, needed: tuple[bool, bool, bool]) -> tuple[Any, Any, Any]:
    import torch

    grads = _cotangents(found, w, beta, _float64("the cotangent", g), needed)
    warn_at_kink(found)  # not before: the adjoint may find out
    in_w, in_y, in_beta = (None if grad is None else torch.from_numpy(grad) for grad in grads)
    return in_w, in_y, in_beta


def _cotangents(found: Exact, w: Array, beta: float, g: Array, needed: tuple[bool, bool, bool]) -> tuple[Array | None, ...]:
    """(dL/dW, dL/dy, dL/dbeta), those that are needed; dL/dy = v = P g."""
    if needed == (True, False, False):
        return found.gradient(g), None, None
    h, v = found.adjoint(g)
    x, z = found.x, found.z
    return (
        outer_sum(*np.atleast_2d(z, v, h, x)) if needed[0] else None,
        v if needed[1] else None,
        np.asarray(beta_slopes(w, z, v, beta).sum()) if needed[2] else None,
    )


@cache
def _solvers() -> tuple[Any, Any]:
    from methods.blorc.batch import BatchSolver
    from methods.blorc.solver import SignalSolver

    return SignalSolver, BatchSolver


def _number(beta: Any) -> float:
    import torch

    if not isinstance(beta, torch.Tensor):
        return float(beta)
    if beta.ndim:
        raise ValueError(f"beta must be a number or a tensor of shape (), got shape {tuple(beta.shape)}")
    return float(beta.detach())


def _float64(name: str, tensor: Any) -> Array:
    """The values as a contiguous float64 array, without a copy where they are that already."""
    import torch

    if tensor.dtype not in (torch.float64, torch.float32):
        raise ValueError(f"{name} must be float32 or float64, got {tensor.dtype}; convert it first")
    if tensor.is_cuda:
        raise ValueError(f"{name} must be on the CPU, where it is solved, got {tensor.device}; pass {name}.cpu()")
    return np.ascontiguousarray(tensor.detach().resolve_neg().numpy(), dtype=np.float64)
