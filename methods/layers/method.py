"""BLORC as it stands in a training loop: the drop-in layer of a framework, timed with the framework around it."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from methods.base import Gradient, GradientMethod, Prepared, Split
from methods.blorc import entry
from methods.calculus.autodiff import differentiate
from methods.calculus.frameworks import FRAMEWORKS, synchronise
from methods.layers import KinkWarning, solution_of
from problems import Problem, Reference
from problems.base import Array


@dataclass(frozen=True)
class BlorcLayer(GradientMethod):
    """dL/dtheta by the framework's reverse mode through x = layer(K(theta), y), where dL/dW = -(z v^T + h x*^T).

    The layer of methods/layers on the matrix W = K(theta), with the compiled solver of `blorc` inside. Its KinkWarning
    becomes the note, also on dependent zero rows that are no kink in theta: it sees W alone.
    Source: Ghosh, McCann, Mitchell and Ravishankar (2022), Theorem 3.2, rewritten with the dual z.
    """

    family: ClassVar[str] = "closed form"
    identity: ClassVar[tuple[str, ...]] = ("framework",)
    citation: ClassVar[str] = entry.CITATION
    formula: ClassVar[str] = "AD through x = layer(W, y) with dQ/dW = -(z v' + h x*'), v = P g, h = W0^{+T} g"

    framework: str = "torch"

    @property
    def name(self) -> str:
        return f"blorc-{self.framework}"

    @property
    def requires(self) -> tuple[str, ...]:
        return (self.framework, "cffi")

    def unsupported(self, problem: Problem) -> str | None:
        return entry.unsupported(problem)

    def prepare(self, problem: Problem) -> Prepared:
        steps = differentiate(FRAMEWORKS[self.framework], problem, self._solution, lambda theta: ())

        def backward(state: Any) -> Gradient:
            with _doubts() as found:
                result = steps.backward(state)
                synchronise(result.grad)
            return replace(result, note="; ".join(dict.fromkeys(found)))

        return Split(steps.forward, backward)

    def _solution(self, problem: Any, theta: Array, constants: Any) -> Any:
        return solution_of(self.framework)(problem.parametrisation.matrix(theta), problem.y, problem.beta)

    def promise(self, problem: Problem, reference: Reference) -> float | None:
        return entry.PROMISE


@contextlib.contextmanager
def _doubts() -> Iterator[list[str]]:
    """Collect the texts of KinkWarning; every other warning goes its way."""
    found: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", KinkWarning)
        yield found
    for warning in caught:
        if issubclass(warning.category, KinkWarning):
            found.append(str(warning.message))
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
