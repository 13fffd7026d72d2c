"""Images under isotropic total variation: what denoising, deblurring and Fourier reconstruction share.

x*(theta) = argmin 1/2 |A(theta) x - y|^2 + exp(theta_0) sum_b |(D x)_b|_2, A(theta) = A_0 + sum_j theta_j S_j, where (D x)_b
in R^2 are the forward differences at pixel b. x* is constant on regions, x* = T c; with unit vectors n_b of nonzero groups

    R(c; theta) = T^T A^T (A T c - y) + exp(theta_0) T^T D_A^T n_A = 0,
    slacks |(D x)_b| on A, and exp(theta_0) - |z_b| for some z with D_Z^T z = -A^T (A x - y) - exp(theta_0) D_A^T n_A.

Source: Rudin, Osher and Fatemi (1992); Vaiter, Deledalle, Fadili, Peyre and Dossal (2017) for the derivative.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from array_api_compat import array_namespace

from problems.arrays import Array, local
from problems.base import ConicModel, ConicProgram, Problem, Reference, SolveError
from problems.forms import Form, LeastSquares, Splitting, Term
from problems.operators.fixed import Fixed
from problems.penalties import L21
from problems.proofs.undecided import undecided_where_unsolved

if TYPE_CHECKING:
    from problems.proofs.enclosure import Optimality

# Relative to the largest difference: readings of a solver's answer that are tried in turn.
FLAT = tuple(float(level) for level in np.geomspace(1e-8, 1e-3, 11))
FEASIBLE = 1 + 1e-9  # of a dual in float64; the proof allows nothing


def differences(side: int) -> Array:
    """D of shape (2 side^2, side^2): to the right, then downwards, zero at the border; pixels by rows."""
    line = np.diff(np.eye(side), axis=0, append=np.eye(side)[-1:])
    return np.concatenate([np.kron(np.eye(side), line), np.kron(line, np.eye(side))])


@dataclass(frozen=True, eq=False)
class IsotropicTV(Problem, Splitting, ConicProgram):
    """The problem above with L = 1/(2 n) |x* - target|^2.

    theta: (1 + p,), log lambda before the p parameters of A; a = A_0 (m, n), shifts = S (p, m, n), y (m,), target (n,).
    """

    theta: Array
    a: Array
    shifts: Array
    y: Array
    target: Array

    @property
    def side(self) -> int:
        return round(len(self.target) ** 0.5)

    @cached_property
    def _d(self) -> Array:
        return differences(self.side)

    def forward(self, theta: Any) -> Any:
        """A(theta), (m, n), in the library of theta."""
        xp, a = local(theta, self.a)
        return a + xp.tensordot(theta[1:], local(theta, self.shifts)[1], axes=1) if len(self.shifts) else a

    # Problem

    def solve(self, theta: Array) -> Array:
        return self._manifold(theta)[2]

    def loss(self, x: Any, theta: Any) -> Any:
        xp, target = local(x, self.target)
        return xp.sum((x - target) ** 2) / (2 * len(self.target))

    def loss_grad(self, x: Array, theta: Array) -> tuple[Array, Array]:
        return (x - self.target) / len(self.target), np.zeros_like(theta)

    def data_names(self) -> tuple[str, ...]:
        return "a", "shifts", "y", "target"

    def structure(self) -> Hashable:
        return type(self), self.shapes()

    @undecided_where_unsolved
    def reference(self) -> Reference:
        from problems.proofs.enclosure import certify

        zero, z, x, regions = self._manifold(self.theta)
        return certify(self, _optimality(self, zero, z, x, regions), zero_rows=float(zero.mean()))

    # Structure that methods ask for

    def forms(self) -> tuple[Form, ...]:
        smooth = LeastSquares(lambda theta: (self.forward(theta), local(theta, self.y)[1]))
        term = Term(L21(), Fixed(self._d), lambda theta: array_namespace(theta).exp(theta[0]))
        return (Form("primal", smooth, (term,), self.target.shape),)

    def conic_model(self) -> ConicModel:
        import cvxpy as cp

        n, parameter = len(self.target), cp.Parameter(self.theta.shape)
        x = cp.Variable(n)
        image = self.a @ x + sum(parameter[1 + j] * (shift @ x) for j, shift in enumerate(self.shifts))
        groups = cp.reshape(self._d @ x, (2, n), order="C")
        # The epigraph of the norms, since a parameter of no known sign may multiply nothing but an affine expression.
        t = cp.Variable(n)
        fit = 0.5 * cp.sum_squares(image - self.y) + parameter[0] * cp.sum(t)
        model = cp.Problem(cp.Minimize(fit), [cp.norm(groups, 2, axis=0) <= t])
        return ConicModel(model, parameter, (), x, (), _argument, lambda t, g: g * np.append(np.exp(t[0]), np.ones(len(t) - 1)))

    # The manifold

    def _manifold(self, theta: Array) -> tuple[Array, Array, Array, Array]:
        """(groups that are zero (n,), a dual (2, n), x*, region of every pixel); SolveError where no reading is stationary."""
        if (constant := self._constant(theta)) is not None:
            return constant
        x, z = self._cone_solution(theta)
        sizes = np.linalg.norm((self._d @ x).reshape(2, -1), axis=0)
        for level in FLAT:
            regions = self._regions(sizes <= level * sizes.max())
            found = _newton(self, theta, regions, x)
            if found is None:
                continue
            zero = np.linalg.norm((self._d @ found).reshape(2, -1), axis=0) == 0
            dual = self._dual(theta, found, zero, z)
            if (np.linalg.norm(dual, axis=0) <= np.exp(theta[0]) * FEASIBLE).all():
                return zero, dual, found, regions
        raise SolveError("no reading of the flat regions is optimal")

    def _constant(self, theta: Array) -> tuple[Array, Array, Array, Array] | None:
        """The manifold of x* = c 1, c = <A 1, y> / |A 1|^2, where the dual of least norm shows that it is optimal."""
        a, n = self.forward(theta), len(self.target)
        flat = a.sum(axis=1)
        if not flat.any():
            return None
        x = np.full(n, flat @ self.y / (flat @ flat))
        laplacian = self._d.T @ self._d + 1 / n  # D^T D on all but the constants, where its right-hand side vanishes
        z = (self._d @ np.linalg.solve(laplacian, -(a.T @ (a @ x - self.y)))).reshape(2, n)
        if (np.linalg.norm(z, axis=0) > np.exp(theta[0])).any():
            return None
        return np.full(n, True), z, x, np.zeros(n, dtype=int)

    def _dual(self, theta: Array, x: Array, zero: Array, z: Array) -> Array:
        """The dual (2, n) nearest to z that makes x stationary, prescribed on the nonzero groups."""
        weight, a, groups = np.exp(theta[0]), self.forward(theta), (self._d @ x).reshape(2, -1)
        made = z.copy()
        made[:, ~zero] = weight * groups[:, ~zero] / np.linalg.norm(groups[:, ~zero], axis=0)
        rest = -(a.T @ (a @ x - self.y)) - self._d.T @ made.ravel()
        made[:, zero] += np.linalg.lstsq(self._d[np.tile(zero, 2)].T, rest, rcond=None)[0].reshape(2, -1)
        return made

    def _regions(self, zero: Array) -> Array:
        """The region of every pixel, where the zero groups join neighbours."""
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import connected_components

        rows = csr_array(self._d[np.tile(zero, 2)])
        return np.asarray(connected_components(rows.T @ rows, directed=False)[1])

    def _cone_solution(self, theta: Array) -> tuple[Array, Array]:
        """(x, z) of Clarabel to 1e-10, z (2, n) the dual of D."""
        import cvxpy as cp

        n, a = len(self.target), self.forward(theta)
        x, t = cp.Variable(n), cp.Variable(n)
        cone = cp.SOC(t, cp.reshape(self._d @ x, (2, n), order="C"), axis=0)
        fit = 0.5 * cp.sum_squares(a @ x - self.y) + np.exp(theta[0]) * cp.sum(t)
        tight = {"tol_gap_abs": 1e-10, "tol_gap_rel": 1e-10, "tol_feas": 1e-10}
        try:
            cp.Problem(cp.Minimize(fit), [cone]).solve(solver=cp.CLARABEL, **tight)
        except cp.error.SolverError as error:
            raise SolveError(f"Clarabel: {error}") from None
        if x.value is None:
            raise SolveError("Clarabel finds no solution")
        return np.asarray(x.value), -np.asarray(cone.dual_value[1]).reshape(2, n)

    @classmethod
    @abstractmethod
    def draw(cls, n: int, seed: int, theta: str, sigma: float) -> IsotropicTV:
        """An instance from a square crop of a photograph, n pixels; ValueError where n is no square."""


def _argument(theta: Any) -> Any:
    xp = array_namespace(theta)
    return xp.concat([xp.exp(theta[:1]), theta[1:]])


def _indicator(regions: Array) -> Array:
    return np.eye(int(regions.max()) + 1)[regions]


def _newton(problem: IsotropicTV, theta: Array, regions: Array, x: Array) -> Array | None:
    """The stationary point on the regions near x, None where Newton's method finds none, or a group vanishes on the way."""
    t, a, weight = _indicator(regions), problem.forward(theta), np.exp(theta[0])
    e = (problem._d @ t).reshape(2, -1, t.shape[1])
    active = np.abs(e).max(axis=(0, 2)) > 0
    e, on = e[:, active], a @ t
    c = t.T @ x / t.sum(axis=0)
    for _ in range(30):
        g = e @ c
        sizes = np.linalg.norm(g, axis=0)
        if (sizes == 0).any():
            return None
        unit = g / sizes
        slope = on.T @ (on @ c - problem.y) + weight * np.einsum("ibd,ib->d", e, unit)
        across = unit[0][:, None] * e[1] - unit[1][:, None] * e[0]  # the component orthogonal to the unit vector
        hessian = on.T @ on + weight * (across.T / sizes) @ across
        try:
            step = np.linalg.solve(hessian, slope)
        except np.linalg.LinAlgError:
            return None
        c = c - step
        if np.abs(step).max() <= 1e-13 * max(1.0, np.abs(c).max()):
            return np.asarray(t @ c)
    return None


def _optimality(problem: IsotropicTV, zero: Array, z: Array, x: Array, regions: Array) -> Optimality:
    """The system of the module's docstring at the regions of x."""
    from problems.proofs.enclosure import Optimality, times

    n, t, y = len(x), _indicator(regions), problem.y
    d = problem._d
    e = (d @ t).reshape(2, n, -1)[:, ~zero]  # of integers, so exact
    d_zero, d_active = d[np.tile(zero, 2)], d.reshape(2, n, n)[:, ~zero]
    forest = _forest(d_zero)
    start = (t.T @ x / t.sum(axis=0)).astype(np.float64)

    def forward(theta: Any) -> Any:
        return problem.a.astype(object) + sum(
            (theta[1 + j] * shift.astype(object) for j, shift in enumerate(problem.shifts)), start=0
        )

    def units(u: Any) -> tuple[Any, Any]:
        g = np.stack([e[0] @ u, e[1] @ u])
        sizes = np.sqrt(g[0] * g[0] + g[1] * g[1])
        return g / sizes, sizes

    def misfit(u: Any, theta: Any) -> tuple[Any, Any]:
        """(A T, A T u - y)."""
        on = times(forward(theta), t)
        return on, on @ u - y

    def residual(u: Any, theta: Any) -> Any:
        on, rest = misfit(u, theta)
        unit = units(u)[0]
        return on.T @ rest + np.exp(theta[0]) * (e[0].T @ unit[0] + e[1].T @ unit[1])

    def jacobian(u: Any, theta: Any) -> Any:
        on, _ = misfit(u, theta)
        unit, sizes = units(u)
        across = unit[0][:, None] * e[1] - unit[1][:, None] * e[0]
        return times(on.T, on) + np.exp(theta[0]) * times(across.T / sizes, across)

    def cross(u: Any, theta: Any, w: Any) -> Any:
        on, rest = misfit(u, theta)
        unit = units(u)[0]
        weight = np.exp(theta[0]) * ((e[0] @ w) * unit[0] + (e[1] @ w) * unit[1]).sum()
        taps = [((s @ (t @ w)) * rest).sum() + ((on @ w) * (s @ (t @ u))).sum() for s in problem.shifts]
        return np.array([weight, *taps])

    def slacks(u: Any, theta: Any) -> Any:
        rest = misfit(u, theta)[1]
        unit, sizes = units(u)
        weight = np.exp(theta[0])
        right = -(forward(theta).T @ rest) - weight * (d_active[0].T @ unit[0] + d_active[1].T @ unit[1])
        dual = _completed(z[:, zero].ravel(), d_zero, forest, right).reshape(2, -1)
        return np.concatenate([sizes, weight - np.sqrt(dual[0] * dual[0] + dual[1] * dual[1])])

    return Optimality(start, residual, jacobian, cross, lambda u, theta: t @ u, lambda u, theta, g: (t.T @ g, 0), slacks)


def _forest(d: Array) -> Array:
    """The indices of independent rows of d that span all: a spanning forest of its edges."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import minimum_spanning_tree

    rows = np.flatnonzero(np.abs(d).sum(axis=1))
    ends = d[rows].argmin(axis=1), d[rows].argmax(axis=1)
    numbered = csr_array((rows + 1.0, ends), (d.shape[1],) * 2)  # an edge carries its row
    return np.sort(minimum_spanning_tree(numbered).data).astype(int) - 1


def _completed(z: Array, d: Array, forest: Array, right: Any) -> Any:
    """A dual near z with d^T z = right exactly, where right lies in the row space of d, of which `forest` is a basis."""
    from problems.proofs.enclosure import balls, solved, times

    made, basis = balls(z), d[forest]
    if len(forest):
        correction = solved(times(basis, basis.T), basis @ (right - d.T @ made))
        made[forest] = made[forest] + correction
    return made
