"""ISTA: a gradient step on f, a proximal step on g (proximal or projected gradient, forward-backward splitting)."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from problems.algorithms.base import Algorithm, step_length
from problems.arrays import Array
from problems.forms import Form


class ISTA(Algorithm):
    """v <- prox_{g/L}(v - grad f(v) / L), L the Lipschitz constant of grad f; error O(1/K)."""

    name: ClassVar[str] = "ista"
    citation: ClassVar[str] = "Daubechies, Defrise and De Mol (2004); Beck and Teboulle (2009), eq. (1.4)"
    formula: ClassVar[str] = "v <- prox_{g/L}(v - grad f(v) / L)"
    needs: ClassVar[str] = "one term with K = I"

    @classmethod
    def accepts(cls, form: Form) -> bool:
        return form.proximable

    def init(self, theta: Array) -> tuple[Array, Array]:
        return np.zeros(self.form.shape), step_length(self.form.smooth.lipschitz(theta))

    def state(self, v: Array, theta: Array) -> tuple[Array, Array]:
        return v, step_length(self.form.smooth.lipschitz(theta))

    def shared(self, start: Any, theta: Any) -> Any:
        """(grad f, weight of g, read-out) at theta."""
        return self.form.smooth.gradient(theta), self.form.terms[0].weight(theta), self.form.read(theta)

    def step(self, v: Any, theta: Any, shared: Any) -> Any:
        z, length = v
        gradient, weight, _ = shared
        return self.form.terms[0].penalty.prox(z - length * gradient(z), length, weight), length

    def read(self, v: Any, theta: Any, shared: Any) -> Any:
        return shared[2](v[0])
