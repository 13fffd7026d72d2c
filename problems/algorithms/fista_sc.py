"""FISTA for strongly convex f: constant momentum, linear rate."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from problems.algorithms.base import Algorithm, step_length
from problems.arrays import Array
from problems.forms import Form

ROUNDING = 1e-14  # mu / L of a singular Hessian is of the order of 1e-16


class StrongFISTA(Algorithm):
    """ISTA at v + b (v - v_old), b = (1 - sqrt(mu / L)) / (1 + sqrt(mu / L)); error O((1 - sqrt(mu / L))^K).

    ValueError where mu vanishes: there the momentum 1 would not converge.
    """

    name: ClassVar[str] = "fista-sc"
    citation: ClassVar[str] = "Nesterov (2013); Chambolle and Pock (2016), section 4.3"
    formula: ClassVar[str] = "v+ = prox_{g/L}(m - grad f(m) / L), m+ = v+ + b (v+ - v), b = (L^1/2 - mu^1/2) / (L^1/2 + mu^1/2)"
    needs: ClassVar[str] = "one term with K = I and a strongly convex f"

    @classmethod
    def accepts(cls, form: Form) -> bool:
        return form.proximable and form.smooth.strongly_convex

    def init(self, theta: Array) -> tuple[Array, Array, Array, Array]:
        zero, lipschitz = np.zeros(self.form.shape), self.form.smooth.lipschitz(theta)
        convexity = self.form.smooth.convexity(theta)
        if convexity <= ROUNDING * lipschitz:
            raise ValueError(f"fista-sc needs a strongly convex f, got mu / L = {convexity:.1e} / {lipschitz:.1e}; take fista")
        root = (convexity / lipschitz) ** 0.5
        return zero, zero, np.asarray((1 - root) / (1 + root)), step_length(lipschitz)

    def shared(self, start: Any, theta: Any) -> Any:
        """(grad f, weight of g, read-out) at theta."""
        return self.form.smooth.gradient(theta), self.form.terms[0].weight(theta), self.form.read(theta)

    def step(self, v: Any, theta: Any, shared: Any) -> Any:
        z, ahead, momentum, length = v
        gradient, weight, _ = shared
        new = self.form.terms[0].penalty.prox(ahead - length * gradient(ahead), length, weight)
        return new, new + momentum * (new - z), momentum, length

    def read(self, v: Any, theta: Any, shared: Any) -> Any:
        return shared[2](v[0])
