"""Signals that the kernel leaves open: C calls these functions, which take the route that never fails and warn at a kink."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from methods.blorc.kernels import KERNELS
from methods.blorc.solver import Compiled, SignalSolver
from methods.layers.inputs import check_values, warn_at_kink
from problems.base import Array

_ON_THREAD = threading.local()
RAISED = 2


_MADE: dict[str, tuple[Any, Any]] = {}


def routes() -> tuple[Any, Any]:
    """`open_solution` and `open_lift` of methods/blorc/kernels/layer.h, as pointers: for all threads the same, for ever."""
    return _MADE.get("routes") or _MADE.setdefault("routes", (_pointer("open_solution", _solve), _pointer("open_lift", _lift)))


def _pointer(kind: str, function: Callable[..., None]) -> Any:
    return KERNELS.ffi.callback(kind, _guarded(function))


def raise_it(failed: int, said: Any) -> NoReturn:
    """The error of the function that C has called on this thread, or what C itself says."""
    raise _ON_THREAD.__dict__.pop("error") if failed == RAISED else MemoryError(KERNELS.ffi.string(said).decode())


def _guarded(function: Callable[..., None]) -> Callable[..., int]:
    """C cannot pass an error on: it gets RAISED and the text."""

    def call(*arguments: Any) -> int:
        *given, said = arguments
        try:
            function(*given)
        except BaseException as error:
            _ON_THREAD.__dict__.pop("doubts", None)
            _ON_THREAD.error = error
            text = f"{type(error).__name__}: {error}".encode("ascii", "replace")[: KERNELS.lib.SAID - 1]
            KERNELS.ffi.memmove(said, text + b"\0", len(text) + 1)
            return RAISED
        return 0

    return call


def _numbers(at: Any, *shape: int) -> Array:
    """The float64 values that a pointer points to."""
    return np.frombuffer(KERNELS.ffi.buffer(at, 8 * int(np.prod(shape)))).reshape(shape)


def _solve(k: int, n: int, count: int, which: Any, w: Any, y: Any, beta: float, x: Any, duals: Any) -> None:
    w, signals = _numbers(w, k, n), [_numbers(y + which[a] * n, n) for a in range(count)]
    check_values(w, np.stack(signals), beta)
    for a, signal in enumerate(signals):
        found = SignalSolver(signal, beta).solve(w)
        status = found.status if isinstance(found, Compiled) else KERNELS.lib.FAILED
        _numbers(x + which[a] * n, n)[:] = found.x
        _numbers(duals + which[a] * (k + 1), k + 1)[:] = *found.z, status


def _lift(k: int, n: int, count: int, which: Any, w: Any, y: Any, beta: float, duals: Any, *rest: Any) -> None:
    g, t, fixed, x, h, v = rest
    w, doubts = _numbers(w, k, n), _ON_THREAD.__dict__.setdefault("doubts", set())
    for b in (which[a] for a in range(count)):
        solver = SignalSolver(_numbers(y + b * n, n), beta, keeps_rank=bool(fixed))
        found = solver.hand_over(w, _numbers(duals + b * (k + 1), k + 1)[:k])
        given = (_numbers(g + b * n, n), _numbers(t + b * k, k)) if t else (_numbers(g + b * n, n),)
        _numbers(h + b * k, k)[:], _numbers(v + b * n, n)[:] = found.adjoint(*given)
        _numbers(x + b * n, n)[:] = found.x
        doubts.add(found.doubt)
    if not count:
        del _ON_THREAD.doubts
        warn_at_kink(doubts)
