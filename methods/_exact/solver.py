"""x*(W) exactly and the adjoint of W -> x*, for one signal: the compiled solver, and the route for what that leaves open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy import empty, ndarray

from methods._bounded import Bounded, Exact, read_only
from methods._exact import adjoint, dual
from methods._exact.work import size
from problems import _box_dual
from problems.base import Array

FLOAT = np.dtype(np.float64)
HANDED = "left open by the compiled solver: the pattern is verified by a bounded active set"


@dataclass(frozen=True, slots=True)
class SignalSolver:
    """W (k, n) -> Exact for one signal y (n,). ValueError names a wrong shape of W; SolveError where no pattern verifies."""

    y: Array
    beta: float
    keeps_rank: bool = False

    def solve(self, w: Array, near: Array | None = None) -> Exact:
        """`near`: the duals (k) of a W close by, to start from."""
        y, shape = self.y, w.shape
        if type(w) is not ndarray or w.dtype != FLOAT or not w.flags.carray or shape[1:] != y.shape or not shape[0]:
            w = np.require(checked(w, y), requirements="W")  # compiled code would have another variant for protected arrays
            shape = w.shape
        work = empty(size(shape))
        if near is None:
            status, iterations = dual.solve_signal(w, y, self.beta, work)
        else:
            status, iterations = dual.solve_near(w, y, self.beta, near, work)
        if status == dual.FAILED:
            k, n = w.shape
            return self.hand_over(w, work[n : n + k])
        return Compiled(self, w, status, work, iterations)

    def hand_over(self, w: Array, start: Array) -> Bounded:
        """The route that never fails, from duals believed to be close."""
        return Bounded(w, _box_dual.solve(w, self.y, self.beta, np.nan_to_num(start)), self.keeps_rank, HANDED)


@dataclass(slots=True, eq=False)  # frozen, it would take longer to make than the compiled code is called
class Compiled:
    """A solution in the work array of methods/_exact/dual.py."""

    doubt: ClassVar[str] = ""
    note: ClassVar[str] = ""

    solver: SignalSolver
    w: Array
    status: int
    work: Array
    iterations: int

    @property
    def x(self) -> Array:
        return self.work[: self.w.shape[1]]

    @property
    def z(self) -> Array:
        k, n = self.w.shape
        return self.work[n : n + k]

    def adjoint(self, g: Array) -> tuple[Array, Array]:
        h, v = map(empty, self.w.shape)
        if adjoint.lift(self.w, g, self.status, self.work, h, v):
            return h, v
        return self.solver.hand_over(self.w, self.z).adjoint(g)

    def gradient(self, g: Array) -> Array:
        out = empty(self.w.shape)
        if adjoint.gradient(self.w, g, self.status, self.work, out):
            return out
        return self.solver.hand_over(self.w, self.z).gradient(g)

    def squared(self, target: Array, scale: float) -> tuple[float, Array]:
        """scale / 2 |x* - target|^2 and its gradient in W; its value is NaN where `gradient` has to be called instead."""
        out = empty(self.w.shape)
        return adjoint.squared(self.w, target, scale, self.status, self.work, out), out


def checked(w: Array, y: Array) -> Array:
    """W as a contiguous float64 array; ValueError where it does not fit y."""
    if w.ndim != 2 or w.shape[1] != y.shape[-1]:
        raise ValueError(f"theta must have shape (k, n) with n = {y.shape[-1]} as y has, got {w.shape}")
    if not len(w):
        raise ValueError(f"theta must have at least one row, got shape {w.shape}")
    return read_only(np.ascontiguousarray(w, dtype=np.float64))
