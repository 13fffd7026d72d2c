"""Tuning a solver: ten ADMM steps on a linear programme, differentiated in the step parameters."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device

from problems.arrays import Array, local
from problems.base import Problem, Reference
from problems.ensembles import Ensemble
from problems.forms import Computation

STEPS = 10
START = np.array([np.log(0.1), np.log(1e-6), 1.6])  # of OSQP: rho, sigma, alpha
TOLERANCE = 1e-6
ROWS = 1.5  # inequalities a variable, beside the bounds 0 <= x <= 1


@dataclass(frozen=True, eq=False)
class LPTuning(Problem, Computation):
    """(x, z, u)(theta) after ten ADMM steps from zero on min <c, x> subject to lower <= A x <= upper.

    L = log r_1 + log r_2, r_1^2 = |A x - z|^2 + tol^2 and r_2^2 = |c + A^T u|^2 + tol^2; a solver stops at tol = 1e-6.
    theta = (log rho, log sigma, alpha); c (n,), A (m, n); the state is (n + 2m,). One step:

        (sigma I + rho A^T A) v = sigma x - c + A^T (rho z - u),  x <- alpha v + (1 - alpha) x,
        w = alpha A v + (1 - alpha) z,  z <- clip(w + u / rho, lower, upper),  u <- u + rho (w - z).

    Source: Stellato, Banjac, Goulart, Bemporad and Boyd (2020), algorithm 1; Lai et al. (2023) for the tuning.
    """

    theta: Array
    c: Array
    a: Array
    lower: Array
    upper: Array

    @classmethod
    def draw(cls, n: int, seed: int, theta: str) -> LPTuning:
        """A feasible bounded programme: 0 <= x <= 1, and 1.5 n Gaussian rows around a random point; c of N(0, 1)."""
        rng = np.random.default_rng(seed)
        rows = rng.standard_normal((round(ROWS * n), n)) / np.sqrt(n)
        centre = rows @ rng.random(n)
        slack = rng.random((2, len(rows)))
        a = np.concatenate([np.eye(n), rows])
        lower, upper = np.append(np.zeros(n), centre - slack[0]), np.append(np.ones(n), centre + slack[1])
        return cls(START, rng.standard_normal(n), a, lower, upper)

    # Problem

    def solve(self, theta: Array) -> Array:
        return np.asarray(self.run(theta))

    def loss(self, x: Any, theta: Any) -> Any:
        xp, a = local(x, self.a)
        m, n = a.shape
        primal = a @ x[:n] - x[n : n + m]
        dual = local(x, self.c)[1] + x[n + m :] @ a
        return 0.5 * (xp.log(xp.sum(primal**2) + TOLERANCE**2) + xp.log(xp.sum(dual**2) + TOLERANCE**2))

    def loss_grad(self, x: Array, theta: Array) -> tuple[Array, Array]:
        m, n = self.a.shape
        primal = self.a @ x[:n] - x[n : n + m]
        dual = self.c + self.a.T @ x[n + m :]
        primal, dual = (rest / ((rest * rest).sum() + TOLERANCE**2) for rest in (primal, dual))
        return np.concatenate([self.a.T @ primal, -primal, self.a @ dual]), np.zeros_like(theta)

    def data_names(self) -> tuple[str, ...]:
        return "c", "a", "lower", "upper"

    def structure(self) -> Hashable:
        return type(self), self.shapes()

    def reference(self) -> Reference:
        """The three columns of dx/dtheta carried along in ball arithmetic, every clip decided strictly."""
        from problems.proofs.forward import Programme, certify

        return certify(self, Programme(self.c, self.a, self.lower, self.upper), STEPS)

    # Structure that methods ask for

    def run(self, theta: Any) -> Any:
        return self.steps(theta, STEPS)

    def steps(self, theta: Any, count: int, state: Any = None) -> Any:
        """The state (x, z, u) after `count` steps from a state, or from zero, in the caller's array library."""
        xp, a = local(theta, self.a)
        c, lower, upper = (local(theta, part)[1] for part in (self.c, self.lower, self.upper))
        m, n = a.shape
        rho, sigma, alpha = xp.exp(theta[0]), xp.exp(theta[1]), theta[2]
        inverse = xp.linalg.inv(sigma * xp.eye(n, dtype=a.dtype, device=device(a)) + rho * (a.T @ a))
        state = xp.zeros(n + 2 * m, dtype=a.dtype, device=device(a)) if state is None else state
        x, z, u = state[:n], state[n : n + m], state[n + m :]
        for _ in range(count):
            v = inverse @ (sigma * x - c + (rho * z - u) @ a)
            x = alpha * v + (1 - alpha) * x
            w = alpha * (a @ v) + (1 - alpha) * z
            z = xp.clip(w + u / rho, lower, upper)
            u = u + rho * (w - z)
        return array_namespace(x).concat([x, z, u])


ENSEMBLE = Ensemble(
    name="lp-tuning",
    draw=LPTuning.draw,
    citation="Stellato, Banjac, Goulart, Bemporad and Boyd (2020)",
    formula="ten ADMM steps on min <c, x>, l <= A x <= u",
    thetas=("steps",),
    n=20,
    small=10,
)
