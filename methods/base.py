"""How a problem is differentiated: the GradientMethod interface."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from problems.base import Array, Problem, Reference


@dataclass(slots=True)  # frozen, it would take a tenth of the time of the fastest gradient to make
class Gradient:
    """What a method returns at theta.

    value = L(x*), a scalar; solution = x*, (n,) or (batch, n); grad = dL/dtheta in the shape of theta: float64 arrays of the
    method's own library, on its device and still asynchronous where the library is. `converged` is what the solver claims
    (None: claims nothing), `iterations` are the solver's. `note` is a doubt the method itself raises. Where `direction` is
    given (an array in the shape of theta), `grad` is the scalar <dL/dtheta, direction>.
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
    """A prepared call whose two phases can be timed apart: backward(forward(theta)) is the gradient.

    forward solves the lower level, backward differentiates it; what passes between them is the method's own.
    """

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
    """One strategy; a frozen dataclass whose fields are its knobs: dL/dtheta of a problem, by one way to differentiate it.

    An instance is compared and hashed, and so must its knobs be: numbers, names, functions. The field that `knob` names is the
    one that `ladder` sweeps. Nothing of a method survives between problems or calls: a warm start is a `Chained` call.
    """

    family: ClassVar[str] = "user"
    knob: ClassVar[str] = ""  # the field that the work-precision ladder sweeps
    identity: ClassVar[tuple[str, ...]] = ()  # fields that are part of the name, not knobs
    biased: ClassVar[str] = ""  # why its answer is off by design, so that a large error is no fault; empty: it is not
    papers_truth: ClassVar[bool] = False  # whether the papers measure errors against it: a metric beside ours, no judge
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
        """Why this method cannot differentiate the problem, in one sentence for the table; None where it can.

        Asked of every problem before `prepare`: it neither solves nor compiles, and raises nothing.
        """

    @abstractmethod
    def prepare(self, problem: Problem) -> Prepared:
        """The call that is timed: a pure function of theta (float64 NumPy, the shape of problem.theta) to a Gradient.

        Builds and compiles what does not depend on the numbers in theta, which counts as `setup_s`, but solves no lower level:
        that would be work the call is not charged for. The call gives the same bits for the same theta and leaves theta as it
        is. The method and what prepare returns are never pickled: each worker makes them anew, so that closures and compiled
        code are welcome. Import frameworks here, not at the head of the file.

        May raise anything, as the call may: the cell has status error (oom where memory ran out) and the message as its
        reason. A solver that did not converge is no exception: return what it found with `converged` False.
        """

    def on(self, device: str) -> GradientMethod | None:
        """The method with its work on that device, one of DEVICES; None where it cannot be done there."""
        return self if device == "cpu" else None

    def ladder(self) -> tuple[GradientMethod, ...]:
        """The method at each value of its knob, for work-precision diagrams; itself alone where it has no knob."""
        return (self,)

    def promise(self, problem: Problem, reference: Reference) -> float | None:
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
    if not isinstance(value, float):
        return str(value)
    short = f"{value:g}"
    return short if float(short) == value else repr(value)  # two values never share a label
