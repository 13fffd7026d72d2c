"""How the analysis operator K depends on theta: apply, adjoint, matrix, and the pullback d<z, K(theta) v>/dtheta."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from problems._arrays import local
from problems.base import Array


class Parametrisation(ABC):
    """K(theta) in R^{k x n}; x is (n,) or (batch, n), z is (k,) or (batch, k)."""

    keeps_rank: bool  # rank of any subset of rows constant in theta: then rank deficiency is no kink

    @abstractmethod
    def apply(self, theta: Any, x: Any) -> Any:
        """K(theta) x, shape (k,) or (batch, k), in the caller's array library."""

    @abstractmethod
    def adjoint(self, theta: Any, z: Any) -> Any:
        """K(theta)^T z, shape (n,) or (batch, n), in the caller's array library."""

    @abstractmethod
    def matrix(self, theta: Any) -> Any:
        """K(theta) as a (k, n) array of the caller's array library."""

    @abstractmethod
    def pullback(self, theta: Array, z: Array, v: Array) -> Array:
        """d<z, K(theta) v>/dtheta with z and v held fixed, summed over the batch, in the shape of theta."""

    @abstractmethod
    def check(self, theta: Array, n: int) -> None:
        """ValueError naming the shape where theta cannot act on signals of length n."""


@dataclass(frozen=True)
class Dense(Parametrisation):
    """theta = W itself, shape (k, n)."""

    keeps_rank = False

    def apply(self, theta: Any, x: Any) -> Any:
        return x @ theta.T

    def adjoint(self, theta: Any, z: Any) -> Any:
        return z @ theta

    def matrix(self, theta: Any) -> Any:
        return theta

    def pullback(self, theta: Array, z: Array, v: Array) -> Array:
        return np.outer(z, v) if z.ndim == 1 else z.T @ v

    def check(self, theta: Array, n: int) -> None:
        if theta.ndim != 2 or theta.shape[1] != n:
            hint = "; pass theta.T" if theta.ndim == 2 and theta.shape[0] == n else ""
            raise ValueError(f"theta must have shape (k, n) with n = {n} as y has, got {theta.shape}{hint}")


@dataclass(frozen=True, eq=False)
class Weighted(Parametrisation):
    """K(theta) = diag(exp theta) W with fixed W: theta are log-weights, one a row, shape (k,), or one for all, shape ()."""

    w: Array
    keeps_rank = True

    def apply(self, theta: Any, x: Any) -> Any:
        xp, w = local(theta, self.w)
        return xp.exp(theta) * (x @ w.T)

    def adjoint(self, theta: Any, z: Any) -> Any:
        xp, w = local(theta, self.w)
        return (xp.exp(theta) * z) @ w

    def matrix(self, theta: Any) -> Any:
        xp, w = local(theta, self.w)
        return xp.exp(theta)[..., None] * w if theta.ndim else xp.exp(theta) * w

    def pullback(self, theta: Array, z: Array, v: Array) -> Array:
        rows = np.exp(theta) * z * (v @ self.w.T)
        rows = rows if rows.ndim == 1 else rows.sum(axis=0)
        return rows if theta.ndim else np.asarray(rows.sum())

    def check(self, theta: Array, n: int) -> None:
        if self.w.ndim != 2 or self.w.shape[1] != n:
            raise ValueError(f"W must have shape (k, n) with n = {n} as y has, got {self.w.shape}")
        if theta.shape not in ((), (self.w.shape[0],)):
            raise ValueError(f"theta (log-weights) must have shape () or ({self.w.shape[0]},), got {theta.shape}")
