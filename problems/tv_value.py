"""The value function of 1-D total-variation denoising: p(theta) = min_x 1/2 |x - u|^2 + lambda |D x|_1 is the loss itself."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from problems.arrays import Array, local
from problems.base import Problem, Reference, ValueFunction
from problems.ensembles import Ensemble
from problems.forms import Form, Function, LeastSquares, Splitting, Term
from problems.operators.matrices import differences
from problems.penalties import Box
from problems.proofs.undecided import undecided_where_unsolved
from problems.solvers import box_dual


@dataclass(frozen=True, eq=False)
class TVValue(Problem, Splitting, ValueFunction):
    """L = p(theta) = min over x of 1/2 |x - u|^2 + lambda |D x|_1 with theta = (log lambda, u), (1 + n,).

    dp/du = u - x*, dp/dlog lambda = lambda |D x*|_1. Dual: max over |z_i| <= 1 of 1/2 |u|^2 - 1/2 |x|^2 with
    x = u - lambda D^T z; as a function of x that is the loss, smooth and equal to p at x*. (D x)_i = x_{i+1} - x_i.
    Source: Mehmood and Ochs (2021).
    """

    theta: Array

    @classmethod
    def draw(cls, n: int, seed: int, theta: str, sigma: float) -> TVValue:
        """u: piecewise-constant signals with white noise; lambda = 3 sigma / 2, as tuned for denoising (see AnalysisL1)."""
        from problems.analysis_l1 import AnalysisL1

        drawn = AnalysisL1.draw(n=n, sigma=sigma, seed=seed)
        return cls(np.append(np.log(drawn.beta), drawn.y))

    # Problem

    def solve(self, theta: Array) -> Array:
        return box_dual.solve(differences(len(theta) - 1), theta[1:], float(np.exp(theta[0]))).x

    def loss(self, x: Any, theta: Any) -> Any:
        xp = array_namespace(theta)
        return 0.5 * xp.sum(theta[1:] ** 2) - 0.5 * xp.sum(x**2)

    def loss_grad(self, x: Array, theta: Array) -> tuple[Array, Array]:
        return -x, np.append(0 * theta[:1], theta[1:])

    def perturbed(self, rng: np.random.Generator) -> Array:
        return self.theta + 0.01 * np.append(1.0, np.abs(self.theta[1:])) * rng.standard_normal(self.theta.shape)

    def structure(self) -> Hashable:
        return type(self), self.shapes()

    @undecided_where_unsolved
    def reference(self) -> Reference:
        """z_i = s_i at its bounds; inside them (D x)_i = 0 with x = u - lambda D^T z; slacks 1 - |z_i| and s_i (D x)_i."""
        from problems.proofs.enclosure import Optimality, certify

        theta = self.theta
        d = differences(len(theta) - 1)
        found = box_dual.solve(d, theta[1:], float(np.exp(theta[0])))
        signs, free = found.signs, found.signs == 0
        on = d[free]

        def dual(u: Any) -> Any:
            full = signs.astype(u.dtype)
            full[free] = u
            return full

        def read(u: Any, theta: Any) -> Any:
            return theta[1:] - np.exp(theta[0]) * (d.T @ dual(u))

        def read_vjp(u: Any, theta: Any, g: Any) -> tuple[Any, Any]:
            weight = np.exp(theta[0])
            return -weight * (on @ g), np.append(-weight * ((d.T @ dual(u)) * g).sum(), g)

        def cross(u: Any, theta: Any, w: Any) -> Any:
            pulled = on.T @ w
            return np.append(-np.exp(theta[0]) * ((d.T @ dual(u)) * pulled).sum(), pulled)

        system = Optimality(
            start=found.z[free] / np.exp(theta[0]),
            residual=lambda u, theta: on @ read(u, theta),
            jacobian=lambda u, theta: -np.exp(theta[0]) * (on @ on.T.astype(u.dtype)),
            cross=cross,
            read=read,
            read_vjp=read_vjp,
            slacks=lambda u, theta: np.concatenate([1 - np.abs(u), (signs * (d @ read(u, theta)))[~free]]),
        )
        return certify(self, system, zero_rows=float(np.mean(free)))

    # Structure that methods ask for

    def _data(self, theta: Any) -> tuple[Any, Any]:
        """(lambda D^T, u): the smooth part of the dual is 1/2 |u - lambda D^T z|^2."""
        xp, d = local(theta, differences(theta.shape[0] - 1))
        return xp.exp(theta[0]) * d.T, theta[1:]

    def _read(self, theta: Any) -> Function:
        a, u = self._data(theta)
        return lambda z: u - z @ a.T

    def forms(self) -> tuple[Form, ...]:
        rows = len(self.theta) - 2
        return (Form("dual", LeastSquares(self._data, tall=True), (Term(Box()),), (rows,), self._read, self._dual_solution),)

    def _dual_solution(self, theta: Array) -> Array:
        weight = float(np.exp(theta[0]))
        return box_dual.solve(differences(len(theta) - 1), theta[1:], weight).z / weight

    def dual_value(self, z: Array, theta: Array) -> float:
        return float(self.loss(self._read(theta)(z), theta))

    def dual_gradient(self, z: Array, theta: Array) -> Array:
        """(<x, u - x>, u - x): x = u - lambda D^T z has the derivative x - u in log lambda."""
        x, u = self._read(theta)(z), theta[1:]
        return np.append(x @ (u - x), u - x)


ENSEMBLE = Ensemble(
    name="tv-value",
    draw=TVValue.draw,
    citation="Mehmood and Ochs (2021)",
    formula="p(u) = min 1/2 |x - u|^2 + lambda |D x|_1",
    thetas=("weight-and-data",),
    noise=True,
)
