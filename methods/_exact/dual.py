"""Compiled exact solution of the box dual min over |z_i| <= beta of 1/2 |y - W^T z|^2, x* = y - W^T z: one signal.

Coordinate descent finds most of the pattern without forming W W^T, projected Newton steps on the free rows find the rest, and
the optimality conditions are checked at the end. Rows are used on their extents, so banded operators cost what their band
costs. What cannot be verified, or lies so close to a kink that float64 cannot tell, ends as FAILED.
"""

from __future__ import annotations

import math

import numpy as np

from methods._exact.linear import extents, factor, gram, pair_dot, solve
from methods._exact.proposal import propose
from methods._exact.reduced import Known, learn, nothing_known, reduced
from methods._exact.steps import (
    PIVOT,
    ROUNDING,
    bind,
    factorise,
    free_rows,
    length_inside,
    move,
    newton_step,
    primal,
    project,
    shifted_step,
    slopes,
    sweep,
)
from methods._exact.work import FULL, PASSES, STEPS, M, Signal, split, views
from problems._compiling import compiled
from problems.base import Array

FAILED, FACTORED, ORTHOGONAL, ZERO = 0, 1, 2, 3

ACCEPTED = 1e-11  # residual of a free row, by share of |w_i| |y|, above which a solution is not accepted
TOUCH = 1e-12  # a dual this close to its bound, or a bound row this close to zero, may be at a kink
CONTRACTION = 1e-12  # of the second sweep against the first, or cosine of two rows: below it rows are orthogonal
STALLED = 1e-12  # residual at which steps with shifted factors have arrived
SWEEPS = 12  # of coordinate descent at the start, with this relaxation; tuned over twelve operator families
RELAXATION = 1.4
START = 7  # sweeps before products of rows are formed: of those that are free by then, and of those
UNSURE = 1.2  # that are bound with a slope of at most this share of the last sweep's moves
BETWEEN = 5  # sweeps after a Newton step that met the box
GLIMPSED = 8  # rows of which the first is held against the others, to see whether all may be orthogonal
NEWTONS = 12  # projected steps, before the active set takes over
CLIPS, ROOM = 50, 0.98  # clippings to that share of the box in search of a dual inside it
WORST, NONE = 0.999, 2.0  # shares of the strongest pull from which on rows are freed: the worst alone, none
ROUNDS = 4  # steps of the active set a row, at most


@compiled
def minimise(w: Array, y: Array, beta: float, warm: bool, floats: Array, integers: Array) -> int:
    """FACTORED (u: the factor of W_F W_F^T), ORTHOGONAL (that is diagonal to rounding), ZERO (x* = 0 around W) or FAILED.

    The rest is in the views. `warm`: z and state already hold those of a W close by.
    """
    s = views(w.shape[0], w.shape[1], floats, integers)
    s.counts[FULL] = extents(w, s.first, s.end, s.lengths, s.inverse)
    return search(w, y, beta, warm, s, nothing_known(w.shape[0] if is_dense(w, s) else 0, w.shape[1]))


@compiled
def solve_signal(w: Array, y: Array, beta: float, work: Array) -> tuple[int, int]:
    """(Status, Newton steps and sweeps) of `minimise` in one work array."""
    floats, integers = split(w.shape[0], w.shape[1], work)
    status = minimise(w, y, beta, False, floats, integers)
    return status, integers[STEPS - 4] + integers[PASSES - 4]


@compiled
def solve_near(w: Array, y: Array, beta: float, near: Array, work: Array) -> tuple[int, int]:
    """The same from the duals `near` (k)."""
    k, n = w.shape
    floats, integers = split(k, n, work)
    start(near, beta, floats[n : n + k], integers[2 * k : 3 * k])
    status = minimise(w, y, beta, True, floats, integers)
    return status, integers[STEPS - 4] + integers[PASSES - 4]


@compiled
def is_dense(w: Array, s: Signal) -> bool:
    """Whether the extents of the rows cover more than half of W."""
    return 2 * (s.end.sum() - s.first.sum()) > w.size


@compiled
def start(near: Array, beta: float, z: Array, state: Array) -> None:
    """z, state <- duals from elsewhere and their state in this box."""
    for i in range(len(near)):
        z[i] = min(max(near[i], -beta), beta)
        state[i] = 0 if abs(z[i]) < beta else 1 if z[i] > 0.0 else -1


@compiled
def restore(w: Array, y: Array, beta: float, z: Array, status: int, floats: Array, integers: Array) -> int:
    """The work arrays as `minimise` left them, from its z and status alone; FAILED where that was FAILED."""
    k, n = w.shape
    s = views(k, n, floats, integers)
    s.counts[:] = 0
    s.counts[FULL] = extents(w, s.first, s.end, s.lengths, s.inverse)
    s.z[:], m = z, 0
    for i in range(k):
        s.state[i] = 0 if abs(z[i]) < beta else int(math.copysign(1.0, z[i]))
        if s.state[i] == 0:
            s.rows[m] = i
            m += 1
    s.counts[M] = m
    primal(w, y, s)
    if status == ZERO:
        s.x[:] = 0.0
    return FAILED if status == FACTORED and not factorise(w, s) else status


@compiled
def search(w: Array, y: Array, beta: float, warm: bool, s: Signal, known: Known) -> int:
    """The same once the extents and lengths of the rows stand in the views; `known` has no room where W is not dense."""
    s.counts[:FULL] = 0
    norm = math.sqrt(np.dot(y, y))
    sound = 0.0 < norm < np.inf
    for i in range(len(w)):
        sound = sound and 0.0 < s.lengths[i] < np.inf
    if not sound:
        s.z[:], s.x[:] = 0.0, y
        return FAILED
    if len(known.rows):
        return dense(w, y, beta, norm, warm, s, known)
    if warm:
        primal(w, y, s)
        sweep(w, beta, 1.0, s)
        s.counts[PASSES] += 1
    else:
        s.z[:], s.x[:], s.state[:] = 0.0, y, 0
        if descend(w, beta, SWEEPS, s):
            primal(w, y, s)
            slopes(w, s)
            free_rows(norm, s, 0.0)
            return ORTHOGONAL if verified(beta, norm, s) else FAILED
    return newton(w, y, beta, norm, s)


@compiled
def dense(w: Array, y: Array, beta: float, norm: float, warm: bool, s: Signal, known: Known) -> int:
    """From duals given, from 0 where all rows are known, at once where rows are orthogonal, else from a proposal."""
    within = 0.0
    if warm:
        primal(w, y, s)
    elif known.size[0]:
        s.z[:], s.x[:], s.state[:] = 0.0, y, 0
    elif seem_orthogonal(w, s.lengths) and orthogonal(w, y, beta, norm, s):
        return ORTHOGONAL
    else:
        within = UNSURE * propose(w, y, norm, beta, START, s)
        primal(w, y, s)
    return widen(w, y, beta, norm, within, s, known)


@compiled
def seem_orthogonal(w: Array, lengths: Array) -> bool:
    """Whether the first row is orthogonal to those that follow, to rounding."""
    for i in range(1, min(len(w), GLIMPSED)):
        if abs(pair_dot(w, 0, i, 0, w.shape[1])) > CONTRACTION * lengths[0] * lengths[i]:
            return False
    return True


@compiled
def orthogonal(w: Array, y: Array, beta: float, norm: float, s: Signal) -> bool:
    """z_i = clip(w_i y / |w_i|^2), and a Newton step as if all rows were orthogonal; whether they are, so that it verifies."""
    s.z[:], s.x[:], s.state[:] = 0.0, y, 0
    slopes(w, s)
    for i in range(len(w)):
        z = s.inverse[i] * s.r[i]
        s.state[i] = (z >= beta) - (z <= -beta)
        s.z[i] = beta * s.state[i] if s.state[i] else z
    primal(w, y, s)
    for attempt in range(2):
        s.counts[STEPS] += 1
        slopes(w, s)
        _, residual = free_rows(norm, s, 0.0)
        if residual <= ROUNDING:
            return verified(beta, norm, s)
        if attempt == 0:
            for a in range(s.counts[M]):
                i = s.rows[a]
                s.step[a] = s.inverse[i] * s.r[i]
            move(w, y, 1.0, s)
    return False


@compiled
def widen(w: Array, y: Array, beta: float, norm: float, within: float, s: Signal, known: Known) -> int:
    """Solve for the rows whose products are known, add those that its solution frees, until there are none."""
    exact, refined = False, 0
    for _ in range(NEWTONS):
        slopes(w, s)
        freed, residual = free_rows(norm, s, 0.0)
        if exact and not freed and (residual <= ROUNDING or refined == 2):
            return FACTORED if verified(beta, norm, s) else FAILED
        if exact and not freed:
            refined += 1
            newton_step(s)
            move(w, y, 1.0, s)
            continue
        learn(w, norm, within, s, known)
        within = 0.0
        exact, refined = reduced(w.shape[1], beta, norm, s, known), 0
        primal(w, y, s)
        if not exact:
            break
    return newton(w, y, beta, norm, s)


@compiled
def descend(w: Array, beta: float, sweeps: int, s: Signal) -> bool:
    """Coordinate descent until a sweep changes no state; whether two sweeps found the solution, the rows being orthogonal."""
    omega, before = 1.0, 0.0
    for count in range(sweeps):
        changed, largest = sweep(w, beta, omega, s)
        s.counts[PASSES] += 1
        if count == 1:
            if largest <= CONTRACTION * before:
                return True
            omega = RELAXATION
        if count and not changed:
            break
        before = largest
    return False


@compiled
def newton(w: Array, y: Array, beta: float, norm: float, s: Signal) -> int:
    """Projected Newton steps with sweeps between, until the free rows stay the same and their residual is at rounding."""
    exact, refined = False, 0
    for _ in range(NEWTONS):
        s.counts[STEPS] += 1
        slopes(w, s)
        freed, residual = free_rows(norm, s, 0.0)
        if exact and not freed and (residual <= ROUNDING or refined == 2):
            return FACTORED if verified(beta, norm, s) else FAILED
        if exact and not freed:
            refined += 1
        else:
            exact, refined = factorise(w, s), 0
        if exact:
            newton_step(s)
        else:
            shifted_step(w, s)
        if length_inside(beta, s) < 1.0:
            project(w, beta, s)
            exact = False
            for _sweep in range(BETWEEN):
                sweep(w, beta, RELAXATION, s)
        else:
            move(w, y, 1.0, s)
            if not exact and residual <= STALLED:
                return dependent(w, y, beta, norm, s)
    return active_set(w, y, beta, norm, s)


@compiled
def active_set(w: Array, y: Array, beta: float, norm: float, s: Signal) -> int:
    """Towards the minimiser over the free rows as far as the box allows: what blocks is bound, at the end the worst is free."""
    arrived, refined, exact = False, 0, False
    for _ in range(ROUNDS * len(w)):
        s.counts[STEPS] += 1
        slopes(w, s)
        freed, residual = free_rows(norm, s, WORST if arrived else NONE)
        if arrived and not freed:
            if not exact:
                return dependent(w, y, beta, norm, s)
            if residual <= ROUNDING or refined == 2:
                return FACTORED if verified(beta, norm, s) else FAILED
            refined += 1
        else:
            exact, refined = factorise(w, s), 0
        if exact:
            newton_step(s)
        else:
            shifted_step(w, s)
        length = length_inside(beta, s)
        move(w, y, length, s)
        arrived = length == 1.0 and (exact or residual <= STALLED)
        if length < 1.0:
            bind(beta, s)
    return FAILED


@compiled
def dependent(w: Array, y: Array, beta: float, norm: float, s: Signal) -> int:
    """At the minimiser over dependent rows: ZERO where it is 0 and a dual strictly inside the box is found, else FAILED.

    Duals of x* = 0 satisfy W^T z = y; clipping to a smaller box and projecting back, in turn, leads inside where there is room.
    """
    k, n = w.shape
    if np.dot(s.x, s.x) > (STALLED * norm) ** 2:
        return FAILED
    columns, g, reach = w.T.copy(), np.empty((n, n)), np.empty(n, np.int64)
    banded = gram(columns, np.arange(n), np.zeros(n, np.int64), np.full(n, k), g, reach)
    if not factor(g, reach, banded, PIVOT):
        return FAILED  # W has a kernel, and x* need not stay 0
    for _ in range(CLIPS):
        for i in range(k):
            s.z[i] = min(max(s.z[i], -ROOM * beta), ROOM * beta)
        primal(w, y, s)
        solve(g, reach, s.x)
        slopes(w, s)
        s.z[:] += s.r
        if np.abs(s.z).max() < beta * (1.0 - TOUCH):
            s.x[:] = 0.0
            return ZERO
    return FAILED


@compiled
def verified(beta: float, norm: float, s: Signal) -> bool:
    """|z_i| < beta and w_i x = 0 on free rows, s_i w_i x > 0 on bound ones, clear of rounding; nothing is NaN."""
    z, r, state, lengths = s.z, s.r, s.state, s.lengths
    for i in range(len(z)):
        scale = lengths[i] * norm
        if state[i] == 0:
            if not (abs(z[i]) <= beta * (1.0 - TOUCH) and abs(r[i]) <= ACCEPTED * scale):
                return False
        elif not state[i] * r[i] >= TOUCH * scale:
            return False
    return True
