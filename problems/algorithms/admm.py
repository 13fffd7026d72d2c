"""ADMM on 1/2 |x - y|^2 + beta |u|_1 subject to K x = u."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from array_api_compat import array_namespace, device

from problems._arrays import local
from problems.algorithms.base import Algorithm
from problems.base import Array, BoxDual


class ADMM(Algorithm):
    """x = (I + rho K'K)^{-1} (y + rho K'(u - d)), u = soft(K x + d, beta/rho), d <- d + K x - u; rho = penalty / |K|^2."""

    name: ClassVar[str] = "admm"
    citation: ClassVar[str] = "Boyd, Parikh, Chu, Peleato and Eckstein (2011), section 6.4"
    formula: ClassVar[str] = "x = (I + rho K'K)^-1 (y + rho K'(u - d)), u = soft(Kx + d, beta/rho), d += Kx - u"

    def __init__(self, problem: BoxDual, penalty: float = 10.0) -> None:
        self.problem = problem
        self.penalty = penalty

    def init(self, theta: Array) -> tuple[Array, Array, Array]:
        w = self.problem.parametrisation.matrix(theta)
        zero = np.zeros((*self.problem.y.shape[:-1], len(w)))
        norm = np.linalg.norm(w, 2)
        return zero, zero, np.asarray(self.penalty / norm**2 if norm else 1.0)

    def shared(self, start: Any, theta: Any) -> Any:
        """y in the library of theta, and (I + rho K'K)^{-1}, shape (n, n), inverted once a call."""
        xp, y = local(theta, self.problem.y)
        w = self.problem.parametrisation.matrix(theta)
        return y, xp.linalg.inv(xp.eye(w.shape[1], dtype=w.dtype, device=device(theta)) + start[2] * (w.T @ w))

    def step(self, v: Any, theta: Any, shared: Any) -> Any:
        u, d, rho = v
        xp = array_namespace(theta)
        rows = self.problem.parametrisation.apply(theta, self._x(u, d, rho, theta, shared)) + d
        threshold = self.problem.beta / rho
        new = rows - xp.clip(rows, -threshold, threshold)
        return new, rows - new, rho

    def read(self, v: Any, theta: Any, shared: Any) -> Any:
        u, d, rho = v
        return self._x(u, d, rho, theta, shared)

    def _x(self, u: Any, d: Any, rho: Any, theta: Any, shared: Any) -> Any:
        y, inverse = shared
        return (y + rho * self.problem.parametrisation.adjoint(theta, u - d)) @ inverse
