"""x*(W) exactly and its adjoint for a sparse W: chains in O(n), graphs by minimum cuts, all others by coordinate descent and
Newton on sparse rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from methods._bounded import Adjoint, Stack
from methods._exact import chain, graph
from methods._exact.rows import Rows
from methods._exact.solver import SignalSolver
from problems import _chain
from problems._box_dual import TOUCHING
from problems._compiling import compiled
from problems._graph import Graph
from problems.base import Array, SolveError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

LARGEST = 2**21  # entries of a W that the dense route, which is cubic, may be handed


@compiled
def minimise_all(a: Array, c: Array, beta: float, y: Array, x: Array, z: Array, state: Array) -> int:
    """`chain.minimise` for every signal; the least status: FAILED where one failed."""
    failed, touching = False, False
    for b in range(len(y)):
        status = chain.minimise(a, c, beta, y[b], x[b], z[b], state[b])
        failed = failed or status == chain.FAILED
        touching = touching or status == chain.TOUCHING
    return chain.FAILED if failed else chain.TOUCHING if touching else chain.VERIFIED


@compiled
def adjoint_all(a: Array, c: Array, g: Array, state: Array, h: Array, v: Array) -> None:
    for b in range(len(g)):
        chain.adjoint(a, c, g[b], state[b], h[b], v[b])


@dataclass(frozen=True)
class SparseSolver:
    """Sparse W (k, n) -> Adjoint for signals y, (n,) or (batch, n). SolveError where no pattern verifies."""

    y: Array
    beta: float
    keeps_rank: bool = False

    def solve(self, w: csr_array) -> Adjoint:
        if w.shape[1] != self.y.shape[-1]:
            raise ValueError(f"W must have shape (k, n) with n = {self.y.shape[-1]} as y has, got {w.shape}")
        edges = _chain.edges(w)
        if edges is not None:
            found = _Chain.of(*edges, self.beta, self.y)
            if found is not None:
                return found
        net = Graph.of(w) if self.keeps_rank else None
        signals: list[Adjoint] = [graph.solve(net, y, self.beta) if net else _solved(w, y, self) for y in np.atleast_2d(self.y)]
        return signals[0] if self.y.ndim == 1 else Stack(signals)


@dataclass(frozen=True)
class _Chain:
    """The solution on a chain: x (batch, n), z and state (batch, n - 1), without the batch axis where y has none."""

    a: Array
    c: Array
    x: Array
    z: Array
    state: Array
    status: int
    iterations: ClassVar[int] = 1

    @classmethod
    def of(cls, a: Array, c: Array, beta: float, y: Array) -> _Chain | None:
        """None where the dynamic programme is not verified."""
        x, z, state = np.empty(y.shape), np.empty((*y.shape[:-1], len(a))), np.empty((*y.shape[:-1], len(a)), np.int8)
        status = minimise_all(a, c, beta, *map(np.atleast_2d, (y, x, z, state)))
        return None if status == chain.FAILED else cls(a, c, x, z, state, status)

    @property
    def note(self) -> str:
        return TOUCHING if self.status == chain.TOUCHING else ""

    def adjoint(self, g: Array) -> tuple[Array, Array]:
        h, v = np.empty(self.z.shape), np.empty(self.x.shape)
        adjoint_all(self.a, self.c, *map(np.atleast_2d, (np.ascontiguousarray(g), self.state, h, v)))
        return h, v


@dataclass(frozen=True)
class _General:
    """A solution on sparse rows."""

    rows: Rows
    note: ClassVar[str] = ""

    @property
    def x(self) -> Array:
        return self.rows.x

    @property
    def z(self) -> Array:
        return self.rows.z

    @property
    def iterations(self) -> int:
        return self.rows.iterations

    def adjoint(self, g: Array) -> tuple[Array, Array]:
        found = self.rows.adjoint(g)
        if found is None:
            raise SolveError("the adjoint of W -> x* is not solved to rounding: the zero rows are ill-conditioned")
        return found


def _solved(w: csr_array, y: Array, solver: SparseSolver) -> Adjoint:
    """One signal on sparse rows; what they leave open goes to the dense route where W is small enough to be written out."""
    rows = Rows(w, y, solver.beta)
    if rows.minimise():
        return _General(rows)
    k, n = w.shape
    if k * n > LARGEST:
        raise SolveError(f"the pattern of W x* is not verified on sparse rows, and ({k}, {n}) is too large for the dense route")
    return SignalSolver(y, solver.beta, solver.keeps_rank).hand_over(w.toarray(), rows.z)
