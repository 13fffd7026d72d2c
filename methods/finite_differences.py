"""Central differences of L(x*(theta), theta), on the problem's exact solver."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from methods.base import Gradient, GradientMethod, Prepared
from problems import Problem, Reference
from problems.base import Array

MOST_SOLVES = 100_000


def central(problem: Problem, theta: Array, direction: Array, h: float) -> float:
    """(Q(theta + h d) - Q(theta - h d)) / (2 h) with Q(theta) = L(x*(theta), theta)."""

    def q(point: Array) -> float:
        return float(problem.loss(problem.solve(point), point))

    return (q(theta + h * direction) - q(theta - h * direction)) / (2 * h)


def _solves(problem: Problem) -> int:
    return 2 * problem.theta.size


@dataclass(frozen=True)
class EntrywiseDifferences(GradientMethod):
    """g_j = (Q(theta + h e_j) - Q(theta - h e_j)) / (2 h): two solves an entry; error h^2 + 1e-16 / h while h < rho."""

    name: ClassVar[str] = "fd-entrywise"
    family: ClassVar[str] = "finite differences"
    papers_truth: ClassVar[bool] = True
    knob: ClassVar[str] = "h"
    batching: ClassVar[str] = "loop"
    formula: ClassVar[str] = "g_j = (Q(theta + h e_j) - Q(theta - h e_j)) / 2h"

    h: float = 1e-6

    def unsupported(self, problem: Problem) -> str | None:
        if (solves := _solves(problem)) > MOST_SOLVES:
            return f"needs {solves} lower-level solves, more than {MOST_SOLVES}"
        return None

    def prepare(self, problem: Problem) -> Prepared:
        def call(theta: Array) -> Gradient:
            x = problem.solve(theta)
            grad = np.empty(theta.size)
            for j, entry in enumerate(np.eye(theta.size)):
                grad[j] = central(problem, theta, entry.reshape(theta.shape), self.h)
            return Gradient(problem.loss(x, theta), x, grad.reshape(theta.shape), iterations=_solves(problem))

        return call

    def ladder(self) -> tuple[GradientMethod, ...]:
        return tuple(replace(self, h=h) for h in (1e-2, 1e-4, 1e-6, 1e-8))

    def promise(self, problem: Problem, reference: Reference) -> float | None:
        return None  # right only while h stays below the distance to the next kink


@dataclass(frozen=True)
class DirectionalDifferences(GradientMethod):
    """<dL/dtheta, d> = (Q(theta + h d) - Q(theta - h d)) / (2 h) along one unit direction drawn by `seed`: two solves."""

    name: ClassVar[str] = "fd-directional"
    family: ClassVar[str] = "finite differences"
    knob: ClassVar[str] = "h"
    batching: ClassVar[str] = "loop"
    formula: ClassVar[str] = "<g, d> = (Q(theta + h d) - Q(theta - h d)) / 2h"

    h: float = 1e-5
    seed: int = 0

    def unsupported(self, problem: Problem) -> str | None:
        return None

    def prepare(self, problem: Problem) -> Prepared:
        direction = np.random.default_rng(self.seed).standard_normal(problem.theta.shape)
        direction /= np.linalg.norm(direction)

        def call(theta: Array) -> Gradient:
            x = problem.solve(theta)
            slope = central(problem, theta, direction, self.h)
            return Gradient(problem.loss(x, theta), x, np.asarray(slope), iterations=2, direction=direction)

        return call

    def ladder(self) -> tuple[GradientMethod, ...]:
        return tuple(replace(self, h=h) for h in (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8))

    def promise(self, problem: Problem, reference: Reference) -> float | None:
        return None  # right only while h stays below the distance to the next kink
