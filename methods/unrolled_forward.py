"""Unrolling in forward mode: Jacobian-vector products through a fixed number of iterations."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from methods.base import GradientMethod, Prepared
from methods.calculus.autodiff import differentiate_forward, too_many_directions
from methods.calculus.frameworks import FRAMEWORKS
from methods.calculus.schemes import refusal
from problems import Problem, Reference, Splitting
from problems.algorithms import algorithm


@dataclass(frozen=True)
class UnrolledForward(GradientMethod):
    """dL/dtheta_i = d/dt L(R(v_K(theta + t e_i), theta + t e_i), theta + t e_i), all i at once, v_{j+1} = T(v_j, theta).

    The same number as in reverse mode; memory grows with the size of theta times that of v and not with K. Refuses a theta
    whose directions take more than 2^24 numbers. Source: Franceschi, Donini, Frasconi and Pontil (2017).
    """

    family: ClassVar[str] = "unrolling"
    identity: ClassVar[tuple[str, ...]] = ("scheme", "framework")
    knob: ClassVar[str] = "iterations"
    citation: ClassVar[str] = "Franceschi, Donini, Frasconi and Pontil (2017)"
    formula: ClassVar[str] = "dv <- (dT/dv) dv + (dT/dtheta) e_i for all i, K times"

    scheme: str = "ista"
    framework: str = "torch"
    iterations: int = 300

    @property
    def name(self) -> str:
        return f"unrolled-forward-{self.scheme}-{self.framework}"

    @property
    def requires(self) -> tuple[str, ...]:
        return (self.framework,)

    def unsupported(self, problem: Problem) -> str | None:
        if reason := refusal(self.scheme, problem):
            return reason
        assert isinstance(problem, Splitting)
        return too_many_directions(problem, algorithm(self.scheme, problem).form)

    def prepare(self, problem: Problem) -> Prepared:
        assert isinstance(problem, Splitting)
        start = algorithm(self.scheme, problem).init
        return differentiate_forward(self.framework, problem, self._gradient, start, self.iterations)

    def _gradient(self, problem: Any, theta: Any, start: Any) -> Any:
        framework, scheme = FRAMEWORKS[self.framework], algorithm(self.scheme, problem)

        def loss(theta: Any) -> Any:
            shared = scheme.shared(start, theta)
            v = framework.iterate(lambda v: scheme.step(v, theta, shared), start, self.iterations)
            x = scheme.read(v, theta, shared)
            value = problem.loss(x, theta)
            return value, (value, x)

        grad, (value, x) = framework.forward(loss)(theta)
        return value, x, grad

    def ladder(self) -> tuple[GradientMethod, ...]:
        return tuple(replace(self, iterations=count) for count in (10, 30, 100, 300, 1000, 3000))

    def promise(self, problem: Problem, reference: Reference) -> float | None:
        return None  # K iterations converge as fast as the instance lets them
