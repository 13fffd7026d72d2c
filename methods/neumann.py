"""Autodiff at the optimum: a truncated Neumann series at the certified solution."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from methods.base import GradientMethod, Prepared
from methods.calculus.at_optimum import at_optimum, optimum_refusal
from problems import Problem, Reference


@dataclass(frozen=True)
class Neumann(GradientMethod):
    """dL/dtheta = (dT/dtheta)^T b + (dR/dtheta)^T dL/dx + dL/dtheta|x, b = sum_{j <= J} ((dT/dv)^T)^j (dR/dv)^T dL/dx.

    All derivatives at v* from the problem's certified solver, so that no iterate is kept: what unrolling gives with its
    iterates replaced by v*. The lost terms fall as the J-th power of the contraction factor on the active set.
    Source: Mehmood and Ochs (2020); Lorraine, Vicol and Duvenaud (2020).
    """

    family: ClassVar[str] = "implicit differentiation"
    identity: ClassVar[tuple[str, ...]] = ("scheme", "framework")
    knob: ClassVar[str] = "terms"
    citation: ClassVar[str] = "Mehmood and Ochs (2020); Lorraine, Vicol and Duvenaud (2020)"
    formula: ClassVar[str] = "sum_{j<=J} (dT/dv)^j dT/dtheta at v*, then x = R(v, theta)"

    scheme: str = "ista"
    framework: str = "torch"
    terms: int = 300

    @property
    def name(self) -> str:
        return f"neumann-{self.scheme}-{self.framework}"

    @property
    def requires(self) -> tuple[str, ...]:
        return (self.framework,)

    def unsupported(self, problem: Problem) -> str | None:
        return optimum_refusal(self.scheme, problem)

    def prepare(self, problem: Problem) -> Prepared:
        return at_optimum(self.framework, self.scheme, problem, self.terms)

    def ladder(self) -> tuple[GradientMethod, ...]:
        return tuple(replace(self, terms=count) for count in (1, 3, 10, 30, 100, 300, 1000, 3000))

    def promise(self, problem: Problem, reference: Reference) -> float | None:
        return None  # J terms go as far as the instance's contraction factor lets them
