"""The primal-dual method of Condat and Vu: any number of terms, any K, any smooth f; PDHG where f is linear."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from problems.algorithms.base import Algorithm, coupled_lengths, images
from problems.arrays import Array
from problems.forms import Form


class PDHG(Algorithm):
    """x+ = x - t (grad f(x) + sum K_j' y_j), y_j+ = prox_{s_j g_j*}(y_j + s_j K_j (2 x+ - x)), 1/t = L/2 + sum s_j |K_j|^2."""

    name: ClassVar[str] = "pdhg"
    citation: ClassVar[str] = "Chambolle and Pock (2011); Condat (2013), algorithm 3.1; Vu (2013)"
    formula: ClassVar[str] = "x+ = x - t (grad f(x) + K'y), y+ = prox_{s g*}(y + s K (2 x+ - x))"
    needs: ClassVar[str] = "a term"

    @classmethod
    def accepts(cls, form: Form) -> bool:
        return bool(form.terms)

    def init(self, theta: Array) -> Any:
        scale, lengths = coupled_lengths(self.form, theta)
        step = 1 / (scale + self.form.smooth.lipschitz(theta) / 2)
        return np.zeros(self.form.shape), images(self.form, theta), np.asarray(step), tuple(map(np.asarray, lengths))

    def shared(self, start: Any, theta: Any) -> Any:
        """(grad f, weights, read-out) at theta."""
        return self.form.smooth.gradient(theta), [term.weight(theta) for term in self.form.terms], self.form.read(theta)

    def step(self, v: Any, theta: Any, shared: Any) -> Any:
        x, ys, step, lengths = v
        gradient, weights, _ = shared
        slope = gradient(x)
        for term, y in zip(self.form.terms, ys, strict=True):
            slope = slope + term.adjoint(theta, y)
        new = x - step * slope
        parts = zip(self.form.terms, ys, lengths, weights, strict=True)
        ahead = 2 * new - x
        moved = [term.penalty.conjugate_prox(y + s * term.apply(theta, ahead), s, w) for term, y, s, w in parts]
        return new, tuple(moved), step, lengths

    def read(self, v: Any, theta: Any, shared: Any) -> Any:
        return shared[2](v[0])
