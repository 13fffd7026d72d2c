"""Implicit differentiation of the Bregman proximal gradient method's fixed point."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, ClassVar

from methods.base import Gradient, GradientMethod, Prepared, Split
from methods.calculus import bregman
from methods.calculus.autodiff import Skeleton
from methods.calculus.bregman import form_of, iteration, start
from methods.calculus.frameworks import FRAMEWORKS
from problems import Problem, Reference
from problems.base import Array


@dataclass(frozen=True)
class BregmanFixedPoint(GradientMethod):
    """z = T(z, theta) after K mirror steps, x = R(z, theta); K steps of b <- (dT/dz)^T b + (dR/dz)^T dL/dx; then
    dL/dtheta = (dT/dtheta)^T b + (dR/dtheta)^T dL/dx + dL/dtheta|x. Memory does not grow with K.

    Source: Ochs, Ranftl, Brox and Pock (2016); Bai, Kolter and Koltun (2019) for the adjoint iteration.
    """

    family: ClassVar[str] = "Bregman"
    identity: ClassVar[tuple[str, ...]] = ("framework",)
    knob: ClassVar[str] = "iterations"
    citation: ClassVar[str] = "Ochs, Ranftl, Brox and Pock (2016); Bai, Kolter and Koltun (2019)"
    formula: ClassVar[str] = "b = (dT/dz)' b + (dR/dz)' dL/dx at z = grad psi*(grad psi(z) - t grad f(z))"

    framework: str = "torch"
    iterations: int = 1000

    @property
    def name(self) -> str:
        return f"bregman-fixed-point-{self.framework}"

    @property
    def requires(self) -> tuple[str, ...]:
        return (self.framework,)

    def unsupported(self, problem: Problem) -> str | None:
        return bregman.unsupported(problem)

    def prepare(self, problem: Problem) -> Prepared:
        form, framework = form_of(problem), FRAMEWORKS[self.framework]
        solve, adjoint = _stages(self.framework, self.iterations, Skeleton(problem))
        with framework.active():
            data = framework.array(problem.data())

        def arguments(theta: Array) -> Any:
            return framework.array(theta), framework.array(start(form, theta)), data

        def calls(run: Callable[..., Any]) -> None:
            theta, (first, length), _ = given = arguments(problem.theta)
            run(solve, *given)
            run(adjoint, theta, first, length, data)

        framework.ahead(calls)

        def forward(theta: Array) -> Any:
            with framework.active():
                given = arguments(theta)
                return given, solve(*given)

        def backward(state: Any) -> Gradient:
            (theta, (_, length), _), (value, x, z) = state
            with framework.active():
                return Gradient(value, x, adjoint(theta, z, length, data), iterations=self.iterations)

        return Split(forward, backward)

    def ladder(self) -> tuple[GradientMethod, ...]:
        return tuple(replace(self, iterations=count) for count in (10, 30, 100, 300, 1000, 3000))

    def promise(self, problem: Problem, reference: Reference) -> float | None:
        return None  # K iterations converge as fast as the instance lets them


@cache
def _stages(name: str, iterations: int, skeleton: Skeleton) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """(theta, (z, t), data) -> (L, x, z) and (theta, z, t, data) -> dL/dtheta, for all instances of the skeleton."""
    framework = FRAMEWORKS[name]

    def solve(theta: Any, constants: Any, data: Any) -> Any:
        problem: Any = skeleton.problem.with_data(data)
        form, (z, length) = form_of(problem), constants
        z = framework.iterate(iteration(form, theta, length), z, iterations)
        x = form.read(theta)(z)
        return problem.loss(x, theta), x, z

    def adjoint(theta: Any, z: Any, length: Any, data: Any) -> Any:
        problem: Any = skeleton.problem.with_data(data)
        form = form_of(problem)

        def lagrangian(v: Any, t: Any, b: Any) -> Any:
            """<b, T(v, t)> + L(R(v, t), t): its derivatives are the right sides of both equations."""
            return (b * iteration(form, t, length)(v)).sum() + problem.loss(form.read(t)(v), t)

        b = framework.iterate(lambda b: framework.grad(lambda v: lagrangian(v, theta, b))(z), 0 * z, iterations)
        return framework.grad(lambda t: lagrangian(z, t, b))(theta)

    return framework.compile(solve), framework.compile(adjoint)
