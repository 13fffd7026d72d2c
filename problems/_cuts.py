"""Compiled minimum cuts on a graph in integers: what exceeds the mean of a region flows to where it lacks, or cuts it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from problems._compiling import compiled
from problems.base import Array

FAR = 2**30  # the height of a node from which nothing can flow to where it lacks
RELABEL = 1000  # and half the nodes: how many are lifted between two searches from where it lacks


class Net(NamedTuple):
    """The edges at node i are edges[first[i]:first[i+1]]; edge e may carry |flow_e| <= limits_e from tail to head.

    `inside`: the edges that join nodes of one region.
    """

    first: Array
    edges: Array
    tail: Array
    head: Array
    limits: Array
    inside: Array
    flow: Array


@compiled
def adjacency(n: int, tail: Array, head: Array) -> tuple[Array, Array]:
    """(first, edges): the edges at every node."""
    first = np.zeros(n + 1, np.int32)
    for e in range(len(tail)):
        first[tail[e] + 1] += 1
        first[head[e] + 1] += 1
    for i in range(n):
        first[i + 1] += first[i]
    place = first[:-1].copy()
    edges = np.empty(2 * len(tail), np.int32)
    for e in range(len(tail)):
        for i in (tail[e], head[e]):
            edges[place[i]] = e
            place[i] += 1
    return first, edges


@compiled
def relax(tail: Array, head: Array, bound: Array, x: Array, flow: Array, sweeps: int, relaxation: float) -> None:
    """Projected over-relaxation of the dual, edge by edge, in float64; x stays y plus what flowed in."""
    for _ in range(sweeps):
        for e in range(len(tail)):
            i, j = tail[e], head[e]
            new = flow[e] + relaxation * 0.5 * (x[i] - x[j])
            new = min(max(new, -bound[e]), bound[e])
            moved = new - flow[e]
            flow[e] = new
            x[i] -= moved
            x[j] += moved


@compiled
def divide(net: Net, levels: Array, label: Array) -> int:
    """label <- the flat region of every node, levels and flow <- the levels it has and what makes them; returns the rounds.

    A region is levelled to its mean (the remainder of the division goes to some of its nodes, one each); where that cannot
    be, the nodes that could not get rid of their excess are cut off from the others by edges at their limits.
    """
    n = len(levels)
    nodes, excess, height = np.arange(n).astype(np.int32), np.empty(n, np.int64), np.empty(n, np.int32)
    queue, unsettled = np.empty(n, np.int32), np.empty(n, np.bool_)
    rounds, names = 0, 0
    for e in range(len(net.tail)):
        levels[net.tail[e]] -= net.flow[e]
        levels[net.head[e]] += net.flow[e]
    while len(nodes):
        rounds += 1
        label[nodes] = -1
        start = names
        names = components(net, levels, nodes, names, label, excess, queue)
        level(net, nodes, levels, excess, height, queue)
        unsettled[: names - start] = False
        for u in nodes:
            if excess[u] != 0:
                unsettled[label[u] - start] = True
        count = 0
        for u in nodes:
            if unsettled[label[u] - start]:
                nodes[count] = u
                count += 1
                for e in net.edges[net.first[u] : net.first[u + 1]]:
                    if (height[net.tail[e]] == FAR) != (height[net.head[e]] == FAR):
                        net.inside[e] = False
        nodes = nodes[:count]
    return rounds


@compiled
def components(net: Net, levels: Array, nodes: Array, names: int, label: Array, excess: Array, queue: Array) -> int:
    """label, and excess over the mean, of the regions that the edges inside make of the nodes; returns the next free name."""
    for root in nodes:
        if label[root] >= 0:
            continue
        label[root] = names
        queue[0], done, size, total = root, 0, 1, levels[root]
        while done < size:
            u = queue[done]
            done += 1
            for e in net.edges[net.first[u] : net.first[u + 1]]:
                v = net.tail[e] + net.head[e] - u
                if net.inside[e] and label[v] < 0:
                    label[v] = names
                    queue[size] = v
                    size += 1
                    total += levels[v]
        mean = total // size
        rest = total - mean * size
        for b in range(size):
            excess[queue[b]] = levels[queue[b]] - mean - (1 if b < rest else 0)
        names += 1
    return names


@compiled
def room(net: Net, e: int, u: int) -> int:
    """What edge e can still carry away from its end u."""
    return net.limits[e] - net.flow[e] if net.tail[e] == u else net.limits[e] + net.flow[e]


@compiled
def find_heights(net: Net, nodes: Array, excess: Array, height: Array, queue: Array) -> None:
    """height <- the number of edges on the shortest way on which something can still flow to where it lacks, else FAR."""
    done, size = 0, 0
    for u in nodes:
        height[u] = FAR
        if excess[u] < 0:
            height[u] = 0
            queue[size] = u
            size += 1
    while done < size:
        v = queue[done]
        done += 1
        for e in net.edges[net.first[v] : net.first[v + 1]]:
            u = net.tail[e] + net.head[e] - v
            if net.inside[e] and height[u] == FAR and room(net, e, u) > 0:
                height[u] = height[v] + 1
                queue[size] = u
                size += 1


@compiled
def level(net: Net, nodes: Array, levels: Array, excess: Array, height: Array, search: Array) -> None:
    """Push excess downhill, first in first out, until what is left cannot flow to where it lacks; exact heights at the end."""
    n, begin, size, work = len(levels), 0, 0, 0
    queue, queued, place = np.empty(n, np.int32), np.zeros(n, np.bool_), net.first[:-1].copy()
    find_heights(net, nodes, excess, height, search)
    for u in nodes:
        if excess[u] > 0 and height[u] < FAR:
            queue[size] = u
            size += 1
            queued[u] = True
    while size:
        u = queue[begin]
        begin = (begin + 1) % n
        size -= 1
        queued[u] = False
        while excess[u] > 0 and height[u] < FAR:
            if place[u] == net.first[u + 1]:
                height[u] = lifted(net, height, u)
                place[u] = net.first[u]
                work += 1
                continue
            e = net.edges[place[u]]
            v = net.tail[e] + net.head[e] - u
            moved = min(room(net, e, u), excess[u])
            if not (net.inside[e] and moved > 0 and height[u] == height[v] + 1):
                place[u] += 1
                continue
            net.flow[e] += moved if net.tail[e] == u else -moved
            excess[u] -= moved
            levels[u] -= moved
            excess[v] += moved
            levels[v] += moved
            if excess[v] > 0 and not queued[v]:
                queue[(begin + size) % n] = v
                size += 1
                queued[v] = True
        if work > len(nodes) // 2 + RELABEL:
            work = 0
            find_heights(net, nodes, excess, height, search)
            for w in nodes:
                place[w] = net.first[w]
    find_heights(net, nodes, excess, height, search)


@compiled
def lifted(net: Net, height: Array, u: int) -> int:
    """One above the lowest node that u can still push to."""
    low = FAR
    for e in net.edges[net.first[u] : net.first[u + 1]]:
        if net.inside[e] and room(net, e, u) > 0:
            low = min(low, height[net.tail[e] + net.head[e] - u])
    return low + 1 if low < FAR else FAR
