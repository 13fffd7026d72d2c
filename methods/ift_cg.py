"""The implicit function theorem, inexactly, with a computable bound on the error it makes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from methods.base import Gradient, GradientMethod, Prepared, Split
from methods.calculus.newton import Derivatives, itself
from problems import Conditioned, Constants, Problem, Reference
from problems.base import Array


@dataclass(frozen=True)
class InexactIFT(GradientMethod):
    """z = dL/dtheta|x - (d_xtheta Phi)^T w with |grad_x Phi(x)| / mu <= eps and |(d_xx Phi) w - dL/dx| <= eps.

    x by FISTA for strongly convex Phi, w by conjugate gradients, without a matrix. With a = |grad_x Phi(x)| / mu >= |x - x*|,
    r the residual of w and B = |d_xtheta Phi(x)|, |z - dL/dtheta| <= omega(a, r, B, |w|), which is `Constants.error`
    (problems/base.py). The bound on the relative error is omega / (|z| - omega); it leaves rounding out. Converged: both
    tolerances were met.
    Source: Pedregosa (2016); Ehrhardt and Roberts (2024).
    """

    family: ClassVar[str] = "implicit function theorem"
    identity: ClassVar[tuple[str, ...]] = ("framework",)
    knob: ClassVar[str] = "eps"
    citation: ClassVar[str] = "Pedregosa (2016); Ehrhardt and Roberts (2024)"
    formula: ClassVar[str] = "-(d_xtheta Phi)' w, |grad Phi| <= mu eps, |(d_xx Phi) w - dL/dx| <= eps, bound omega"

    framework: str = "torch"
    eps: float = 1e-6
    max_iterations: int = 10_000

    @property
    def name(self) -> str:
        return f"ift-cg-{self.framework}"

    @property
    def requires(self) -> tuple[str, ...]:
        return (self.framework,)

    def unsupported(self, problem: Problem) -> str | None:
        return None if isinstance(problem, Conditioned) else "needs the structure Conditioned"

    def prepare(self, problem: Problem) -> Prepared:
        assert isinstance(problem, Conditioned)
        model, start = Derivatives(self.framework, problem, itself), problem.initial()

        def forward(theta: Array) -> tuple[Array, Array, Constants, float, int]:
            known = problem.constants(theta)
            x, slope, count = _descended(model, start, theta, known, self.eps, self.max_iterations)
            return theta, x, known, slope / known.mu, count

        def backward(state: tuple[Array, Array, Constants, float, int]) -> Gradient:
            theta, x, known, distance, count = state
            g, direct = problem.loss_grad(x, theta)
            w, residual = _solved(model, x, theta, g, self.eps, self.max_iterations)
            grad = direct - model.cross(x, theta, w)
            size = float(np.linalg.norm(model.cross_matrix(x, theta), 2))
            omega = known.error(distance, residual, size, float(np.linalg.norm(w)))
            left = float(np.linalg.norm(grad)) - omega
            return Gradient(
                problem.loss(x, theta),
                x,
                grad,
                converged=distance <= self.eps and residual <= self.eps,
                iterations=count,
                note="" if known.rigorous else "bound not rigorous: its constants are estimates",
                bound=omega / left if left > 0 else math.inf,
            )

        return Split(forward, backward)

    def ladder(self) -> tuple[GradientMethod, ...]:
        return tuple(replace(self, eps=eps) for eps in (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-8, 1e-10))

    def promise(self, problem: Problem, reference: Reference) -> float | None:
        return None  # what it makes of eps depends on the constants: it bounds its error instead


def _descended(
    model: Derivatives, x: Array, theta: Array, known: Constants, eps: float, limit: int
) -> tuple[Array, float, int]:
    """(x, |grad_x Phi(x)|, gradients taken); momentum (1 - q) / (1 + q), q = sqrt(mu / L): Nesterov (2004), (2.2.22)."""
    root = math.sqrt(known.mu / known.lipschitz)
    ahead = x
    for count in range(1, limit + 1):  # noqa: B007
        slope = model.slope(ahead, theta)
        size = float(np.linalg.norm(slope))
        if size <= known.mu * eps:
            break
        x, before = ahead - slope / known.lipschitz, x
        ahead = x + (1 - root) / (1 + root) * (x - before)
    return ahead, size, count


def _solved(model: Derivatives, x: Array, theta: Array, g: Array, delta: float, limit: int) -> tuple[Array, float]:
    """(w, |(d_xx Phi) w - g|) by conjugate gradients; the residual is computed afresh."""
    from scipy.sparse.linalg import LinearOperator, cg

    hessian = LinearOperator((g.size, g.size), dtype=np.float64, matvec=lambda v: model.product(x, theta, v.reshape(-1)))
    w = cg(hessian, g, rtol=0.0, atol=delta / 2, maxiter=limit)[0]  # half: its own residual is a recurrence
    return w, float(np.linalg.norm(model.product(x, theta, w) - g))
