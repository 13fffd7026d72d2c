"""The dual of 1-D total variation as a problem of its own: z*(theta) = argmin over |z_i| <= exp(t) of 1/2 |y - D^T z|^2."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from problems.arrays import Array, local
from problems.base import ConicModel, ConicProgram, Problem, Reference
from problems.ensembles import Ensemble
from problems.forms import Form, Function, Quadratic, Splitting, Term
from problems.operators.matrices import differences, jumps
from problems.penalties import Box
from problems.proofs.undecided import undecided_where_unsolved
from problems.solvers import box_dual


@dataclass(frozen=True, eq=False)
class BoxDualTV(Problem, Splitting, ConicProgram):
    """z*(theta) = argmin over |z_i| <= exp(t) of 1/2 |y - D^T z|^2 and L = 1/2 |y - D^T z* - target|^2, theta = (t, y).

    theta: (1 + n,), the log-bound before the data; D z-to-x: (D x)_i = x_{i+1} - x_i, (n - 1, n); target (n,). Unlike in the
    primal, the solution is the dual itself, which moves with its bound; L depends on theta directly.
    Source: Chambolle (2004).
    """

    theta: Array
    target: Array

    @classmethod
    def draw(cls, n: int, seed: int, theta: str, sigma: float) -> BoxDualTV:
        """Piecewise-constant signals with white noise, bound 3 sigma / 2 as tuned for denoising (see AnalysisL1)."""
        from problems.analysis_l1 import AnalysisL1

        drawn = AnalysisL1.draw(n=n, sigma=sigma, seed=seed)
        return cls(np.append(np.log(drawn.beta), drawn.y), drawn.target)

    # Problem

    def solve(self, theta: Array) -> Array:
        return box_dual.solve(differences(len(self.target)), theta[1:], float(np.exp(theta[0]))).z

    def loss(self, x: Any, theta: Any) -> Any:
        xp, target = local(theta, self.target)
        return 0.5 * xp.sum((theta[1:] - _adjoint(x) - target) ** 2)

    def loss_grad(self, x: Array, theta: Array) -> tuple[Array, Array]:
        rest = theta[1:] - _adjoint(x) - self.target
        return -jumps(rest), np.append(0 * rest[:1], rest)

    def perturbed(self, rng: np.random.Generator) -> Array:
        return self.theta + 0.01 * np.append(1.0, np.abs(self.theta[1:])) * rng.standard_normal(self.theta.shape)

    def data_names(self) -> tuple[str, ...]:
        return ("target",)

    def structure(self) -> Hashable:
        return type(self), self.shapes()

    @undecided_where_unsolved
    def reference(self) -> Reference:
        """Inside the box: (D (D^T z - y))_i = 0; at its faces z_i = s_i exp(t), with the slacks exp(t) - |z_i| inside and
        -s_i (D (D^T z - y))_i at the faces.
        """
        from problems.proofs.enclosure import Optimality, certify, times

        z = self.solve(self.theta)
        signs = np.where(np.abs(z) >= np.exp(self.theta[0]) * (1 - 1e-12), np.sign(z), 0.0)
        free, d = signs == 0, differences(len(self.target))
        on = d[free]

        def read(u: Any, theta: Any) -> Any:
            full = np.exp(theta[0]) * signs
            full[free] = u
            return full

        def slope(u: Any, theta: Any) -> Any:
            return jumps(_adjoint(read(u, theta)) - theta[1:])

        def cross(u: Any, theta: Any, w: Any) -> Any:
            pulled = on.T @ w
            faces = np.exp(theta[0]) * signs
            return np.append(((d.T @ faces) * pulled).sum(), -pulled)

        def read_vjp(u: Any, theta: Any, g: Any) -> tuple[Any, Any]:
            return g[free], np.append((np.exp(theta[0]) * signs * g).sum(), 0 * theta[1:])

        system = Optimality(
            start=z[free],
            residual=lambda u, theta: slope(u, theta)[free],
            jacobian=lambda u, theta: times(on, on.T),
            cross=cross,
            read=read,
            read_vjp=read_vjp,
            slacks=lambda u, theta: np.concatenate([np.exp(theta[0]) - np.abs(u), -(signs * slope(u, theta))[~free]]),
        )
        return certify(self, system, zero_rows=float(np.mean(free)))

    # Structure that methods ask for

    def forms(self) -> tuple[Form, ...]:
        term = Term(Box(), None, lambda theta: array_namespace(theta).exp(theta[0]))
        return (Form("primal", Residual(), (term,), (len(self.target) - 1,)),)

    def conic_model(self) -> ConicModel:
        import cvxpy as cp

        n = len(self.target)
        parameter, z = cp.Parameter(1 + n), cp.Variable(n - 1)
        rest = parameter[1:] - differences(len(self.target)).T @ z
        model = cp.Problem(cp.Minimize(0.5 * cp.sum_squares(rest)), [z <= parameter[0], z >= -parameter[0]])

        def argument(theta: Any) -> Any:
            xp = array_namespace(theta)
            return xp.concat([xp.exp(theta[:1]), theta[1:]])

        return ConicModel(
            model, parameter, (), z, (), argument, lambda t, cotangent: cotangent * np.append(np.exp(t[0]), np.ones(n))
        )


def _adjoint(z: Any) -> Any:
    """D^T z."""
    if isinstance(z, np.ndarray):
        return np.concatenate([-z[:1], z[:-1] - z[1:], z[-1:]])
    return array_namespace(z).concat([-z[:1], z[:-1] - z[1:], z[-1:]])


class Residual(Quadratic):
    """f(z; theta) = 1/2 |y - D^T z|^2 with y = theta_{1..n}."""

    def value(self, theta: Any) -> Function:
        xp = array_namespace(theta)
        return lambda z: 0.5 * xp.sum((theta[1:] - _adjoint(z)) ** 2)

    def gradient(self, theta: Any) -> Function:
        return lambda z: jumps(_adjoint(z) - theta[1:])

    def hessian(self, theta: Any) -> Any:
        d = local(theta, differences(len(theta) - 1))[1]
        return d @ d.T

    def linear(self, theta: Any) -> Any:
        return jumps(theta[1:])

    def lipschitz(self, theta: Array) -> float:
        return 4.0  # |D D^T| < 4

    def convexity(self, theta: Array) -> float:
        n = len(theta) - 1
        return float(4 * np.sin(np.pi / (2 * n)) ** 2)


ENSEMBLE = Ensemble(
    name="box-dual-tv",
    draw=BoxDualTV.draw,
    citation="Chambolle (2004)",
    formula="1/2 |y - D'z|^2, |z_i| <= e^t",
    thetas=("bound-and-data",),
    noise=True,
)
