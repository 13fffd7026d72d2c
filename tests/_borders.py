"""Methods whose answers, knobs or exceptions are odd; loaded by path as a user's file."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from _borders_neighbour import quadratic

from methods import Gradient, GradientMethod, Prepared
from methods.blorc import Blorc
from problems import Problem, Reference
from problems.base import Array


@dataclass(frozen=True)
class Ruled(GradientMethod):
    """Exact, with a rule as a knob."""

    name: ClassVar[str] = "ruled"
    rule: Callable[[int], float] = lambda k: 1.0 / (k + 1)

    def unsupported(self, problem: Problem) -> str | None:
        return Blorc().unsupported(problem)

    def prepare(self, problem: Problem) -> Prepared:
        exact = Blorc().prepare(problem)

        def call(theta: Array) -> Gradient:
            return self.changed(exact(theta))

        return call

    def changed(self, found: Gradient) -> Any:
        return found


class FlaggedByNumPy(Ruled):
    name = "flagged-by-numpy"

    def changed(self, found: Gradient) -> Any:
        return replace(found, converged=np.linalg.norm(found.grad) < 100.0, iterations=np.int32(3), note=None)


class PromisesInNumPy(Ruled):
    name = "promises-in-numpy"

    def promise(self, problem: Problem, reference: Reference) -> Any:
        return np.array(1e-8)


class PromisesText(Ruled):
    name = "promises-text"

    def promise(self, problem: Problem, reference: Reference) -> Any:
        return "a lot"


class SupportsAFlag(Ruled):
    name = "supports-a-flag"

    def unsupported(self, problem: Problem) -> Any:
        return True


class ReturnsNone(Ruled):
    name = "returns-none"

    def changed(self, found: Gradient) -> Any:
        return None


class RaisesSurrogates(Ruled):
    name = "raises-surrogates"

    def changed(self, found: Gradient) -> Any:
        raise ValueError("\udcff")


class RaisesTenMegabytes(Ruled):
    name = "raises-ten-megabytes"

    def changed(self, found: Gradient) -> Any:
        raise ValueError("x" * 10**7)


class Exits(Ruled):
    name = "exits"

    def changed(self, found: Gradient) -> Any:
        sys.exit(0)


class Interrupts(Ruled):
    name = "interrupts"

    def changed(self, found: Gradient) -> Any:
        raise KeyboardInterrupt


RULED = (Ruled(), Ruled(rule=quadratic))
ALL = (
    FlaggedByNumPy(), *RULED, PromisesInNumPy(), RaisesSurrogates(), RaisesTenMegabytes(), Exits(), Interrupts(),
    PromisesText(), ReturnsNone(), SupportsAFlag(),
)  # fmt: skip


class Scaled(Ruled):
    """A thousandth too long; claims to have converged, bounds its error, names its pattern, and doubts."""

    name = "scaled"

    def changed(self, found: Gradient) -> Any:
        pattern = None if found.pattern is None else 1 - np.abs(found.pattern)
        return Gradient(
            found.value + 1.0, 1.001 * np.asarray(found.solution), 1.001 * np.asarray(found.grad), True, None, "a doubt",
            pattern=np.zeros(15) if pattern is None else pattern, bound=1e-9,
        )  # fmt: skip


class ValueAlone(Ruled):
    name = "value-alone"

    def changed(self, found: Gradient) -> Any:
        return replace(found, value=found.value + 1.0)


class SolutionAlone(Ruled):
    name = "solution-alone"

    def changed(self, found: Gradient) -> Any:
        return replace(found, solution=np.asarray(found.solution) + 1e-3)


class BoundAlone(Ruled):
    name = "bound-alone"

    def changed(self, found: Gradient) -> Any:
        return replace(found, grad=found.grad * (1 + 1e-9), bound=1e-12)


class PatternAlone(Ruled):
    name = "pattern-alone"

    def changed(self, found: Gradient) -> Any:
        return replace(found, pattern=np.full(15, 1))


class NoteAlone(Ruled):
    name = "note-alone"

    def changed(self, found: Gradient) -> Any:
        return replace(found, note="a kink may be near")
