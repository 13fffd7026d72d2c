"""BLORC along a training path: every solve starts from the dual of the one before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from methods.base import Chained, Gradient, GradientMethod, Prepared
from methods.blorc import entry
from problems import BoxDual, Problem, Reference
from problems.base import Array


@dataclass(frozen=True)
class BlorcWarm(GradientMethod):
    """The gradient of `blorc` with the dual z of the last theta as the start at this one; W has moved since.

    The state, z, is handed in and out. warm = False starts every solve afresh: the same path for comparison.
    Source: Ghosh, McCann, Mitchell and Ravishankar (2022), Theorem 3.2, rewritten with the dual z.
    """

    name: ClassVar[str] = "blorc-warm"
    family: ClassVar[str] = "warm start"
    knob: ClassVar[str] = "warm"
    requires: ClassVar[tuple[str, ...]] = ("cffi",)
    citation: ClassVar[str] = entry.CITATION
    formula: ClassVar[str] = entry.FORMULA

    warm: bool = True
    threads: int = 1  # that share the signals of a batch

    def unsupported(self, problem: Problem) -> str | None:
        return "warm starts need a dense W" if entry.is_sparse(problem) else entry.unsupported(problem)

    def prepare(self, problem: Problem) -> Prepared:
        assert isinstance(problem, BoxDual)
        solver, gradient = entry.dense_solver(problem, self.threads), entry.gradient_of(problem)
        matrix = problem.parametrisation.matrix

        def step(theta: Array, near: Any) -> tuple[Gradient, Any]:
            found = solver.solve(matrix(theta), near if self.warm else None)
            return gradient(theta, found), found.z

        return Chained(step)

    def ladder(self) -> tuple[GradientMethod, ...]:
        return self, replace(self, warm=False)

    def promise(self, problem: Problem, reference: Reference) -> float | None:
        return entry.PROMISE
