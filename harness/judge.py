"""A method's answer against the reference: the error columns and the status of a cell."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from harness.answers import received
from methods import Gradient
from problems import Problem, Reference
from problems._sensitivity import sensitivity
from problems.base import Array

HAS_GRADIENT = ("proven", "bounded", "unproven")
ROUNDING = 2.0**-50  # of x*, relative: 8 eps
DIVERGED = 1e3  # |x| above this times |y| + 1


def judge(
    gradient: Gradient, problem: Problem, reference: Reference, promise: float | None, differences: Array | None = None
) -> dict[str, Any]:
    """Columns of Measured: errors where a gradient exists, what was claimed, and the status with its reason.

    `differences` are central differences of the same instance, for the papers' own metric; they judge nothing.
    """
    gradient = received(gradient)
    solution, grad = gradient.solution, gradient.grad
    columns = {
        "converged": gradient.converged,
        "iterations": math.nan if gradient.iterations is None else float(gradient.iterations),
        "note": gradient.note,
        "error_bound": math.nan if gradient.bound is None else gradient.bound,
        "tolerance": math.nan if promise is None else promise,
        "misread_rows": _misread(gradient, reference),
        **reference_columns(reference),
    }
    if reason := _malformed(gradient, grad, solution, problem, reference):
        return {**columns, "status": "error", "reason": reason}
    if not (np.isfinite(grad).all() and np.isfinite(solution).all()):
        return {**columns, "status": "nan", "reason": "NaN or infinite entries in the gradient or the solution"}
    columns |= _errors(gradient, grad, solution, reference)
    if differences is not None and gradient.direction is None and "error_rel" in columns:
        columns["error_paper"] = _relative(grad - differences, differences)
    if np.linalg.norm(solution) > DIVERGED * (np.linalg.norm(reference.solution) + 1):
        return {**columns, "status": "diverged", "reason": "the solution is above 1e3 (|x*| + 1)"}
    noise = ROUNDING * sensitivity(problem, reference) if reference.status in HAS_GRADIENT else 0.0
    return columns | _verdict(gradient, columns, reference, promise, noise)


def reference_columns(reference: Reference) -> dict[str, Any]:
    """What the record keeps of the reference."""
    return {
        "reference_status": reference.status,
        "reference_radius": reference.radius,
        "reference_reason": reference.reason,
        "kink_distance": reference.kink_distance,
        "rho": reference.rho,
        "zero_rows": reference.zero_rows,
        "rank": float(reference.rank),
        "cond": reference.cond,
    }


def _misread(gradient: Gradient, reference: Reference) -> float:
    """Rows whose sign the method took for another than it is."""
    if gradient.pattern is None or reference.pattern is None:
        return math.nan
    return float(np.count_nonzero(gradient.pattern != reference.pattern))


def _malformed(gradient: Gradient, grad: Array, solution: Array, problem: Problem, reference: Reference) -> str:
    expected = () if gradient.direction is not None else problem.theta.shape
    if grad.shape != expected:
        return f"grad must have the shape of theta, {expected}, got {grad.shape}"
    if solution.shape != reference.solution.shape:
        return f"solution must have shape {reference.solution.shape}, got {solution.shape}"
    return ""


def _errors(gradient: Gradient, grad: Array, solution: Array, reference: Reference) -> dict[str, float]:
    found = {"error_x": _relative(solution - reference.solution, reference.solution)}
    if reference.grad is None:
        return found
    truth = reference.grad
    if gradient.direction is not None:
        truth = np.asarray((reference.grad * gradient.direction).sum())
    found["error_abs"] = float(np.linalg.norm(grad - truth))
    if reference.status in HAS_GRADIENT and np.linalg.norm(truth) > 0:
        found |= {
            "error_rel": _relative(grad - truth, truth),
            "error_max": float(np.abs(grad - truth).max() / np.abs(truth).max()),
        }
        if gradient.direction is None:
            found |= {"cosine": _cosine(grad, truth), "sign_agreement": _sign_agreement(grad, truth)}
    return found


def reference_error(reference: Reference) -> float:
    """What of an error may be the reference's own: its radius, or the rounding of float64 entries."""
    return reference.radius if reference.radius > 0 else 2.0**-53


def _relative(difference: Array, truth: Array) -> float:
    norm = float(np.linalg.norm(truth))
    return float(np.linalg.norm(difference)) / norm if norm > 0 else math.nan


def _cosine(grad: Array, truth: Array) -> float:
    norms = np.linalg.norm(grad) * np.linalg.norm(truth)
    return float((grad * truth).sum() / norms) if norms > 0 else math.nan


def _sign_agreement(grad: Array, truth: Array) -> float:
    """Among the entries that are not rounding of zero."""
    large = np.abs(truth) > 1e-12 * np.abs(truth).max()
    return float((np.sign(grad[large]) == np.sign(truth[large])).mean())


def _verdict(
    gradient: Gradient, columns: dict[str, Any], reference: Reference, promise: float | None, noise: float
) -> dict[str, Any]:
    error = columns.get("error_rel", columns.get("error_abs") if reference.status == "zero" else None)
    verified = None if promise is None or error is None else bool(error <= promise or columns["error_abs"] <= noise)
    if gradient.converged is False:
        return {"verified": verified, "status": "inaccurate", "reason": "the solver reports that it did not converge"}
    if gradient.bound is not None and error is not None and error > gradient.bound + reference_error(reference):
        reason = f"error {error:.1e}: the method's own bound {gradient.bound:.1e} is violated"
        return {"verified": False, "status": "inaccurate", "reason": reason}
    if verified is False:
        reason = f"error {error:.1e} is above the method's own tolerance {promise:.0e}"
        return {"verified": False, "status": "inaccurate", "reason": reason}
    return {"verified": verified, "status": "ok", "reason": ""}
