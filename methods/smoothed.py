"""Smoothing and the implicit function theorem."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from methods.base import Gradient, GradientMethod, Prepared, Split
from methods.calculus.newton import Derivatives, minimise, solved
from problems import Problem, Reference, Splitting, smoothed
from problems.base import Array


@dataclass(frozen=True)
class SmoothedIFT(GradientMethod):
    """dL/dtheta = dL/dtheta|x - (d_x dtheta Phi_eps)^T (d_xx Phi_eps)^{-1} dL/dx at the minimiser of Phi_eps.

    Newton with backtracking, eps lowered tenfold at a time from 1; derivatives of Phi_eps by autodiff, linear systems in
    NumPy. Converged: the last Newton step was small. The bias of smoothing vanishes with eps.
    Source: Peyre and Fadili (2011); Chen, Ranftl and Pock (2014).
    """

    family: ClassVar[str] = "smoothing + implicit differentiation"
    identity: ClassVar[tuple[str, ...]] = ("framework",)
    knob: ClassVar[str] = "eps"
    biased: ClassVar[str] = "the derivative of the smoothed problem; the bias vanishes with eps"
    citation: ClassVar[str] = "Peyre and Fadili (2011); Chen, Ranftl and Pock (2014)"
    formula: ClassVar[str] = "|t| -> sqrt(t^2 + eps^2), then -(d_xtheta Phi)' (d_xx Phi)^-1 dL/dx"

    framework: str = "torch"
    eps: float = 1e-3
    max_newton: int = 200

    @property
    def name(self) -> str:
        return f"smoothed-ift-{self.framework}"

    @property
    def requires(self) -> tuple[str, ...]:
        return (self.framework,)

    def unsupported(self, problem: Problem) -> str | None:
        if not isinstance(problem, Splitting):
            return "needs the structure Splitting"
        try:
            smoothed(problem, self.eps)
        except TypeError as refusal:
            return str(refusal)
        return None

    def prepare(self, problem: Problem) -> Prepared:
        assert isinstance(problem, Splitting)
        levels = _levels(self.eps)
        derivatives = Derivatives(self.framework, problem, smoothed)
        start = smoothed(problem, self.eps).initial()

        def forward(theta: Array) -> tuple[Array, Array, int, bool]:
            x, steps, converged = start, 0, False
            for eps in levels:
                x, count, converged = minimise(derivatives, x, theta, self.max_newton, eps)
                steps += count
            return theta, x, steps, converged

        def backward(state: tuple[Array, Array, int, bool]) -> Gradient:
            theta, x, steps, converged = state
            g, direct = problem.loss_grad(x, theta)
            adjoint = solved(derivatives.hessian(x, theta, self.eps), g)
            grad = direct - derivatives.cross(x, theta, adjoint, self.eps)
            return Gradient(problem.loss(x, theta), x, grad, converged=converged, iterations=steps)

        return Split(forward, backward)

    def ladder(self) -> tuple[GradientMethod, ...]:
        return tuple(replace(self, eps=eps) for eps in (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6))

    def promise(self, problem: Problem, reference: Reference) -> float | None:
        return None  # biased by construction


def _levels(eps: float) -> list[float]:
    """1, 0.1, ... down to eps."""
    return [*(10.0**-j for j in range(20) if 10.0**-j > eps * 1.01), eps]
