"""x*(W) exactly and the adjoint of W -> x*, for one signal: the compiled solver, and the route for what that leaves open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from methods._bounded import Bounded, Exact, read_only
from methods._exact import adjoint, dual
from methods._exact.work import PASSES, STEPS, sizes
from problems import _box_dual
from problems.base import Array

HANDED = "left open by the compiled solver: the pattern is verified by a bounded active set"


@dataclass(frozen=True)
class SignalSolver:
    """W (k, n) -> Exact for one signal y (n,). ValueError names a wrong shape of W; SolveError where no pattern verifies."""

    y: Array
    beta: float
    keeps_rank: bool = False

    def solve(self, w: Array, near: Array | None = None) -> Exact:
        """`near`: the duals (k) of a W close by, to start from."""
        w = checked(w, self.y)
        k, n = w.shape
        floats_size, integers_size = sizes(k, n)
        floats, integers = np.empty(floats_size), np.empty(integers_size, np.int64)
        if near is not None:
            dual.start(near, self.beta, floats[n : n + k], integers[2 * k : 3 * k])
        status = dual.minimise(w, self.y, self.beta, near is not None, floats, integers)
        if status == dual.FAILED:
            return self.hand_over(w, floats[n : n + k])
        return _Compiled(self, w, status, floats, integers)

    def hand_over(self, w: Array, start: Array) -> Exact:
        """The route that never fails, from duals believed to be close."""
        return Bounded(w, _box_dual.solve(w, self.y, self.beta, np.nan_to_num(start)), self.keeps_rank, HANDED)


class _Compiled:
    """A solution in the work arrays of methods/_exact/dual.py."""

    __slots__ = ("_floats", "_integers", "_solver", "_status", "_w", "x")
    doubt = note = ""

    def __init__(self, solver: SignalSolver, w: Array, status: int, floats: Array, integers: Array) -> None:
        self._solver, self._w, self._status, self._floats, self._integers = solver, w, status, floats, integers
        self.x = floats[: w.shape[1]]

    @property
    def z(self) -> Array:
        k, n = self._w.shape
        return self._floats[n : n + k]

    @property
    def iterations(self) -> int:
        """Newton steps and sweeps."""
        return int(self._integers[STEPS - 4] + self._integers[PASSES - 4])

    def adjoint(self, g: Array) -> tuple[Array, Array]:
        h, v = map(np.empty, self._w.shape)
        if adjoint.adjoint(self._w, g, self._status, self._floats, self._integers, h, v):
            return h, v
        return self._solver.hand_over(self._w, self.z).adjoint(g)

    def gradient(self, g: Array) -> Array:
        out = np.empty(self._w.shape)
        if adjoint.gradient(self._w, g, self._status, self._floats, self._integers, out):
            return out
        return self._solver.hand_over(self._w, self.z).gradient(g)


def checked(w: Array, y: Array) -> Array:
    """W as a contiguous float64 array; ValueError where it does not fit y."""
    if w.ndim != 2 or w.shape[1] != y.shape[-1]:
        raise ValueError(f"theta must have shape (k, n) with n = {y.shape[-1]} as y has, got {w.shape}")
    if not len(w):
        raise ValueError(f"theta must have at least one row, got shape {w.shape}")
    return read_only(np.ascontiguousarray(w, dtype=np.float64))
