"""One answer of one method, and how it is graded: right, flagged, silent or refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from harness.answers import given, received, sentence, told
from harness.checks.errors import relative_or_absolute
from methods import Gradient, GradientMethod, synchronise
from problems import Problem
from problems.base import Array
from results import WRONG

EXACT = 1e-8  # a method that promises this or better must know where no gradient exists
OUTCOMES = ("right", "flagged", "silent", "biased", "refused")  # wrong answers are flagged, silent, or biased by design


@dataclass(frozen=True)
class Verdict:
    """How one check of one method ended; `figure` is the measured error (NaN: none was measured)."""

    check: str
    instance: str
    passed: bool
    outcome: str
    figure: float = math.nan
    message: str = ""
    fault: str = ""  # the known fault of a library that explains it
    norm: float = math.nan  # |g| of what was returned where no gradient exists


@dataclass(frozen=True)
class Answer:
    """A prepared call's gradient, or why there is none: `refused` says unsupported, `raised` an exception."""

    gradient: Gradient | None = None
    refused: str = ""
    raised: str = ""

    @property
    def grad(self) -> Array:
        assert self.gradient is not None
        grad: Array = self.gradient.grad
        return grad

    @property
    def flag(self) -> str:
        """What tells a caller that the answer may be wrong; empty: nothing."""
        if self.gradient is None:
            return self.refused or self.raised
        if not np.isfinite(self.grad).all():
            return "the gradient is not finite"
        return self.gradient.note or ("" if self.gradient.converged is not False else "converged = False")


def by_design(method: GradientMethod, verdict: Verdict) -> Verdict:
    """Silent becomes biased where the method promises nothing, says why it is off by design, and broke no law."""
    judged = verdict.check in ("gradient", "value", "solution", "converged", "loose", "trap")
    if not (method.biased and judged and verdict.passed and verdict.outcome == "silent"):
        return verdict
    return replace(verdict, outcome="biased", message=f"{verdict.message}: {method.biased}")


# Told "preparation" before set-up with the first call, and "call" before every later one: what is limited in time.
Begin = Callable[[str], None]


def ask(method: GradientMethod, problem: Problem, begin: Begin, theta: Array | None = None) -> Answer:
    """prepare and one call; an exception is an answer."""
    begin("preparation")
    try:
        if reason := sentence("unsupported", method.unsupported(problem)):
            return Answer(refused=reason)
        gradient = given(method.prepare(problem)(np.array(problem.theta if theta is None else theta)))
        synchronise(gradient.grad)  # what runs behind the caller's back may fail there
        return Answer(received(gradient))
    except Exception as error:
        return Answer(raised=told(error)[:120])


def error(answer: Answer, truth: Array) -> float:
    """|g - G| / |G|, or |g| where G = 0; along its direction where a method returns a slope."""
    assert answer.gradient is not None
    direction, grad = answer.gradient.direction, answer.grad
    if direction is not None:
        truth = np.asarray((truth * direction).sum())
    if grad.shape != truth.shape:
        return math.inf
    return relative_or_absolute(grad, truth)


def graded(answer: Answer, truth: Array, promise: float | None, flags_pass: bool) -> Verdict:
    """Right within the promise (without one: within WRONG), else flagged or silent; silence fails a promise.

    `flags_pass`: a flagged error counts as passed.
    """
    limit = WRONG if promise is None else promise
    if answer.refused:
        return Verdict("", "", True, "refused", message=answer.refused)
    if answer.gradient is None:
        return Verdict("", "", flags_pass, "flagged", message=answer.raised)
    figure = error(answer, truth)
    if figure <= limit:
        return Verdict("", "", True, "right", figure, answer.flag)
    if answer.flag:
        return Verdict("", "", promise is None or flags_pass, "flagged", figure, answer.flag)
    claim = ", claims converged" if answer.gradient.converged else ""
    return Verdict("", "", promise is None, "silent", figure, f"above {limit:.0e}{claim}")
