"""Linearised ADMM: K enters through K and K^T alone."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from array_api_compat import array_namespace, device

from problems.algorithms.base import Algorithm, coupled_lengths, images
from problems.arrays import Array
from problems.forms import Form, Quadratic


class LinearisedADMM(Algorithm):
    """ADMM with 1/2 |K x - c|^2 replaced by its linearisation at x and l/2 |x+ - x|^2, l = sum_j rho_j |K_j|^2.

    x+ = (H + l I)^{-1} (q + l x - sum rho_j K_j'(K_j x - u_j + d_j)), u_j and d_j as in ADMM.
    """

    name: ClassVar[str] = "ladmm"
    citation: ClassVar[str] = "Esser, Zhang and Chan (2010); Parikh and Boyd (2014), section 4.4.2"
    formula: ClassVar[str] = "x = (H + l)^-1 (q + l x - rho K'(Kx - u + d)), u = prox_{g/rho}(Kx + d), d += Kx - u"
    needs: ClassVar[str] = "a quadratic f and a term"

    @classmethod
    def accepts(cls, form: Form) -> bool:
        return isinstance(form.smooth, Quadratic) and bool(form.terms)

    def init(self, theta: Array) -> Any:
        scale, rhos = coupled_lengths(self.form, theta)
        zeros = images(self.form, theta)
        return np.zeros(self.form.shape), zeros, zeros, tuple(map(np.asarray, rhos)), np.asarray(scale)

    def shared(self, start: Any, theta: Any) -> Any:
        """(q, weights, (H + l I)^{-1}, read-out), the matrix (n, n) inverted once a call."""
        smooth = self.form.smooth
        assert isinstance(smooth, Quadratic)
        hessian, xp = smooth.hessian(theta), array_namespace(theta)
        identity = xp.eye(hessian.shape[0], dtype=hessian.dtype, device=device(hessian))
        weights = [term.weight(theta) for term in self.form.terms]
        return smooth.linear(theta), weights, xp.linalg.inv(hessian + start[4] * identity), self.form.read(theta)

    def step(self, v: Any, theta: Any, shared: Any) -> Any:
        x, us, ds, rhos, scale = v
        linear, weights, inverse, _ = shared
        right = linear + scale * x
        for term, u, d, rho in zip(self.form.terms, us, ds, rhos, strict=True):
            right = right - rho * term.adjoint(theta, term.apply(theta, x) - u + d)
        new = right @ inverse
        rows = [term.apply(theta, new) + d for term, d in zip(self.form.terms, ds, strict=True)]
        parts = zip(self.form.terms, rows, rhos, weights, strict=True)
        us = tuple(term.penalty.prox(row, 1 / rho, weight) for term, row, rho, weight in parts)
        return new, us, tuple(row - u for row, u in zip(rows, us, strict=True)), rhos, scale

    def read(self, v: Any, theta: Any, shared: Any) -> Any:
        return shared[3](v[0])
