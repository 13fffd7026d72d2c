"""One signal whose W alone is learnt, as a torch layer: what surrounds the compiled solver must not outlast it."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, partial
from typing import Any

Slopes = Callable[[Any, Any], tuple[Any, Any, Any]]  # (dL/dx, what is needed) -> dL/dW, dL/dy, dL/dbeta


@cache
def solver() -> Callable[[Any, Any, Any], tuple[Any, Slopes] | None]:
    """(W, y, beta) -> x* and its slopes; None where a tensor is no plain one, or the compiled solver leaves the signal open."""
    import torch

    from methods._exact import addresses
    from methods._exact.dual import FAILED
    from methods._exact.solver import SignalSolver
    from methods._exact.work import size

    float64 = torch.float64

    def address(tensor: Any) -> int:
        """That of float64 values, contiguous and on the CPU; 0 for any other."""
        plain = tensor.dtype is float64 and tensor.is_cpu and tensor.is_contiguous() and not tensor.is_neg()
        return tensor.data_ptr() if plain else 0

    def solve(w: Any, y: Any, beta: Any) -> tuple[Any, Slopes] | None:
        shape = w.shape
        if not (isinstance(beta, float) and 0.0 < beta < math.inf and len(shape) == 2 and shape[1:] == y.shape):
            return None
        at_w, at_y = address(w), address(y)
        if not (at_w and at_y):
            return None
        (k, n), floats, x = shape, size(shape), torch.empty_like(y)
        work = w.new_empty(floats)
        status = addresses.solve(at_w, at_y, beta, k, n, work.data_ptr(), floats, x.data_ptr())
        return None if status == FAILED else (x, partial(slopes, w.detach(), y, beta, status, work, floats))

    def slopes(w: Any, y: Any, beta: float, status: int, work: Any, floats: int, g: Any, needed: Any) -> tuple[Any, None, None]:
        (k, n), at_g, out = w.shape, address(g), torch.empty_like(w)
        if not at_g:
            g = g.resolve_neg().contiguous()
            at_g = address(g)
        if not (at_g and address(w)):
            raise RuntimeError("AnalysisL1Layer needs W and the cotangent as float64 values, got one whose memory is gone")
        if addresses.gradient(address(w), at_g, k, n, status, work.data_ptr(), floats, out.data_ptr()):
            return out, None, None
        found = SignalSolver(y.detach().numpy(), beta).hand_over(w.numpy(), work[n : n + k].numpy())
        return torch.from_numpy(found.gradient(g.numpy())), None, None

    return solve
