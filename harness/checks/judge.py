"""A method's answer against the reference: the error columns and the status of a cell."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from harness.answers import received
from harness.checks.errors import absolute, relative
from methods import Gradient
from problems import Problem, Reference
from problems.base import Array
from problems.sensitivity import sensitivity
from results import JUDGED
from results.record import Ending, Judgement

ROUNDING = 2.0**-50  # of x*, relative: 8 eps
DIVERGED = 1e3  # |x| above this times |y| + 1


def judge(
    gradient: Gradient, problem: Problem, reference: Reference, promise: float | None, differences: Array | None = None
) -> tuple[Ending, Judgement]:
    """The status with its reason, and the errors where a gradient exists, beside what was claimed.

    `differences` are central differences of the same instance, for the papers' own metric; they judge nothing.
    """
    gradient = received(gradient)
    solution, grad = gradient.solution, gradient.grad
    judgement = replace(
        of_reference(reference),
        converged=gradient.converged,
        iterations=math.nan if gradient.iterations is None else float(gradient.iterations),
        note=gradient.note,
        error_bound=math.nan if gradient.bound is None else gradient.bound,
        promise=math.nan if promise is None else promise,
        misread_rows=_misread(gradient, reference),
    )
    if reason := _malformed(gradient, grad, solution, problem, reference):
        return Ending("error", reason), judgement
    if not (np.isfinite(grad).all() and np.isfinite(solution).all()):
        return Ending("nan", "NaN or infinite entries in the gradient or the solution"), judgement
    judgement = replace(judgement, **_errors(gradient, grad, solution, reference))
    if differences is not None and gradient.direction is None and not math.isnan(judgement.error_rel):
        judgement = replace(judgement, error_paper=relative(grad, differences))
    if np.linalg.norm(solution) > DIVERGED * (np.linalg.norm(reference.solution) + 1):
        return Ending("diverged", "the solution is above 1e3 (|x*| + 1)"), judgement
    noise = ROUNDING * sensitivity(problem, reference) if reference.status in JUDGED else 0.0
    verified, reason = _verdict(judgement, noise)
    return Ending("inaccurate" if reason else "ok", reason), replace(judgement, verified=verified)


def of_reference(reference: Reference) -> Judgement:
    """What the record keeps of the reference."""
    return Judgement(
        reference_status=reference.status,
        reference_radius=reference.radius,
        reference_reason=reference.reason,
        kink_distance=reference.kink_distance,
        rho=reference.rho,
        zero_rows=reference.zero_rows,
        rank=float(reference.rank),
        cond=reference.cond,
    )


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


def _errors(gradient: Gradient, grad: Array, solution: Array, reference: Reference) -> dict[str, Any]:
    found = {"error_x": relative(solution, reference.solution)}
    if reference.grad is None:
        return found
    truth = reference.grad
    if gradient.direction is not None:
        truth = np.asarray((reference.grad * gradient.direction).sum())
    found["error_abs"] = absolute(grad, truth)
    if reference.status in JUDGED and np.linalg.norm(truth) > 0:
        found |= {
            "error_rel": relative(grad, truth),
            "error_max": float(np.abs(grad - truth).max() / np.abs(truth).max()),
        }
        if gradient.direction is None:
            found |= {"cosine": _cosine(grad, truth), "sign_agreement": _sign_agreement(grad, truth)}
    return found


def reference_error(radius: float) -> float:
    """What of an error may be the reference's own: its radius, or the rounding of float64 entries."""
    return radius if radius > 0 else 2.0**-53


def _cosine(grad: Array, truth: Array) -> float:
    norms = np.linalg.norm(grad) * np.linalg.norm(truth)
    return float((grad * truth).sum() / norms) if norms > 0 else math.nan


def _sign_agreement(grad: Array, truth: Array) -> float:
    """Among the entries that are not rounding of zero."""
    large = np.abs(truth) > 1e-12 * np.abs(truth).max()
    return float((np.sign(grad[large]) == np.sign(truth[large])).mean())


def _verdict(judged: Judgement, noise: float) -> tuple[bool | None, str]:
    """(whether the error is within the promise, what is wrong with the answer).

    `noise`: what the rounding of x* makes of the gradient. No promise is broken by less: where the gradient is as small, it
    has no digits that float64 could hold.
    """
    error = judged.error_abs if judged.reference_status == "zero" else judged.error_rel
    known = not math.isnan(error)
    verified = None if math.isnan(judged.promise) or not known else bool(error <= judged.promise or judged.error_abs <= noise)
    if judged.converged is False:
        return verified, "the solver reports that it did not converge"
    if known and error > judged.error_bound + reference_error(judged.reference_radius):
        return False, f"error {error:.1e}: the method's own bound {judged.error_bound:.1e} is violated"
    if verified is False:
        return False, f"error {error:.1e} is above the method's own promise {judged.promise:.0e}"
    return verified, ""
