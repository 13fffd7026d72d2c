"""Data of regression problems: drawn, or real from scikit-learn; columns centred and of unit norm on the training half."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from problems.arrays import Array, local
from problems.base import Problem, SolveError
from problems.data.wheels import scikit_learn

STEPS = 100  # of the search for a support, beside ten for every coefficient
SLACK = 1e-15  # of the rounding of a slope, relative to the sum of its terms' sizes


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


def sparse_minimiser(a: Array, y: Array, weights: Array, ridge: float, start: Array) -> Array:
    """argmin over x of 1/2 |A x - y|^2 + sum_i w_i |x_i| + ridge/2 |x|^2, exact on its support, from a guess.

    The active set of feature-sign search: a step to the minimiser of a sign pattern stops where a coefficient reaches 0 and
    drops it; a coefficient whose slope is above its weight comes in. weights (n,) > 0, start (n,).
    SolveError where the columns in use are dependent, so that x* is not unique. Source: Lee, Battle, Raina and Ng (2007).
    """
    x, signs = start.astype(np.float64), np.sign(start)
    for _ in range(STEPS + 10 * len(x)):
        goal = _stationary(a, y, weights, ridge, signs)
        crossed = np.flatnonzero(np.sign(goal) != signs)
        if len(crossed):
            reach = x[crossed] / (x[crossed] - goal[crossed])
            first = crossed[np.argmin(reach)]
            x = x + max(0.0, reach.min()) * (goal - x)
            x[first] = signs[first] = 0.0
            continue
        x, rest = goal, y - a @ goal
        slope, rounding = a.T @ rest, SLACK * (np.abs(a).T @ (np.abs(y) + np.abs(a) @ np.abs(goal)))
        excess = np.where(signs == 0, np.abs(slope) - weights * (1 + 1e-9) - rounding, -1.0)
        if not (excess > 0).any():
            return x
        worst = int(np.argmax(excess))
        signs[worst] = np.sign(slope[worst])
    raise SolveError("the search for the support does not end")


def _stationary(a: Array, y: Array, weights: Array, ridge: float, signs: Array) -> Array:
    """The minimiser (n,) with these signs taken as given, refined once."""
    on = signs != 0
    x, columns = np.zeros(len(signs)), a[:, on]
    gram = columns.T @ columns + ridge * np.eye(columns.shape[1])
    try:
        for _ in range(2):
            x[on] += np.linalg.solve(gram, columns.T @ (y - columns @ x[on]) - ridge * x[on] - weights[on] * signs[on])
    except np.linalg.LinAlgError:
        raise SolveError("the columns in use are dependent, so the minimiser is not unique") from None
    return x


def weights_of(theta: Array) -> Array:
    """exp(theta); SolveError where that is 0 or infinite in float64."""
    with np.errstate(over="ignore", under="ignore"):
        weights = np.exp(theta)
    if not ((weights > 0) & np.isfinite(weights)).all():
        raise SolveError("a log-weight must be between -745 and 709, so that the weight is a positive float64 number")
    return np.asarray(weights)


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
