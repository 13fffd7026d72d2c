"""x*(W) exactly and its adjoint for the signals of a batch that share W: in tiles where they pay, else one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Protocol, TypeVar

import numpy as np

from methods._bounded import Exact, counted
from methods._exact import lanes, singles
from methods._exact.dual import FACTORED
from methods._exact.lanes import Shared, Tiles
from methods._exact.packs import LANES
from methods._exact.singles import Signals, Singles
from methods._exact.solver import checked
from problems.base import Array

T = TypeVar("T")
SEVERAL = 12  # signals from which on a tile pays
LARGEST = 128  # k and n up to which it does: beyond, its factors leave the cache
SMALL = 2**19 - 1  # multiplications up to which OpenBLAS keeps a product to this thread; its others would go on to spin
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
        w, signals = checked(w, self.y), Signals(self.y, self.beta, self.keeps_rank)
        shared = shared_products(w, len(self.y))
        if shared is not None:
            return Tiled(signals, shared, near, self._team)
        known = singles.shared_products(w, len(self.y))
        return self._joined(lambda part: singles.solve(signals.among(part), w, None if near is None else near[part], known))

    def restore(self, w: Array, z: Array, status: Array) -> Solution:
        """The solution that has these z (batch, k) and status (batch,): one factorisation, for the adjoint in another place."""
        w, signals = checked(w, self.y), Signals(self.y, self.beta, self.keeps_rank)
        return self._joined(lambda part: singles.restore(signals.among(part), w, z[part], status[part]))

    def _joined(self, solve: Callable[[slice], Singles]) -> Solution:
        return solve(slice(None)) if self._team.threads == 1 else Joined(solve, self._team)

    @cached_property
    def _team(self) -> Team:
        return Team(len(self.y), self.threads)


class Team:
    """Threads that share the work on a batch; compiled code holds no lock."""

    def __init__(self, signals: int, threads: int) -> None:
        self.signals, self.threads = signals, min(threads, signals)

    def share(self, work: Callable[[int, int], T], count: int) -> list[T]:
        """work(first, last) for a part of range(count) a thread, together all of it."""
        parts = min(self.threads, count)
        if parts < 2:
            return [work(0, count)]
        bounds = [count * part // parts for part in range(parts + 1)]
        others = [self._pool.submit(work, *ends) for ends in pairwise(bounds[1:])]
        return [work(0, bounds[1]), *(other.result() for other in others)]

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.threads - 1)  # this thread is one of them


def shared_products(w: Array, signals: int) -> Shared | None:
    """What all tiles need; None where tiles do not pay, or W is not fit for them."""
    if signals < SEVERAL or max(w.shape) > LARGEST:
        return None
    with np.errstate(all="ignore"):  # what overflows is looked at
        shared = lanes.share(w, product(w, w.T))
    low, high = shared.lengths.min(), shared.lengths.max()
    return shared if 0.0 < high <= SINGLE * low < np.inf else None


def steps(count: int, size: int) -> list[slice]:
    """Those in which `count` rows times a matrix of that size are small products."""
    rows = max(SMALL // size, 1)
    return [slice(first, first + rows) for first in range(0, count, rows)]


def product(a: Array, b: Array) -> Array:
    """a b, in small products."""
    out = np.empty((len(a), b.shape[1]))
    for part in steps(len(a), b.size):
        np.matmul(a[part], b, out=out[part])
    return out


def tiles(count: int, k: int, n: int) -> Tiles:
    """Room for the solutions of `count` signals."""
    total, most = -(-count // LANES), min(k, n)
    form, size, iterations = np.zeros((3, total), np.int64)
    state, u = np.empty((total, k * LANES), np.int8), np.empty((total, most * (most + 1) // 2 * LANES))
    return Tiles(state, form, size, u, iterations, np.empty(total * LANES, np.int64))


class Tiled:
    """The solutions of a batch by tiles; the signals that they left open are solved one after the other."""

    def __init__(self, signals: Signals, shared: Shared, near: Array | None, team: Team) -> None:
        (k, n), count = shared.w.shape, len(signals.y)
        self._signals, self._team, self.shared, self.tiles = signals, team, shared, tiles(count, k, n)
        self.x, self.z = np.empty((count, n)), np.empty((count, k)) if near is None else near.copy()
        self._solved, self.status = np.zeros(count, np.bool_), np.full(count, FACTORED)
        self._minimise(near is not None)
        self.left_open, self._rest = np.flatnonzero(~self._solved), None
        if len(self.left_open):
            start = None if near is None else near[self.left_open]
            self._rest = rest = singles.solve(signals.among(self.left_open), shared.w, start)
            self.x[self.left_open], self.z[self.left_open], self.status[self.left_open] = rest.x, rest.z, rest.status

    def _minimise(self, warm: bool) -> None:
        """Which signals share a tile does not depend on the threads, so nor does any bit of the solution."""
        shared, tiles, team, count = self.shared, self.tiles, self._team, len(self.tiles.form)
        y, beta, x, z, solved = self._signals.y, self._signals.beta, self.x, self.z, self._solved
        with np.errstate(all="ignore"):  # what overflows is left open
            c = product(y, shared.w.T)
        if team.threads == 1:
            lanes.minimise(shared, y, c, beta, warm, x, z, tiles, solved)
            return
        team.share(lambda first, last: lanes.propose_all(shared, c, beta, warm, z, tiles, first, last), count)
        lanes.arrange(shared, beta, z, tiles)
        team.share(lambda first, last: lanes.solve_all(shared, y, c, beta, x, z, tiles, solved, first, last), count)

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
        h, v, solved = np.empty(self.z.shape), np.empty(self.x.shape), self._solved.copy()
        given = self.shared, np.ascontiguousarray(g), self.tiles, h, v, solved
        self._team.share(lambda first, last: lanes.adjoint(*given, first, last), len(self.tiles.form))
        if self._rest:
            h[self.left_open], v[self.left_open] = self._rest.adjoint(g[self.left_open])
        for index in np.flatnonzero(self._solved & ~solved).tolist():
            h[index], v[index] = self._signals.single(index).hand_over(self.shared.w, self.z[index]).adjoint(g[index])
        return h, v

    def gradient(self, g: Array) -> Array:
        h, v = self.adjoint(g)
        out = np.zeros(self.shared.w.shape)
        for part in steps(len(g), out.size):
            out -= self.z[part].T @ v[part] + h[part].T @ self.x[part]
        return out


class Joined:
    """The solutions of parts of a batch, one a thread."""

    def __init__(self, solve: Callable[[slice], Singles], team: Team) -> None:
        self._team, self._slices = team, team.share(slice, team.signals)
        self._parts = team.share(lambda first, last: solve(slice(first, last)), team.signals)
        self.x, self.z, self.status = (
            np.concatenate([getattr(part, name) for part in self._parts]) for name in ("x", "z", "status")
        )

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
        def one(first: int, last: int) -> list[tuple[Array, Array]]:
            return [self._parts[index].adjoint(g[self._slices[index]]) for index in range(first, last)]

        pairs = [pair for found in self._team.share(one, len(self._parts)) for pair in found]
        h, v = zip(*pairs, strict=True)
        return np.concatenate(h), np.concatenate(v)

    def gradient(self, g: Array) -> Array:
        h, v = self.adjoint(g)
        return singles.summed(self.z, v, h, self.x)
