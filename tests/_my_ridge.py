"""A problem of a user in a file of its own; loaded by path."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from _borders_neighbour import quadratic

from problems import Ensemble, LinearSystem, Problem, Reference
from problems.arrays import local
from problems.base import Array


@dataclass(frozen=True, eq=False)
class Ridge(Problem, LinearSystem):
    """x*(theta) = argmin 1/2 |x - y|^2 + exp(theta)/2 |x|^2, loss 1/2 |x* - 1|^2."""

    theta: Array
    y: Array

    @classmethod
    def draw(cls, n: int, seed: int, theta: str) -> Ridge:
        return cls(np.zeros(()), np.random.default_rng(seed).standard_normal(n) + quadratic(0))

    def solve(self, theta: Array) -> Array:
        return self.y / (1 + np.exp(theta))

    def loss(self, x: Any, theta: Any) -> Any:
        return 0.5 * ((x - 1) ** 2).sum()

    def loss_grad(self, x: Array, theta: Array) -> tuple[Array, Array]:
        return x - 1, np.zeros_like(theta)

    def reference(self) -> Reference:
        x = self.solve(self.theta)
        grad = np.asarray(-((x - 1) @ x) * np.exp(self.theta) / (1 + np.exp(self.theta)))
        return Reference("unproven", grad, x, float(self.loss(x, self.theta)))

    def system(self, x: Any, theta: Any) -> Any:
        return x + local(theta, self.y)[0].exp(theta) * x

    def right(self, theta: Any) -> Any:
        return local(theta, self.y)[1]


class Wrong(Ridge):
    """Its reference is off by a tenth."""

    def reference(self) -> Reference:
        found = super().reference()
        assert found.grad is not None
        return replace(found, grad=1.1 * found.grad)


ENSEMBLE = Ensemble("my-ridge", Ridge.draw, "Hoerl and Kennard (1970)", "1/2 |x - y|^2 + e^t/2 |x|^2", thetas=("weight",))
WRONG = replace(ENSEMBLE, name="wrong", draw=Wrong.draw)
