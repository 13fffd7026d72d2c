"""The gradient of an optimal value by duality: no derivative of the solution."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from methods.base import Gradient, GradientMethod, Prepared
from problems import Problem, Reference, Splitting, ValueFunction
from problems.algorithms import algorithm
from problems.base import Array


@dataclass(frozen=True)
class ValueDuality(GradientMethod):
    """dp/dtheta = dD/dtheta(z*; theta) for p(theta) = max over z of D(z; theta), z* after K steps of FISTA on the dual.

    Danskin's theorem; where the loss is not the optimal value the method is refused. Source: Mehmood and Ochs (2021).
    """

    name: ClassVar[str] = "value-duality"
    family: ClassVar[str] = "value function by duality"
    knob: ClassVar[str] = "iterations"
    citation: ClassVar[str] = "Mehmood and Ochs (2021)"
    formula: ClassVar[str] = "p(theta) = max_z D(z; theta), dp/dtheta = dD/dtheta at the maximiser"

    iterations: int = 1000

    def unsupported(self, problem: Problem) -> str | None:
        return _reason(problem)

    def prepare(self, problem: Problem) -> Prepared:
        assert isinstance(problem, ValueFunction) and isinstance(problem, Splitting)
        fista = algorithm("fista", problem)

        def call(theta: Array) -> Gradient:
            v = fista.init(theta)
            shared = fista.shared(v, theta)
            for _ in range(self.iterations):
                v = fista.step(v, theta, shared)
            z, x = v[0], fista.read(v, theta, shared)
            return Gradient(problem.dual_value(z, theta), x, problem.dual_gradient(z, theta), iterations=self.iterations)

        return call

    def ladder(self) -> tuple[GradientMethod, ...]:
        return tuple(replace(self, iterations=count) for count in (10, 30, 100, 300, 1000, 3000))

    def promise(self, problem: Problem, reference: Reference) -> float | None:
        return None  # K iterations converge as fast as the instance lets them


def _reason(problem: Problem) -> str | None:
    if not isinstance(problem, ValueFunction):
        return "needs the structure ValueFunction: the loss is not the optimal value"
    return None if isinstance(problem, Splitting) else "needs the structure Splitting"
