"""The implicit function theorem, exactly: Newton's method and one Cholesky factorisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from methods.base import Gradient, GradientMethod, Prepared, Split
from methods.calculus.newton import Derivatives, factored, itself, minimise
from problems import Energy, Problem, Reference
from problems.base import Array

PROMISE = 1e-10  # rounding times the condition number of the Hessian, which is below 1e5 on drawn instances


@dataclass(frozen=True)
class IFT(GradientMethod):
    """dL/dtheta = dL/dtheta|x - (d_xtheta Phi)^T (d_xx Phi)^{-1} dL/dx at the minimiser of Phi.

    Newton with backtracking; derivatives by autodiff, Cholesky in NumPy. Converged: the last Newton step was small.
    Notes an ill-conditioned Hessian; SolveError where it is not positive definite. Source: Bengio (2000); Domke (2012).
    """

    family: ClassVar[str] = "implicit function theorem"
    identity: ClassVar[tuple[str, ...]] = ("framework",)
    citation: ClassVar[str] = "Bengio (2000); Domke (2012)"
    formula: ClassVar[str] = "-(d_xtheta Phi)' (d_xx Phi)^-1 dL/dx, Newton and Cholesky"

    framework: str = "torch"
    max_newton: int = 200

    @property
    def name(self) -> str:
        return f"ift-{self.framework}"

    @property
    def requires(self) -> tuple[str, ...]:
        return (self.framework,)

    def unsupported(self, problem: Problem) -> str | None:
        return None if isinstance(problem, Energy) else "needs the structure Energy"

    def prepare(self, problem: Problem) -> Prepared:
        assert isinstance(problem, Energy)
        derivatives, start = Derivatives(self.framework, problem, itself), problem.initial()

        def forward(theta: Array) -> tuple[Array, Array, int, bool]:
            return theta, *minimise(derivatives, start, theta, self.max_newton)

        def backward(state: tuple[Array, Array, int, bool]) -> Gradient:
            theta, x, steps, converged = state
            g, direct = problem.loss_grad(x, theta)
            adjoint, doubt = factored(derivatives.hessian(x, theta), g, PROMISE)
            grad = direct - derivatives.cross(x, theta, adjoint)
            return Gradient(problem.loss(x, theta), x, grad, converged=converged, iterations=steps, note=doubt)

        return Split(forward, backward)

    def promise(self, problem: Problem, reference: Reference) -> float | None:
        return PROMISE
