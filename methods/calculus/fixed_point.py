"""The derivative of a fixed point v* = T(v*, theta) with read-out x* = R(v*, theta): what all implicit methods share.

    c = (dR/dv)^T dL/dx,   b = sum_j ((dT/dv)^T)^j c,   dL/dtheta = (dT/dtheta)^T b + (dR/dtheta)^T dL/dx + dL/dtheta|x,

the last line as the gradient in theta of <T(v*, theta), b> + L(R(v*, theta), theta) with v* and b held fixed. On the dual
R = y - K(theta)^T v: without dR/dtheta the gradient would be wrong by its whole size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from methods.base import Gradient, Split
from methods.calculus.autodiff import Skeleton
from methods.calculus.frameworks import FRAMEWORKS, Framework
from problems import Problem, Splitting
from problems.algorithms import Algorithm, algorithm
from problems.base import Array

Function = Callable[..., Any]


@dataclass(frozen=True)
class Map:
    """The part of an algorithm's state that moves as one vector v; what `step` hands on as it is are constants."""

    scheme: Algorithm
    start: tuple[Any, ...]

    def at(self, theta: Any) -> tuple[Any, Function, Function]:
        """(v of the start, v -> T(v, theta), v -> R(v, theta))."""
        scheme, shared = self.scheme, self.scheme.shared(self.start, theta)
        moves = [new is not old for new, old in zip(scheme.step(self.start, theta, shared), self.start, strict=True)]

        def pack(state: tuple[Any, ...]) -> Any:
            return _vector([part for part, moving in zip(state, moves, strict=True) if moving])

        def unpack(v: Any) -> tuple[Any, ...]:
            parts = iter(_parts(v, [part for part, moving in zip(self.start, moves, strict=True) if moving]))
            return tuple(next(parts) if moving else old for old, moving in zip(self.start, moves, strict=True))

        def step(v: Any) -> Any:
            return pack(scheme.step(unpack(v), theta, shared))

        return pack(self.start), step, lambda v: scheme.read(unpack(v), theta, shared)


def differentiate_fixed_point(
    framework_name: str,
    scheme: str,
    problem: Problem,
    start: Callable[[Array], Any],
    solve: Callable[[Framework, Function, Any], tuple[Any, Any, Any]],
    adjoint: Callable[[Framework, Function, Any], tuple[Any, Any]],
    like: Callable[[Array], Any] | None = None,
) -> Split:
    """theta -> gradient with v* = solve(framework, T, v) from the state start(theta), and b = adjoint(framework, A^T, c).

    solve returns (v*, iterations, whether it converged), adjoint (b, whether it converged), both None where nothing is
    claimed. Both must be methods of a frozen dataclass or plain functions: they identify the compiled code. `like(theta)` has
    the shapes of start(theta), to compile by where finding that is solving.
    """
    framework = FRAMEWORKS[framework_name]
    forward, backward = _stages(framework_name, scheme, solve, adjoint, Skeleton(problem))
    with framework.active():
        data = framework.array(problem.data())

    def arguments(theta: Array, c: Any) -> Any:
        return framework.array(theta), framework.array(c), data

    def calls(run: Function) -> None:
        given = arguments(problem.theta, (like or start)(problem.theta))
        v = run(forward, *given)[2]
        run(backward, v, *given)

    framework.ahead(calls)

    def run_forward(theta: Array) -> Any:
        c = start(theta)
        with framework.active():
            given = arguments(theta, c)
            return forward(*given), given

    def run_backward(state: Any) -> Gradient:
        (value, x, v, count, met), given = state
        with framework.active():
            grad, adjoint_met = backward(v, *given)
        return _gradient(value, x, grad, count, met, adjoint_met)

    return Split(run_forward, run_backward)


def _gradient(value: Any, x: Any, grad: Any, count: Any, met: Any, adjoint_met: Any) -> Gradient:
    if met is None:
        return Gradient(value, x, grad)
    failed = [name for name, ok in (("iteration", met), ("adjoint system", adjoint_met)) if not bool(ok)]
    note = f"the {' and the '.join(failed)} stopped short of the tolerance" if failed else ""
    return Gradient(value, x, grad, converged=not failed, iterations=int(count), note=note)


@cache
def _stages(framework_name: str, scheme_name: str, solve: Function, adjoint: Function, skeleton: Skeleton) -> Any:
    """(forward, backward) for all instances of the skeleton: compiled once a shape."""
    framework = FRAMEWORKS[framework_name]

    def made(start: Any, data: Any) -> tuple[Problem, Map]:
        problem = skeleton.problem.with_data(data)
        assert isinstance(problem, Splitting)
        return problem, Map(algorithm(scheme_name, problem), start)

    def forward(theta: Any, start: Any, data: Any) -> Any:
        problem, fixed = made(start, data)
        v, step, read = fixed.at(theta)
        v, count, met = solve(framework, step, v)
        x = read(v)
        return problem.loss(x, theta), x, v, count, met

    def backward(v: Any, theta: Any, start: Any, data: Any) -> Any:
        problem, fixed = made(start, data)
        _, step, read = fixed.at(theta)
        right = framework.grad(lambda v: problem.loss(read(v), theta))(v)
        b, met = adjoint(framework, framework.vjp(step, v), right)

        def contracted(theta: Any) -> Any:
            _, step, read = fixed.at(theta)
            return (step(v) * b).sum() + problem.loss(read(v), theta)

        return framework.grad(contracted)(theta), met

    return framework.compile(forward), framework.compile(backward)


# Trees of arrays as one vector


def _vector(tree: Any) -> Any:
    leaves = list(_leaves(tree))
    return array_namespace(*leaves).concat([leaf.reshape(-1) for leaf in leaves])


def _leaves(tree: Any) -> Any:
    if isinstance(tree, tuple | list):
        for part in tree:
            yield from _leaves(part)
    else:
        yield tree


def _parts(v: Any, like: Any) -> Any:
    """The inverse of `_vector` for a tree of the shapes of `like`."""
    place = 0

    def part(tree: Any) -> Any:
        nonlocal place
        if isinstance(tree, tuple | list):
            return tuple(part(one) for one in tree)
        size = int(np.prod(tree.shape))
        place += size
        return v[place - size : place].reshape(tree.shape)

    return part(like)
