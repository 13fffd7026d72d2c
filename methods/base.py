"""How a problem is differentiated: the GradientMethod interface."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from problems.base import Array, Problem


@dataclass(slots=True)  # frozen, it would take a tenth of the time of the fastest gradient to make
class Gradient:
    """What a method returns at theta.

    value = L(x*), solution = x*, grad = dL/dtheta in the shape of theta: the method's own arrays, still asynchronous
    where its library is. `converged` is what the solver claims (None: claims nothing). `note` is a doubt the method itself
    raises. Where `direction` is given (an array in the shape of theta), `grad` is the scalar <dL/dtheta, direction>.
    `bound`: what the method itself bounds its relative error by (None: it bounds nothing; inf: the bound says nothing).
    `pattern`: the signs of K(theta) x* that a formula took for granted, (k,) or (batch, k), to be held against the true ones.
    """

    value: Any
    solution: Any
    grad: Any
    converged: bool | None = None
    iterations: int | None = None
    note: str = ""
    direction: Array | None = None
    pattern: Array | None = None
    bound: float | None = None


class LibraryError(RuntimeError):
    """A solver of somebody else's failed inside; the message names it."""


@dataclass(frozen=True)
class Split:
    """A prepared call whose two phases can be timed apart: backward(forward(theta)) is the gradient."""

    forward: Callable[[Array], Any]
    backward: Callable[[Any], Gradient]

    def __call__(self, theta: Array) -> Gradient:
        return self.backward(self.forward(theta))


@dataclass(frozen=True)
class Chained:
    """A prepared call for a path of thetas close to each other: step(theta, state) -> (gradient, state), state None at first.

    Called with theta alone it starts afresh, so it is a pure function too.
    """

    step: Callable[[Array, Any], tuple[Gradient, Any]]

    def __call__(self, theta: Array) -> Gradient:
        return self.step(theta, None)[0]


DEVICES = ("cpu", "cuda")

Prepared = Callable[[Array], Gradient]


@dataclass(frozen=True)
class GradientMethod(ABC):
    """One strategy; a frozen dataclass whose fields are its knobs."""

    family: ClassVar[str] = "user"
    knob: ClassVar[str] = ""  # the field that the work-precision ladder sweeps
    identity: ClassVar[tuple[str, ...]] = ()  # fields that are part of the name, not knobs
    biased: ClassVar[str] = ""  # why its answer is off by design, so that a large error is no fault; empty: it is not
    batching: ClassVar[str] = "native"  # or "loop": a Python loop over the signals of a batch
    citation: ClassVar[str] = ""
    formula: ClassVar[str] = ""

    @property
    @abstractmethod
    def name(self) -> str:
        """The strategy, such as "blorc"; a plain class attribute will do."""

    @property
    def requires(self) -> tuple[str, ...]:
        """Importable names; a missing one gives status not-installed. A plain class attribute will do."""
        return ()

    @abstractmethod
    def unsupported(self, problem: Problem) -> str | None:
        """Why this method cannot differentiate the problem; None where it can."""

    @abstractmethod
    def prepare(self, problem: Problem) -> Prepared:
        """A pure function of theta (float64 NumPy) to Gradient. Solves nothing; what can be built or compiled once is."""

    def on(self, device: str) -> GradientMethod | None:
        """The method with its work on that device, "cpu" or "cuda"; None where it cannot be done there."""
        return self if device == "cpu" else None

    def ladder(self) -> tuple[GradientMethod, ...]:
        """The method over its knob, for work-precision diagrams."""
        return (self,)

    def promise(self, problem: Problem) -> float | None:
        """The relative error promised where the gradient is known to exist and above the rounding of x*; None: no promise."""
        return 1e-8

    @property
    def knobs(self) -> dict[str, Any]:
        """All knobs with their values."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in self.identity}

    @property
    def label(self) -> str:
        """The name with the knobs that differ from their default: cvxpylayers-torch(tolerance=1e-10)."""
        defaults = {f.name: f.default for f in fields(self)}
        changed = [f"{name}={_short(value)}" for name, value in self.knobs.items() if value != defaults[name]]
        return f"{self.name}({', '.join(changed)})" if changed else self.name


def _short(value: Any) -> str:
    if callable(value):  # its repr has an address, which differs from process to process
        return str(getattr(value, "__name__", type(value).__name__))
    return f"{value:g}" if isinstance(value, float) else str(value)
