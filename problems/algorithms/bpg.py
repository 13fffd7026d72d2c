"""The Bregman proximal gradient method (mirror descent): smooth steps that stay inside a constraint set."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from problems.algorithms.base import Algorithm, step_length
from problems.arrays import Array
from problems.forms import Form

PROJECTED = 100  # steps of projected gradient that tell how large the entries of x* are


class BregmanGradient(Algorithm):
    """v+ = argmin over the set of <t grad f(v), v> + D_psi(v+, v): box w tanh(artanh(v / w) - t grad f(v)), simplex
    proportional to v exp(-t grad f(v)), nonnegative v exp(-t grad f(v)).

    t = (modulus of psi) / L. On z >= 0 the entropy has the modulus 1 / R for z <= R; R is twice the largest entry that
    projected gradient finds.
    """

    name: ClassVar[str] = "bpg"
    citation: ClassVar[str] = "Beck and Teboulle (2003); Bauschke, Bolte and Teboulle (2017)"
    formula: ClassVar[str] = "v+ = grad psi*(grad psi(v) - t grad f(v))"
    needs: ClassVar[str] = "one term with K = I, a constraint set with an entropy"

    @classmethod
    def accepts(cls, form: Form) -> bool:
        return form.proximable and form.terms[0].penalty.has_entropy

    def init(self, theta: Array) -> tuple[Array, Array]:
        penalty, weight = self.form.terms[0].penalty, self.form.terms[0].weight(theta)
        length, convexity = step_length(self.form.smooth.lipschitz(theta)), penalty.entropy_convexity(weight)
        if convexity:
            return penalty.mirror(np.zeros(self.form.shape), weight), length * convexity
        largest = 2 * self._largest(theta, length) or 1.0
        return np.full(self.form.shape, largest / self.form.shape[-1]), length / largest

    def _largest(self, theta: Array, length: Array) -> float:
        """The largest entry of x* after a few steps of projected gradient."""
        penalty, gradient, x = self.form.terms[0].penalty, self.form.smooth.gradient(theta), np.zeros(self.form.shape)
        for _ in range(PROJECTED):
            x = penalty.prox(x - length * gradient(x), length, 1.0)
        return float(x.max())

    def shared(self, start: Any, theta: Any) -> Any:
        """(grad f, weight, read-out) at theta."""
        return self.form.smooth.gradient(theta), self.form.terms[0].weight(theta), self.form.read(theta)

    def step(self, v: Any, theta: Any, shared: Any) -> Any:
        z, length = v
        gradient, weight, _ = shared
        return self.form.terms[0].penalty.mirror_step(z, length * gradient(z), weight), length

    def read(self, v: Any, theta: Any, shared: Any) -> Any:
        return shared[2](v[0])
