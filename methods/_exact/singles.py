"""x*(W) exactly and its adjoint for signals that share W, one after the other in compiled code."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from methods._bounded import Exact, counted
from methods._exact import dual
from methods._exact.adjoint import adjoint, write_all
from methods._exact.definite import padded
from methods._exact.linear import extents
from methods._exact.reduced import Known, nothing_known
from methods._exact.solver import SignalSolver
from methods._exact.work import FULL, PASSES, STEPS, sizes, views
from methods._layer import outer_sum
from problems._compiling import compiled
from problems.base import Array

SEVERAL = 4  # signals from which on they share the products of all rows
ORTHOGONAL = 1e-12  # cosine of two rows below which they are orthogonal to rounding
FEW = 8  # signals up to which BLAS takes longer to begin than their outer products take
NOTHING = Known(np.empty((0, 0)), np.empty((0, 0)), np.empty(0, np.int64), np.empty(0, np.int64), np.zeros(1, np.int64))


@compiled
def minimise_all(
    w: Array, y: Array, beta: float, warm: bool, shared: Known, floats: Array, integers: Array, status: Array
) -> int:
    """status_b <- that of `minimise` for the signal y_b; the most Newton steps and sweeps that one took.

    The work arrays have one row a signal, the extents are found once. `shared`: the products of all rows, or nothing.
    """
    k, n = w.shape
    head = views(k, n, floats[0], integers[0])
    full, most = extents(w, head.first, head.end, head.lengths, head.inverse), 0
    for b in range(len(y)):
        s = views(k, n, floats[b], integers[b])
        s.first[:], s.end[:], s.lengths[:], s.inverse[:] = head.first, head.end, head.lengths, head.inverse
        s.counts[FULL] = full
        known = shared if len(shared.rows) else nothing_known(k if dual.is_dense(w, s) else 0, n)
        status[b] = dual.search(w, y[b], beta, warm, s, known)
        most = max(most, s.counts[STEPS] + s.counts[PASSES])
    return most


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
def adjoint_all(w: Array, g: Array, status: Array, floats: Array, integers: Array, h: Array, v: Array, solved: Array) -> bool:
    """h_b, v_b <- those of `adjoint` for g_b; whether each is solved, and whether all are."""
    every = True
    for b in range(len(g)):
        solved[b] = status[b] != dual.FAILED and adjoint(w, g[b], status[b], floats[b], integers[b], h[b], v[b])
        every = every and solved[b]
    return every


@dataclass(frozen=True)
class Signals:
    """Signals y (batch, n) that share W."""

    y: Array
    beta: float
    keeps_rank: bool = False

    def single(self, index: int) -> SignalSolver:
        return SignalSolver(self.y[index], self.beta, self.keeps_rank)

    def among(self, index: Array | slice) -> Signals:
        return Signals(self.y[index], self.beta, self.keeps_rank)


def far_apart(k: int) -> Array:
    """0 .. k - 1 in the order of methods/_exact/reduced.py: neighbours apart."""
    rows = np.arange(padded(k)).reshape(8, -1).T.ravel()
    return rows[rows < k]


def shared_products(w: Array, signals: int) -> Known:
    """The products of all rows where they pay: for a dense W with rows that are not orthogonal, and several signals."""
    k = len(w)
    if signals >= SEVERAL and 2 * np.count_nonzero(w) > w.size:
        gram, rows = np.zeros((padded(k), padded(k))), far_apart(k)
        apart = w[rows]
        gram[:k, :k] = apart @ apart.T
        lengths = np.sqrt(np.diagonal(gram))
        if (np.abs(gram) > ORTHOGONAL * np.outer(lengths, lengths)).sum() > k:
            return Known(gram, np.empty((0, 0)), rows, np.argsort(rows), np.array([k]))
    return NOTHING


def summed(z: Array, v: Array, h: Array, x: Array) -> Array:
    """-(z^T v + h^T x): that of each signal, summed over a batch, shape (k, n)."""
    if len(z) > FEW:
        return outer_sum(z, v, h, x)
    out = np.empty((z.shape[1], x.shape[1]))
    write_all(np.ascontiguousarray(z), v, h, np.ascontiguousarray(x), out)
    return out


def solve(signals: Signals, w: Array, near: Array | None, known: Known | None = None) -> Singles:
    """`near`: the duals (batch, k) of a W close by, to start from; `known`: the products of all rows, or none."""
    (k, n), warm, work = w.shape, near is not None, work_arrays(len(signals.y), w)
    status, floats, integers = work
    if near is not None:
        start_all(near, signals.beta, floats[:, n : n + k], integers[:, 2 * k : 3 * k])
    known = known or shared_products(w, len(signals.y))
    iterations = minimise_all(w, signals.y, signals.beta, warm, known, floats, integers, status)
    return Singles(signals, w, *work, iterations)


def restore(signals: Signals, w: Array, z: Array, status: Array) -> Singles:
    """The solution that has these z (batch, k) and status (batch,): one factorisation, for the adjoint in another place."""
    found, floats, integers = work_arrays(len(signals.y), w)
    found[:] = status
    restore_all(w, signals.y, signals.beta, z, floats, integers, found)
    return Singles(signals, w, found, floats, integers, iterations=0)


def work_arrays(count: int, w: Array) -> tuple[Array, Array, Array]:
    """(status, floats, integers), one row a signal."""
    floats, integers = sizes(*w.shape)
    return np.empty(count, np.int64), np.empty((count, floats)), np.empty((count, integers), np.int64)


class Singles:
    """The solutions; what the compiled solver left open is replaced by that of the route that never fails."""

    def __init__(self, signals: Signals, w: Array, status: Array, floats: Array, integers: Array, iterations: int) -> None:
        k, n = w.shape
        self._signals, self._w, self.status, self._floats, self._integers = signals, w, status, floats, integers
        self.x, self.z, self.iterations = floats[:, :n], floats[:, n : n + k], iterations
        self._open: dict[int, Exact] = {}
        for index in np.flatnonzero(status == dual.FAILED).tolist():
            self._hand_over(index)

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

    def adjoint(self, g: Array) -> tuple[Array, Array]:
        h, v, solved = np.empty(self.z.shape), np.empty(self.x.shape), np.empty(len(g), np.bool_)
        if not adjoint_all(self._w, g, self.status, self._floats, self._integers, h, v, solved):
            for index in np.flatnonzero(~solved).tolist():
                found = self._open[index] if index in self._open else self._hand_over(index)
                h[index], v[index] = found.adjoint(g[index])
        return h, v

    def gradient(self, g: Array) -> Array:
        h, v = self.adjoint(g)
        return summed(self.z, v, h, self.x)

    def _hand_over(self, index: int) -> Exact:
        found = self._signals.single(index).hand_over(self._w, self.z[index].copy())
        self._open[index] = found
        self.x[index], self.z[index] = found.x, found.z
        return found
