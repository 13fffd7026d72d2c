"""Automatic differentiation of the closed form, with the sign pattern fixed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from methods.base import GradientMethod, Prepared
from methods.calculus.autodiff import differentiate
from methods.calculus.frameworks import FRAMEWORKS, framework
from problems import PartlySmooth, Problem, Reference


@dataclass(frozen=True)
class ClosedForm(GradientMethod):
    """d/dtheta of L(P(theta) (y - beta K_A(theta)^T s), theta) by reverse-mode autodiff; s from the exact solver.

    Source: Ghosh, McCann and Ravishankar (2022), section 4.2 ("PyTorch").
    """

    family: ClassVar[str] = "autodiff of the closed form"
    identity: ClassVar[tuple[str, ...]] = ("framework", "device")
    citation: ClassVar[str] = "Ghosh, McCann and Ravishankar (2022), section 4.2"
    formula: ClassVar[str] = "AD through x* = P(y - beta W_A's), P = I - W0^+ W0, s fixed"

    framework: str = "torch"
    device: str = "cpu"

    @property
    def name(self) -> str:
        return f"closed-form-{self.framework}"

    @property
    def requires(self) -> tuple[str, ...]:
        return (self.framework,)

    def on(self, device: str) -> GradientMethod | None:
        return replace(self, device=device) if device in FRAMEWORKS[self.framework].devices else None

    def unsupported(self, problem: Problem) -> str | None:
        return None if isinstance(problem, PartlySmooth) else "needs the structure PartlySmooth"

    def prepare(self, problem: Problem) -> Prepared:
        assert isinstance(problem, PartlySmooth)
        where = framework(self.framework, self.device)
        return differentiate(where, problem, self._solution, problem.pattern, doubt=problem.doubt, like=problem.no_pattern)

    def _solution(self, problem: PartlySmooth, theta: Any, pattern: Any) -> Any:
        return problem.closed_form(theta, pattern)

    def promise(self, problem: Problem, reference: Reference) -> float | None:
        return 1e-10  # rounding of a pseudo-inverse: about 1e-16 times cond(W0)^2, and cond(W0) < 1e3 on drawn instances
