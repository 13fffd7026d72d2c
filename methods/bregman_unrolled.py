"""Unrolled Bregman proximal gradient: a smooth iteration instead of a projection."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from methods import _bregman
from methods._autodiff import differentiate
from methods._bregman import form_of, iteration, start
from methods._frameworks import FRAMEWORKS
from methods.base import GradientMethod, Prepared
from problems import Problem
from problems.base import Array


@dataclass(frozen=True)
class BregmanUnrolled(GradientMethod):
    """AD through K mirror steps z <- argmin <t grad f(z), u> + D_psi(u, z) over the set, then x = R(z, theta).

    Source: Ochs, Ranftl, Brox and Pock (2016).
    """

    family: ClassVar[str] = "Bregman"
    identity: ClassVar[tuple[str, ...]] = ("framework",)
    knob: ClassVar[str] = "iterations"
    citation: ClassVar[str] = "Ochs, Ranftl, Brox and Pock (2016)"
    formula: ClassVar[str] = "AD through z <- grad psi*(grad psi(z) - t grad f(z)), K times"

    framework: str = "torch"
    iterations: int = 300

    @property
    def name(self) -> str:
        return f"bregman-unrolled-{self.framework}"

    @property
    def requires(self) -> tuple[str, ...]:
        return (self.framework,)

    def unsupported(self, problem: Problem) -> str | None:
        return _bregman.unsupported(problem)

    def prepare(self, problem: Problem) -> Prepared:
        form = form_of(problem)

        def constants(theta: Array) -> tuple[Array, Array]:
            return start(form, theta)

        return differentiate(self.framework, problem, self._solution, constants, self.iterations)

    def _solution(self, problem: Problem, theta: Any, constants: Any) -> Any:
        form, (z, length) = form_of(problem), constants
        return form.read(theta)(FRAMEWORKS[self.framework].iterate(iteration(form, theta, length), z, self.iterations))

    def ladder(self) -> tuple[GradientMethod, ...]:
        return tuple(replace(self, iterations=count) for count in (10, 30, 100, 300, 1000, 3000))

    def promise(self, problem: Problem) -> float | None:
        return None  # K iterations converge as fast as the instance lets them
