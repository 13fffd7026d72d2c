"""x*(W) exactly and its adjoint for a sparse W: chains in O(n), graphs by minimum cuts, all others by coordinate descent and
Newton on sparse rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from methods.blorc import graph
from methods.blorc.bounded import Adjoint, Stack
from methods.blorc.rows import Rows
from methods.blorc.solver import SignalSolver
from problems.base import Array, SolveError
from problems.kernels import KERNELS
from problems.solvers import chain
from problems.solvers.box_dual import TOUCHING
from problems.solvers.graph_tv import Graph

if TYPE_CHECKING:
    from scipy.sparse import csr_array

LARGEST = 2**21  # entries of a W that the dense route, which is cubic, may be handed


@dataclass(frozen=True)
class SparseSolver:
    """Sparse W (k, n) -> Adjoint for signals y, (n,) or (batch, n). SolveError where no pattern verifies."""

    y: Array
    beta: float
    keeps_rank: bool = False

    def solve(self, w: csr_array) -> Adjoint:
        if w.shape[1] != self.y.shape[-1]:
            raise ValueError(f"W must have shape (k, n) with n = {self.y.shape[-1]} as y has, got {w.shape}")
        edges = chain.edges(w)
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
    touching: bool
    iterations: ClassVar[int] = 1

    @classmethod
    def of(cls, a: Array, c: Array, beta: float, y: Array) -> _Chain | None:
        """None where the dynamic programme is not verified."""
        n, batch, y = y.shape[-1], y.size // y.shape[-1], np.ascontiguousarray(y)
        x, z, state = np.empty(y.shape), np.empty((*y.shape[:-1], n - 1)), np.empty((*y.shape[:-1], n - 1), np.int8)
        work = np.empty(KERNELS.lib.CHAIN_WORK * n)
        status = KERNELS.call("chain_minimise", batch, n, a, c, beta, y, x, z, state, work)
        return None if status == KERNELS.lib.CHAIN_FAILED else cls(a, c, x, z, state, status == KERNELS.lib.CHAIN_TOUCHING)

    @property
    def note(self) -> str:
        return TOUCHING if self.touching else ""

    def adjoint(self, g: Array) -> tuple[Array, Array]:
        h, v = np.empty(self.z.shape), np.empty(self.x.shape)
        batch, n = self.x.size // self.x.shape[-1], self.x.shape[-1]
        KERNELS.call("chain_adjoint", batch, n, self.a, self.c, np.ascontiguousarray(g), self.state, h, v)
        return h, v


def _solved(w: csr_array, y: Array, solver: SparseSolver) -> Adjoint:
    """One signal on sparse rows; what they leave open goes to the dense route where W is small enough to be written out."""
    rows, (k, n) = Rows(w, y, solver.beta), w.shape
    if rows.minimise() and (k * n > LARGEST or not rows.note):
        return rows
    if k * n > LARGEST:
        raise SolveError(f"the pattern of W x* is not verified on sparse rows, and ({k}, {n}) is too large for the dense route")
    return SignalSolver(y, solver.beta, solver.keeps_rank).hand_over(w.toarray(), rows.z)
