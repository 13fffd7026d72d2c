"""x*(W, y) in torch: the module, and the autograd.Function around the kernel with which it is differentiated.

Below it are the operators of `torch_operators.py`: what stands for other tensors (in vmap, in a vectorised Jacobian, for the
compiler) is found by torch there.
"""

from __future__ import annotations

import inspect
import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from methods.layers.inputs import ONCE, check_beta, check_shapes, described, remedy
from methods.layers.torch_operators import LIBRARY, OPERATORS, map_pull, map_push, map_solve

SOLVE, PULL, PUSH = (getattr(OPERATORS, name).default for name in ("solve", "pull", "push"))
FLOATS = (torch.float64, torch.float32)
PLAIN = (Tensor, torch.nn.Parameter)  # whose factors are kept; other classes may have none


class AnalysisL1Layer(torch.nn.Module):
    """x* = argmin_x 1/2 |x - y|^2 + beta |W x|_1, exactly, with its exact derivative in W, y and beta.

    dL/dW = -(z v^T + h x*^T), dL/dy = v, dL/dbeta = -<s, W v> with v = P g and h = W0^{+T} g for g = dL/dx*: W0 are the rows
    with w_i x* = 0, P projects on their kernel, s are the signs of the others.

    Args:
        beta: weight > 0, a number or a tensor, in the units of y over those of W; an nn.Parameter is learnt.

    Shapes:
        W (..., k, n), y (..., n) and x* (..., n); beta has shape (), (1,) or (...). Leading axes broadcast. Signals that share
        W are solved together: W (k, n). For each W of its own there is a loop inside. W (k, n) may be a torch.sparse_csr
        tensor: then reverse mode alone, and a gradient with the same entries.

    float32 or float64, computed in float64, on the CPU. First derivatives, in reverse and in forward mode, under torch.func,
    torch.compile (fullgraph=True too, unless torch.func is inside) and whatever else transforms functions. Raises ValueError or
    TypeError naming the argument, and SolveError where no sign pattern verifies. Warns with KinkWarning where the gradient may
    not exist.
    Source: Ghosh, McCann, Mitchell and Ravishankar (2022), Theorem 3.2, rewritten with the dual z.

    Example::

        W, y = torch.nn.Parameter(torch.eye(64)), torch.randn(100, 64)
        x = AnalysisL1Layer(beta=0.1)(W, y)
        x.square().sum().backward()  # W.grad
    """

    def __init__(self, beta: Any) -> None:
        super().__init__()
        self.beta = beta

    def forward(self, w: Tensor, y: Tensor) -> Tensor:
        """x*(W, y), the leading axes of W, y and beta broadcast, in the wider dtype of W and y."""
        return solution(w, y, self.beta)

    def extra_repr(self) -> str:
        beta = self.beta
        return f"beta={beta.tolist() if isinstance(beta, Tensor) else beta}"


def solution(w: Any, y: Any, beta: Any) -> Tensor:
    """x*(W, y) as AnalysisL1Layer has it."""
    check_tensor("W", w)
    check_tensor("y", y)
    if isinstance(beta, Tensor):
        check_tensor("beta", beta)
    else:
        check_beta(beta)
        beta = torch.full((1,), beta, dtype=torch.float64, device=y.device)
    if w.layout is not torch.strided:
        from methods.layers.torch_sparse import solution as sparse_solution

        return sparse_solution(w, y, beta)
    if not w.device == y.device == beta.device:
        raise ValueError(f"W, y and beta must be on one device, got {w.device}, {y.device} and {beta.device}; move them")
    dtype = torch.promote_types(w.dtype, y.dtype)
    w, y, beta = (a if a.dtype is torch.float64 else a.to(torch.float64) for a in (w, y, beta))
    lead = check_shapes(w.shape, y.shape, beta.shape)
    solve = OPERATORS.layer if torch.compiler.is_compiling() else solved
    x = solve(*_arranged(w, y, beta, lead)).reshape(*lead, y.shape[-1])
    return x if dtype is torch.float64 else x.to(dtype)


def check_tensor(name: str, a: Any) -> None:
    """TypeError or ValueError in one sentence where it is no tensor that the layer takes."""
    if not isinstance(a, Tensor) or isinstance(a, torch.masked.MaskedTensor):
        raise TypeError(
            f"{name} must be a torch tensor, got {described(a)}; {remedy(a, 'torch.as_tensor', 'torch.from_numpy')}"
        )
    if a.dtype not in FLOATS:
        raise ValueError(f"{name} must be float32 or float64, got {a.dtype}; convert it first")
    if a.device.type not in ("cpu", "meta"):
        raise ValueError(f"{name} must be on the CPU, where it is solved, got {a.device}; pass {name}.cpu()")
    if a.layout is not torch.strided and not (name == "W" and a.layout is torch.sparse_csr):
        raise ValueError(
            f"{name} must be dense or, for W, sparse_csr, got {a.layout}; convert it with .to_sparse_csr() or .to_dense()"
        )


def _arranged(w: Tensor, y: Tensor, beta: Tensor, lead: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """W (operators, k, n), y (operators, signals, n) and beta (operators,)."""
    (k, n), count = w.shape[-2:], math.prod(lead)
    if w.ndim == 2 and beta.numel() == 1:
        return w[None], y.reshape(1, count, n), beta if beta.ndim else beta.reshape(1)
    beta = beta.reshape(()) if beta.numel() == 1 else beta
    return (
        w.expand(*lead, k, n).reshape(count, k, n),
        y.expand(*lead, n).reshape(count, 1, n),
        beta.expand(lead).reshape(count),
    )


def solved(w: Tensor, y: Tensor, beta: Tensor) -> Tensor:
    """x* (operators, signals, n)."""
    return Solution.apply(w, y, beta)[0]


class Solution(Function):
    """(x*, duals, work) of methods/layers/torch_operators.py, differentiable once in the first."""

    @staticmethod
    def forward(w: Tensor, y: Tensor, beta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return SOLVE(w, y, beta, type(w) in PLAIN)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
        ctx.mark_non_differentiable(*output[1:])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*inputs, *output[1:])
        ctx.save_for_forward(*inputs, output[1])

    @staticmethod
    def jvp(ctx: Any, dw: Tensor | None, dy: Tensor | None, dbeta: Tensor | None) -> tuple[Tensor, None, None]:
        w, y, beta, duals = ctx.saved_tensors[:4]
        directions = (None if a is None else a[:, None] for a in (dw, dy, dbeta))
        return Push.apply(w, y[:, None], beta, duals[:, None], *directions)[:, 0], None, None  # the signals are one group

    @staticmethod
    def backward(ctx: Any, g: Tensor | None, *_: Any) -> tuple[Tensor | None, ...]:
        pull = Pull.apply if torch.is_grad_enabled() else PULL  # recorded only in order to be refused
        if g is None:
            return None, None, None
        w, y, beta, duals, work = ctx.saved_tensors
        needed = ctx.needs_input_grad
        slopes = pull(w, y[:, None], beta, duals[:, None], work, g[:, None], *needed)  # the signals are one group
        return tuple(slope[:, 0] if is_needed else None for slope, is_needed in zip(slopes, needed, strict=True))

    @staticmethod
    def vmap(info: Any, dims: Any, *arguments: Any) -> tuple[Any, Any]:
        return map_solve(Solution.apply, info, dims, *arguments)


# torch looks at the signature at every call, which takes as long as the kernel; so it finds it ready.
Solution.forward.__signature__ = inspect.signature(Solution.forward)  # type: ignore[attr-defined]


class Once(Function):
    """A derivative, which has none of its own."""

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass

    @staticmethod
    def jvp(ctx: Any, *_: Any) -> Any:
        raise RuntimeError(ONCE)

    @staticmethod
    def backward(ctx: Any, *_: Any) -> Any:
        raise RuntimeError(ONCE)


class Pull(Once):
    @staticmethod
    def forward(*arguments: Any) -> tuple[Tensor, ...]:
        return PULL(*arguments)

    @staticmethod
    def vmap(info: Any, dims: Any, *arguments: Any) -> tuple[Any, Any]:
        return map_pull(Pull.apply, info, dims, *arguments)


class Push(Once):
    @staticmethod
    def forward(*arguments: Any) -> Tensor:
        return PUSH(*arguments)

    @staticmethod
    def vmap(info: Any, dims: Any, *arguments: Any) -> tuple[Any, Any]:
        return map_push(Push.apply, info, dims, *arguments)


# The compiler takes an operator as one step, and follows the Function only where a gradient goes through it.
LIBRARY.define("layer(Tensor w, Tensor y, Tensor beta) -> Tensor")
LIBRARY.impl("layer", solved, "Autograd")
LIBRARY.impl("layer", lambda w, y, beta: OPERATORS.solve(w, y, beta, False)[0], "CPU")
torch.library.register_fake("dargmin::layer", lambda w, y, beta: y.new_empty(y.shape), lib=LIBRARY)
