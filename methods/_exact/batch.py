"""x*(W) exactly and its adjoint for the signals of a batch that share W: no Python loop over the signals."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from methods._bounded import Exact, counted
from methods._exact import dual
from methods._exact.adjoint import adjoint
from methods._exact.linear import extents
from methods._exact.reduced import Known, nothing_known
from methods._exact.solver import SignalSolver, checked
from methods._exact.work import FULL, PASSES, STEPS, sizes, views
from problems._compiling import compiled
from problems.base import Array

SEVERAL = 4  # signals from which on they share the products of all rows
ORTHOGONAL = 1e-12  # cosine of two rows below which they are orthogonal to rounding


@compiled
def minimise_all(
    w: Array, y: Array, beta: float, warm: bool, shared: Known, floats: Array, integers: Array, status: Array
) -> None:
    """status_b <- that of `minimise` for the signal y_b; the work arrays have one row a signal, the extents are found once.

    `shared`: the products of all rows, or nothing.
    """
    k, n = w.shape
    head = views(k, n, floats[0], integers[0])
    full = extents(w, head.first, head.end, head.lengths, head.inverse)
    for b in range(len(y)):
        s = views(k, n, floats[b], integers[b])
        s.first[:], s.end[:], s.lengths[:], s.inverse[:] = head.first, head.end, head.lengths, head.inverse
        s.counts[FULL] = full
        known = shared if len(shared.rows) else nothing_known(k if dual.is_dense(w, s) else 0)
        status[b] = dual.search(w, y[b], beta, warm, s, known)


@compiled
def start_all(near: Array, beta: float, z: Array, state: Array) -> None:
    """`start` for every signal."""
    for b in range(len(near)):
        dual.start(near[b], beta, z[b], state[b])


@compiled
def restore_all(w: Array, y: Array, beta: float, z: Array, floats: Array, integers: Array, status: Array) -> None:
    """The arrays of `minimise_all` from z and status, which is overwritten."""
    for b in range(len(y)):
        status[b] = dual.restore(w, y[b], beta, z[b], status[b], floats[b], integers[b])


@compiled
def adjoint_all(w: Array, g: Array, status: Array, floats: Array, integers: Array, h: Array, v: Array) -> None:
    """h_b, v_b <- those of `adjoint` for g_b; status_b <- FAILED where it is not solved."""
    for b in range(len(g)):
        if status[b] != dual.FAILED and not adjoint(w, g[b], status[b], floats[b], integers[b], h[b], v[b]):
            status[b] = dual.FAILED


@dataclass(frozen=True)
class BatchSolver:
    """W (k, n) -> Exact for signals y (batch, n); `threads` share the signals. Errors as for one signal."""

    y: Array
    beta: float
    keeps_rank: bool = False
    threads: int = 1

    def solve(self, w: Array, near: Array | None = None) -> Batch:
        """`near`: the duals (batch, k) of a W close by, to start from."""
        w, warm = checked(w, self.y), near is not None
        k, n = w.shape
        floats, integers, status = self._work(w)
        if near is not None:
            start_all(near, self.beta, floats[:, n : n + k], integers[:, 2 * k : 3 * k])
        known = shared_products(w, len(self.y))
        self.share(
            lambda part: minimise_all(w, self.y[part], self.beta, warm, known, floats[part], integers[part], status[part])
        )
        return Batch(self, w, status, floats, integers)

    def restore(self, w: Array, z: Array, status: Array) -> Batch:
        """The solution that has these z (batch, k) and status (batch,): one factorisation, for the adjoint in another place."""
        floats, integers, found = self._work(w)
        found[:] = status
        restore_all(w, self.y, self.beta, z, floats, integers, found)
        return Batch(self, w, found, floats, integers)

    def _work(self, w: Array) -> tuple[Array, Array, Array]:
        """(floats, integers, status), one row a signal."""
        count, (floats, integers) = len(self.y), sizes(*w.shape)
        return np.empty((count, floats)), np.empty((count, integers), np.int64), np.empty(count, np.int64)

    def share(self, work: Callable[[slice], None]) -> None:
        """Run the work on as many equal slices of the batch as there are threads; compiled code holds no lock."""
        if self.threads == 1:
            return work(slice(None))
        bounds = np.linspace(0, len(self.y), self.threads + 1).astype(int).tolist()
        with ThreadPoolExecutor(self.threads) as pool:
            list(pool.map(work, map(slice, bounds, bounds[1:])))
        return None

    def single(self, index: int) -> SignalSolver:
        return SignalSolver(self.y[index], self.beta, self.keeps_rank)


def shared_products(w: Array, signals: int) -> Known:
    """The products of all rows where they pay: for a dense W with rows that are not orthogonal, and several signals."""
    k = len(w)
    if signals >= SEVERAL and 2 * np.count_nonzero(w) > w.size:
        gram = w @ w.T
        lengths = np.sqrt(np.diagonal(gram))
        if (np.abs(gram) > ORTHOGONAL * np.outer(lengths, lengths)).sum() > k:
            return Known(gram, np.arange(k), np.arange(k), np.array([k]))
    return Known(np.empty((0, 0)), np.empty(0, np.int64), np.empty(0, np.int64), np.zeros(1, np.int64))


class Batch:
    """The solutions of a batch; what the compiled solver left open is replaced by that of the route that never fails."""

    def __init__(self, solver: BatchSolver, w: Array, status: Array, floats: Array, integers: Array) -> None:
        k, n = w.shape
        self._solver, self._w, self.status, self._floats, self._integers = solver, w, status, floats, integers
        self.x, self.z = floats[:, :n], floats[:, n : n + k]
        self._open: dict[int, Exact] = {}
        for index in np.flatnonzero(status == dual.FAILED).tolist():
            self._hand_over(index)

    @property
    def iterations(self) -> int:
        """Newton steps and sweeps of the signal that took most."""
        return int((self._integers[:, STEPS - 4] + self._integers[:, PASSES - 4]).max())

    @property
    def doubt(self) -> str:
        """The doubts, each once."""
        return "; ".join(sorted({found.doubt for found in self._open.values()} - {""}))

    @property
    def note(self) -> str:
        """The doubts, each with the number of signals it concerns."""
        return counted((found.note for found in self._open.values()), len(self.x))

    def adjoint(self, g: Array) -> tuple[Array, Array]:
        h, v = np.empty(self.z.shape), np.empty(self.x.shape)
        status = self.status.copy()

        def work(part: slice) -> None:
            adjoint_all(self._w, g[part], status[part], self._floats[part], self._integers[part], h[part], v[part])

        self._solver.share(work)
        for index in np.flatnonzero(status == dual.FAILED).tolist():
            found = self._open[index] if index in self._open else self._hand_over(index)
            h[index], v[index] = found.adjoint(g[index])
        return h, v

    def gradient(self, g: Array) -> Array:
        h, v = self.adjoint(g)
        return -(self.z.T @ v + h.T @ self.x)

    def _hand_over(self, index: int) -> Exact:
        found = self._solver.single(index).hand_over(self._w, self.z[index].copy())
        self._open[index] = found
        self.x[index], self.z[index] = found.x, found.z
        return found
