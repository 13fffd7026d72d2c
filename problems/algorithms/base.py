"""First-order algorithms as fixed-point maps with a read-out, written once for NumPy, torch and JAX."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from problems.arrays import Array
from problems.forms import Form


class Algorithm(ABC):
    """v -> step(v, theta) with a fixed point v*, and x* = read(v*, theta); v is a tuple of arrays, and its first entry moves x.

    The arrays of `init` are constants of the differentiation; `shared` is differentiated like every other function of
    theta. An entry of v that `step` hands on as the same object, such as a step length, does not move. `exact`: whether x*
    is the solution of the form, or of an approximation (a penalty method).
    """

    name: ClassVar[str]
    citation: ClassVar[str]
    formula: ClassVar[str]
    needs: ClassVar[str]  # what `accepts` asks of a form, as a refusal words it
    exact: ClassVar[bool] = True
    drifts: ClassVar[str] = ""  # why `step` is no fixed map of the state that moves; empty: it is one

    def __init__(self, form: Form) -> None:
        self.form = form

    @classmethod
    @abstractmethod
    def accepts(cls, form: Form) -> bool:
        """Whether the algorithm solves problems of this form."""

    @abstractmethod
    def init(self, theta: Array) -> Any:
        """The starting point with the step lengths, from theta as NumPy; a tuple of NumPy arrays."""

    def shared(self, start: Any, theta: Any) -> Any:
        """What all steps use of theta, such as a factorisation; `start` is what `init` gave."""
        return None

    @abstractmethod
    def step(self, v: Any, theta: Any, shared: Any) -> Any:
        """One iteration."""

    def state(self, v: Array, theta: Array) -> Any:
        """The fixed point of `step` with its step lengths, in NumPy, from the solution v of the form."""
        raise NotImplementedError(f"{self.name} does not build its state from a solution")

    @abstractmethod
    def read(self, v: Any, theta: Any, shared: Any) -> Any:
        """The primal iterate x of the state v."""


def step_length(lipschitz: float) -> Array:
    """1 / L, and 1 where the gradient is constant."""
    return np.asarray(1 / lipschitz if lipschitz else 1.0)


def coupled_lengths(form: Form, theta: Array) -> tuple[float, list[float]]:
    """(l, (s_1, ..., s_m)) with sum_j s_j |K_j|^2 = l, the scale of primal steps 1 / l and of dual steps s_j.

    l is the Lipschitz constant of grad f, so that the terms weigh as much as f; where it is 0 primal and dual steps are equal.
    """
    norms = [term.square_norm(theta) for term in form.terms]
    scale = form.smooth.lipschitz(theta) or max(norms) ** 0.5 or 1.0
    return scale, [scale / (len(norms) * norm) if norm else 1.0 for norm in norms]


def images(form: Form, theta: Array) -> tuple[Array, ...]:
    """Zeros in the shapes of the K_j v."""
    return tuple(np.zeros_like(term.apply(theta, np.zeros(form.shape))) for term in form.terms)
