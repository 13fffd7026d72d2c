"""Half-quadratic splitting: a penalty method, which solves an approximation."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from array_api_compat import array_namespace

from problems.algorithms.base import Algorithm, images
from problems.arrays import Array
from problems.forms import Form, Quadratic, matrix_of


class HQS(Algorithm):
    """Minimises f(x) + sum_j g_j(u_j) + rho/2 |K_j x - u_j|^2 over x and the u_j in turn, f quadratic; rho fixed.

    Its x minimises f + sum_j (the Moreau envelope of g_j with parameter 1 / rho) o K_j, O(1 / rho) below the objective: neither
    x nor its derivative is that of x*. rho sum_j |K_j|^2 = 10 L.
    """

    name: ClassVar[str] = "hqs"
    citation: ClassVar[str] = "Geman and Yang (1995)"
    formula: ClassVar[str] = "x = (H + rho K'K)^-1 (q + rho K'u), u = prox_{g/rho}(Kx)"
    needs: ClassVar[str] = "a quadratic f and a term"
    exact: ClassVar[bool] = False

    @classmethod
    def accepts(cls, form: Form) -> bool:
        return isinstance(form.smooth, Quadratic) and bool(form.terms)

    def init(self, theta: Array) -> Any:
        norm = sum(term.square_norm(theta) for term in self.form.terms)
        scale = self.form.smooth.lipschitz(theta) or 1.0
        return images(self.form, theta), np.asarray(10 * scale / norm if norm else 1.0)

    def shared(self, start: Any, theta: Any) -> Any:
        """(q, weights, (H + rho sum K'K)^{-1}, read-out), the matrix (n, n) inverted once a call."""
        smooth = self.form.smooth
        assert isinstance(smooth, Quadratic)
        hessian = smooth.hessian(theta)
        for term in self.form.terms:
            k = matrix_of(term, theta, self.form.shape[-1])
            hessian = hessian + start[1] * (k.T @ k)
        weights = [term.weight(theta) for term in self.form.terms]
        return smooth.linear(theta), weights, array_namespace(theta).linalg.inv(hessian), self.form.read(theta)

    def step(self, v: Any, theta: Any, shared: Any) -> Any:
        x, rho = self._x(v, theta, shared), v[1]
        parts = zip(self.form.terms, shared[1], strict=True)
        return tuple(term.penalty.prox(term.apply(theta, x), 1 / rho, weight) for term, weight in parts), rho

    def _x(self, v: Any, theta: Any, shared: Any) -> Any:
        us, rho = v
        right = shared[0]
        for term, u in zip(self.form.terms, us, strict=True):
            right = right + rho * term.adjoint(theta, u)
        return right @ shared[2]

    def read(self, v: Any, theta: Any, shared: Any) -> Any:
        return shared[3](self._x(v, theta, shared))
