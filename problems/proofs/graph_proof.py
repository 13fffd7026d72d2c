"""The certified gradient of total variation on a graph (problems/solvers/graph_tv.py) in log-weights, for large sizes.

Regions R, connected by their edges, and a flow f are the true ones if
 (1) the edges between regions are at their bounds, f_e = +-b_e, and the means x_R of y + their inflow differ the right way;
 (2) inside R |f_e| <= b_e, the flow leaves a residual r, sum over R of |r_i| = rho, sum of r_i = 0, and the arcs whose room
     b_e - f_e (from tail to head) or b_e + f_e (back) is above rho join every node of R to every other, both ways.
Then r can be led along such arcs from where it is positive to where it is negative, at most rho / 2 through one arc: an exact
dual. The room that is left still joins all nodes both ways, so that every edge at its bound lies on a cycle along which some
flow can be turned back: a dual strictly inside the box on all edges inside R. Hence x* is x_R on R around theta, and
differentiable in log-weights, which leave ker W0 as it is: dL/dtheta_e = -b_e s_e (v_head - v_tail) between regions and 0
inside, v_R the mean of dL/dx. (w_i x* = 0 and w_i v = 0 on zero rows: z_i and h_i, which are not unique there, do not matter.)
Nothing is taken from the search for regions but its result. Sums over a region are rounded once (Shewchuk, 1997); a bound of
every other rounding goes into the radius.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from problems.arrays import Array
from problems.base import SolveError
from problems.operators.parametrisations import Weighted
from problems.proofs.certificate import Certificate
from problems.proofs.instance import Instance
from problems.solvers import graph_tv
from problems.solvers.graph_tv import Graph, Parts

U = 2.0**-52  # twice the unit roundoff: room for the roundings of second order in every bound below

NO_GRAPH = "an operator of this size is proven in log-weights of total variation on a graph, or on a chain; this is neither"
OPEN = "the flat regions found are not strict, or not the true ones; at this size no exact arithmetic looks for a kink"
VANISHES = "the gradient is not told from zero by the rounding of its bound"


@dataclass(frozen=True)
class Edges:
    """The graph with its bounds b = beta a exp(theta), and how far the exact ones may be, both (k,)."""

    graph: Graph
    bound: Array
    error: Array

    @classmethod
    def of(cls, problem: Instance, theta: Array) -> Edges | None:
        """None where K(theta) is not total variation on a graph in log-weights."""
        parametrisation = problem.parametrisation
        w = parametrisation.sparse(np.zeros(())) if isinstance(parametrisation, Weighted) else None
        graph = None if w is None else Graph.of(w)
        if graph is None:
            return None
        with np.errstate(over="ignore", under="ignore"):
            bound = problem.beta * graph.a * _exponential(theta)
        exact = not theta.any() and (graph.a == 1.0).all()
        return cls(graph, bound, np.zeros(len(bound)) if exact else 3 * U * bound)


@dataclass(frozen=True)
class Proven:
    """Of one signal: the level of every region, its least distance to the exact one, and the signs of the rows (k,)."""

    parts: Parts
    levels: Array
    error: Array
    signs: Array


def certify(problem: Instance) -> Certificate:
    """The certificate of an instance: proven, zero or undecided."""
    edges = Edges.of(problem, problem.theta)
    ys, targets = np.atleast_2d(problem.y), np.atleast_2d(problem.target)
    proofs = [None if edges is None else prove(edges, y) for y in ys]
    if edges is None or any(proof is None for proof in proofs):
        return undecided(problem, NO_GRAPH if edges is None else OPEN)
    proven = [proof for proof in proofs if proof is not None]
    scale = problem.loss_scale / len(ys)
    terms = [_gradient(edges, proof, target, scale) for proof, target in zip(proven, targets, strict=True)]
    grad, error = (np.sum(parts, axis=0) for parts in zip(*terms, strict=True))
    error = error + len(ys) * U * np.abs(grad)
    if not problem.theta.ndim:
        total = math.fsum(grad.tolist())
        grad, error = np.array(total), np.array(math.fsum(error.tolist()) + U * abs(total))
    norm, missed = float(np.linalg.norm(grad)), float(np.linalg.norm(error)) * (1 + 1e-9)
    x = np.stack([proof.levels[proof.parts.label] for proof in proven])
    value = 0.5 * scale * float(((x - targets) ** 2).sum())
    signs = np.stack([proof.signs for proof in proven])
    z = np.stack([-proof.parts.flow / edges.graph.a for proof in proven])
    rank = np.array([edges.graph.n - proof.parts.count for proof in proven])
    if not signs.any():
        return Certificate("zero", "x* does not depend on theta", np.zeros_like(problem.theta), 0.0, x, value, z, signs, rank)
    if not missed < 1e-3 * norm:
        return undecided(problem, VANISHES)
    return Certificate("proven", "", grad, missed / (norm - missed), x, value, z, signs, rank)


def solve(problem: Instance, theta: Array) -> Array:
    """x*(theta) to a few roundings, in the shape of y; SolveError where it is not proven."""
    edges = Edges.of(problem, theta)
    if edges is None:
        raise SolveError(NO_GRAPH)
    proofs = [prove(edges, y) for y in np.atleast_2d(problem.y)]
    if any(proof is None for proof in proofs):
        raise SolveError(OPEN)
    return np.array([proof.levels[proof.parts.label] for proof in proofs if proof]).reshape(problem.y.shape)


def prove(edges: Edges, y: Array) -> Proven | None:
    """Find regions and a flow in integers, and verify them; None where (1) or (2) fails."""
    try:
        return verified(edges, y, graph_tv.parts(edges.graph, y, edges.bound))
    except (SolveError, OverflowError):
        return None


def verified(edges: Edges, y: Array, parts: Parts) -> Proven | None:
    """The proof that the parts are those of x*, or None."""
    graph, label, cut = edges.graph, parts.label, parts.between(edges.graph)
    if not (np.abs(parts.flow[cut]) == edges.bound[cut]).all():
        return None
    surely = edges.bound - 2 * edges.error  # what the exact bound is not below
    flow = np.where(cut, parts.flow, np.clip(parts.flow, -surely, surely))
    parts, signs = replace(parts, flow=flow), np.where(cut, -np.sign(flow), 0.0).astype(np.int8)
    levels, error = _means(edges, y, parts, cut)
    up, down = np.where(signs > 0, graph.head, graph.tail)[cut], np.where(signs > 0, graph.tail, graph.head)[cut]
    step = levels[label[up]] - levels[label[down]]
    if not (step > (error[label[up]] + error[label[down]]) * (1 + U)).all():
        return None
    inside = ~cut
    room = np.stack((edges.bound - flow, edges.bound + flow))[:, inside] * (1 - U) - edges.error[inside]
    residual = _residual(edges, y, parts, levels, error)
    rest = np.bincount(label, residual, parts.count) * (1 + graph.n * U)
    if not ((room >= 0).all() and _joined(graph, inside, room > rest[label[graph.tail[inside]]], parts)):
        return None
    return Proven(parts, levels, error, signs)


def _means(edges: Edges, y: Array, parts: Parts, cut: Array) -> tuple[Array, Array]:
    """(x_R, bound of its error): the mean of y and of what flows in between regions."""
    graph, label = edges.graph, parts.label
    ends = np.concatenate((label, label[graph.head[cut]], label[graph.tail[cut]]))
    values = np.concatenate((y, parts.flow[cut], -parts.flow[cut]))
    sizes, inexact = np.bincount(label), np.bincount(ends[graph.n :], np.tile(edges.error[cut], 2), parts.count)
    means = _sums(values, ends, parts.count) / sizes
    return means, 2 * U * np.abs(means) + inexact / sizes * (1 + graph.n * U)


def _sums(values: Array, label: Array, count: int) -> Array:
    """Sums over the regions, each rounded once."""
    order = np.argsort(label, kind="stable")
    ordered, ends = values[order].tolist(), np.searchsorted(label[order], np.arange(count + 1)).tolist()
    return np.array([math.fsum(ordered[start:end]) for start, end in pairwise(ends)])


def _residual(edges: Edges, y: Array, parts: Parts, levels: Array, error: Array) -> Array:
    """A bound of |y_i + inflow_i - x_R|, (n,): what was computed, and its roundings."""
    graph, label = edges.graph, parts.label
    degree = np.bincount(graph.head, minlength=graph.n) + np.bincount(graph.tail, minlength=graph.n)
    ends = np.concatenate((graph.head, graph.tail))
    amount = np.abs(y) + np.abs(levels[label]) + np.bincount(ends, np.tile(np.abs(parts.flow), 2), graph.n)
    inexact = np.bincount(ends, np.tile(np.where(parts.between(graph), edges.error, 0.0), 2), graph.n)
    left = y + parts.inflow(graph, np.ones(len(parts.flow), np.bool_)) - levels[label]
    return np.asarray(np.abs(left) + (degree + 4) * U * amount + error[label] + inexact * (1 + degree * U))


def _joined(graph: Graph, inside: Array, open_: Array, parts: Parts) -> bool:
    """Whether the arcs with room, (2, edges inside), join all nodes of every region both ways."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    tail, head = graph.tail[inside], graph.head[inside]
    rows = np.concatenate((tail[open_[0]], head[open_[1]]))
    columns = np.concatenate((head[open_[0]], tail[open_[1]]))
    arcs = csr_array((np.ones(len(rows), np.int8), (rows, columns)), (graph.n, graph.n))
    count = connected_components(arcs, directed=True, connection="strong", return_labels=False)
    return bool(count == parts.count)


def _gradient(edges: Edges, proof: Proven, target: Array, scale: float) -> tuple[Array, Array]:
    """(-b_e s_e (v_head - v_tail), bound of its error), (k,), for v = scale (x_R - mean of the target over R)."""
    graph, parts = edges.graph, proof.parts
    goals = _sums(target, parts.label, parts.count) / np.bincount(parts.label)
    v, missed = proof.levels - goals, proof.error + 2 * U * (np.abs(goals) + np.abs(proof.levels))
    ends = parts.label[graph.head], parts.label[graph.tail]
    weight, step = -scale * edges.bound * proof.signs, v[ends[0]] - v[ends[1]]
    error = np.abs(weight) * (missed[ends[0]] + missed[ends[1]] + 4 * U * np.abs(step))
    return weight * step, error * (1 + 4 * U) + scale * edges.error * np.abs(step) * (proof.signs != 0)


def _exponential(theta: Array) -> Array:
    """exp(theta) rounded correctly, which no vectorised one promises."""
    from flint import arb

    known = {value: float(arb(value).exp()) for value in np.unique(theta).tolist()}
    if len(known) == 1:
        return np.full(theta.shape, next(iter(known.values())))
    return np.array([known[value] for value in theta.tolist()])


def undecided(problem: Instance, reason: str) -> Certificate:
    y = np.atleast_2d(problem.y)
    none, rows = np.full(y.shape, math.nan), np.zeros((len(y), 0))
    return Certificate("undecided", reason, None, math.nan, none, math.nan, rows, rows.astype(np.int8), np.zeros(len(y)))
