"""Exact solutions by the active sets of problems/solvers/box_dual.py, in NumPy: for one signal, and stacked for a batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from problems.base import Array
from problems.solvers.box_dual import DEPENDENT, TOUCHING, DualSolution


class Adjoint(Protocol):
    """x* = y - W^T z with its pattern verified, and the adjoint there; a leading batch axis where y has one."""

    @property
    def x(self) -> Array: ...

    @property
    def z(self) -> Array: ...

    @property
    def note(self) -> str:
        """Why the gradient may not exist, or a remark on how the solution was found."""
        ...

    @property
    def iterations(self) -> int: ...

    def adjoint(self, g: Array) -> tuple[Array, Array]:
        """(h, v): h = W0^{+T} g on the zero rows and 0 elsewhere, v = g - W0^T h; in the shapes of z and x."""
        ...


class Exact(Adjoint, Protocol):
    """The same for a dense W."""

    @property
    def doubt(self) -> str:
        """Why the gradient may not exist; empty: nothing speaks against it."""
        ...

    def gradient(self, g: Array) -> Array:
        """-(z v^T + h x*^T), summed over the batch, shape (k, n)."""
        ...


@dataclass(frozen=True)
class Bounded:
    """One signal; `remark` is the note where nothing speaks against a gradient."""

    w: Array
    dual: DualSolution
    keeps_rank: bool
    remark: str = ""

    @property
    def x(self) -> Array:
        return self.dual.x

    @property
    def z(self) -> Array:
        return self.dual.z

    @property
    def iterations(self) -> int:
        return self.dual.iterations

    @property
    def doubt(self) -> str:
        """Dependent zero rows are none where theta keeps their rank."""
        if self.keeps_rank and self.dual.doubt == DEPENDENT:
            return TOUCHING if self.dual.touching else ""
        return self.dual.doubt

    @property
    def note(self) -> str:
        return self.doubt or self.remark

    def adjoint(self, g: Array, t: Array | None = None) -> tuple[Array, Array]:
        """With t (k): v = g - W0^T h has W0 v = t on the zero rows, in place of 0."""
        h, zero, factor = np.zeros(self.z.shape), self.dual.signs == 0, self.dual.factor
        c = 0.0 if t is None else factor.reach(t[zero])
        h[zero] = factor.lift(g - c)
        return h, g - h[zero] @ self.w[zero]

    def gradient(self, g: Array) -> Array:
        h, v = self.adjoint(g)
        return -(np.outer(self.z, v) + np.outer(h, self.x))


@dataclass(frozen=True)
class Stack:
    """The signals of a batch, one solution each."""

    signals: Sequence[Adjoint]

    @cached_property
    def x(self) -> Array:
        return np.stack([found.x for found in self.signals])

    @cached_property
    def z(self) -> Array:
        return np.stack([found.z for found in self.signals])

    @property
    def iterations(self) -> int:
        return max(found.iterations for found in self.signals)

    @property
    def note(self) -> str:
        return counted((found.note for found in self.signals), len(self.signals))

    def adjoint(self, g: Array) -> tuple[Array, Array]:
        h, v = zip(*(found.adjoint(row) for found, row in zip(self.signals, g, strict=True)), strict=True)
        return np.stack(h), np.stack(v)

    def gradient(self, g: Array) -> Array:
        h, v = self.adjoint(g)
        return -(self.z.T @ v + h.T @ self.x)


def counted(notes: Iterable[str], total: int) -> str:
    """The notes of a batch, each with the number of signals it stands for: "what in 3 of 100 signals: why"."""
    counts = Counter(note.partition(":")[::2] for note in notes if note)
    return "; ".join(f"{what} in {number} of {total} signals:{why}" for (what, why), number in counts.items())
