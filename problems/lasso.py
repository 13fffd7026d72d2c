"""The Lasso: x*(theta) = argmin 1/2 |A x - y|^2 + sum_i exp(theta_i) |x_i|, loss on held-out data."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from problems._conic import weighted_model
from problems._regression import HeldOut, split
from problems.base import Array, ConicModel, ConicProgram, Reference, SolveError
from problems.ensembles import Ensemble
from problems.forms import Form, LeastSquares, Splitting, Term, fixed
from problems.penalties import L1


@dataclass(frozen=True, eq=False)
class Lasso(HeldOut, Splitting, ConicProgram):
    """x*(theta) = argmin 1/2 |A x - y|^2 + sum_i exp(theta_i) |x_i|, L = 1/(2 m') |A' x* - y'|^2 on held-out rows (A', y').

    theta: log-weights, () for all coefficients or (n,) for each; A (m, n), y (m,), A' (m', n), y' (m',).
    Source: Tibshirani (1996); Bertrand et al. (2020) for the gradient in the weights.
    """

    @classmethod
    def draw(cls, n: int, seed: int, theta: str, signal: str) -> Lasso:
        """signal "gaussian": m = 2n rows, a tenth of the coefficients nonzero; "diabetes" (n = 10, or 64 with squares and
        products) and "breast-cancer" (n = 30): real data, halves drawn by seed. All weights are lambda_max / 10.
        """
        a, y, a_val, y_val = split(n, seed, signal)
        level = np.log(np.abs(a.T @ y).max() / 10)
        return cls(np.full(n, level) if theta == "row-weights" else np.asarray(level), a, y, a_val, y_val)

    # Problem

    def solve(self, theta: Array) -> Array:
        from sklearn.linear_model import lasso_path

        weights = np.broadcast_to(np.exp(theta), self.a.shape[1:])
        m = len(self.y)
        scaled = self.a / weights  # in units of the weights all of them are 1; sklearn divides the squares by m
        coefficients = lasso_path(scaled, self.y, alphas=[1 / m], tol=1e-12, max_iter=100_000)[1][:, 0]
        return self._polished(coefficients / weights, weights)

    def _polished(self, x: Array, weights: Array) -> Array:
        """The exact minimiser on the support of x; SolveError where that is not optimal."""
        support = x != 0
        a, signs = self.a[:, support], np.sign(x[support])
        exact = np.zeros_like(x)
        exact[support] = np.linalg.solve(a.T @ a, a.T @ self.y - weights[support] * signs)
        slope = self.a.T @ (self.y - self.a @ exact)
        if (np.sign(exact[support]) != signs).any() or (np.abs(slope) > weights * (1 + 1e-9)).any():
            raise SolveError("the support found by coordinate descent is not that of the Lasso")
        return exact

    def structure(self) -> Hashable:
        return type(self), self.theta.shape

    # Structure that methods ask for

    def forms(self) -> tuple[Form, ...]:
        m, n = self.a.shape
        smooth = LeastSquares(fixed(self.a, self.y), m >= n)
        return (Form("primal", smooth, (Term(L1(), None, _weights),), (n,)),)

    def conic_model(self) -> ConicModel:
        import cvxpy as cp

        x = cp.Variable(self.a.shape[1])
        return weighted_model(self.theta, 0.5 * cp.sum_squares(self.a @ x - self.y), L1(), x, x)

    def reference(self) -> Reference:
        """On the support S with signs s: A_S^T (A_S u - y) + w_S s = 0; slacks s u, and w - |A^T (A x - y)| off S."""
        from problems._enclosure import Optimality, certify, times

        x = self.solve(self.theta)
        support, a, n = x != 0, self.a, len(x)
        signs, on, off = np.sign(x[support]), a[:, support], a[:, ~support]

        def weights(theta: Any) -> Any:
            return np.exp(theta) + np.zeros(n)

        def cross(u: Any, theta: Any, w: Any) -> Any:
            full = np.zeros(n, dtype=object)
            full[support] = weights(theta)[support] * signs * w
            return full if theta.ndim else np.asarray(full.sum())

        def read(u: Any, theta: Any) -> Any:
            full = np.zeros(n, dtype=u.dtype)
            full[support] = u
            return full

        def slacks(u: Any, theta: Any) -> Any:
            slope = off.T @ (on @ u - self.y)
            return np.concatenate([signs * u, weights(theta)[~support] - np.abs(slope)])

        system = Optimality(
            start=x[support],
            residual=lambda u, theta: on.T @ (on @ u - self.y) + weights(theta)[support] * signs,
            jacobian=lambda u, theta: times(on.T, on),
            cross=cross,
            read=read,
            read_vjp=lambda u, theta, g: (g[support], 0),
            slacks=slacks,
        )
        return certify(self, system, zero_rows=float(np.mean(~support)))


def _weights(theta: Any) -> Any:
    return array_namespace(theta).exp(theta)


ENSEMBLE = Ensemble(
    name="lasso",
    draw=Lasso.draw,
    citation="Tibshirani (1996)",
    formula="1/2 |A x - y|^2 + sum_i exp(theta_i) |x_i|",
    thetas=("weight", "row-weights"),
    signals=("gaussian", "diabetes", "breast-cancer"),
)
