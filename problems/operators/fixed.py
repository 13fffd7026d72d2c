"""Operators that do not depend on theta."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from array_api_compat import array_namespace, device

from problems.arrays import Array, local
from problems.operators.parametrisations import Dense, Parametrisation

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class Constant(Parametrisation):
    """K in R^{k x n} that is the same for every theta, so that d<z, K v>/dtheta = 0."""

    keeps_rank = True

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """(k, n)."""

    def rows_of(self, theta: Any) -> int:
        return self.shape[0]

    def matrix(self, theta: Any) -> Any:
        return self.apply(theta, array_namespace(theta).eye(self.shape[1], dtype=theta.dtype, device=device(theta))).T

    def pullback(self, theta: Array, z: Array, v: Array) -> Array:
        return np.zeros_like(theta)

    def check(self, theta: Array, n: int) -> None:
        if self.shape[1] != n:
            raise ValueError(f"K must have shape (k, n) with n = {n} as y has, got {self.shape}")


@dataclass(frozen=True, eq=False)
class Fixed(Constant):
    """K = operator(value), held: Fixed(W) is a matrix, Fixed(kernel, Stencil((h, w), kernel.shape)) a blur."""

    value: Array
    operator: Parametrisation = field(default_factory=Dense)

    @classmethod
    def of(cls, operator: Any) -> Fixed:
        """A linear operator of pylops, which draws many, written out."""
        return cls(np.asarray(operator.todense(), dtype=np.float64))

    @property
    def shape(self) -> tuple[int, int]:
        k, n = self.operator.matrix(self.value).shape
        return int(k), int(n)

    def rows_of(self, theta: Any) -> int:
        return self.operator.rows_of(self.value)

    def apply(self, theta: Any, x: Any) -> Any:
        return self.operator.apply(local(x, self.value)[1], x)

    def adjoint(self, theta: Any, z: Any) -> Any:
        return self.operator.adjoint(local(z, self.value)[1], z)

    def matrix(self, theta: Any) -> Any:
        return self.operator.matrix(local(theta, self.value)[1])

    def sparse(self, theta: Array) -> csr_array | None:
        return self.operator.sparse(self.value)

    def square_norm(self, theta: Array) -> float:
        return self.operator.square_norm(self.value)

    def check(self, theta: Array, n: int) -> None:
        self.operator.check(self.value, n)
