"""First-order algorithms as fixed-point maps with a read-out, written once for NumPy, torch and JAX."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar


class Algorithm(ABC):
    """v -> step(v, theta) with a fixed point v*, and x* = read(v*, theta); v need not be x, and may be a tuple of arrays.

    The arrays of `init` are constants of the differentiation; `shared` is differentiated like every other function of
    theta. A constructor refuses a problem that the algorithm does not solve with a TypeError.
    """

    name: ClassVar[str]
    citation: ClassVar[str]
    formula: ClassVar[str]

    @abstractmethod
    def init(self, theta: Any) -> Any:
        """The starting point with the step lengths, from theta as NumPy; a tuple of NumPy arrays."""

    def shared(self, start: Any, theta: Any) -> Any:
        """What all steps use of theta, such as a factorisation; `start` is what `init` gave."""
        return None

    @abstractmethod
    def step(self, v: Any, theta: Any, shared: Any) -> Any:
        """One iteration."""

    @abstractmethod
    def read(self, v: Any, theta: Any, shared: Any) -> Any:
        """The primal iterate x of the state v."""
