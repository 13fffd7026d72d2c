"""Every method at the ends of every problem: a gradient that keeps its promise, a doubt, or a refusal in words."""

from __future__ import annotations

import traceback
import warnings
from dataclasses import fields, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from _ends import ends
from _sharp import in_jax

from harness.answers import received
from harness.checks.judge import judge
from harness.measure.worker import missing
from methods import METHODS, Gradient, GradientMethod, LibraryError
from problems import PROBLEMS, Ensemble, Problem, Reference, SolveError

ROOT = Path(__file__).resolve().parent.parent
FAST = ("blorc", "closed-form-torch", "partial-smoothness-torch", "ift-torch", "linear-solve-vjp-torch", "unrolled-ista-torch")
SHORT = {"iterations": 30, "last": 10, "terms": 30, "limit": 1000, "max_iterations": 1000}  # what fails, fails early


def short(method: GradientMethod) -> GradientMethod:
    return replace(method, **{f.name: SHORT[f.name] for f in fields(method) if f.name in SHORT})


INSTALLED = tuple(short(method) for method in METHODS if not missing(method))


@cache
def instances(problem: Ensemble) -> tuple[tuple[str, Problem, Reference], ...]:
    return tuple((what, instance, instance.reference()) for what, instance in ends(problem, 1))


def in_words(error: Exception) -> bool:
    """Whether a `raise` of ours said it; a library's own exception comes as one that names it."""
    if isinstance(error, LibraryError):
        return bool(str(error))
    last = traceback.extract_tb(error.__traceback__)[-1]
    ours = Path(last.filename).is_relative_to(ROOT) and str(last.line).startswith("raise ")
    return ours and isinstance(error, (ValueError, SolveError)) and len(str(error)) > 10


def answered(method: GradientMethod, problem: Problem) -> Gradient | None:
    """The gradient; None where the method refuses in words."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore", RuntimeWarning)  # of frameworks, at overflow
            return received(method.prepare(problem)(problem.theta))
    except Exception as error:
        if in_words(error):
            return None
        raise


def fault(method: GradientMethod, problem: Problem, reference: Reference) -> str:
    """What is wrong with the answer; empty: nothing."""
    if (reason := method.unsupported(problem)) is not None:
        return "" if reason.strip() else "a refusal without a reason"
    found = answered(method, problem)
    if found is None or found.converged is False or found.note:
        return ""
    promise = None if cancelled(problem, reference) else method.promise(problem, reference)
    ending, _ = judge(found, problem, reference, promise)
    return "" if ending.status in ("ok", "diverged") else f"{ending.status}: {ending.reason}"


def cancelled(problem: Problem, reference: Reference) -> bool:
    """Whether x* is what rounding leaves of the data: the columns of ridge have mean 0, so y = 1 is orthogonal to them."""
    y = getattr(problem, "y", None)
    return y is not None and float(np.linalg.norm(reference.solution)) < 1e-12 * float(np.linalg.norm(y))


def holds(problem: Ensemble, methods: tuple[GradientMethod, ...]) -> None:
    for what, instance, reference in instances(problem):
        for method in methods:
            assert not (wrong := fault(method, instance, reference)), f"{method.label} at {what}: {wrong}"


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_fast_methods_answer_or_refuse_at_the_ends(problem: Ensemble) -> None:
    holds(problem, tuple(method for method in INSTALLED if method.name in FAST))


@pytest.mark.long
@pytest.mark.parametrize("method", [m for m in INSTALLED if not in_jax(m)], ids=lambda method: method.label)
@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_every_method_answers_or_refuses_at_the_ends(problem: Ensemble, method: GradientMethod) -> None:
    holds(problem, (method,))


@pytest.mark.long
@pytest.mark.parametrize("method", [m for m in INSTALLED if in_jax(m)], ids=lambda method: method.label)
@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_every_compiling_method_answers_or_refuses_at_the_ends(problem: Ensemble, method: GradientMethod) -> None:
    holds(problem, (method,))
