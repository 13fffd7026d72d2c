"""Smooth 1-D total variation: x*(theta) = argmin 1/2 |x - y|^2 + alpha sum_j sqrt((D x)_j^2 + nu^2) + xi/2 |x|^2."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from problems.arrays import Array, local
from problems.base import Conditioned, Constants, Problem, Reference, SolveError
from problems.ensembles import Ensemble
from problems.forms import Form, Function, Smooth, Splitting, Term
from problems.operators.matrices import differences, jumps
from problems.penalties import Zero
from problems.proofs.undecided import undecided_where_unsolved
from problems.solvers.newton import newton


@dataclass(frozen=True, eq=False)
class SmoothTV(Problem, Conditioned, Splitting):
    """x*(theta) as above with theta = log(alpha, nu, xi), (3,), (D x)_j = x_{j+1} - x_j, and L = 1/2 |x* - target|^2.

    y, target (n,). Source: Ehrhardt and Roberts (2024); Salehi, Mukherjee, Roberts and Ehrhardt (2025).
    """

    theta: Array
    y: Array
    target: Array

    @classmethod
    def draw(cls, n: int, seed: int, theta: str, sigma: float) -> SmoothTV:
        """Piecewise-constant signals of peak 1 with white noise; alpha = 3 sigma / 2 as tuned for total variation (see
        AnalysisL1), nu = 0.01, a hundredth of the peak, and xi = 0.001, a thousandth of the curvature of the data term.
        """
        from problems.analysis_l1 import AnalysisL1

        drawn = AnalysisL1.draw(n=n, sigma=sigma, seed=seed)
        return cls(np.log([drawn.beta, 1e-2, 1e-3]), drawn.y, drawn.target)

    # Problem

    def solve(self, theta: Array) -> Array:
        """Newton's method with backtracking on a tridiagonal Hessian."""
        from scipy.linalg import solveh_banded

        f = SmoothedVariation(self.y)

        def solve(x: Array, right: Array) -> Array:
            return np.asarray(solveh_banded(self._bands(x, theta), right))

        x, _, converged = newton(f.value(theta), f.gradient(theta), solve, self.y, 500)
        if not converged:
            raise SolveError("Newton's method does not converge in 500 steps, or ends above rounding")
        return np.asarray(x)

    def _bands(self, x: Array, theta: Array) -> Array:
        """The Hessian's bands, upper first, (2, n)."""
        alpha, nu, xi = np.exp(theta)
        bend = alpha * nu**2 / (jumps(x) ** 2 + nu**2) ** 1.5
        bands = np.zeros((2, len(x)))
        bands[0, 1:] = -bend
        bands[1] = 1 + xi
        bands[1, 1:] += bend
        bands[1, :-1] += bend
        return bands

    def loss(self, x: Any, theta: Any) -> Any:
        xp, target = local(x, self.target)
        return 0.5 * xp.sum((x - target) ** 2)

    def loss_grad(self, x: Array, theta: Array) -> tuple[Array, Array]:
        return x - self.target, np.zeros_like(theta)

    def perturbed(self, rng: np.random.Generator) -> Array:
        return self.theta + 0.01 * rng.standard_normal(self.theta.shape)

    def data_names(self) -> tuple[str, ...]:
        return "y", "target"

    def structure(self) -> Hashable:
        return type(self), self.shapes()

    @undecided_where_unsolved
    def reference(self) -> Reference:
        """grad_x Phi = 0; with t = D x and q = t^2 + nu^2 its derivatives in log alpha, log nu, log xi are
        alpha D^T (t q^{-1/2}), -alpha nu^2 D^T (t q^{-3/2}) and xi x.
        """
        from problems.proofs.enclosure import Optimality, certify

        d, f = differences(len(self.y)), SmoothedVariation(self.y)

        def jacobian(u: Any, theta: Any) -> Any:
            alpha, nu, xi = np.exp(theta)
            t = jumps(u)
            bend = alpha * nu**2 * (t * t + nu**2) ** -1.5
            return (1 + xi) * np.eye(len(u)).astype(u.dtype) + d.T @ (bend[:, None] * d)

        def cross(u: Any, theta: Any, w: Any) -> Any:
            alpha, nu, xi = np.exp(theta)
            t, v = jumps(u), jumps(w)
            q = t * t + nu**2
            return np.array([(alpha * t * q**-0.5 * v).sum(), -(alpha * nu**2 * t * q**-1.5 * v).sum(), (xi * u * w).sum()])

        system = Optimality(
            start=self.solve(self.theta),
            residual=lambda u, theta: f.gradient(theta)(u),
            jacobian=jacobian,
            cross=cross,
            read=lambda u, theta: u,
            read_vjp=lambda u, theta, g: (g, 0),
        )
        return certify(self, system)

    # Structure that methods ask for

    def forms(self) -> tuple[Form, ...]:
        return (Form("primal", SmoothedVariation(self.y), (Term(Zero()),), self.y.shape),)

    def objective(self, x: Any, theta: Any) -> Any:
        return SmoothedVariation(self.y).value(theta)(x)

    def initial(self) -> Array:
        return self.y

    def constants(self, theta: Array) -> Constants:
        """Bounds from h(t) = sqrt(t^2 + nu^2): |h''| <= 1/nu and |h'''| <= 0.8587 / nu^2, the latter at t = nu/2.

        |D|^2 < 4 and |(D v)_j| <= sqrt(2) |v|, so Phi_xx changes by 4 sqrt(2) 0.8587 alpha / nu^2 at most. The columns of
        Phi_xtheta are alpha D^T h'(Dx), slope 4 alpha / nu; alpha D^T of nu dh'/dnu = -t nu^2 (t^2 + nu^2)^{-3/2}, whose slope
        -nu^2 (nu^2 - 2 t^2) (t^2 + nu^2)^{-5/2} is 1/nu at most, at t = 0: 4 alpha / nu again; and xi x.
        """
        alpha, nu, xi = np.exp(theta)
        return Constants(
            mu=1 + xi,
            lipschitz=1 + xi + 4 * alpha / nu,
            hessian=4 * 2**0.5 * 0.8587 * alpha / nu**2,
            cross=float(np.sqrt(2 * (4 * alpha / nu) ** 2 + xi**2)),
            loss=1.0,
        )


@dataclass(frozen=True)
class SmoothedVariation(Smooth):
    """Phi itself, theta = log(alpha, nu, xi)."""

    y: Any

    def value(self, theta: Any) -> Function:
        xp, y = local(theta, self.y)
        alpha, nu, xi = _parts(theta)
        return lambda x: 0.5 * xp.sum((x - y) ** 2) + alpha * xp.sum(xp.sqrt(jumps(x) ** 2 + nu**2)) + 0.5 * xi * xp.sum(x**2)

    def gradient(self, theta: Any) -> Function:
        xp, y = local(theta, self.y)
        alpha, nu, xi = _parts(theta)

        def gradient(x: Any) -> Any:
            t = jumps(x)
            flow = alpha * t / xp.sqrt(t * t + nu**2)
            edge = 0 * flow[:1]
            return x - y + xp.concat([edge, flow]) - xp.concat([flow, edge]) + xi * x

        return gradient

    def lipschitz(self, theta: Array) -> float:
        alpha, nu, xi = np.exp(theta)
        return float(1 + xi + 4 * alpha / nu)

    def convexity(self, theta: Array) -> float:
        return float(1 + np.exp(theta[2]))


def _parts(theta: Any) -> tuple[Any, Any, Any]:
    values = array_namespace(theta).exp(theta)
    return values[0], values[1], values[2]


ENSEMBLE = Ensemble(
    name="smooth-tv",
    draw=SmoothTV.draw,
    citation="Ehrhardt and Roberts (2024)",
    formula="1/2 |x - y|^2 + alpha sum sqrt((D x)_j^2 + nu^2) + xi/2 |x|^2",
    thetas=("logs",),
    noise=True,
)
