"""The Lasso: x*(theta) = argmin 1/2 |A x - y|^2 + sum_i exp(theta_i) |x_i|, loss on held-out data."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any
from warnings import catch_warnings, simplefilter

import numpy as np
from array_api_compat import array_namespace

from problems.arrays import Array
from problems.base import ConicModel, ConicProgram, Reference
from problems.ensembles import Ensemble
from problems.families.conic import weighted_model
from problems.families.regression import HeldOut, sparse_minimiser, split, weights_of
from problems.forms import Form, LeastSquares, Splitting, Term, fixed
from problems.penalties import L1
from problems.proofs.undecided import undecided_where_unsolved

GUESS = 10_000  # sweeps of coordinate descent before the exact search takes over


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
        weights = np.broadcast_to(weights_of(theta), self.a.shape[1:])
        return sparse_minimiser(self.a, self.y, weights, 0.0, self._guess(weights))

    def _guess(self, weights: Array) -> Array:
        """What coordinate descent finds, in units of the weights, so that all of them are 1."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import lasso_path

        with catch_warnings():
            simplefilter("ignore", ConvergenceWarning)
            # sklearn divides the squares by m
            found = lasso_path(self.a / weights, self.y, alphas=[1 / len(self.y)], tol=1e-12, max_iter=GUESS)
        return np.asarray(found[1][:, 0] / weights)

    def structure(self) -> Hashable:
        return type(self), self.shapes()

    # Structure that methods ask for

    def forms(self) -> tuple[Form, ...]:
        m, n = self.a.shape
        smooth = LeastSquares(fixed(self.a, self.y), m >= n)
        return (Form("primal", smooth, (Term(L1(), None, _weights),), (n,)),)

    def conic_model(self) -> ConicModel:
        import cvxpy as cp

        x = cp.Variable(self.a.shape[1])
        return weighted_model(self.theta, 0.5 * cp.sum_squares(self.a @ x - self.y), L1(), x, x)

    @undecided_where_unsolved
    def reference(self) -> Reference:
        """On the support S with signs s: A_S^T (A_S u - y) + w_S s = 0; slacks s u, and w - |A^T (A x - y)| off S."""
        from problems.proofs.enclosure import Optimality, balls, certify, times

        x, y = self.solve(self.theta), balls(self.y)
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
            slope = off.T @ (on @ u - y)
            return np.concatenate([signs * u, weights(theta)[~support] - np.abs(slope)])

        system = Optimality(
            start=x[support],
            residual=lambda u, theta: on.T @ (on @ u - y) + weights(theta)[support] * signs,
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
    least=2,
    signals=("gaussian", "diabetes", "breast-cancer"),
)
