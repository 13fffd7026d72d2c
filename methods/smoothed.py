"""Smoothing and the implicit function theorem."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, ClassVar

import numpy as np

from methods._autodiff import Skeleton
from methods._frameworks import FRAMEWORKS, to_numpy
from methods.base import Gradient, GradientMethod, Prepared, Split
from problems import Problem, Smoothable
from problems.base import Array


@dataclass(frozen=True)
class SmoothedIFT(GradientMethod):
    """dL/dtheta = dL/dtheta|x - (d_x dtheta Phi_eps)^T (d_xx Phi_eps)^{-1} dL/dx at the minimiser of Phi_eps.

    Newton with backtracking, eps lowered tenfold at a time from 1; derivatives of Phi_eps by autodiff, linear systems in
    NumPy. Converged: the Newton decrement fell below rounding. The bias of smoothing vanishes with eps.
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
        return None if isinstance(problem, Smoothable) else "needs the structure Smoothable"

    def prepare(self, problem: Problem) -> Prepared:
        assert isinstance(problem, Smoothable)
        levels = _levels(self.eps)
        derivatives = _Derivatives(self.framework, problem)
        start = problem.smoothed(self.eps).initial()

        def forward(theta: Array) -> tuple[Array, Array, int, bool]:
            x, steps, converged = start, 0, False
            for eps in levels:
                x, count, converged = _newton(derivatives, x, theta, eps, self.max_newton)
                steps += count
            return theta, x, steps, converged

        def backward(state: tuple[Array, Array, int, bool]) -> Gradient:
            theta, x, steps, converged = state
            g, direct = problem.loss_grad(x, theta)
            adjoint = np.linalg.solve(derivatives.hessian(x, theta, self.eps), g[..., None])[..., 0]
            grad = direct - derivatives.cross(x, theta, self.eps, adjoint)
            return Gradient(problem.loss(x, theta), x, grad, converged=converged, iterations=steps)

        return Split(forward, backward)

    def ladder(self) -> tuple[GradientMethod, ...]:
        return tuple(replace(self, eps=eps) for eps in (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6))

    def promise(self, problem: Problem) -> float | None:
        return None  # biased by construction


def _levels(eps: float) -> list[float]:
    """1, 0.1, ... down to eps."""
    return [*(10.0**-j for j in range(20) if 10.0**-j > eps * 1.01), eps]


class _Derivatives:
    """Value, gradient, Hessian blocks and mixed derivative of Phi_eps, computed by a framework, given as NumPy.

    eps and the problem's data are arguments of the compiled functions, so that all levels and instances share them.
    """

    def __init__(self, framework: str, problem: Problem) -> None:
        self._framework = FRAMEWORKS[framework]
        with self._framework.active():
            self._data = self._framework.array(problem.data())
        self._value, self._slope, self._hessian, self._cross = _functions(framework, Skeleton(problem))

    def value(self, x: Array, theta: Array, eps: float) -> float:
        return float(self._run(self._value, x, theta, eps))

    def slope(self, x: Array, theta: Array, eps: float) -> Array:
        return self._run(self._slope, x, theta, eps)

    def hessian(self, x: Array, theta: Array, eps: float) -> Array:
        """(n, n) or (batch, n, n)."""
        n = x.shape[-1]
        tangents = np.broadcast_to(np.eye(n).reshape(n, *(1,) * (x.ndim - 1), n), (n, *x.shape))
        return np.moveaxis(self._run(self._hessian, x, theta, eps, tangents), 0, -1)

    def cross(self, x: Array, theta: Array, eps: float, adjoint: Array) -> Array:
        """d/dtheta <d_x Phi(x, theta), adjoint>, in the shape of theta."""
        return self._run(self._cross, theta, x, eps, adjoint)

    def _run(self, f: Callable[..., Any], *arguments: Any) -> Array:
        with self._framework.active():
            return to_numpy(f(*map(self._framework.array, arguments), self._data))


@cache
def _functions(framework_name: str, skeleton: Skeleton) -> tuple[Callable[..., Any], ...]:
    """(value, slope, Hessian blocks, mixed derivative) of Phi_eps for all instances of the skeleton."""
    framework = FRAMEWORKS[framework_name]

    def value(x: Any, theta: Any, eps: Any, data: Any) -> Any:
        problem: Any = skeleton.problem.with_data(data)
        return problem.smoothed(eps).objective(x, theta)

    slope = framework.grad(value)

    def hessian(x: Any, theta: Any, eps: Any, tangents: Any, data: Any) -> Any:
        # The objective sums over the batch, so one tangent for all signals gives one column of every block.
        return framework.map(lambda t: framework.grad(lambda u: (slope(u, theta, eps, data) * t).sum())(x), tangents)

    def cross(theta: Any, x: Any, eps: Any, adjoint: Any, data: Any) -> Any:
        return framework.grad(lambda t: (slope(x, t, eps, data) * adjoint).sum())(theta)

    return tuple(framework.compile(f) for f in (value, slope, hessian, cross))


def _newton(model: _Derivatives, x: Array, theta: Array, eps: float, limit: int) -> tuple[Array, int, bool]:
    """(minimiser, Newton steps, whether the decrement reached rounding)."""
    value = model.value(x, theta, eps)
    for count in range(limit):
        slope = model.slope(x, theta, eps)
        step = -np.linalg.solve(model.hessian(x, theta, eps), slope[..., None])[..., 0]
        decrement = -float((slope * step).sum())
        if decrement <= 1e-14 * max(1.0, abs(value)):
            return x + step, count + 1, True
        length = 1.0
        while (lower := model.value(x + length * step, theta, eps)) > value - 0.1 * length * decrement:
            length /= 2
            if length < 1e-10:
                return x, count + 1, False
        x, value = x + length * step, lower
    return x, limit, False
