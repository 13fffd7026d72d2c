"""The quadratic bilevel problem, closed form throughout: x*(theta) = argmin 1/2 |A2 x + A3 theta - b2|^2."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np

from problems.arrays import Array, local
from problems.base import Conditioned, Constants, LinearSystem, Problem, Reference
from problems.ensembles import Ensemble
from problems.forms import Form, LeastSquares, Splitting, Term
from problems.penalties import Zero
from problems.proofs.undecided import undecided_where_unsolved


@dataclass(frozen=True, eq=False)
class QuadraticBilevel(Problem, Conditioned, Splitting, LinearSystem):
    """x*(theta) = argmin 1/2 |A2 x + A3 theta - b2|^2 and L = 1/2 |A1 x* - b1|^2.

    theta (p,); A1, A2 (m, n), A3 (m, p), b1, b2 (m,); A2 of full column rank. The gradient is
    -A3^T A2 (A2^T A2)^{-1} A1^T (A1 x* - b1). Source: Salehi, Mukherjee, Roberts and Ehrhardt (2025), section 4.
    """

    theta: Array
    a1: Array
    b1: Array
    a2: Array
    b2: Array
    a3: Array

    @classmethod
    def draw(cls, n: int, seed: int, theta: str) -> QuadraticBilevel:
        """m = 10 n rows and p = n, entries U[0, 1]; b1 and b2 from drawn x, theta with noise 0.01 N(0, 1); theta = 1."""
        rng = np.random.default_rng(seed)
        a1, a2, a3 = rng.random((3, 10 * n, n))
        x1, x2, hidden = rng.random((3, n))
        noise = 0.01 * rng.standard_normal((2, 10 * n))
        return cls(np.ones(n), a1, a1 @ x1 + noise[0], a2, a2 @ x2 + a3 @ hidden + noise[1], a3)

    # Problem

    def solve(self, theta: Array) -> Array:
        return np.asarray(np.linalg.lstsq(self.a2, self.b2 - self.a3 @ theta)[0])

    def loss(self, x: Any, theta: Any) -> Any:
        xp, a1 = local(x, self.a1)
        return 0.5 * xp.sum((a1 @ x - local(x, self.b1)[1]) ** 2)

    def loss_grad(self, x: Array, theta: Array) -> tuple[Array, Array]:
        return self.a1.T @ (self.a1 @ x - self.b1), np.zeros_like(theta)

    def data_names(self) -> tuple[str, ...]:
        return "a1", "b1", "a2", "b2", "a3"

    def structure(self) -> Hashable:
        return type(self), self.shapes()

    @undecided_where_unsolved
    def reference(self) -> Reference:
        """A2^T (A2 u + A3 theta - b2) = 0, linear in u and theta."""
        from problems.proofs.enclosure import Optimality, certify, times

        system = Optimality(
            start=self.solve(self.theta),
            residual=lambda u, theta: self.a2.T @ (self.a2 @ u + self.a3 @ theta - self.b2),
            jacobian=lambda u, theta: times(self.a2.T, self.a2),
            cross=lambda u, theta, w: self.a3.T @ (self.a2 @ w),
            read=lambda u, theta: u,
            read_vjp=lambda u, theta, g: (g, 0),
        )
        return certify(self, system)

    # Structure that methods ask for

    def _data(self, theta: Any) -> tuple[Any, Any]:
        """(A2, b2 - A3 theta) in the library of theta."""
        a2, b2, a3 = (local(theta, part)[1] for part in (self.a2, self.b2, self.a3))
        return a2, b2 - a3 @ theta

    def forms(self) -> tuple[Form, ...]:
        return (Form("primal", LeastSquares(self._data), (Term(Zero()),), self.a2.shape[1:]),)

    def objective(self, x: Any, theta: Any) -> Any:
        return LeastSquares(self._data).value(theta)(x)

    def initial(self) -> Array:
        return np.zeros(self.a2.shape[1])

    def constants(self, theta: Array) -> Constants:
        """Phi_xx = A2^T A2 and Phi_xtheta = A2^T A3 do not depend on x; grad_x L has the slope A1^T A1."""
        singular = np.linalg.svd(self.a2, compute_uv=False)
        loss = float(np.linalg.norm(self.a1, 2) ** 2)
        return Constants(float(singular[-1] ** 2), float(singular[0] ** 2), hessian=0.0, cross=0.0, loss=loss)

    def system(self, x: Any, theta: Any) -> Any:
        a2 = local(theta, self.a2)[1]
        return a2.T @ (a2 @ x)

    def right(self, theta: Any) -> Any:
        a2, rest = self._data(theta)
        return a2.T @ rest


ENSEMBLE = Ensemble(
    name="quadratic",
    draw=QuadraticBilevel.draw,
    citation="Salehi, Mukherjee, Roberts and Ehrhardt (2025)",
    formula="1/2 |A2 x + A3 theta - b2|^2",
    thetas=("shift",),
)
