"""x*(W) exactly and the adjoint of W -> x*, for one signal: the kernel, and the route for what that leaves open."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy import empty, ndarray

from methods.blorc.bounded import Bounded, Exact
from methods.blorc.kernels import KERNELS
from problems.base import Array
from problems.solvers import box_dual

FLOAT = np.dtype(np.float64)
HANDED = "left open by the compiled solver: the pattern is verified by a bounded active set"
VANISHED = 1e-12  # |x| by share of |y|: x* = 0


class SignalSolver:
    """W (k, n) -> Exact for one signal y (n,). ValueError names a wrong shape of W; SolveError where no pattern verifies."""

    def __init__(self, y: Array, beta: float, keeps_rank: bool = False) -> None:
        self.y, self.beta, self.keeps_rank = np.ascontiguousarray(y, FLOAT), beta, keeps_rank
        self.lib, self.view, self.numbers = KERNELS.lib, KERNELS.ffi.from_buffer, KERNELS.numbers
        self._y, self._none = self.view(self.numbers, self.y), KERNELS.ffi.NULL

    def solve(self, w: Array, near: Array | None = None) -> Exact:
        """`near`: the duals (k) of a W close by, to start from."""
        if type(w) is not ndarray or w.dtype != FLOAT or not w.flags.c_contiguous or w.shape[1:] != self.y.shape or not len(w):
            w = checked(w, self.y)
        (k, n), view, numbers = w.shape, self.view, self.numbers
        size, dual = layout(k, n)
        work = empty(size)
        at = view(numbers, work)
        start = self._none if near is None else view(numbers, _sized("near", near, k))
        status = self.lib.solve_signal(k, n, view(numbers, w), self._y, self.beta, start, at)
        found = Compiled(self, w, status, work[:n], work[dual : dual + k], work, at)
        return found if status else self._left_open(found)

    def hand_over(self, w: Array, start: Array) -> Bounded:
        """The route that never fails, from duals believed to be close."""
        return Bounded(w, box_dual.solve(w, self.y, self.beta, np.nan_to_num(start)), self.keeps_rank, HANDED)

    def _left_open(self, found: Compiled) -> Exact:
        if 0.0 < np.linalg.norm(found.x) <= VANISHED * np.linalg.norm(self.y):
            inside = box_dual.dual_inside(found.w, self.y, self.beta, found.z)
            if inside is not None:
                found.x[:], found.z[:], found.status = 0.0, inside, self.lib.ZERO
                return found
        return self.hand_over(found.w, found.z)


@dataclass(slots=True, eq=False)  # frozen, it would take longer to make than the kernel is called
class Compiled:
    """A solution in the work array of `kernels/signal.h`, which `at` points to."""

    solver: SignalSolver
    w: Array
    status: int
    x: Array
    z: Array
    work: Array
    at: Any
    handed: Bounded | None = None  # what the adjoint was left to

    @property
    def doubt(self) -> str:
        return self.handed.doubt if self.handed else ""

    @property
    def note(self) -> str:
        return self.handed.note if self.handed else ""

    @property
    def iterations(self) -> int:
        return int(self.work[layout(*self.w.shape)[1] - 1])

    def adjoint(self, g: Array) -> tuple[Array, Array]:
        (k, n), view, numbers = self.w.shape, self.solver.view, self.solver.numbers
        h, v, g = empty(k), empty(n), _sized("the cotangent", g, n)
        arrays = self.at, view(numbers, h), view(numbers, v)
        if self.solver.lib.lift_signal(k, n, view(numbers, g), self.status, *arrays):
            return h, v
        return self._hand_over().adjoint(g)

    def gradient(self, g: Array) -> Array:
        (k, n), view, numbers = self.w.shape, self.solver.view, self.solver.numbers
        out, g = empty((k, n)), _sized("the cotangent", g, n)
        if self.solver.lib.signal_gradient(k, n, view(numbers, g), self.status, self.at, view(numbers, out)):
            return out
        return self._hand_over().gradient(g)

    def _hand_over(self) -> Bounded:
        self.handed = self.handed or self.solver.hand_over(self.w, self.z)
        return self.handed

    def squared(self, target: Any, scale: float) -> tuple[float, Array]:
        """scale / 2 |x* - target|^2, `target` as a pointer, and its gradient in W; NaN where `gradient` has to be called."""
        (k, n), solver = self.w.shape, self.solver
        out = empty((k, n))
        return solver.lib.signal_squared(k, n, target, scale, self.status, self.at, solver.view(solver.numbers, out)), out


@cache
def layout(k: int, n: int) -> tuple[int, int]:
    """How many numbers the work array of one signal has, with what is known of W, and the place of z among them."""
    return int(KERNELS.lib.signal_size(k, n) + KERNELS.lib.shared_size(k, n, 0)), int(KERNELS.lib.dual_place(n))


def _sized(name: str, a: Array, size: int) -> Array:
    """`size` contiguous float64 numbers, for the kernel reads so many; ValueError where there are others."""
    if len(a) != size:
        raise ValueError(f"{name} must have {size} entries, got {len(a)}")
    return np.ascontiguousarray(a, FLOAT)


def checked(w: Array, y: Array) -> Array:
    """W as a contiguous float64 array; ValueError where it does not fit y."""
    if w.ndim != 2 or w.shape[1] != y.shape[-1]:
        raise ValueError(f"theta must have shape (k, n) with n = {y.shape[-1]} as y has, got {w.shape}")
    if not len(w):
        raise ValueError(f"theta must have at least one row, got shape {w.shape}")
    return np.ascontiguousarray(w, dtype=np.float64)
