"""Weak differentiation: derivatives in all directions of theta, carried along by hand-written weak derivatives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from array_api_compat import array_namespace, device

from methods.base import GradientMethod, Prepared
from methods.calculus.autodiff import differentiate_forward, too_many_directions
from methods.calculus.frameworks import FRAMEWORKS
from methods.calculus.schemes import refusal
from problems import Problem, Reference, Splitting
from problems.algorithms import algorithm

SCHEME = "ista"


@dataclass(frozen=True)
class Weak(GradientMethod):
    """u = v - s grad f(v), v <- prox_{s g}(u), and for all i at once dv <- D prox(u)[du, dw] with du = dv - s d(grad f)(v).

    D prox is the penalty's `prox_derivative`, written by hand (for l1 the mask |u| > s w of soft thresholding), not the
    framework's rule; only f, the weights and the loss are differentiated by the framework. prox is Lipschitz, hence
    differentiable almost everywhere (Rademacher), and D prox is its derivative there. Refuses a theta whose directions take
    more than 2^24 numbers. Source: Deledalle, Vaiter, Fadili and Peyre (2014).
    """

    family: ClassVar[str] = "weak differentiation"
    identity: ClassVar[tuple[str, ...]] = ("framework",)
    knob: ClassVar[str] = "iterations"
    citation: ClassVar[str] = "Deledalle, Vaiter, Fadili and Peyre (2014)"
    formula: ClassVar[str] = "dv <- D prox(u)[dv - s d(grad f)(v), dw], D prox the weak derivative of the prox"

    framework: str = "torch"
    iterations: int = 300

    @property
    def name(self) -> str:
        return f"weak-{SCHEME}-{self.framework}"

    @property
    def requires(self) -> tuple[str, ...]:
        return (self.framework,)

    def unsupported(self, problem: Problem) -> str | None:
        if reason := refusal(SCHEME, problem):
            return reason
        assert isinstance(problem, Splitting)
        form = algorithm(SCHEME, problem).form
        penalty = form.terms[0].penalty
        if not penalty.has_prox_derivative:
            return f"{penalty.name} has no weak derivative of its prox"
        return too_many_directions(problem, form)

    def prepare(self, problem: Problem) -> Prepared:
        assert isinstance(problem, Splitting)
        return differentiate_forward(self.framework, problem, self._gradient, algorithm(SCHEME, problem).init, self.iterations)

    def _gradient(self, problem: Any, theta: Any, start: Any) -> Any:
        framework, form = FRAMEWORKS[self.framework], algorithm(SCHEME, problem).form
        (term,), (first, length) = form.terms, start
        gradient, weight = form.smooth.gradient(theta), term.weight(theta)

        def forward(v: Any, theta: Any) -> Any:
            return v - length * form.smooth.gradient(theta)(v)

        def loss(v: Any, theta: Any) -> Any:
            return problem.loss(form.read(theta)(v), theta)

        def along(direction: Any) -> Any:
            dweight = framework.jvp(lambda t: term.weight(t) + 0 * t.sum(), (theta,), (direction,))

            def step(state: Any) -> Any:
                v, dv = state
                u, du = v - length * gradient(v), framework.jvp(forward, (v, theta), (dv, direction))
                slope = term.penalty.prox_derivative(u, length, weight, du, dweight)
                return term.penalty.prox(u, length, weight), slope

            v, dv = framework.iterate(step, (first, 0 * first), self.iterations)
            return v, framework.jvp(loss, (v, theta), (dv, direction))

        vs, slopes = framework.map(along, _directions(theta))
        x = form.read(theta)(vs[0])
        return problem.loss(x, theta), x, slopes.reshape(theta.shape)

    def ladder(self) -> tuple[GradientMethod, ...]:
        return tuple(replace(self, iterations=count) for count in (10, 30, 100, 300, 1000, 3000))

    def promise(self, problem: Problem, reference: Reference) -> float | None:
        return None  # K iterations converge as fast as the instance lets them


def _directions(theta: Any) -> Any:
    """The unit vectors in the shape of theta, (size, *theta.shape)."""
    size = theta.reshape(-1).shape[0]
    units = array_namespace(theta).eye(size, dtype=theta.dtype, device=device(theta))
    return units.reshape(size, *theta.shape)
