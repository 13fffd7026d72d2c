"""The gradient in the taps of a filter bank (problems/solvers/filter_dual.py) with bounds of its error, for images.

W0 are the rows that the pattern says are zero. A triangular factorisation gives a lower bound lambda > 0 of the eigenvalues
of W0 W0^T, so W0 has full row rank. For x = y - K^T z and the residual r = W0 x the exact solution of the pattern is within
|r| / sqrt(lambda) of x and |r| / lambda of z. Where all margins, |z_i| < beta on zero rows and s_i w_i x > 0 on the others, are
larger than that, the pattern is that of x*, strictly, and x* is differentiable in K, hence in the taps. v = g - W0^T h and h
are bounded alike, by the residual W0 v, and so is dL/dtaps = -(d<z, K v>/dtaps + d<h, K x*>/dtaps), for which
|d<a, K b>/dtaps|_F <= size |a| |b|: each of size^2 shifts of b against all of a. Nothing is taken from the search but the
pattern, and z as a start.

All residuals are summed in extended precision (np.longdouble), which bounds their rounding; the bounds are of first order and
not themselves rounded upwards, so the status is bounded, not proven.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from problems.arrays import Array
from problems.base import SolveError
from problems.operators.parametrisations import Filters
from problems.proofs.certificate import Certificate
from problems.proofs.graph_proof import undecided
from problems.proofs.instance import Instance
from problems.solvers import filter_dual

if TYPE_CHECKING:
    from scipy.sparse import csr_array


LONG = float(np.finfo(np.longdouble).eps)
SHIFTS = (1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 1e-5, 1e-6)  # of the lower bound of the eigenvalues, by share of the longest row
ROUNDS = 6
OPEN = "the pattern found matrix-free is not proven: dependent zero rows, or margins below the bound of its error"


@dataclass(frozen=True)
class Factor:
    """W0 with a factorisation of W0 W0^T, and a lower bound of its eigenvalues."""

    rows: csr_array
    solve: Any
    least: float

    @classmethod
    def of(cls, rows: csr_array) -> Factor | None:
        """None where no positive lower bound is found."""
        from scipy.sparse import eye_array
        from scipy.sparse.linalg import splu

        gram, count = (rows @ rows.T).tocsc(), rows.shape[0]
        if not count:
            return cls(rows, lambda right: right, math.inf)
        scale, options = float(gram.diagonal().max()), {"SymmetricMode": True, "Equil": False}
        longest = int(np.diff(rows.indptr).max()) + 2
        rounding = longest * 2.0**-52 * float((abs(rows) @ (abs(rows).T @ np.ones(count))).max())  # of gram
        for share in SHIFTS:
            shifted = (gram - share * scale * eye_array(count, format="csc")).tocsc()
            try:
                made = splu(shifted, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options)
            except RuntimeError:  # a pivot of zero
                continue
            least = share * scale - _defect(made) - rounding
            if least > 0:
                exact = splu(gram, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options)
                return cls(rows, exact.solve, least)
        return None


def _defect(made: Any) -> float:
    """A bound of -min(0, least eigenvalue) of what was factored; infinite where the pivots do not say it.

    Of L U = A + E, |E| <= gamma |L| |U| in every entry (Higham, 2002, Theorem 9.3), and D = diag U > 0, A differs from L D L^T,
    which has no negative eigenvalue, by a symmetric matrix below |E| + |L| |D L^T - U|.
    """
    from scipy.sparse import diags_array

    lower, upper = made.L, made.U
    pivots = upper.diagonal()
    if not ((made.perm_r == made.perm_c).all() and (pivots > 0).all()):
        return math.inf
    ones, depth = np.ones(len(pivots)), int(np.diff(lower.tocsr().indptr).max())
    unlike = abs(diags_array(pivots) @ lower.T - upper)
    error = depth * 2.0**-52 * (abs(lower) @ (abs(upper) @ ones)) + abs(lower) @ (
        unlike @ ones + 2.0**-52 * (abs(upper) @ ones)
    )
    return float(error.max()) * (1 + 1e-6)


@dataclass(frozen=True)
class Enclosed:
    """x, z, v, h in extended precision, and bounds of how far the exact ones are from them in the 2-norm."""

    x: Array
    z: Array
    v: Array
    h: Array
    errors: tuple[float, float, float, float]
    signs: Array


def certify(problem: Instance) -> Certificate:
    """The certificate of an instance: bounded, or undecided."""
    scale = problem.loss_scale / len(np.atleast_2d(problem.y))
    pairs = zip(np.atleast_2d(problem.y), np.atleast_2d(problem.target), strict=True)
    found = [enclose(problem, problem.theta, y, target, scale) for y, target in pairs]
    if any(signal is None for signal in found):
        return undecided(problem, OPEN)
    signals = [signal for signal in found if signal is not None]
    terms = [_gradient(problem.parametrisation, problem.theta, signal) for signal in signals]
    grad = np.sum([part for part, _ in terms], axis=0).astype(np.float64)
    norm = float(np.linalg.norm(grad))
    missed = sum(error for _, error in terms) + 2.0**-52 * norm
    if not missed < 1e-3 * norm:
        return undecided(problem, "the gradient is not told from zero by the bound of its error")
    x, z = (np.stack([getattr(signal, name) for signal in signals]).astype(np.float64) for name in ("x", "z"))
    value = 0.5 * scale * float(((x - problem.target) ** 2).sum())
    signs = np.stack([signal.signs for signal in signals])
    rank = (signs == 0).sum(axis=1)
    return Certificate("bounded", "", grad, missed / (norm - missed), x, value, z, signs, rank)


def solve(problem: Instance, theta: Array) -> Array:
    """x*(theta) to a few roundings, in the shape of y; SolveError where its pattern is not proven."""
    found = [enclose(problem, theta, y, y, 1.0) for y in np.atleast_2d(problem.y)]
    if any(signal is None for signal in found):
        raise SolveError(OPEN)
    return np.array([signal.x for signal in found if signal], dtype=np.float64).reshape(problem.y.shape)


def enclose(problem: Instance, theta: Array, y: Array, target: Array, scale: float) -> Enclosed | None:
    """x*, z and the adjoint of one signal with their bounds; None where the pattern is not proven."""
    filters, beta = problem.parametrisation, float(problem.beta)
    assert isinstance(filters, Filters)
    try:
        pattern = filter_dual.solve(filters, theta, y, beta)
    except SolveError:
        return None
    zero, factor = pattern.signs == 0, Factor.of(pattern.rows)
    if factor is None:
        return None
    taps = theta.astype(np.longdouble)
    z = np.where(zero, pattern.z, beta * pattern.signs).astype(np.longdouble)
    x, z, rest = _refined(factor, filters, taps, zero, y.astype(np.longdouble), z)
    e_x, e_z = rest / math.sqrt(factor.least), rest / factor.least
    longest = float(np.linalg.norm(theta, axis=(1, 2)).max())
    slopes = pattern.signs * filters.apply(taps, x)
    margin = longest * (e_x + (theta[0].size + 4) * LONG * float(np.linalg.norm(x)))
    if not ((np.abs(z[zero]) + e_z < beta).all() and (slopes[~zero] > margin).all()):
        return None
    g = scale * (x - target.astype(np.longdouble))
    v, h, rest = _refined(factor, filters, taps, zero, g, np.zeros(len(z), np.longdouble))
    e_g = scale * e_x + 4 * LONG * float(np.linalg.norm(g))
    e_v, e_h = e_g + rest / math.sqrt(factor.least), e_g / math.sqrt(factor.least) + rest / factor.least
    return Enclosed(x, z, v, h, (e_x, e_z, e_v, e_h), pattern.signs)


def _refined(factor: Factor, filters: Filters, taps: Array, zero: Array, q: Array, z: Array) -> tuple[Array, Array, float]:
    """(x, z, bound of |W0 x|) with x = q - K^T z, and z refined on the zero rows until W0 x is rounding."""
    x = q - filters.adjoint(taps, z)
    left = filters.apply(taps, x)[zero]
    for _ in range(ROUNDS):
        closer = z.copy()
        closer[zero] += factor.solve(left.astype(np.float64))
        x_closer = q - filters.adjoint(taps, closer)
        left_closer = filters.apply(taps, x_closer)[zero]
        if not np.linalg.norm(left_closer) < 0.5 * np.linalg.norm(left):
            break
        x, z, left = x_closer, closer, left_closer
    magnitudes = np.abs(taps)
    amount = float(np.linalg.norm(np.abs(q) + filters.adjoint(magnitudes, np.abs(z))))
    spread = math.sqrt(filters.square_norm(magnitudes.astype(np.float64)))
    of_x = (taps.size + 2) * LONG * amount * spread
    of_rows = taps.shape[-1] ** 2 * LONG * float(np.linalg.norm(filters.apply(magnitudes, np.abs(x))[zero]))
    return x, z, (float(np.linalg.norm(left)) + of_x + of_rows) * (1 + 1e-6)


def _gradient(filters: Any, theta: Array, found: Enclosed) -> tuple[Array, float]:
    """(gradient, bound of its error in the Frobenius norm) of one signal."""
    grad = -filters.pullback(theta, found.z, found.v) - filters.pullback(theta, found.h, found.x)
    x, z, v, h = (float(np.linalg.norm(part)) for part in (found.x, found.z, found.v, found.h))
    e_x, e_z, e_v, e_h = found.errors
    spread = theta.shape[-1]  # sqrt of size^2 shifts of b, each against all of a
    products = z * e_v + e_z * v + e_z * e_v + h * e_x + e_h * x + e_h * e_x
    rounding = len(found.x) * LONG * (z * v + h * x)
    return grad, spread * (products + rounding) * (1 + 1e-6)
