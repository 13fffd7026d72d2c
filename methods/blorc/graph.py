"""x*(theta) and its adjoint for total variation on a graph in log-weights, such as 2-D total variation of an image.

The flat regions come from problems/solvers/graph_tv.py. On them x* and v = P g are means, afresh with compensated sums, so
that both err by a few units in the last place. Log-weights of zero rows do not move ker W0: <z, K v> and <h, K x*> have no
derivative in them, whatever solution h of W0^T h = g - v is taken, for w_i v = 0 and w_i x* = 0: h = 0 is given.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from problems.base import Array, SolveError
from problems.kernels import KERNELS
from problems.solvers.box_dual import TOUCHING
from problems.solvers.graph_tv import Graph, Parts, parts

TOUCH = 1e-11  # a flow this close to its bound, or regions whose levels are, by share of max |y|: perhaps a kink
ACCEPTED = 1e-9  # how far from the level of its region the flow may leave a node: the integers behind it have 61 - log2(n) bits


@dataclass(frozen=True)
class GraphSolution:
    """x (n,), z (k,), the region of every node, and whether the pattern may change within rounding."""

    x: Array
    z: Array
    label: Array
    count: int
    iterations: int
    touching: bool

    @property
    def note(self) -> str:
        return TOUCHING if self.touching else ""

    def adjoint(self, g: Array) -> tuple[Array, Array]:
        """(0, v): v = P g, the mean of g over every region."""
        return np.zeros(len(self.z)), _averages(np.ascontiguousarray(g), self.label, self.count)[self.label]


def solve(graph: Graph, y: Array, beta: float) -> GraphSolution:
    """min 1/2 |x - y|^2 + beta sum_e a_e |x_head - x_tail|; SolveError where the regions do not verify."""
    bound, scale = beta * graph.a, float(np.abs(y).max())
    found = parts(graph, y, bound)
    between = found.between(graph)
    means = _averages(y + found.inflow(graph, between), found.label, found.count)
    x = means[found.label]
    steps = -np.sign(found.flow[between]) * (x[graph.head] - x[graph.tail])[between]
    left = y + found.inflow(graph, np.ones(len(bound), np.bool_)) - x
    if steps.min(initial=0.0) < -ACCEPTED * scale or np.abs(left).max() > ACCEPTED * scale:
        raise SolveError("the flat regions found on the graph do not satisfy the optimality conditions")
    room = (np.stack((bound - found.flow, bound + found.flow), axis=1) > TOUCH * scale).view(np.int8)
    touching = steps.min(initial=np.inf) <= TOUCH * scale or any(_reached(graph, found, room, way) < graph.n for way in (0, 1))
    return GraphSolution(x, -found.flow / graph.a, found.label, found.count, found.cuts, bool(touching))


def _averages(values: Array, label: Array, count: int) -> Array:
    """The mean of the values of every region, (count,); sums with compensation."""
    means, lost, sizes = np.empty(count), np.empty(count), np.empty(count, np.int64)
    KERNELS.call("graph_averages", len(values), count, values, label, means, lost, sizes)
    return means


def _reached(graph: Graph, found: Parts, room: Array, against: int) -> int:
    """How many nodes can be reached from one root in every region along edges that have room, (k, 2), from or to their tail."""
    edges = (*graph.around, graph.tail, graph.head, room)
    work = np.empty(graph.n, np.int32), np.empty(graph.n + found.count, np.int8)
    return int(KERNELS.call("graph_reached", graph.n, found.count, *edges, found.label, against, *work))
