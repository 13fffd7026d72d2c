"""BLORC with the exact sign pattern and the gradient in rank-2 form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from methods.base import GradientMethod, Prepared
from methods.blorc import entry
from problems import AnalysisL1, Dense, Problem, Reference


@dataclass(frozen=True)
class Blorc(GradientMethod):
    """dL/dtheta = -(d<z, K v>/dtheta + d<h, K x*>/dtheta) + dL/dtheta|x, with v = P g, h = W0^{+T} g, g = dL/dx at x*.

    Coordinate descent and Newton steps on the box dual, compiled, find the pattern, which is verified; one factorisation
    of W0 W0^T serves x*, z, v and h. What they leave open goes to a bounded active set that ends on dependent rows too, and
    the note says so. For K = W the result is the dense (k, n) sum of two outer products a signal; for a sparse K all work is
    on its rows, O(n) for a chain such as 1-D total variation; in log-weights of total variation on a graph, such as an image,
    v is the mean of g over every flat region; for filter banks all is matrix-free. Raises SolveError where no pattern verifies.
    Source: Ghosh, McCann, Mitchell and Ravishankar (2022), Theorem 3.2, rewritten with the dual z.
    """

    name: ClassVar[str] = "blorc"
    family: ClassVar[str] = "closed form"
    requires: ClassVar[tuple[str, ...]] = ("cffi",)
    citation: ClassVar[str] = entry.CITATION
    formula: ClassVar[str] = entry.FORMULA

    threads: int = 1  # that share the signals of a batch

    def unsupported(self, problem: Problem) -> str | None:
        return entry.unsupported(problem)

    def prepare(self, problem: Problem) -> Prepared:
        if isinstance(problem, AnalysisL1) and isinstance(problem.parametrisation, Dense) and problem.y.ndim == 1:
            return entry.split_signal(problem)
        return entry.split(entry.solve_of(problem, self.threads), entry.gradient_of(problem))

    def promise(self, problem: Problem, reference: Reference) -> float | None:
        return entry.PROMISE
