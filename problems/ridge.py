"""Ridge regression: x*(theta) = argmin 1/2 |A x - y|^2 + 1/2 sum_i exp(theta_i) x_i^2, loss on held-out data."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np

from problems.arrays import Array, local
from problems.base import Conditioned, Constants, LinearSystem, Reference
from problems.ensembles import Ensemble
from problems.families.regression import HeldOut, split
from problems.forms import Form, LeastSquares, Splitting, Term
from problems.penalties import Zero
from problems.proofs.undecided import undecided_where_unsolved

LEVEL = 0.1  # of the weights; the columns of A have norm 1


@dataclass(frozen=True, eq=False)
class Ridge(HeldOut, Conditioned, Splitting, LinearSystem):
    """x*(theta) = argmin 1/2 |A x - y|^2 + 1/2 sum_i exp(theta_i) x_i^2, L = 1/(2 m') |A' x* - y'|^2 on held-out rows (A', y').

    theta: log-weights, () for all coefficients or (n,) for each; A (m, n), y (m,), A' (m', n), y' (m',).
    Source: Hoerl and Kennard (1970); Pedregosa (2016) for the gradient in the weights.
    """

    @classmethod
    def draw(cls, n: int, seed: int, theta: str, signal: str) -> Ridge:
        """signal "diabetes": the real data, n = 10 or 64 (with squares and products); "gaussian": m = 2 n drawn rows."""
        level = np.log(LEVEL)
        return cls(np.full(n, level) if theta == "row-weights" else np.asarray(level), *split(n, seed, signal))

    # Problem

    def solve(self, theta: Array) -> Array:
        return np.asarray(np.linalg.lstsq(*self._data(theta))[0])

    def structure(self) -> Hashable:
        return type(self), self.shapes()

    @undecided_where_unsolved
    def reference(self) -> Reference:
        """A^T (A u - y) + exp(theta) u = 0."""
        from problems.proofs.enclosure import Optimality, certify, times

        def cross(u: Any, theta: Any, w: Any) -> Any:
            each = np.exp(theta) * u * w
            return each if theta.ndim else np.asarray(each.sum())

        n = self.a.shape[1]
        system = Optimality(
            start=self.solve(self.theta),
            residual=lambda u, theta: self.a.T @ (self.a @ u - self.y) + np.exp(theta) * u,
            jacobian=lambda u, theta: times(self.a.T, self.a) + np.eye(n) * np.exp(theta),
            cross=cross,
            read=lambda u, theta: u,
            read_vjp=lambda u, theta, g: (g, 0),
        )
        return certify(self, system)

    # Structure that methods ask for

    def _data(self, theta: Any) -> tuple[Any, Any]:
        """A above diag(exp(theta / 2)), y above 0: the penalty as further rows."""
        xp, a = local(theta, self.a)
        y, zeros = local(theta, self.y)[1], local(theta, np.zeros(a.shape[1]))[1]
        scales = xp.exp(theta / 2) * local(theta, np.eye(a.shape[1]))[1]
        return xp.concat([a, scales]), xp.concat([y, zeros])

    def forms(self) -> tuple[Form, ...]:
        return (Form("primal", LeastSquares(self._data, tall=True), (Term(Zero()),), self.a.shape[1:]),)

    def objective(self, x: Any, theta: Any) -> Any:
        return LeastSquares(self._data, tall=True).value(theta)(x)

    def initial(self) -> Array:
        return np.zeros(self.a.shape[1])

    def constants(self, theta: Array) -> Constants:
        """Phi_xx = A^T A + diag(exp(theta)) does not depend on x, Phi_xtheta = diag(exp(theta) x), or that times 1."""
        singular = np.linalg.svd(self._data(theta)[0], compute_uv=False)
        loss = float(np.linalg.norm(self.a_val, 2) ** 2) / len(self.y_val)
        cross = float(np.exp(theta).max())
        return Constants(float(singular[-1] ** 2), float(singular[0] ** 2), hessian=0.0, cross=cross, loss=loss)

    def system(self, x: Any, theta: Any) -> Any:
        xp, a = local(theta, self.a)
        return a.T @ (a @ x) + xp.exp(theta) * x

    def right(self, theta: Any) -> Any:
        return local(theta, self.a)[1].T @ local(theta, self.y)[1]


ENSEMBLE = Ensemble(
    name="ridge",
    draw=Ridge.draw,
    citation="Pedregosa (2016)",
    formula="1/2 |A x - y|^2 + 1/2 sum_i exp(theta_i) x_i^2",
    thetas=("weight", "row-weights"),
    n=64,
    small=10,
    least=2,
    signals=("diabetes", "gaussian"),
)
