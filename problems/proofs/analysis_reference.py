"""The reference hypergradient of AnalysisL1: what is certified of it, and the margins that follow from its pattern."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from problems.arrays import Array
from problems.base import Reference
from problems.proofs import choice, margins
from problems.proofs.instance import Instance
from problems.solvers.box_dual import DualSolution, RowFactor

if TYPE_CHECKING:
    from problems.proofs.certificate import Certificate


def reference(problem: Instance) -> Reference:
    """Status, correctly rounded gradient, its radius and the margins at problem.theta; of a batch the worst."""
    from problems.proofs.proof_cache import LARGEST, certified

    try:
        found = certified(problem)
    except TypeError as error:  # a parametrisation without exact rows
        return Reference("undecided", None, np.full(problem.y.shape, math.nan), math.nan, reason=str(error))
    if choice.prover(problem, problem.theta, LARGEST):
        described: dict[str, Any] = _counted(found)
        worst: dict[str, Any] = {}
    else:
        w = problem.parametrisation.matrix(problem.theta)
        described = {} if found.status == "undecided" else _description(w, found, problem.y.shape)
        worst = _worst_margins(w, problem, found) if found.status == "proven" else {}
    return Reference(
        status=found.status,
        grad=found.grad,
        solution=found.x.reshape(problem.y.shape),
        value=found.value,
        radius=found.radius,
        reason=found.reason,
        **described,
        **worst,
    )


def _counted(found: Certificate) -> dict[str, float]:
    """What the pattern alone says."""
    if found.status == "undecided":
        return {}
    return {"zero_rows": float((found.signs == 0).mean()), "rank": int(found.rank.max())}


def _description(w: Array, found: Certificate, shape: tuple[int, ...]) -> dict[str, Any]:
    patterns = zip(found.signs, found.rank, strict=True)
    singular = [np.linalg.svd(w[signs == 0], compute_uv=False)[:rank] for signs, rank in patterns]
    conds = [float(values[0] / values[-1]) if len(values) else 1.0 for values in singular]
    pattern = found.signs.reshape(*shape[:-1], len(w))
    return {
        "pattern": pattern, "zero_rows": float((pattern == 0).mean()), "rank": int(found.rank.max()), "cond": max(conds)
    }  # fmt: skip


def _worst_margins(w: Array, problem: Instance, found: Certificate) -> dict[str, float]:
    """Distances in W to the nearest kink, whatever theta is; unknown where x* = 0 around it for some signal."""
    if np.isnan(found.z).any() or (found.rank == problem.y.shape[-1]).any():
        return {}
    points = zip(found.z, found.x, found.signs, strict=True)
    duals = [DualSolution(z, x, signs, RowFactor.of(w[signs == 0]), 0) for z, x, signs in points]
    signals = np.atleast_2d(problem.y)
    distances = [margins.kink_distance(w, problem.beta, dual) for dual in duals]
    radii = [margins.rho(w, y, problem.beta, dual) for dual, y in zip(duals, signals, strict=True)]
    return {"kink_distance": min(distances), "rho": min(radii)}
