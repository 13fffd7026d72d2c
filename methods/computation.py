"""Autodiff through a computation that is the problem itself, such as the first steps of a solver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from methods.base import GradientMethod, Prepared
from methods.calculus.autodiff import differentiate
from problems import Problem
from problems.base import Array
from problems.forms import Computation


@dataclass(frozen=True)
class ThroughComputation(GradientMethod):
    """Reverse-mode autodiff of theta -> L(x(theta), theta), x(theta) a fixed computation: exact up to rounding.

    Source: Griewank and Walther (2008).
    """

    family: ClassVar[str] = "unrolling"
    identity: ClassVar[tuple[str, ...]] = ("framework",)
    citation: ClassVar[str] = "Griewank and Walther (2008)"
    formula: ClassVar[str] = "AD of L(x(theta), theta)"

    framework: str = "torch"

    @property
    def name(self) -> str:
        return f"autodiff-{self.framework}"

    @property
    def requires(self) -> tuple[str, ...]:
        return (self.framework,)

    def unsupported(self, problem: Problem) -> str | None:
        return None if isinstance(problem, Computation) else "needs the structure Computation"

    def prepare(self, problem: Problem) -> Prepared:
        return differentiate(self.framework, problem, self._solution, _nothing)

    def _solution(self, problem: Any, theta: Any, start: Any) -> Any:
        return problem.run(theta)


def _nothing(theta: Array) -> Array:
    return np.zeros(0)
