"""Total variation on a graph, min 1/2 |x - y|^2 + sum_e b_e |x_head(e) - x_tail(e)|: which W are, and the flat regions of x*.

With f_e = -b_e sign on the edges and x = y - W^T z a row is z_e = -f_e / a_e, and x_i = y_i + what flows into i: f moves what
exceeds the level of a region to where it lacks. x* is constant on a region R where |f_e| <= b_e can level it, and
x*_R = mean over R of y + (inflow through the edges that leave R, all at their bounds). No loop in the graph matters to that, so
2-D total variation, whose zero rows are dependent wherever a 2 x 2 block is flat, is as good as a chain.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from problems.arrays import Array
from problems.base import SolveError
from problems.kernels import KERNELS

if TYPE_CHECKING:
    from scipy.sparse import csr_array

SWEEPS, RELAXATION = 100, 1.7  # of the relaxation that the flow starts from
ROOM = 61  # bits of the integers that a flow is made of; sums over all nodes stay below twice that


@dataclass(frozen=True)
class Graph:
    """Row e of W is a_e at head e and -a_e at tail e; a > 0, (k,); n nodes."""

    tail: Array
    head: Array
    a: Array
    n: int

    @cached_property
    def around(self) -> tuple[Array, Array]:
        """(first, edges): the edges at node i are edges[first[i]:first[i+1]]."""
        first, edges = np.empty(self.n + 1, np.int32), np.empty(2 * len(self.tail), np.int32)
        KERNELS.call("graph_adjacency", self.n, len(self.tail), self.tail, self.head, first, edges)
        return first, edges

    @classmethod
    def of(cls, w: csr_array) -> Graph | None:
        """None where a row of W is no multiple of a difference of two entries."""
        k, n = w.shape
        if w.nnz != 2 * k or (np.diff(w.indptr) != 2).any():
            return None
        columns, values = w.indices.reshape(k, 2), w.data.reshape(k, 2)
        if not ((values[:, 0] == -values[:, 1]) & (values[:, 0] != 0)).all():
            return None
        rising = values[:, 1] > 0
        tail, head = (np.where(rising, columns[:, p], columns[:, 1 - p]).astype(np.int32) for p in (0, 1))
        return cls(tail, head, np.abs(values[:, 0]), n)


@dataclass(frozen=True)
class Parts:
    """label (n,): the flat region of every node, numbered from 0; flow (k,) within the bounds, at them between regions."""

    label: Array
    flow: Array
    count: int
    cuts: int

    def between(self, graph: Graph) -> Array:
        """The edges that join two regions, a mask (k,)."""
        return np.asarray(self.label[graph.tail] != self.label[graph.head])

    def inflow(self, graph: Graph, edges: Array) -> Array:
        """What flows into every node through the edges of a mask, (n,)."""
        flow = np.where(edges, self.flow, 0.0)
        return np.bincount(graph.head, flow, graph.n) - np.bincount(graph.tail, flow, graph.n)


def parts(graph: Graph, y: Array, bound: Array) -> Parts:
    """The flat regions of x* for edge bounds b (k,), by minimum cuts at the mean of every region in integer arithmetic.

    y and b are rounded to multiples of max |x| n 2^-61, so the regions are those of data that close: a caller verifies them.
    Relaxation of the dual comes first, so that the cuts have little left to move. SolveError where y or b is not finite.
    Source: Hochbaum (2001) and Chambolle and Darbon (2009) for the cuts, Goldberg and Tarjan (1988) for the flow.
    """
    if not (np.isfinite(y).all() and np.isfinite(bound).all()):
        raise SolveError("a flow on a graph needs finite y and bounds")
    x, flow = np.array(y), np.zeros(len(bound))
    KERNELS.call("graph_relax", len(bound), graph.tail, graph.head, bound, x, flow, SWEEPS, RELAXATION)
    largest = max(float(np.abs(x).max()), float(np.abs(y).max())) * graph.n
    unit = 2.0 ** (math.ceil(math.log2(largest)) - ROOM) if largest else 1.0
    most = 2.0**ROOM
    limits = np.floor(np.minimum(bound / unit, most)).astype(np.int64)
    moved = np.clip(np.rint(np.clip(flow / unit, -most, most)).astype(np.int64), -limits, limits)
    levels, label = np.rint(y / unit).astype(np.int64), np.empty(graph.n, np.int32)
    cuts = _divide(graph, limits, moved, levels, label)
    names, numbered = np.unique(label, return_inverse=True)
    found = Parts(numbered, np.clip(moved * unit, -bound, bound), len(names), cuts)
    between = found.between(graph)
    found.flow[between] = (np.sign(moved) * bound)[between]
    return found


def _divide(graph: Graph, limits: Array, flow: Array, levels: Array, label: Array) -> int:
    """label <- the flat region of every node, levels and flow <- the levels it has and what makes them; returns the rounds."""
    n, k = graph.n, len(flow)
    edges = (*graph.around, graph.tail, graph.head, limits, np.ones(k, np.int8), flow)
    work = np.empty(n, np.int64), np.empty(5 * n, np.int32), np.empty(2 * n, np.int8)
    return int(KERNELS.call("graph_divide", n, k, *edges, levels, label, *work))
