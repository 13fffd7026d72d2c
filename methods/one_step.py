"""One-step differentiation (Jacobian-free back-propagation): the last iteration alone, at the certified solution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from methods.base import GradientMethod, Prepared
from methods.calculus.at_optimum import at_optimum, optimum_refusal
from problems import Problem, Reference


@dataclass(frozen=True)
class OneStep(GradientMethod):
    """dL/dtheta = (dT/dtheta)^T c + (dR/dtheta)^T dL/dx + dL/dtheta|x with c = (dR/dv)^T dL/dx: dv*/dtheta = dT/dtheta.

    (I - dT/dv)^{-1} is replaced by I: right where T contracts fast, as Newton's method does; a proximal iteration does
    not, and the answer is then a direction at best. Source: Bolte, Pauwels and Vaiter (2023); Fung et al. (2022).
    """

    family: ClassVar[str] = "one step"
    biased: ClassVar[str] = "(I - dT/dv)^-1 is replaced by I"
    identity: ClassVar[tuple[str, ...]] = ("scheme", "framework")
    citation: ClassVar[str] = "Bolte, Pauwels and Vaiter (2023); Fung et al. (2022)"
    formula: ClassVar[str] = "dv*/dtheta = dT/dtheta at v*, then x = R(v, theta)"

    scheme: str = "ista"
    framework: str = "torch"

    @property
    def name(self) -> str:
        return f"one-step-{self.scheme}-{self.framework}"

    @property
    def requires(self) -> tuple[str, ...]:
        return (self.framework,)

    def unsupported(self, problem: Problem) -> str | None:
        return optimum_refusal(self.scheme, problem)

    def prepare(self, problem: Problem) -> Prepared:
        return at_optimum(self.framework, self.scheme, problem, 0)

    def promise(self, problem: Problem, reference: Reference) -> float | None:
        return None  # biased by construction
