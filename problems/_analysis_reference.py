"""The reference hypergradient of AnalysisL1 in refined float64: which case the instance is, its gradient, its margins."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from problems import _box_dual, _margins
from problems._box_dual import DualSolution
from problems.base import REFERENCE_STATUSES, Array, Reference, SolveError

if TYPE_CHECKING:
    from problems.analysis_l1 import AnalysisL1

ZERO_ROW = 1e-10  # |w_i x*| below this share of |w_i| |y| is zero ...
DOUBT = 1e-12  # ... and between the two float64 cannot tell
STRICT = 1e-9  # a dual counts as strictly inside the box by this share of beta
RANK = 1e-10  # singular values below this share of the largest count as zero


@dataclass(frozen=True)
class _Case:
    """One signal: its status, why, its exact dual point and the rank of W0."""

    status: str
    reason: str
    dual: DualSolution
    zero: Array  # mask of the rows with w_i x* = 0
    rank: int
    cond: float


def reference(problem: AnalysisL1) -> Reference:
    """Status (zero, unproven, kink or undecided), refined gradient and margins at problem.theta; a batch: the worst."""
    w = problem.parametrisation.matrix(problem.theta)
    signals = np.atleast_2d(problem.y)
    try:
        cases = [_case(w, y, problem.beta, problem.parametrisation.keeps_rank) for y in signals]
    except SolveError as error:
        nothing = np.full(problem.y.shape, math.nan)
        return Reference("undecided", None, nothing, math.nan, reason=str(error))
    worst = max(cases, key=lambda case: REFERENCE_STATUSES.index(case.status))
    refined = [_refine(case.dual.factor, w, y, problem.beta, case.dual) for case, y in zip(cases, signals, strict=True)]
    solution = np.stack([x for x, _ in refined]).reshape(problem.y.shape)
    grad = None
    if worst.status in ("zero", "unproven"):
        duals = np.stack([z for _, z in refined]).reshape(*problem.y.shape[:-1], len(w))
        grad = _gradient(problem, cases, solution, duals)
    return Reference(
        status=worst.status,
        grad=grad,
        solution=np.asarray(solution, dtype=np.float64),
        value=float(problem.loss(np.asarray(solution, dtype=np.float64), problem.theta)),
        reason=worst.reason,
        zero_rows=float(np.mean([case.zero.mean() for case in cases])),
        rank=max(case.rank for case in cases),
        cond=max(case.cond for case in cases),
        **_worst_margins(w, problem, cases, signals),
    )


def _case(w: Array, y: Array, beta: float, keeps_rank: bool) -> _Case:
    dual = _box_dual.solve(w, y, beta)
    scale = np.maximum(np.linalg.norm(w, axis=1), np.finfo(float).tiny) * max(float(np.linalg.norm(y)), 1e-300)
    share = np.abs(w @ dual.x) / scale
    zero = share <= ZERO_ROW
    w0 = w[zero]
    singular = np.linalg.svd(w0, compute_uv=False) if len(w0) else np.ones(0)
    kept = singular[singular > RANK * singular.max(initial=0.0)]
    rank, cond = len(kept), float(kept[0] / kept[-1]) if len(kept) else 1.0
    full = rank == len(w0)

    def case(status: str, reason: str = "") -> _Case:
        return _Case(status, reason, dual, zero, rank, cond)

    if ((share > DOUBT) & (share <= ZERO_ROW) & (dual.signs != 0)).any():
        return case("undecided", "a row of W x* is too close to zero for float64")
    inside = beta - np.abs(dual.z[zero])
    margin = inside.min(initial=beta) if full else max(inside.min(initial=beta), _best_margin(w0, dual.z[zero], beta))
    if margin <= STRICT * beta:
        return case("kink", "no dual is strictly inside the box on every zero row (strict complementarity fails)")
    if rank == w.shape[1]:
        return case("zero", "x* = 0 around theta")
    if keeps_rank and zero.all():
        return case("zero", "x* is the projection on ker K(theta), which theta does not move")
    if not full and not keeps_rank:
        return case("kink", f"the {len(w0)} zero rows of W have rank {rank}: dependent, and theta can break the dependence")
    return case("unproven", "float64 pattern verified, linear systems refined in extended precision")


def _best_margin(w0: Array, z: Array, beta: float) -> float:
    """max over duals z' with W0^T z' = W0^T z of beta - |z'|_inf, by linear programming."""
    from scipy.optimize import linprog

    m, n = w0.shape
    cost = np.zeros(m + 1)
    cost[-1] = -1.0
    shift = np.ones((m, 1))
    rows = np.block([[np.eye(m), shift], [-np.eye(m), shift]])
    equal = np.hstack([w0.T, np.zeros((n, 1))])
    found = linprog(cost, rows, np.full(2 * m, beta), equal, w0.T @ z, bounds=[(None, None)] * m + [(None, beta)])
    return float(found.x[-1]) if found.status == 0 else -math.inf


def _refine(factor: _box_dual.RowFactor, w: Array, y: Array, beta: float, dual: DualSolution) -> tuple[Array, Array]:
    """(x*, z) of the verified pattern, refined with extended-precision residuals."""
    bound = dual.signs != 0
    wide = np.longdouble
    q = y.astype(wide) - wide(beta) * (dual.signs[bound].astype(wide) @ w[bound].astype(wide))
    lifted, remainder = _lift_refined(factor, q)
    if not factor.full_rank:  # z is not unique there; x* = P q is
        return remainder, dual.z.astype(wide)
    z = beta * dual.signs.astype(wide)
    z[~bound] = lifted
    return remainder, z


def _lift_refined(factor: _box_dual.RowFactor, v: Array) -> tuple[Array, Array]:
    """(W0^{+T} v, P v) in extended precision: the residual W0 P v = 0 is formed there, so that cond(W0) times 1e-19 remains."""
    w0 = factor.w0.astype(np.longdouble)
    lifted = factor.lift(v.astype(np.float64)).astype(np.longdouble)
    for _ in range(5):
        lifted = lifted + factor.solve_gram((w0 @ (v - lifted @ w0)).astype(np.float64))
    return lifted, v - lifted @ w0


def _gradient(problem: AnalysisL1, cases: list[_Case], solution: Array, duals: Array) -> Array:
    """dL/dtheta = -(d<z, K v>/dtheta + d<h, K x*>/dtheta), v = P g, h = W0^{+T} g, g = dL/dx."""
    g = np.atleast_2d(problem.loss_grad(solution, problem.theta)[0])
    h = np.zeros((len(cases), duals.shape[-1]), dtype=np.longdouble)
    v = np.zeros_like(g)
    for index, case in enumerate(cases):
        if case.status == "zero":
            continue
        lifted, v[index] = _lift_refined(case.dual.factor, g[index])
        h[index, case.dual.signs == 0] = lifted
    if solution.ndim == 1:
        h, v = h[0], v[0]
    pullback = problem.parametrisation.pullback
    grad = -(pullback(problem.theta, duals, v) + pullback(problem.theta, h, solution))
    return np.asarray(grad, dtype=np.float64)


def _worst_margins(w: Array, problem: AnalysisL1, cases: list[_Case], signals: Array) -> dict[str, float]:
    """Distances in W to the nearest kink; they mean nothing where theta is not W or no gradient exists."""
    if problem.parametrisation.keeps_rank or any(case.status not in ("unproven",) for case in cases):
        return {}
    distances = [_margins.kink_distance(w, problem.beta, case.dual) for case in cases]
    radii = [_margins.rho(w, y, problem.beta, case.dual) for case, y in zip(cases, signals, strict=True)]
    return {"kink_distance": min(distances), "rho": min(radii)}
