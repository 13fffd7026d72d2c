"""Truncated unrolling: all iterations run, the last ones are differentiated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from methods.base import GradientMethod, Prepared
from methods.calculus.autodiff import differentiate
from methods.calculus.frameworks import FRAMEWORKS
from methods.calculus.schemes import refusal
from problems import Problem, Reference, Splitting
from problems.algorithms import algorithm


@dataclass(frozen=True)
class Truncated(GradientMethod):
    """d/dtheta of L(R(v_K(theta), theta), theta) with v_{K-k} held constant, v_{j+1} = T(v_j, theta).

    Memory grows with k, not with K; the terms (dT/dv)^j dT/dtheta of order j >= k are lost, so that the bias falls as the k-th
    power of the contraction factor and stays however large K is. Source: Shaban, Cheng, Hatch and Boots (2019).
    """

    family: ClassVar[str] = "unrolling"
    biased: ClassVar[str] = "what the iterations before the last ones contribute is left out"
    identity: ClassVar[tuple[str, ...]] = ("scheme", "framework")
    knob: ClassVar[str] = "last"
    citation: ClassVar[str] = "Shaban, Cheng, Hatch and Boots (2019)"
    formula: ClassVar[str] = "AD through the last k of K iterations v <- T(v, theta), then x = R(v, theta)"

    scheme: str = "ista"
    framework: str = "torch"
    last: int = 30
    iterations: int = 300

    @property
    def name(self) -> str:
        return f"truncated-{self.scheme}-{self.framework}"

    @property
    def requires(self) -> tuple[str, ...]:
        return (self.framework,)

    def unsupported(self, problem: Problem) -> str | None:
        return refusal(self.scheme, problem)

    def prepare(self, problem: Problem) -> Prepared:
        assert isinstance(problem, Splitting)
        start = algorithm(self.scheme, problem).init
        return differentiate(self.framework, problem, self._solution, start, self.iterations)

    def _solution(self, problem: Splitting, theta: Any, start: Any) -> Any:
        framework, scheme = FRAMEWORKS[self.framework], algorithm(self.scheme, problem)
        last = min(self.last, self.iterations)
        frozen = framework.stop(theta)
        constant, shared = scheme.shared(start, frozen), scheme.shared(start, theta)
        v = framework.iterate(lambda v: scheme.step(v, frozen, constant), start, self.iterations - last)
        v = framework.iterate(lambda v: scheme.step(v, theta, shared), v, last)
        return scheme.read(v, theta, shared)

    def ladder(self) -> tuple[GradientMethod, ...]:
        return tuple(replace(self, last=count) for count in (1, 3, 10, 30, 100, 300))

    def promise(self, problem: Problem, reference: Reference) -> float | None:
        return None  # biased by construction
