"""Methods with one fault each, for the tests of `dargmin check`; loaded by path as a user's file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from methods import Gradient, GradientMethod, Prepared
from methods.blorc import Blorc
from problems import Problem, Reference
from problems.base import Array


@dataclass(frozen=True)
class _Wrapped(GradientMethod):
    """blorc's answer, spoiled."""

    def unsupported(self, problem: Problem) -> str | None:
        return Blorc().unsupported(problem)

    def prepare(self, problem: Problem) -> Prepared:
        inner, spoil = Blorc().prepare(problem), self.spoiler()
        return lambda theta: spoil(inner(theta), theta)

    def spoiler(self) -> Callable[[Gradient, Array], Gradient]:
        return lambda found, theta: found


@dataclass(frozen=True)
class Right(_Wrapped):
    name: ClassVar[str] = "right"


@dataclass(frozen=True)
class Scaled(_Wrapped):
    name: ClassVar[str] = "scaled"

    def spoiler(self) -> Callable[[Gradient, Array], Gradient]:
        return lambda found, theta: replace(found, grad=1.001 * found.grad, note="")


@dataclass(frozen=True)
class Modest(_Wrapped):
    """As wrong, without a promise."""

    name: ClassVar[str] = "modest"

    def promise(self, problem: Problem, reference: Reference) -> float | None:
        return None

    def spoiler(self) -> Callable[[Gradient, Array], Gradient]:
        return lambda found, theta: replace(found, grad=1.1 * found.grad, note="")


@dataclass(frozen=True)
class Biased(Modest):
    """As wrong, by design."""

    name: ClassVar[str] = "biased"
    biased: ClassVar[str] = "a tenth too long"


@dataclass(frozen=True)
class Warns(_Wrapped):
    """Wrong, and says so."""

    name: ClassVar[str] = "warns"

    def spoiler(self) -> Callable[[Gradient, Array], Gradient]:
        return lambda found, theta: replace(found, grad=1.001 * found.grad, converged=False, note="")


@dataclass(frozen=True)
class Mute(_Wrapped):
    """Exact, and silent at kinks."""

    name: ClassVar[str] = "mute"

    def spoiler(self) -> Callable[[Gradient, Array], Gradient]:
        return lambda found, theta: replace(found, note="")


@dataclass(frozen=True)
class RaisesAtKinks(_Wrapped):
    name: ClassVar[str] = "raises-at-kinks"

    def spoiler(self) -> Callable[[Gradient, Array], Gradient]:
        def spoil(found: Gradient, theta: Array) -> Gradient:
            if found.note:
                raise ArithmeticError(found.note)
            return found

        return spoil


@dataclass(frozen=True)
class Remembers(_Wrapped):
    name: ClassVar[str] = "remembers"

    def spoiler(self) -> Callable[[Gradient, Array], Gradient]:
        calls = [0]

        def spoil(found: Gradient, theta: Array) -> Gradient:
            calls[0] += 1
            return replace(found, grad=found.grad * (1 + 1e-15 * calls[0]))

        return spoil


@dataclass(frozen=True)
class Single(_Wrapped):
    name: ClassVar[str] = "single"

    def spoiler(self) -> Callable[[Gradient, Array], Gradient]:
        return lambda found, theta: replace(found, grad=np.asarray(found.grad, dtype=np.float32))


@dataclass(frozen=True)
class Overwrites(_Wrapped):
    name: ClassVar[str] = "overwrites"

    def spoiler(self) -> Callable[[Gradient, Array], Gradient]:
        def spoil(found: Gradient, theta: Array) -> Gradient:
            theta[...] = 0.0
            return found

        return spoil


@dataclass(frozen=True)
class Rounds(_Wrapped):
    """Drops small gradients, as an absolute tolerance does."""

    name: ClassVar[str] = "rounds"

    def spoiler(self) -> Callable[[Gradient, Array], Gradient]:
        return lambda found, theta: replace(found, grad=np.where(np.abs(found.grad) < 1e-8, 0.0, found.grad))


@dataclass(frozen=True)
class Sums(_Wrapped):
    """The sum over a batch instead of the mean."""

    name: ClassVar[str] = "sums"

    def spoiler(self) -> Callable[[Gradient, Array], Gradient]:
        def spoil(found: Gradient, theta: Array) -> Gradient:
            count = len(found.solution) if np.ndim(found.solution) == 2 else 1
            return replace(found, grad=count * found.grad)

        return spoil


@dataclass(frozen=True)
class TakesAnything(_Wrapped):
    name: ClassVar[str] = "takes-anything"

    def prepare(self, problem: Problem) -> Prepared:
        inner = Blorc().prepare(problem)

        def call(theta: Array) -> Gradient:
            fits = theta.shape == problem.theta.shape and np.isfinite(theta).all()
            return inner(theta if fits else np.array(problem.theta))

        return call
