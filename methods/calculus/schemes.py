"""Whether an algorithm solves a problem: what all methods ask that differentiate iterations."""

from __future__ import annotations

from problems import Problem, Splitting
from problems.algorithms import algorithm


def refusal(scheme: str, problem: Problem) -> str | None:
    """Why the algorithm of that name solves no form of the problem; None: it does."""
    if not isinstance(problem, Splitting):
        return "needs the structure Splitting"
    try:
        algorithm(scheme, problem)
    except (TypeError, ValueError) as reason:
        return str(reason)
    return None


def stationary_refusal(scheme: str, problem: Problem) -> str | None:
    """The same of an algorithm that must be a fixed map of its state."""
    if reason := refusal(scheme, problem):
        return reason
    assert isinstance(problem, Splitting)
    drifts = algorithm(scheme, problem).drifts
    return f"{scheme} is no fixed-point map: {drifts}" if drifts else None
