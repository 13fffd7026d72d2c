"""Differentiation of a solution map x(theta): shared by all methods that let a framework do the calculus."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Any, NamedTuple

from methods.base import Gradient, Split
from methods.calculus.frameworks import FRAMEWORKS, Framework, to_numpy
from problems import Form, Problem
from problems.base import Array

NUMBERS = 2**24  # 128 MiB: all directions of theta, each with its derivative of the state


class Solved(NamedTuple):
    """x* with what its solver tells of itself, one value or one a signal; None: nothing."""

    x: Any
    converged: Any = None
    iterations: Any = None


@dataclass(frozen=True, eq=False)
class Skeleton:
    """A problem whose data come from elsewhere: equal for all instances of one structure."""

    problem: Problem

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Skeleton) and self.problem.structure() == other.problem.structure()

    def __hash__(self) -> int:
        return hash(self.problem.structure())


def differentiate(
    where: Framework | str,
    problem: Problem,
    solution: Callable[[Any, Any, Any], Any],
    constants: Callable[[Array], Any],
    iterations: int | None = None,
    doubt: Callable[[Array, Any], str] | None = None,
    like: Callable[[Array], Any] | None = None,
) -> Split:
    """theta -> gradient of L(x(theta, c), theta) with x = solution(problem, theta, c) and c = constants(theta) held fixed.

    Forward runs the loss and keeps what the framework keeps; backward is one vector-Jacobian product. `solution` must be a
    method of a frozen dataclass or a plain function: with the problem's structure it identifies the compiled code. It returns
    x or `Solved`. `doubt(theta, c)` becomes the note. `where`: a framework on its device, or its name, on the CPU.
    `like(theta)` has the shapes of constants(theta), to compile by where finding those is solving.
    """
    framework = FRAMEWORKS[where] if isinstance(where, str) else where
    forward, backward = _stages(framework, solution, Skeleton(problem))
    with framework.active():
        data = framework.array(problem.data())

    def arguments(theta: Array, c: Any) -> Any:
        return framework.array(theta), (framework.array(c), data)

    def calls(run: Callable[..., Any]) -> None:
        _, residuals = run(forward, *arguments(problem.theta, (like or constants)(problem.theta)))
        run(backward, residuals)

    framework.ahead(calls)

    def run_forward(theta: Array) -> Any:
        c = constants(theta)
        note = doubt(theta, c) if doubt is not None else ""
        with framework.active():
            return *forward(*arguments(theta, c)), note

    def run_backward(state: Any) -> Gradient:
        (value, found), residuals, note = state
        with framework.active():
            grad = backward(residuals)
            converged = None if found.converged is None else bool(to_numpy(found.converged).all())
            count = iterations if found.iterations is None else int(to_numpy(found.iterations).max())
        return Gradient(value, found.x, grad, converged, count, note)

    return Split(run_forward, run_backward)


@cache
def _stages(framework: Framework, solution: Callable[[Any, Any, Any], Any], skeleton: Skeleton) -> Any:
    """(forward, backward) for all instances of the skeleton: compiled once a shape."""

    def loss(theta: Any, arguments: Any) -> tuple[Any, Any]:
        c, data = arguments
        problem = skeleton.problem.with_data(data)
        found = solution(problem, theta, c)
        found = found if isinstance(found, Solved) else Solved(found)
        return problem.loss(found.x, theta), found

    return framework.reverse(loss)


def differentiate_forward(
    framework_name: str,
    problem: Problem,
    gradient: Callable[[Any, Any, Any], Any],
    constants: Callable[[Array], Any],
    iterations: int | None = None,
) -> Callable[[Array], Gradient]:
    """theta -> gradient with (value, x, gradient) = gradient(problem, theta, c) and c = constants(theta).

    `gradient` must be a method of a frozen dataclass: with the problem's structure it identifies the compiled code.
    """
    framework = FRAMEWORKS[framework_name]
    compiled = _whole(framework_name, gradient, Skeleton(problem))
    with framework.active():
        data = framework.array(problem.data())

    def arguments(theta: Array) -> Any:
        return framework.array(theta), framework.array(constants(theta)), data

    framework.ahead(lambda run: run(compiled, *arguments(problem.theta)))

    def call(theta: Array) -> Gradient:
        with framework.active():
            value, x, grad = compiled(*arguments(theta))
        return Gradient(value, x, grad, iterations=iterations)

    return call


@cache
def _whole(framework_name: str, gradient: Callable[[Any, Any, Any], Any], skeleton: Skeleton) -> Any:
    """(theta, c, data) -> (value, x, gradient) for all instances of the skeleton."""
    return FRAMEWORKS[framework_name].compile(lambda theta, c, data: gradient(skeleton.problem.with_data(data), theta, c))


def too_many_directions(problem: Problem, form: Form) -> str | None:
    """Why the derivatives of v in all directions of theta do not fit; None: they do."""
    directions = problem.theta.size
    entries = max(directions, prod(form.shape))
    if directions * entries <= NUMBERS:
        return None
    return f"needs {directions} directions of {entries} entries each, more than {NUMBERS} numbers"
