"""Reverse-mode differentiation of a solution map x(theta): shared by all methods that let a framework do the calculus."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from methods._frameworks import Framework
from methods.base import Gradient, Split
from problems import Problem
from problems.base import Array


def differentiate(
    framework: Framework,
    problem: Problem,
    solution: Callable[[Any, Any], Any],
    constants: Callable[[Array], Any],
    iterations: int | None = None,
) -> Split:
    """theta -> gradient of L(solution(theta, c), theta), where c = constants(theta) is not differentiated.

    Forward runs the loss and keeps what the framework keeps; backward is one vector-Jacobian product.
    """

    def loss(theta: Any, c: Any) -> tuple[Any, Any]:
        x = solution(theta, c)
        return problem.loss(x, theta), x

    forward, backward = framework.reverse(loss)

    def run_forward(theta: Array) -> Any:
        c = constants(theta)
        with framework.active():
            return forward(framework.array(theta), framework.array(c))

    def run_backward(state: Any) -> Gradient:
        (value, x), residuals = state
        with framework.active():
            return Gradient(value, x, backward(residuals), iterations=iterations)

    return Split(run_forward, run_backward)
