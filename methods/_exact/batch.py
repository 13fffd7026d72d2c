"""x*(W) exactly and its adjoint for the signals of a batch that share W: in tiles where they pay, else one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Protocol

import numpy as np

from methods._bounded import Exact, counted
from methods._exact import lanes, singles
from methods._exact.dual import FACTORED
from methods._exact.lanes import Shared, Tiles
from methods._exact.packs import LANES
from methods._exact.singles import Signals
from methods._exact.solver import checked
from problems.base import Array

SEVERAL = 12  # signals from which on a tile pays
LARGEST = 128  # k and n up to which it does: beyond, its factors leave the cache
SINGLE = 1e12  # ratio of the lengths of rows up to which single precision may look for the pattern


class Solution(Exact, Protocol):
    """That of a batch."""

    @property
    def status(self) -> Array:
        """(batch,), as in methods/_exact/dual.py."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """Those of single signals."""
        ...


@dataclass(frozen=True)
class BatchSolver:
    """W (k, n) -> Exact for signals y (batch, n); `threads` share the signals. Errors as for one signal."""

    y: Array
    beta: float
    keeps_rank: bool = False
    threads: int = 1

    def solve(self, w: Array, near: Array | None = None) -> Solution:
        """`near`: the duals (batch, k) of a W close by, to start from."""
        w = checked(w, self.y)
        return self._joined(lambda part, signals: _solve(signals, w, None if near is None else near[part]))

    def restore(self, w: Array, z: Array, status: Array) -> Solution:
        """The solution that has these z (batch, k) and status (batch,): one factorisation, for the adjoint in another place."""
        w = checked(w, self.y)
        return self._joined(lambda part, signals: singles.restore(signals, w, z[part], status[part]))

    def _joined(self, solve: Callable[[slice, Signals], Solution]) -> Solution:
        """Solve as many slices of the batch as there are threads."""
        signals, parts = Signals(self.y, self.beta, self.keeps_rank), slices(len(self.y), self.threads)
        if len(parts) == 1:
            return solve(parts[0], signals)
        return Joined(parts, list(self._pool.map(lambda part: solve(part, signals.among(part)), parts)), self._pool)

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        """Compiled code holds no lock."""
        return ThreadPoolExecutor(self.threads)


def slices(count: int, most: int) -> list[slice]:
    """At most so many slices of as many signals, of whole tiles where there are several for each."""
    unit = LANES if count >= 2 * most * LANES else 1
    units, parts = -(-count // unit), min(most, count)
    bounds = [min(units * part // parts * unit, count) for part in range(parts + 1)]
    return [slice(*ends) for ends in pairwise(bounds)]


def _solve(signals: Signals, w: Array, near: Array | None) -> Solution:
    shared = shared_products(w, len(signals.y))
    return singles.solve(signals, w, near) if shared is None else Tiled(signals, shared, near)


def shared_products(w: Array, signals: int) -> Shared | None:
    """What all tiles need; None where tiles do not pay, or W is not fit for them."""
    if signals < SEVERAL or max(w.shape) > LARGEST:
        return None
    with np.errstate(all="ignore"):  # what overflows is looked at
        shared = lanes.share(w, w @ w.T)
    low, high = shared.lengths.min(), shared.lengths.max()
    return shared if 0.0 < high <= SINGLE * low < np.inf else None


def tiles(count: int, k: int, n: int) -> Tiles:
    """Room for the solutions of `count` signals."""
    total, most = -(-count // LANES), min(k, n)
    form, size, iterations = np.zeros((3, total), np.int64)
    state, u = np.empty((total, k * LANES), np.int8), np.empty((total, most * (most + 1) // 2 * LANES))
    return Tiles(state, form, size, u, iterations, np.empty(total * LANES, np.int64))


class Tiled:
    """The solutions of a batch by tiles; the signals that they left open are solved one after the other."""

    def __init__(self, signals: Signals, shared: Shared, near: Array | None) -> None:
        (k, n), count, beta = shared.w.shape, len(signals.y), signals.beta
        self.in_tiles = whole = count - (count % LANES if count % LANES < SEVERAL else 0)
        self._signals, self.shared, self.tiles = signals, shared, tiles(whole, k, n)
        self.x, self.z = np.empty((count, n)), np.empty((count, k)) if near is None else near.copy()
        self._solved, self.status = np.zeros(count, np.bool_), np.full(count, FACTORED)
        y, x, z, solved = signals.y[:whole], self.x[:whole], self.z[:whole], self._solved[:whole]
        with np.errstate(all="ignore"):  # what overflows is left open
            c = y @ shared.w.T
        lanes.minimise(shared, y, c, beta, near is not None, x, z, self.tiles, solved)
        self.left_open, self._rest = np.flatnonzero(~self._solved), None
        if len(self.left_open):
            start = None if near is None else near[self.left_open]
            self._rest = rest = singles.solve(signals.among(self.left_open), shared.w, start)
            self.x[self.left_open], self.z[self.left_open], self.status[self.left_open] = rest.x, rest.z, rest.status

    @property
    def iterations(self) -> int:
        """Newton steps and sweeps of the signal that took most."""
        return max(int(self.tiles.iterations.max()), self._rest.iterations if self._rest else 0)

    @property
    def doubt(self) -> str:
        return self._rest.doubt if self._rest else ""

    @property
    def notes(self) -> Sequence[str]:
        return self._rest.notes if self._rest else ()

    @property
    def note(self) -> str:
        return counted(self.notes, len(self.x))

    def adjoint(self, g: Array) -> tuple[Array, Array]:
        h, v, solved, whole = np.empty(self.z.shape), np.empty(self.x.shape), self._solved.copy(), self.in_tiles
        given = np.ascontiguousarray(g[:whole])
        lanes.adjoint(self.shared, given, self.tiles, h[:whole], v[:whole], solved[:whole])
        if self._rest:
            h[self.left_open], v[self.left_open] = self._rest.adjoint(g[self.left_open])
        for index in np.flatnonzero(self._solved & ~solved).tolist():
            h[index], v[index] = self._signals.single(index).hand_over(self.shared.w, self.z[index]).adjoint(g[index])
        return h, v

    def gradient(self, g: Array) -> Array:
        h, v = self.adjoint(g)
        return -(self.z.T @ v + h.T @ self.x)


class Joined:
    """The solutions of slices of a batch."""

    def __init__(self, slices: Sequence[slice], parts: Sequence[Solution], pool: ThreadPoolExecutor) -> None:
        self._slices, self._parts, self._pool = slices, parts, pool
        self.x, self.z, self.status = (np.concatenate([getattr(part, name) for part in parts]) for name in ("x", "z", "status"))

    @property
    def iterations(self) -> int:
        return max(part.iterations for part in self._parts)

    @property
    def doubt(self) -> str:
        return "; ".join(sorted({part.doubt for part in self._parts} - {""}))

    @property
    def notes(self) -> Sequence[str]:
        return [note for part in self._parts for note in part.notes]

    @property
    def note(self) -> str:
        return counted(self.notes, len(self.x))

    def adjoint(self, g: Array) -> tuple[Array, Array]:
        pairs = self._pool.map(lambda part, place: part.adjoint(g[place]), self._parts, self._slices)
        h, v = zip(*pairs, strict=True)
        return np.concatenate(h), np.concatenate(v)

    def gradient(self, g: Array) -> Array:
        return sum(self._pool.map(lambda part, place: part.gradient(g[place]), self._parts, self._slices))
