"""One signal in memory of another library, named by addresses: to wrap its arrays in NumPy's would take as long as to solve."""

from __future__ import annotations

from typing import Any

from numba import carray, types
from numba.extending import intrinsic

from methods._exact import adjoint, dual
from problems._compiling import compiled


@intrinsic
def floats_at(typing: Any, address: Any) -> Any:
    """A pointer to the float64 there."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.inttoptr(values[0], context.get_value_type(signature.return_type))

    return types.CPointer(types.float64)(types.int64), generate


@compiled
def solve(w: int, y: int, beta: float, k: int, n: int, work: int, size: int, x: int) -> int:
    """x <- x* (n) for W (k, n) and y (n), and the status; `work` has room for methods/_exact/work.py."""
    room = carray(floats_at(work), size)
    status, _ = dual.solve_signal(carray(floats_at(w), (k, n)), carray(floats_at(y), n), beta, room)
    carray(floats_at(x), n)[:] = room[:n]
    return status


@compiled
def gradient(w: int, g: int, k: int, n: int, status: int, work: int, size: int, out: int) -> bool:
    """out <- the gradient (k, n) in W for g = dL/dx (n); whether the adjoint is solved."""
    matrix, room = carray(floats_at(w), (k, n)), carray(floats_at(work), size)
    return adjoint.gradient(matrix, carray(floats_at(g), n), status, room, carray(floats_at(out), (k, n)))
