"""The elastic net: x*(theta) = argmin 1/2 |A x - y|^2 + exp(theta_1) |x|_1 + exp(theta_2)/2 |x|^2, loss on held-out data."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any
from warnings import catch_warnings, simplefilter

import numpy as np
from array_api_compat import array_namespace, device

from problems.arrays import Array, local
from problems.base import ConicModel, ConicProgram, Reference
from problems.ensembles import Ensemble
from problems.families.regression import HeldOut, sparse_minimiser, split, weights_of
from problems.forms import Form, Function, Quadratic, Splitting, Term
from problems.penalties import L1
from problems.proofs.undecided import undecided_where_unsolved

GUESS = 10_000  # sweeps of coordinate descent before the exact search takes over


@dataclass(frozen=True, eq=False)
class ElasticNet(HeldOut, Splitting, ConicProgram):
    """x*(theta) = argmin 1/2 |A x - y|^2 + exp(theta_1) |x|_1 + exp(theta_2)/2 |x|^2, L = 1/(2 m') |A' x* - y'|^2.

    theta: (2,) log-weights; A (m, n), y (m,), held-out A' (m', n), y' (m',). Source: Zou and Hastie (2005).
    """

    @classmethod
    def draw(cls, n: int, seed: int, theta: str, signal: str) -> ElasticNet:
        """Data as for the Lasso, and breast cancer (n = 30, labels -1 and 1); weights lambda_max / 20 and 1 / 10."""
        a, y, a_val, y_val = split(n, seed, signal)
        return cls(np.log([np.abs(a.T @ y).max() / 20, 0.1]), a, y, a_val, y_val)

    # Problem

    def solve(self, theta: Array) -> Array:
        l1, l2 = weights_of(theta)
        return sparse_minimiser(self.a, self.y, np.full(self.a.shape[1], l1), l2, self._guess(l1, l2))

    def _guess(self, l1: float, l2: float) -> Array:
        """What coordinate descent finds; sklearn: |y - A x|^2 / (2 m) + alpha r |x|_1 + alpha (1 - r) / 2 |x|^2."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import enet_path

        share, alphas = l1 / (l1 + l2), [(l1 + l2) / len(self.y)]
        with catch_warnings():
            simplefilter("ignore", ConvergenceWarning)
            found = enet_path(self.a, self.y, l1_ratio=share, alphas=alphas, tol=1e-12, max_iter=GUESS)
        return np.asarray(found[1][:, 0])

    def structure(self) -> Hashable:
        return type(self), self.shapes()

    @undecided_where_unsolved
    def reference(self) -> Reference:
        """On the support S with signs s: A_S^T (A_S u - y) + e^{theta_1} s + e^{theta_2} u = 0, slacks as for the Lasso."""
        from problems.proofs.enclosure import Optimality, balls, certify, times

        x, y = self.solve(self.theta), balls(self.y)
        support, n = x != 0, len(x)
        signs, on, off = np.sign(x[support]), self.a[:, support], self.a[:, ~support]

        def read(u: Any, theta: Any) -> Any:
            full = np.zeros(n, dtype=u.dtype)
            full[support] = u
            return full

        def cross(u: Any, theta: Any, w: Any) -> Any:
            l1, l2 = np.exp(theta)
            return np.array([l1 * (signs * w).sum(), l2 * (u * w).sum()])

        system = Optimality(
            start=x[support],
            residual=lambda u, theta: on.T @ (on @ u - y) + np.exp(theta[0]) * signs + np.exp(theta[1]) * u,
            jacobian=lambda u, theta: times(on.T, on) + np.exp(theta[1]) * np.eye(len(u)),
            cross=cross,
            read=read,
            read_vjp=lambda u, theta, g: (g[support], 0),
            slacks=lambda u, theta: np.concatenate([signs * u, np.exp(theta[0]) - np.abs(off.T @ (on @ u - y))]),
        )
        return certify(self, system, zero_rows=float(np.mean(~support)))

    # Structure that methods ask for

    def forms(self) -> tuple[Form, ...]:
        term = Term(L1(), None, lambda theta: array_namespace(theta).exp(theta[0]))
        return (Form("primal", RidgedLeastSquares(self.a, self.y), (term,), self.a.shape[1:]),)

    def conic_model(self) -> ConicModel:
        import cvxpy as cp

        x, weights = cp.Variable(self.a.shape[1]), cp.Parameter(2, nonneg=True)
        fit = 0.5 * cp.sum_squares(self.a @ x - self.y)
        model = cp.Problem(cp.Minimize(fit + weights[0] * cp.norm1(x) + 0.5 * weights[1] * cp.sum_squares(x)))
        return ConicModel(
            model, weights, (), x, (), lambda t: array_namespace(t).exp(t), lambda t, cotangent: np.exp(t) * cotangent
        )


@dataclass(frozen=True)
class RidgedLeastSquares(Quadratic):
    """f(x; theta) = 1/2 |A x - y|^2 + exp(theta_2)/2 |x|^2."""

    a: Any
    y: Any

    def value(self, theta: Any) -> Function:
        xp, a = local(theta, self.a)
        y, weight = local(theta, self.y)[1], xp.exp(theta[1])
        return lambda v: 0.5 * xp.sum((a @ v - y) ** 2) + 0.5 * weight * xp.sum(v**2)

    def gradient(self, theta: Any) -> Function:
        xp, a = local(theta, self.a)
        y, weight = local(theta, self.y)[1], xp.exp(theta[1])
        return lambda v: (a @ v - y) @ a + weight * v

    def hessian(self, theta: Any) -> Any:
        xp, a = local(theta, self.a)
        return a.T @ a + xp.exp(theta[1]) * xp.eye(a.shape[1], dtype=a.dtype, device=device(a))

    def linear(self, theta: Any) -> Any:
        return local(theta, self.y)[1] @ local(theta, self.a)[1]

    def lipschitz(self, theta: Array) -> float:
        return float(np.linalg.norm(self.a, 2) ** 2 + np.exp(theta[1]))

    def convexity(self, theta: Array) -> float:
        return float(np.exp(theta[1]))


ENSEMBLE = Ensemble(
    name="elastic-net",
    draw=ElasticNet.draw,
    citation="Zou and Hastie (2005)",
    formula="1/2 |A x - y|^2 + e^t1 |x|_1 + e^t2/2 |x|^2",
    thetas=("weights",),
    least=2,
    signals=("gaussian", "diabetes", "breast-cancer"),
)
