"""x*(W) exactly and its adjoint for signals that share W: one after the other in the kernel, on one thread or several."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np

from methods.blorc.bounded import Exact, counted
from methods.blorc.kernels import KERNELS
from methods.blorc.solver import Compiled, SignalSolver, checked
from problems.base import Array

SMALL = 2**19 - 1  # multiplications up to which OpenBLAS keeps a product to this thread; its others would go on to spin


class BatchSolver:
    """W (k, n) -> Batch for signals y (batch, n); `threads` share the signals. Errors as for one signal."""

    def __init__(self, y: Array, beta: float, keeps_rank: bool = False, threads: int = 1) -> None:
        self.y, self.beta, self.keeps_rank = np.ascontiguousarray(y), beta, keeps_rank
        bounds = [len(y) * part // threads for part in range(threads + 1)]
        self._pools: dict[int, ThreadPoolExecutor] = {}
        self.parts = [slice(*ends) for ends in pairwise(bounds) if ends[0] < ends[1]]

    def solve(self, w: Array, near: Array | None = None) -> Batch:
        """`near`: the duals (batch, k) of a W close by, to start from."""
        found = Batch(self, checked(w, self.y), np.empty(len(self.y), np.int64))
        start = None if near is None else np.ascontiguousarray(near).reshape(found.z.shape)
        found.solve(start)
        return found

    def single(self, index: int) -> SignalSolver:
        return SignalSolver(self.y[index], self.beta, self.keeps_rank)

    def each(self, call: Callable[[int], object]) -> None:
        """call(index of a part) for every part, this thread taking the first; the kernel holds no lock."""
        others = [self._pool().submit(call, part) for part in range(1, len(self.parts))]
        call(0)
        for other in others:
            other.result()

    def _pool(self) -> ThreadPoolExecutor:
        """One a process: a fork has none of the threads."""
        if os.getpid() not in self._pools:
            self._pools[os.getpid()] = ThreadPoolExecutor(len(self.parts))
        return self._pools[os.getpid()]


class Batch:
    """The solutions, in work arrays of `kernels/signal.h`; what the kernel leaves open goes to the route that never fails."""

    def __init__(self, solver: BatchSolver, w: Array, status: Array) -> None:
        (k, n), lib = w.shape, KERNELS.lib
        self.solver, self.w, self.status = solver, w, status
        self.x, self.z, self.iterations = np.empty((len(solver.y), n)), np.empty((len(solver.y), k)), 0
        self._several = int(len(solver.y) >= lib.SEVERAL)
        self._shared = np.empty((len(solver.parts), lib.shared_size(k, n, self._several)))
        self._work = np.empty((len(solver.y), lib.signal_size(k, n)))
        self._open: dict[int, Exact] = {}

    @property
    def doubt(self) -> str:
        """The doubts, each once."""
        return "; ".join(sorted({found.doubt for found in self._open.values()} - {""}))

    @property
    def notes(self) -> list[str]:
        """That of each signal that was handed over."""
        return [found.note for found in self._open.values()]

    @property
    def note(self) -> str:
        """The notes, each with the number of signals it concerns."""
        return counted(self.notes, len(self.x)) if self._open else ""

    def solve(self, duals: Array | None) -> None:
        """From these duals on, if there are any."""
        solver, (k, n), none = self.solver, self.w.shape, KERNELS.ffi.NULL

        def call(index: int) -> None:
            part = solver.parts[index]
            y, shared, work, status = solver.y[part], self._shared[index], self._work[part], self.status[part]
            given = none if duals is None else duals[part]
            KERNELS.call("solve_signals", k, n, len(y), self._several, self.w, y, solver.beta, given, shared, work, status)

        solver.each(call)
        stride, dual = int(KERNELS.lib.signal_stride(k, n)), int(KERNELS.lib.dual_place(n))
        for part in solver.parts:  # copies, lest whoever keeps z keep the work arrays too
            size = len(self.x[part])
            kept = self._work[part].reshape(-1)[: size * stride].reshape(size, stride)
            self.x[part], self.z[part] = kept[:, :n], kept[:, dual : dual + k]
            self.iterations = max(self.iterations, int(kept[:, dual - 1].max()))
        for index in np.flatnonzero(self.status == KERNELS.lib.FAILED).tolist():
            found = solver.single(index).solve(self.w)
            if isinstance(found, Compiled):
                self.status[index] = found.status
            self._open[index] = found
            self.x[index], self.z[index] = found.x, found.z

    def adjoint(self, g: Array) -> tuple[Array, Array]:
        solver, (k, n), g, none = self.solver, self.w.shape, np.ascontiguousarray(g), KERNELS.ffi.NULL
        h, v, solved = np.empty((len(g), k)), np.empty((len(g), n)), np.empty(len(g), np.int64)

        def call(index: int) -> None:
            part = solver.parts[index]
            arrays = self.status[part], self._shared[index], self._work[part], none, h[part], v[part], solved[part]
            KERNELS.call("lift_signals", k, n, len(g[part]), self._several, g[part], none, *arrays)

        solver.each(call)
        solved[list(self._open)] = 0
        for index in np.flatnonzero(solved == 0).tolist():
            if index not in self._open:
                self._open[index] = solver.single(index).hand_over(self.w, self.z[index].copy())
            h[index], v[index] = self._open[index].adjoint(g[index])
        return h, v

    def gradient(self, g: Array) -> Array:
        """-(z^T v + h^T x), in products that OpenBLAS keeps to this thread."""
        h, v = self.adjoint(g)
        out, rows = np.zeros(self.w.shape), max(SMALL // self.w.size, 1)
        for first in range(0, len(g), rows):
            part = slice(first, first + rows)
            out -= self.z[part].T @ v[part] + h[part].T @ self.x[part]
        return out
