"""Unrolling: reverse-mode autodiff through a fixed number of iterations."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from methods.base import GradientMethod, Prepared
from methods.calculus.autodiff import differentiate
from methods.calculus.frameworks import FRAMEWORKS, framework
from methods.calculus.schemes import refusal
from problems import Problem, Reference, Splitting
from problems.algorithms import algorithm


@dataclass(frozen=True)
class Unrolled(GradientMethod):
    """d/dtheta of L(R(v_K(theta), theta), theta), v_{j+1} = T(v_j, theta), v_0 and the step lengths constant.

    Memory grows with K times the size of v. Source: Domke (2012); for proximal iterations Mehmood and Ochs (2020).
    """

    family: ClassVar[str] = "unrolling"
    identity: ClassVar[tuple[str, ...]] = ("scheme", "framework", "device")
    knob: ClassVar[str] = "iterations"
    citation: ClassVar[str] = "Domke (2012); Mehmood and Ochs (2020)"
    formula: ClassVar[str] = "AD through v <- T(v, theta), K times, then x = R(v, theta)"

    scheme: str = "fista"
    framework: str = "torch"
    iterations: int = 300
    device: str = "cpu"

    @property
    def name(self) -> str:
        return f"unrolled-{self.scheme}-{self.framework}"

    @property
    def requires(self) -> tuple[str, ...]:
        return (self.framework,)

    def on(self, device: str) -> GradientMethod | None:
        return replace(self, device=device) if device in FRAMEWORKS[self.framework].devices else None

    def unsupported(self, problem: Problem) -> str | None:
        return refusal(self.scheme, problem)

    def prepare(self, problem: Problem) -> Prepared:
        assert isinstance(problem, Splitting)
        start = algorithm(self.scheme, problem).init
        return differentiate(framework(self.framework, self.device), problem, self._solution, start, self.iterations)

    def _solution(self, problem: Splitting, theta: Any, start: Any) -> Any:
        scheme = algorithm(self.scheme, problem)
        shared = scheme.shared(start, theta)
        v = FRAMEWORKS[self.framework].iterate(lambda v: scheme.step(v, theta, shared), start, self.iterations)
        return scheme.read(v, theta, shared)

    def ladder(self) -> tuple[GradientMethod, ...]:
        return tuple(replace(self, iterations=count) for count in (10, 30, 100, 300, 1000, 3000))

    def promise(self, problem: Problem, reference: Reference) -> float | None:
        return None  # K iterations converge as fast as the instance lets them
