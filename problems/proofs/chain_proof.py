"""The certified gradient on a chain (problems/solvers/chain.py) in balls and O(n), for sizes that no dense proof reaches.

A pattern makes x* a multiple of t on every segment of zero rows, and z and h running sums there, so one pass of balls encloses
all of them. |z_i| < b_i on zero rows and s_i w_i x > 0 on the others, for all numbers in the balls, prove the pattern. The rows
of a chain are independent, so x* is then differentiable in the values of W and in their weights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from flint import arb, ctx

from problems.arrays import Array
from problems.base import SolveError
from problems.operators.parametrisations import Weighted
from problems.proofs import arithmetic
from problems.proofs.arithmetic import column
from problems.proofs.certificate import ROUNDED, TOO_FINE, Certificate
from problems.proofs.instance import Instance
from problems.solvers import chain

BITS = (128, 256)

NO_CHAIN = "a sparse W of this size is proven where it is a chain, such as 1-D total variation, and this is none"
OPEN = "the sign pattern found is not strict, or not the true one; at this size no exact arithmetic looks for a kink"


@dataclass(frozen=True)
class Edges:
    """The exact rows of a chain, a and c (k), with log-weights (k), so that row i has the bound b_i = beta exp(logs_i)."""

    a: Array
    c: Array
    beta: float
    logs: Array

    @classmethod
    def of(cls, problem: Instance, theta: Array) -> Edges | None:
        """None where K(theta) is no chain. Log-weights move the bounds alone, so that the rows stay exact."""
        weighted = isinstance(problem.parametrisation, Weighted)
        w = problem.parametrisation.sparse(np.zeros(()) if weighted else theta)
        found = None if w is None else chain.edges(w)
        if found is None:
            return None
        return cls(*found, float(problem.beta), np.broadcast_to(theta if weighted else 0.0, len(found[0])))

    def bounds(self) -> list[arb]:
        """b in balls at the working precision."""
        logs = self.logs.tolist()
        known = {log: arb(self.beta) * arb(log).exp() for log in set(logs)}
        return [known[log] for log in logs]

    def signs(self, y: Array) -> Array | None:
        with np.errstate(over="ignore", under="ignore"):
            return chain.signs(self.a, self.c, self.beta * np.exp(self.logs), y)


@dataclass(frozen=True)
class Enclosed:
    """Lists of balls around x, v (n) and z, h (k) of one signal, and whether all margins of its pattern are positive."""

    x: list[arb]
    z: list[arb]
    v: list[arb]
    h: list[arb]
    strict: bool


def enclose(edges: Edges, y: Array, target: Array, signs: Array) -> Enclosed:
    """What the pattern implies for one signal, at the working precision."""
    a, c, b = [arb(value) for value in edges.a.tolist()], [arb(value) for value in edges.c.tolist()], edges.bounds()
    points, goals = [arb(value) for value in y.tolist()], [arb(value) for value in target.tolist()]
    z = [bound * int(sign) for bound, sign in zip(b, signs.tolist(), strict=True)]
    h, x, v = [arb(0)] * len(z), [arb(0)] * len(points), [arb(0)] * len(points)
    ends = [*np.flatnonzero(signs).tolist(), len(z)]
    first = 0
    for last in ends:
        t = [arb(1)]
        for j in range(first, last):
            t.append(-(a[j] / c[j]) * t[-1])
        before = c[first - 1] * z[first - 1] if first else arb(0)
        after = a[last] * z[last] if last < len(z) else arb(0)
        square = _dot(t, t)
        level = (_dot(t, points[first : last + 1]) - before - t[-1] * after) / square
        slope = level - _dot(t, goals[first : last + 1]) / square
        dual, adjoint = before, arb(0)
        for j, tj in enumerate(t, start=first):
            x[j], v[j] = level * tj, slope * tj
            if j < last:
                dual += tj * (x[j] - points[j])
                adjoint += tj * (v[j] - x[j] + goals[j])
                factor = c[j] * t[j - first + 1]
                z[j], h[j] = dual / factor, adjoint / factor
        first = last + 1
    inner = all(abs(z[i]) < b[i] for i in np.flatnonzero(signs == 0).tolist())
    strict = inner and all((a[i] * x[i] + c[i] * x[i + 1]) * int(signs[i]) > 0 for i in ends[:-1])
    return Enclosed(x, z, v, h, strict)


def certify(problem: Instance) -> Certificate:
    """The certificate of an instance: proven, zero or undecided."""
    edges = Edges.of(problem, problem.theta)
    if edges is None:
        return _undecided(problem, NO_CHAIN)
    ys, targets = np.atleast_2d(problem.y), np.atleast_2d(problem.target)
    patterns = [edges.signs(y) for y in ys]
    if any(signs is None for signs in patterns):
        return _undecided(problem, OPEN)
    signs = np.stack([pattern for pattern in patterns if pattern is not None])
    weighted = isinstance(problem.parametrisation, Weighted)
    constant = [not y.any() or (weighted and not s.any()) for y, s in zip(ys, signs, strict=True)]
    for bits in BITS:
        with ctx.workprec(bits):
            found = [enclose(edges, *parts) for parts in zip(ys, targets, signs, strict=True)]
            if not all(signal.strict for signal in found):
                continue
            x, value = np.array([[float(e) for e in signal.x] for signal in found]), _value(problem, targets, found)
            z = np.array([[float(e) for e in signal.z] for signal in found])
            described = (x, value, z, signs, (signs == 0).sum(axis=1))
            if all(constant):
                return Certificate("zero", "x* does not depend on theta", np.zeros_like(problem.theta), 0.0, *described)
            moving = [signal for signal, still in zip(found, constant, strict=True) if not still]
            entries = gradient(problem, edges, moving, signs[~np.array(constant)], arb(problem.loss_scale) / len(ys))
            grad, error = arithmetic.rounded(column(entries))
        least = float(np.linalg.norm(grad)) / arithmetic.ROUNDING - error
        if least > 0 and error / least * arithmetic.ROUNDING < ROUNDED:
            return Certificate("proven", "", grad.reshape(problem.theta.shape), error / least * arithmetic.ROUNDING, *described)
    return _undecided(problem, TOO_FINE if all(signal.strict for signal in found) else OPEN)


def solve(problem: Instance, theta: Array) -> Array:
    """x*(theta), correctly rounded, in the shape of y; SolveError where it is not proven or K(theta) is no chain."""
    edges = Edges.of(problem, theta)
    if edges is None:
        raise SolveError(NO_CHAIN)
    solutions = []
    for y in np.atleast_2d(problem.y):
        signs = edges.signs(y)
        with ctx.workprec(BITS[0]):
            found = None if signs is None else enclose(edges, y, y, signs)
        if found is None or not found.strict:
            raise SolveError(OPEN)
        solutions.append([float(value) for value in found.x])
    return np.array(solutions).reshape(problem.y.shape)


def gradient(problem: Instance, edges: Edges, signals: list[Enclosed], patterns: Array, scale: arb) -> list[arb]:
    """-(z v^T + h x*^T) on the pattern of W, summed over the signals and scaled; in log-weights -z_i w_i v on A."""
    weighted = isinstance(problem.parametrisation, Weighted)
    a, c = [arb(value) for value in edges.a.tolist()], [arb(value) for value in edges.c.tolist()]
    entries = [arb(0)] * (len(a) if weighted else 2 * len(a))
    for found, signs in zip(signals, patterns, strict=True):
        x, z, v, h = found.x, found.z, found.v, found.h
        if weighted:
            for i in np.flatnonzero(signs).tolist():
                entries[i] -= z[i] * (a[i] * v[i] + c[i] * v[i + 1]) * scale
        else:
            for i in range(len(a)):
                entries[2 * i] -= (z[i] * v[i] + h[i] * x[i]) * scale
                entries[2 * i + 1] -= (z[i] * v[i + 1] + h[i] * x[i + 1]) * scale
    return [sum(entries, arb(0))] if weighted and not problem.theta.ndim else entries


def _dot(p: list[arb], q: list[arb]) -> arb:
    total = arb(0)
    for left, right in zip(p, q, strict=True):
        total += left * right
    return total


def _value(problem: Instance, targets: Array, signals: list[Enclosed]) -> float:
    total = arb(0)
    for target, found in zip(targets, signals, strict=True):
        misfit = [value - arb(goal) for value, goal in zip(found.x, target.tolist(), strict=True)]
        total += _dot(misfit, misfit)
    return float(total * arb(problem.loss_scale) / (2 * len(signals)))


def _undecided(problem: Instance, reason: str) -> Certificate:
    y = np.atleast_2d(problem.y)
    none, rows = np.full(y.shape, math.nan), np.zeros((len(y), 0))
    return Certificate("undecided", reason, None, math.nan, none, math.nan, rows, rows.astype(np.int8), np.zeros(len(y)))
