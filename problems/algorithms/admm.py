"""ADMM on f(x) + sum_j g_j(u_j) subject to K_j x = u_j, f quadratic."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from array_api_compat import array_namespace

from problems.algorithms.base import Algorithm, images
from problems.arrays import Array
from problems.forms import Form, Quadratic, Term, matrix_of


class _AugmentedLagrangian(Algorithm):
    """x = (H + rho sum K'K)^{-1} (q + rho sum K'(u - d)), u_j = prox_{g_j/rho}(K_j x + d_j), d_j <- d_j + K_j x - u_j.

    rho = penalty / sum |K_j|^2.
    """

    citation: ClassVar[str] = "Boyd, Parikh, Chu, Peleato and Eckstein (2011), section 6.4"
    formula: ClassVar[str] = "x = (H + rho K'K)^-1 (q + rho K'(u - d)), u = prox_{g/rho}(Kx + d), d += Kx - u"
    needs: ClassVar[str] = "a quadratic f in the primal"
    penalty: ClassVar[float]

    @classmethod
    def accepts(cls, form: Form) -> bool:
        return isinstance(form.smooth, Quadratic) and form.name == "primal" and bool(form.terms)

    def init(self, theta: Array) -> Any:
        zeros = images(self.form, theta)
        norm = sum(term.square_norm(theta) for term in self.form.terms)
        return zeros, zeros, np.asarray(self.penalty / norm if norm else 1.0)

    def shared(self, start: Any, theta: Any) -> Any:
        """(q, weights, (H + rho sum K'K)^{-1}), the matrix (n, n) inverted once a call."""
        smooth, rho = self.form.smooth, start[2]
        assert isinstance(smooth, Quadratic)
        hessian = smooth.hessian(theta)
        for term in self.form.terms:
            k = matrix_of(term, theta, self.form.shape[-1])
            hessian = hessian + rho * (k.T @ k)
        weights = [term.weight(theta) for term in self.form.terms]
        return smooth.linear(theta), weights, array_namespace(theta).linalg.inv(hessian)

    def step(self, v: Any, theta: Any, shared: Any) -> Any:
        _, _, rho = v
        x = self.read(v, theta, shared)
        pairs = [self._split(*parts, x, rho, theta) for parts in zip(self.form.terms, v[1], shared[1], strict=True)]
        return tuple(u for u, _ in pairs), tuple(d for _, d in pairs), rho

    def _split(self, term: Term, d: Any, weight: Any, x: Any, rho: Any, theta: Any) -> tuple[Any, Any]:
        rows = term.apply(theta, x) + d
        u = term.penalty.prox(rows, 1 / rho, weight)
        return u, rows - u

    def read(self, v: Any, theta: Any, shared: Any) -> Any:
        us, ds, rho = v
        linear, _, inverse = shared
        right = linear
        for term, u, d in zip(self.form.terms, us, ds, strict=True):
            right = right + rho * term.adjoint(theta, u - d)
        return right @ inverse


class ADMM(_AugmentedLagrangian):
    """ADMM with rho |K|^2 = 10."""

    name: ClassVar[str] = "admm"
    penalty: ClassVar[float] = 10.0


class StiffADMM(_AugmentedLagrangian):
    """ADMM with rho |K|^2 = 100: the same x*, another derivative where none exists."""

    name: ClassVar[str] = "admm-stiff"
    penalty: ClassVar[float] = 100.0
