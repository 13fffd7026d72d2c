"""A matrix game: the strategy x* that minimises the largest loss (A x)_i, differentiated in the losses A."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device

from problems.arrays import Array, local
from problems.base import ConicModel, ConicProgram, Problem, Reference, SolveError
from problems.ensembles import Ensemble
from problems.forms import Form, Function, Quadratic, Splitting, Term
from problems.operators.parametrisations import Dense
from problems.penalties import Maximum, Simplex
from problems.proofs.undecided import undecided_where_unsolved

PLAYED = 1e-9  # a probability of the solver's answer above it is positive; the polishing refutes a wrong reading


@dataclass(frozen=True, eq=False)
class MatrixGame(Problem, Splitting, ConicProgram):
    """x*(A) = argmin over the simplex of max_i (A x)_i and L = 1/2 |x* - target|^2.

    theta: A (k, n); target (n,). With S the strategies played and T the rows attained, |S| = |T| at a generic A:
    A_TS x_S = v 1, sum x_S = 1. Sources: von Neumann (1928); Shapley and Snow (1950).
    """

    theta: Array
    target: Array

    @classmethod
    def draw(cls, n: int, seed: int, theta: str) -> MatrixGame:
        """A of N(0, 1), (n, n); target a random point of the simplex."""
        rng = np.random.default_rng(seed)
        return cls(rng.standard_normal((n, n)), rng.dirichlet(np.ones(n)))

    # Problem

    def solve(self, theta: Array) -> Array:
        return self._strategies(theta)[0]

    def _strategies(self, theta: Array) -> tuple[Array, Array, float]:
        """(x, y, v): both players' strategies and the value; SolveError where the support is not square or not optimal."""
        from scipy.optimize import linprog

        k, n = theta.shape
        cost, equal = np.append(np.zeros(n), 1.0), np.append(np.ones(n), 0.0)[None]
        bounds = [(0, None)] * n + [(None, None)]
        found = linprog(cost, np.c_[theta, -np.ones(k)], np.zeros(k), equal, [1.0], bounds, method="highs")
        if not found.success:
            raise SolveError(f"HiGHS: {found.message}")
        played, attained = found.x[:n] > PLAYED, -found.ineqlin.marginals > PLAYED
        if played.sum() != attained.sum():
            raise SolveError(f"{played.sum()} strategies against {attained.sum()} rows: the solution is not unique")
        x, v = _balanced(theta[np.ix_(attained, played)])
        y, _ = _balanced(theta[np.ix_(attained, played)].T)
        whole = np.zeros(n), np.zeros(k)
        whole[0][played], whole[1][attained] = x, y
        if min(x.min(), y.min()) <= 0 or (theta @ whole[0] > v + PLAYED).any() or (theta.T @ whole[1] < v - PLAYED).any():
            raise SolveError("the support that HiGHS found is not that of the equilibrium")
        return *whole, v

    def loss(self, x: Any, theta: Any) -> Any:
        xp, target = local(x, self.target)
        return 0.5 * xp.sum((x - target) ** 2)

    def loss_grad(self, x: Array, theta: Array) -> tuple[Array, Array]:
        return x - self.target, np.zeros_like(theta)

    def data_names(self) -> tuple[str, ...]:
        return ("target",)

    def structure(self) -> Hashable:
        return type(self), self.shapes()

    @undecided_where_unsolved
    def reference(self) -> Reference:
        """u = (x_S, v, y_T, v'): A_TS x_S = v, sum x_S = 1, A_TS^T y_T = v', sum y_T = 1; slacks x_S, y_T, v - Ax, A'y - v'."""
        from problems.proofs.enclosure import Optimality, certify

        x, y, v = self._strategies(self.theta)
        played, attained, size = x > 0, y > 0, int((x > 0).sum())
        square = np.ix_(attained, played)

        def residual(u: Any, theta: Any) -> Any:
            (xs, vx), (ys, vy), a = (u[:size], u[size]), (u[size + 1 : -1], u[-1]), theta[square]
            return np.concatenate([a @ xs - vx, [xs.sum() - 1], a.T @ ys - vy, [ys.sum() - 1]])

        def jacobian(u: Any, theta: Any) -> Any:
            made, a = np.zeros((2 * size + 2,) * 2, dtype=object), theta[square]
            for start, block in ((0, a), (size + 1, a.T)):
                made[start : start + size, start : start + size] = block
                made[start : start + size, start + size] = -1
                made[start + size, start : start + size] = 1
            return made

        def cross(u: Any, theta: Any, w: Any) -> Any:
            made = np.zeros(theta.shape, dtype=object)
            made[square] = np.outer(w[:size], u[:size]) + np.outer(u[size + 1 : -1], w[size + 1 : -1])
            return made

        def read(u: Any, theta: Any) -> Any:
            made = np.zeros(len(x), dtype=u.dtype)
            made[played] = u[:size]
            return made

        def slacks(u: Any, theta: Any) -> Any:
            lost, won = theta[~attained][:, played] @ u[:size], theta[attained][:, ~played].T @ u[size + 1 : -1]
            return np.concatenate([u[:size], u[size + 1 : -1], u[size] - lost, won - u[-1]])

        def read_vjp(u: Any, theta: Any, g: Any) -> tuple[Any, Any]:
            return np.concatenate([g[played], np.zeros(size + 2)]), 0

        start = np.concatenate([x[played], [v], y[attained], [v]])
        return certify(self, Optimality(start, residual, jacobian, cross, read, read_vjp, slacks), float(np.mean(~played)))

    # Structure that methods ask for

    def forms(self) -> tuple[Form, ...]:
        terms = (Term(Simplex()), Term(Maximum(), Dense()))
        return (Form("primal", Zero(self.target.shape[0]), terms, self.target.shape),)

    def conic_model(self) -> ConicModel:
        import cvxpy as cp

        parameter, x = cp.Parameter(self.theta.shape), cp.Variable(self.theta.shape[1])
        model = cp.Problem(cp.Minimize(cp.max(parameter @ x)), [x >= 0, cp.sum(x) == 1])
        return ConicModel(model, parameter, (), x, (), lambda theta: theta, lambda theta, cotangent: cotangent)


def _balanced(a: Array) -> tuple[Array, float]:
    """(x, v) with a x = v and sum x = 1."""
    size = len(a)
    system = np.zeros((size + 1, size + 1))
    system[:size, :size], system[:size, size], system[size, :size] = a, -1, 1
    *x, v = np.linalg.solve(system, np.append(np.zeros(size), 1.0))
    return np.array(x), float(v)


@dataclass(frozen=True)
class Zero(Quadratic):
    """f = 0 on R^n."""

    n: int

    def value(self, theta: Any) -> Function:
        xp = array_namespace(theta)
        return lambda v: xp.sum(0 * v)

    def gradient(self, theta: Any) -> Function:
        return lambda v: 0 * v

    def hessian(self, theta: Any) -> Any:
        return array_namespace(theta).zeros((self.n, self.n), dtype=theta.dtype, device=device(theta))

    def linear(self, theta: Any) -> Any:
        return array_namespace(theta).zeros(self.n, dtype=theta.dtype, device=device(theta))

    def lipschitz(self, theta: Array) -> float:
        return 0.0


ENSEMBLE = Ensemble(
    name="matrix-game",
    draw=MatrixGame.draw,
    citation="von Neumann (1928); Shapley and Snow (1950)",
    formula="max_i (A x)_i, x >= 0, sum x = 1",
    thetas=("payoffs",),
    n=32,
    small=12,
)
