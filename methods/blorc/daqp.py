"""The rank-2 gradient on the pattern of daqp, a general dual active-set solver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from methods.base import GradientMethod, Prepared
from methods.blorc import entry
from methods.blorc.bounded import Adjoint, Bounded, Stack
from problems import BoxDual, Problem, Reference
from problems.base import Array
from problems.solvers import box_dual


@dataclass(frozen=True)
class BlorcDaqp(GradientMethod):
    """The formulas of `blorc` with a library's solver: daqp where k <= n, else a bounded active set, both verified.

    Sources: Arnstrom, Bemporad and Axehill (2022) for the solver; Ghosh et al. (2022), Theorem 3.2, for the gradient.
    """

    name: ClassVar[str] = "blorc-daqp"
    family: ClassVar[str] = "closed form"
    requires: ClassVar[tuple[str, ...]] = ("daqp",)
    batching: ClassVar[str] = "loop"
    citation: ClassVar[str] = "Arnstrom, Bemporad and Axehill (2022); Ghosh et al. (2022), Theorem 3.2"
    formula: ClassVar[str] = entry.FORMULA

    def unsupported(self, problem: Problem) -> str | None:
        return entry.unsupported(problem)

    def prepare(self, problem: Problem) -> Prepared:
        assert isinstance(problem, BoxDual)
        y, beta, parametrisation = problem.y, problem.beta, problem.parametrisation
        keeps_rank = parametrisation.keeps_rank

        def solve(theta: Array) -> Adjoint:
            w = parametrisation.matrix(theta)
            found = [Bounded(w, box_dual.solve(w, signal, beta), keeps_rank) for signal in np.atleast_2d(y)]
            return found[0] if y.ndim == 1 else Stack(found)

        return entry.split(solve, entry.gradient_of(problem))

    def promise(self, problem: Problem, reference: Reference) -> float | None:
        return entry.PROMISE
