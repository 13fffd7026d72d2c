"""Least squares over a polyhedron of x >= 0, with or without sum x = 1, differentiated in y or in A: what its problems share.

On the free coordinates S: A_S^T (A_S u - y) + nu = 0, with the multiplier nu of sum u = 1 where there is one, else nu = 0.
Strict slacks u > 0 and (A^T (A x - y))_i + nu > 0 off S make x the solution for all theta nearby.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from problems.arrays import Array, local
from problems.base import ConicModel, ConicProgram, Problem, Reference, SolveError
from problems.forms import Form, LeastSquares, Splitting, Term
from problems.penalties import Penalty
from problems.proofs.undecided import undecided_where_unsolved

if TYPE_CHECKING:
    from problems.proofs.enclosure import Optimality

THETAS = ("data", "matrix")  # theta = y, or theta = A
TOLERANCE = 1e-9  # relative to |A^T y|_inf: a multiplier below its negative refutes the support


def polished(a: Array, y: Array, free: Array, total: float | None) -> Array:
    """The minimiser with x = 0 off `free` (and sum x = total); SolveError where it is not the constrained one."""
    on, count = a[:, free], int(free.sum())
    system = np.zeros((count + 1, count + 1))
    system[:count, :count], right = on.T @ on, np.append(on.T @ y, 0.0)
    if total is None:
        system[count, count] = 1.0
    else:
        system[:count, count] = system[count, :count] = 1.0
        right[count] = total
    *u, nu = np.linalg.solve(system, right)
    x = np.zeros(a.shape[1])
    x[free] = u
    multipliers = a.T @ (a @ x - y) + nu
    if (x[free] <= 0).any() or (multipliers[~free] < -TOLERANCE * np.abs(a.T @ y).max()).any():
        raise SolveError("the support found by the solver is not that of the constrained minimiser")
    return x


def optimality(a: Array | None, y: Array | None, x: Array, theta: Array, total: float | None) -> Optimality:
    """The system above at x, theta being the one of (A, y) that is None."""
    from problems.proofs.enclosure import Optimality, times

    free = x > 0
    count, n = int(free.sum()), len(x)
    bound = total is not None
    a0, y0 = (theta, y) if a is None else (a, theta)
    nu = [float(np.mean(-(a0.T @ (a0 @ x - y0))[free]))] if bound else []

    def parts(u: Any, t: Any) -> tuple[Any, Any, Any]:
        """(A as balls, residual A x - y, multiplier)."""
        matrix, data = (t, y) if a is None else (a.astype(object), t)
        return matrix, matrix[:, free] @ u[:count] - data, u[count] if bound else 0

    def residual(u: Any, t: Any) -> Any:
        matrix, rest, multiplier = parts(u, t)
        rows = matrix[:, free].T @ rest + multiplier
        return np.append(rows, u[:count].sum() - total) if bound else rows

    def jacobian(u: Any, t: Any) -> Any:
        matrix = parts(u, t)[0]
        made = np.zeros((len(u), len(u)), dtype=object)
        made[:count, :count] = times(matrix[:, free].T, matrix[:, free])
        if bound:
            made[:count, count] = made[count, :count] = 1
        return made

    def cross(u: Any, t: Any, w: Any) -> Any:
        matrix, rest, _ = parts(u, t)
        moved = matrix[:, free] @ w[:count]
        if a is not None:
            return -moved
        made = np.zeros(t.shape, dtype=object)
        made[:, free] = np.outer(rest, w[:count]) + np.outer(moved, u[:count])
        return made

    def read(u: Any, t: Any) -> Any:
        made = np.zeros(n, dtype=u.dtype)
        made[free] = u[:count]
        return made

    def slacks(u: Any, t: Any) -> Any:
        matrix, rest, multiplier = parts(u, t)
        return np.concatenate([u[:count], matrix[:, ~free].T @ rest + multiplier])

    def read_vjp(u: Any, t: Any, g: Any) -> tuple[Any, Any]:
        return np.append(g[free], 0) if bound else g[free], 0

    return Optimality(np.append(x[free], nu), residual, jacobian, cross, read, read_vjp, slacks)


@dataclass(frozen=True, eq=False)
class ConstrainedLeastSquares(Problem, Splitting, ConicProgram):
    """x*(theta) = argmin over a polyhedron of 1/2 |A x - y|^2 and L = 1/2 |x* - target|^2.

    theta: y (m,) with `a` (m, n) given, or A (m, n) with `y` given; target (n,).
    """

    penalty: ClassVar[Penalty]
    total: ClassVar[float | None]  # the sum of x, where it is prescribed

    theta: Array
    target: Array
    a: Array | None = None
    y: Array | None = None

    @abstractmethod
    def support(self, a: Array, y: Array) -> Array:
        """Which coordinates of the solution are above 0, (n,) of bool, as a solver found them."""

    @abstractmethod
    def constraints(self, x: Any) -> list[Any]:
        """The constraints on a CVXPY variable."""

    def solve(self, theta: Array) -> Array:
        a, y = self._pieces(theta)
        return polished(a, y, self.support(a, y), self.total)

    def loss(self, x: Any, theta: Any) -> Any:
        xp, target = local(x, self.target)
        return 0.5 * xp.sum((x - target) ** 2)

    def loss_grad(self, x: Array, theta: Array) -> tuple[Array, Array]:
        return x - self.target, np.zeros_like(theta)

    @undecided_where_unsolved
    def reference(self) -> Reference:
        from problems.proofs.enclosure import certify

        x = self.solve(self.theta)
        return certify(self, optimality(self.a, self.y, x, self.theta, self.total), zero_rows=float(np.mean(x == 0)))

    def data_names(self) -> tuple[str, ...]:
        return "target", "y" if self.a is None else "a"

    def structure(self) -> Hashable:
        return type(self), self.a is None, self.shapes()

    def forms(self) -> tuple[Form, ...]:
        m, n = (self.theta if self.a is None else self.a).shape
        return (Form("primal", LeastSquares(self._pieces, m >= n), (Term(self.penalty),), self.target.shape),)

    def conic_model(self) -> ConicModel:
        import cvxpy as cp

        parameter, x = cp.Parameter(self.theta.shape), cp.Variable(self.target.shape)
        rest = parameter @ x - self.y if self.a is None else self.a @ x - parameter
        model = cp.Problem(cp.Minimize(0.5 * cp.sum_squares(rest)), self.constraints(x))
        return ConicModel(model, parameter, (), x, (), lambda value: value, lambda value, cotangent: cotangent)

    def _pieces(self, theta: Any) -> tuple[Any, Any]:
        """(A, y) in the library of theta, theta being the one that is None."""
        if self.a is None:
            assert self.y is not None
            return theta, local(theta, self.y)[1]
        return local(theta, self.a)[1], theta
