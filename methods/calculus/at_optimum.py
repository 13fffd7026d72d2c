"""A truncated Neumann series at the certified solution: `neumann` with J terms, `one-step` with none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from methods.base import Split
from methods.calculus.fixed_point import differentiate_fixed_point
from methods.calculus.frameworks import Framework
from methods.calculus.schemes import stationary_refusal
from problems import Form, Problem, Splitting
from problems.algorithms import Algorithm, algorithm
from problems.base import Array


def optimum_refusal(scheme: str, problem: Problem) -> str | None:
    """Why the series has no v* to be taken at; None: it has one."""
    if reason := stationary_refusal(scheme, problem):
        return reason
    assert isinstance(problem, Splitting)
    found = algorithm(scheme, problem)
    if type(found).state is Algorithm.state:
        return f"{scheme} does not build its state from a solution"
    return None if certified(problem, found.form) else f"the {found.form.name} form has no certified solver"


def certified(problem: Problem, form: Form) -> Callable[[Array], Array] | None:
    """theta -> v* of certified accuracy; None where there is none."""
    return form.solve or (problem.solve if form.name == "primal" else None)


def at_optimum(framework_name: str, scheme: str, problem: Problem, terms: int) -> Split:
    """theta -> gradient by b = sum_{j <= terms} ((dT/dv)^T)^j c at v*."""
    assert isinstance(problem, Splitting)
    found = algorithm(scheme, problem)
    solve = certified(problem, found.form)
    assert solve is not None

    def state(theta: Array) -> Any:
        return found.state(solve(theta), theta)

    return differentiate_fixed_point(framework_name, scheme, problem, state, _stay, _Series(terms), like=found.init)


def _stay(framework: Framework, step: Callable[[Any], Any], v: Any) -> tuple[Any, None, None]:
    return v, None, None


@dataclass(frozen=True)
class _Series:
    """b = sum_{j <= terms} (A^T)^j c."""

    terms: int

    def __call__(self, framework: Framework, transpose: Callable[[Any], Any], right: Any) -> tuple[Any, None]:
        return framework.iterate(lambda b: transpose(b) + right, right, self.terms), None
