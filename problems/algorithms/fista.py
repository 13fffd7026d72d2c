"""FISTA: accelerated proximal gradient."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from problems.algorithms.base import Algorithm, step_length
from problems.arrays import Array
from problems.forms import Form


class FISTA(Algorithm):
    """ISTA at v + (t - 1)/t' (v - v_old) with t' = (1 + sqrt(1 + 4 t^2))/2; error O(1/K^2)."""

    name: ClassVar[str] = "fista"
    citation: ClassVar[str] = "Beck and Teboulle (2009), eq. (4.1)-(4.3)"
    formula: ClassVar[str] = "v+ = prox_{g/L}(m - grad f(m) / L), m+ = v+ + (t - 1)/t+ (v+ - v)"
    needs: ClassVar[str] = "one term with K = I"
    drifts: ClassVar[str] = "its momentum changes with every iteration"

    @classmethod
    def accepts(cls, form: Form) -> bool:
        return form.proximable

    def init(self, theta: Array) -> tuple[Array, Array, Array, Array]:
        zero = np.zeros(self.form.shape)
        return zero, zero, np.asarray(1.0), step_length(self.form.smooth.lipschitz(theta))

    def shared(self, start: Any, theta: Any) -> Any:
        """(grad f, weight of g, read-out) at theta."""
        return self.form.smooth.gradient(theta), self.form.terms[0].weight(theta), self.form.read(theta)

    def step(self, v: Any, theta: Any, shared: Any) -> Any:
        z, momentum, t, length = v
        gradient, weight, _ = shared
        new = self.form.terms[0].penalty.prox(momentum - length * gradient(momentum), length, weight)
        t_new = (1 + (1 + 4 * t * t) ** 0.5) / 2
        return new, new + (t - 1) / t_new * (new - z), t_new, length

    def read(self, v: Any, theta: Any, shared: Any) -> Any:
        return shared[2](v[0])
