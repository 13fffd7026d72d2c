"""Methods that misbehave on purpose, for the harness's tests; loaded by path as a user's file."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass
from itertools import chain, count, repeat
from typing import ClassVar

import numpy as np

from methods import Gradient, GradientMethod, Prepared
from problems import Problem, Reference
from problems.base import Array


@dataclass(frozen=True)
class _Misbehaving(GradientMethod):
    """Answers zero after doing something."""

    def unsupported(self, problem: Problem) -> str | None:
        return None

    def prepare(self, problem: Problem) -> Prepared:
        def call(theta: Array) -> Gradient:
            self.act()
            return Gradient(0.0, np.zeros_like(problem.y), self.grad(theta))

        return call

    def act(self) -> None:
        """What goes wrong."""

    def grad(self, theta: Array) -> Array:
        return np.zeros_like(theta)

    def promise(self, problem: Problem, reference: Reference) -> float | None:
        return None


@dataclass(frozen=True)
class Sleeps(_Misbehaving):
    """Seconds of sleep in prepare, in the first call, and in every later one."""

    name: ClassVar[str] = "sleeps"
    setup: float = 0.0
    first: float = 0.0
    later: float = 0.0

    def prepare(self, problem: Problem) -> Prepared:
        time.sleep(self.setup)
        prepared, sleeps = super().prepare(problem), chain([self.first], repeat(self.later))

        def call(theta: Array) -> Gradient:
            time.sleep(next(sleeps))
            return prepared(theta)

        return call


@dataclass(frozen=True)
class Crashes(_Misbehaving):
    name: ClassVar[str] = "crashes"

    def act(self) -> None:
        sys.stderr.write("about to crash\n")
        sys.stderr.flush()
        os.kill(os.getpid(), signal.SIGSEGV)


@dataclass(frozen=True)
class Devours(_Misbehaving):
    name: ClassVar[str] = "devours"

    def act(self) -> None:
        hoard = [np.empty(2**24) for _ in range(200)]  # not written to: pages may come slowly, and the limit is on addresses
        assert hoard


@dataclass(frozen=True)
class Raises(_Misbehaving):
    name: ClassVar[str] = "raises"

    def act(self) -> None:
        raise ValueError("broken on purpose")


@dataclass(frozen=True)
class Tires(_Misbehaving):
    """Answers twice: the first call, which is judged, and one more."""

    name: ClassVar[str] = "tires"

    def prepare(self, problem: Problem) -> Prepared:
        prepared, calls = super().prepare(problem), count(1)

        def call(theta: Array) -> Gradient:
            if next(calls) > 2:
                raise ValueError("broken from the third call on")
            return prepared(theta)

        return call


@dataclass(frozen=True)
class ReturnsNaN(_Misbehaving):
    name: ClassVar[str] = "returns-nan"

    def grad(self, theta: Array) -> Array:
        return np.full_like(theta, np.nan)


@dataclass(frozen=True)
class WrongShape(_Misbehaving):
    name: ClassVar[str] = "wrong-shape"

    def grad(self, theta: Array) -> Array:
        return theta.T


@dataclass(frozen=True)
class Promises(_Misbehaving):
    name: ClassVar[str] = "promises"

    def promise(self, problem: Problem, reference: Reference) -> float | None:
        return 1e-8


@dataclass(frozen=True)
class Absent(_Misbehaving):
    name: ClassVar[str] = "absent"
    requires: ClassVar[tuple[str, ...]] = ("no_such_library",)


@dataclass(frozen=True)
class Refuses(_Misbehaving):
    name: ClassVar[str] = "refuses"

    def unsupported(self, problem: Problem) -> str | None:
        return "refuses on purpose"


TWO_SETTINGS = (Sleeps(), Sleeps(later=600.0))
SLOW = (Sleeps(setup=2.5, first=2.5), Sleeps(later=600.0))
STUCK = Sleeps(setup=600.0)
ALL = (
    Sleeps(later=600.0), Crashes(), Devours(), Raises(), Tires(), ReturnsNaN(), WrongShape(), Promises(), Absent(), Refuses(),
)  # fmt: skip
