"""One signal whose W alone is learnt, as a torch layer: what surrounds the kernel must not outlast it."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np

Slopes = Callable[[Any, Any], tuple[Any, Any, Any]]  # (dL/dx, what is needed) -> dL/dW, dL/dy, dL/dbeta


@cache
def solver() -> Callable[[Any, Any, Any], tuple[Any, Slopes] | None]:
    """(W, y, beta) -> x* and its slopes; None where a tensor is no plain one, or the kernel leaves the signal open."""
    import torch

    from methods._layer import warn_at_kink
    from methods.blorc.kernels import KERNELS
    from methods.blorc.solver import SignalSolver, layout

    float64, lib, ffi, numbers, none = torch.float64, KERNELS.lib, KERNELS.ffi, KERNELS.numbers, KERNELS.ffi.NULL
    pointer = partial(ffi.cast, ffi.typeof("double *"))

    def is_plain(tensor: Any) -> bool:
        """Whether its memory is that of float64 values, contiguous and on the CPU."""
        return tensor.dtype is float64 and tensor.is_cpu and tensor.is_contiguous() and not tensor.is_neg()

    def solve(w: Any, y: Any, beta: Any) -> tuple[Any, Slopes] | None:
        shape = w.shape
        if not (isinstance(beta, float) and 0.0 < beta < math.inf and len(shape) == 2 and shape[1:] == y.shape):
            return None
        if not (is_plain(w) and is_plain(y) and w.data_ptr() and y.data_ptr()):
            return None
        (k, n), x = shape, torch.empty_like(y)
        work = np.empty(layout(k, n)[0])
        at = ffi.from_buffer(numbers, work)
        status = lib.solve_signal(k, n, pointer(w.data_ptr()), pointer(y.data_ptr()), beta, none, at)
        ffi.memmove(pointer(x.data_ptr()), at, 8 * n)
        return (x, partial(slopes, w.detach(), y, beta, status, at)) if status else None

    def slopes(w: Any, y: Any, beta: float, status: int, at: Any, g: Any, needed: Any) -> tuple[Any, None, None]:
        (k, n), out = w.shape, torch.empty_like(w)
        if not is_plain(g):
            g = g.resolve_neg().contiguous()
        if not (is_plain(g) and g.data_ptr()):
            raise RuntimeError("AnalysisL1Layer needs the cotangent as float64 values, got one whose memory is gone")
        if lib.signal_gradient(k, n, pointer(g.data_ptr()), status, at, pointer(out.data_ptr())):
            return out, None, None
        found = SignalSolver(y.detach().numpy(), beta).solve(w.numpy())
        grad = found.gradient(g.numpy())
        warn_at_kink(found)
        return torch.from_numpy(grad), None, None

    return solve
