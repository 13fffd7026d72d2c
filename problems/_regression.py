"""Data of regression problems: drawn, or real from scikit-learn; columns centred and of unit norm on the training half."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from problems._arrays import local
from problems._wheels import scikit_learn
from problems.base import Array, Problem


@dataclass(frozen=True, eq=False)
class HeldOut(Problem):
    """L = 1/(2 m') |A' x* - y'|^2 on held-out rows, of a regression whose log-weights are theta.

    A (m, n), y (m,) for the lower level; A' (m', n), y' (m',) for the loss.
    """

    theta: Array
    a: Array
    y: Array
    a_val: Array
    y_val: Array

    def loss(self, x: Any, theta: Any) -> Any:
        xp, a = local(x, self.a_val)
        return xp.sum((a @ x - local(x, self.y_val)[1]) ** 2) / (2 * len(self.y_val))

    def loss_grad(self, x: Array, theta: Array) -> tuple[Array, Array]:
        return self.a_val.T @ (self.a_val @ x - self.y_val) / len(self.y_val), np.zeros_like(theta)

    def perturbed(self, rng: np.random.Generator) -> Array:
        return self.theta + 0.01 * rng.standard_normal(self.theta.shape)

    def data_names(self) -> tuple[str, ...]:
        return "a", "y", "a_val", "y_val"


def split(n: int, seed: int, signal: str) -> tuple[Array, Array, Array, Array]:
    """(A, y, A', y'): training and held-out halves of the data `signal`; ValueError where it has no such n."""
    rng = np.random.default_rng(seed)
    a, y = _gaussian(n, rng) if signal == "gaussian" else _REAL[signal](n)
    order = rng.permutation(len(y))
    first, second = order[: len(y) // 2], order[len(y) // 2 :]
    a, y = a - a[first].mean(axis=0), y - y[first].mean()
    a, y = a / np.linalg.norm(a[first], axis=0), y / y[first].std()
    return a[first], y[first], a[second], y[second]


def _gaussian(n: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """4n rows of N(0, 1), a tenth of the coefficients (two at least) nonzero, N(0, 1); noise a third of the signal."""
    a, x = rng.standard_normal((4 * n, n)), np.zeros(n)
    chosen = rng.choice(n, size=max(2, n // 10), replace=False)
    x[chosen] = rng.standard_normal(len(chosen))
    y = a @ x
    return a, y + y.std() / 3 * rng.standard_normal(4 * n)


def _diabetes(n: int) -> tuple[Array, Array]:
    """Efron et al. (2004): 442 patients, 10 features; with squares (but of the binary sex) and products 64."""
    a = np.loadtxt(scikit_learn("data", "diabetes_data_raw.csv.gz"))
    y = np.loadtxt(scikit_learn("data", "diabetes_target.csv.gz"))
    a = a - a.mean(axis=0)
    a /= np.linalg.norm(a, axis=0)
    if n == 64:
        i, j = np.triu_indices(10)
        keep = ~((i == 1) & (j == 1))
        a = np.concatenate([a, (a[:, i] * a[:, j])[:, keep]], axis=1)
    elif n != 10:
        raise ValueError(f"the diabetes data have n = 10 features, or 64 with their squares and products, got n = {n}")
    return a, y


def _breast_cancer(n: int) -> tuple[Array, Array]:
    """Street, Wolberg and Mangasarian (1993): 569 tumours, 30 features, labels -1 and 1."""
    if n != 30:
        raise ValueError(f"the breast cancer data have n = 30 features, got n = {n}")
    table = np.loadtxt(scikit_learn("data", "breast_cancer.csv"), delimiter=",", skiprows=1)
    return table[:, :-1], 2.0 * table[:, -1] - 1.0


_REAL: dict[str, Callable[[int], tuple[Array, Array]]] = {"diabetes": _diabetes, "breast-cancer": _breast_cancer}
