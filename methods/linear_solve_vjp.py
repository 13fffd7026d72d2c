"""Matrix-free linear solves, differentiated by a second solve: for lower levels K(theta) x = b(theta)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, ClassVar

import numpy as np

from methods.base import Gradient, GradientMethod, Prepared, Split
from methods.calculus.autodiff import Skeleton
from methods.calculus.frameworks import FRAMEWORKS, to_numpy
from problems import LinearSystem, Problem, Reference
from problems.base import Array


@dataclass(frozen=True)
class LinearSolveVJP(GradientMethod):
    """K^T w = dL/dx, then dL/dtheta = dL/dtheta|x + d<w, b(theta) - K(theta) x>/dtheta by autodiff, w and x held fixed.

    Both systems by conjugate gradients on x -> K(theta) x, K symmetric and positive definite, to the relative residual
    `tolerance`. Converged: both reached it. Source: Lai, Wei, Fu, Hartel and Heide (2023), eq. (8)-(11).
    """

    family: ClassVar[str] = "matrix-free linear solve"
    identity: ClassVar[tuple[str, ...]] = ("framework",)
    knob: ClassVar[str] = "tolerance"
    citation: ClassVar[str] = "Lai, Wei, Fu, Hartel and Heide (2023)"
    formula: ClassVar[str] = "K' w = dL/dx by CG, then AD of <w, b(theta) - K(theta) x>"

    framework: str = "torch"
    tolerance: float = 1e-12

    @property
    def name(self) -> str:
        return f"linear-solve-vjp-{self.framework}"

    @property
    def requires(self) -> tuple[str, ...]:
        return (self.framework,)

    def unsupported(self, problem: Problem) -> str | None:
        return None if isinstance(problem, LinearSystem) else "needs the structure LinearSystem"

    def prepare(self, problem: Problem) -> Prepared:
        assert isinstance(problem, LinearSystem)
        framework, pullback = FRAMEWORKS[self.framework], _pullback(self.framework, Skeleton(problem))
        with framework.active():
            data = framework.array(problem.data())

        def forward(theta: Array) -> tuple[Array, Array, int, bool]:
            return theta, *self._solve(problem, theta, np.asarray(problem.right(theta)))

        def backward(state: tuple[Array, Array, int, bool]) -> Gradient:
            theta, x, count, converged = state
            g, direct = problem.loss_grad(x, theta)
            w, more, also = self._solve(problem, theta, g)
            with framework.active():
                grad = direct + to_numpy(pullback(*map(framework.array, (theta, x, w)), data))
            return Gradient(problem.loss(x, theta), x, grad, converged=converged and also, iterations=count + more)

        return Split(forward, backward)

    def _solve(self, problem: LinearSystem, theta: Array, b: Array) -> tuple[Array, int, bool]:
        """(K^{-1} b, products with K, whether the residual is within the tolerance)."""
        from scipy.sparse.linalg import LinearOperator, cg

        products: list[None] = []

        def product(v: Array) -> Array:
            products.append(None)
            return np.asarray(problem.system(v.reshape(-1), theta))

        operator = LinearOperator((b.size, b.size), dtype=np.float64, matvec=product)
        x, failed = cg(operator, b, rtol=self.tolerance, atol=0.0, maxiter=100 * b.size)
        return x, len(products), not failed

    def ladder(self) -> tuple[GradientMethod, ...]:
        return tuple(replace(self, tolerance=tolerance) for tolerance in (1e-2, 1e-4, 1e-6, 1e-8, 1e-10, 1e-12))

    def promise(self, problem: Problem, reference: Reference) -> float | None:
        return max(1e4 * self.tolerance, 1e-10) if self.tolerance < 1e-4 else None  # times a condition number below 1e4


@cache
def _pullback(framework_name: str, skeleton: Skeleton) -> Callable[..., Any]:
    """(theta, x, w, data) -> d<w, b(theta) - K(theta) x>/dtheta for all instances of the skeleton."""
    framework = FRAMEWORKS[framework_name]

    def pairing(theta: Any, x: Any, w: Any, data: Any) -> Any:
        problem: Any = skeleton.problem.with_data(data)
        return (w * (problem.right(theta) - problem.system(x, theta))).sum()

    return framework.compile(framework.grad(pairing))
