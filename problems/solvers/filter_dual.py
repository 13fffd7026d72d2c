"""The sign pattern of a convolutional filter bank, min 1/2 |x - y|^2 + beta |K(taps) x|_1, matrix-free, in float64.

Coordinate descent on the box dual, then Newton steps on its free rows W_F (a sparse matrix: few rows of many are free) by
conjugate gradients on W_F W_F^T, each projected on the box and kept where the dual objective falls; sweeps between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from problems.arrays import Array
from problems.base import SolveError
from problems.kernels import KERNELS
from problems.operators.parametrisations import Filters

if TYPE_CHECKING:
    from scipy.sparse import csr_array

SWEEPS, BETWEEN, RELAXATION = 30, 10, 1.3
STEPS = 100  # of Newton
LOOSE = 1e-6  # relative residual of a Newton step
ROUNDS = 6  # of refinement
ACCEPTED = 1e-14  # |W_Z x| by share of |y|: rounding

OPEN = "the sign pattern of K(taps) x* is not found matrix-free: its zero rows are dependent or nearly so"


@dataclass(frozen=True)
class Pattern:
    """x (n,), z and signs (k,), the zero rows as a sparse matrix, and the Newton steps taken."""

    x: Array
    z: Array
    signs: Array
    rows: csr_array
    steps: int


def solve(filters: Filters, theta: Array, y: Array, beta: float) -> Pattern:
    """A pattern with its linear system solved and its signs and bounds checked; SolveError where none is found."""
    taps, patches = np.array(theta.reshape(len(theta), -1)), filters.patches(theta)
    x, z = np.array(y), np.zeros((len(y), len(taps)))
    if not (np.isfinite(taps).all() and np.isfinite(y).all()):
        raise SolveError("a filter bank needs finite taps and signals")
    for _ in range(SWEEPS):
        if not _sweep(taps, patches, beta, x, z):
            break
    for step in range(STEPS):
        slopes = filters.apply(theta, x)
        bound = np.abs(z.ravel()) >= beta
        wrong = bound & (np.sign(z.ravel()) * slopes < 0)
        rows = filters.rows(theta, np.flatnonzero(~bound | wrong))
        moved = np.zeros(z.size)
        moved[~bound | wrong] = normal(rows, slopes[~bound | wrong], LOOSE)
        new = np.clip(z.ravel() + moved, -beta, beta)
        inside = bool((new == z.ravel() + moved).all())
        x_new = y - filters.adjoint(theta, new)
        found = _polished(filters, theta, y, beta, new, ~bound, rows, step + 1) if inside and not wrong.any() else None
        if found:
            return found
        if inside or x_new @ x_new < x @ x:
            x, z = x_new, new.reshape(z.shape)
        for _ in range(BETWEEN):
            _sweep(taps, patches, beta, x, z)
    raise SolveError(OPEN)


def _sweep(taps: Array, patches: Array, beta: float, x: Array, z: Array) -> int:
    """One pass over all duals z (n, filters), x = y - K^T z kept (n); how many came to a bound or left one."""
    work = np.empty(KERNELS.lib.sweep_filters_work(*taps.shape))
    return int(KERNELS.call("sweep_filters", len(z), *taps.shape, taps, patches, beta, RELAXATION, x, z, work))


def normal(rows: csr_array, right: Array, tolerance: float, limit: int = 5000) -> Array:
    """u with W W^T u = right to a relative residual, by conjugate gradients with Jacobi's preconditioner; SolveError beyond."""
    from scipy.sparse.linalg import LinearOperator, cg

    if not right.any():
        return np.zeros(len(right))
    transposed = rows.T.tocsr()
    lengths = np.asarray(rows.multiply(rows).sum(axis=1)).ravel()
    shape = (len(right), len(right))
    gram = LinearOperator(shape, matvec=lambda u: rows @ (transposed @ u), dtype=np.float64)
    scale = LinearOperator(shape, matvec=lambda u: u / lengths, dtype=np.float64)
    with np.errstate(all="ignore"):  # of a singular matrix the iterates are not finite, which is looked at
        u, info = cg(gram, right, rtol=tolerance, atol=0.0, maxiter=limit, M=scale)
    if info or not np.isfinite(u).all():
        raise SolveError(OPEN)
    return np.asarray(u)


def _polished(
    filters: Filters, theta: Array, y: Array, beta: float, z: Array, free: Array, rows: csr_array, steps: int
) -> Pattern | None:
    """The linear system of a pattern solved to rounding; None where its solution breaks the optimality conditions."""
    z = z.copy()
    for _ in range(ROUNDS):
        x = y - filters.adjoint(theta, z)
        left = rows @ x
        if np.linalg.norm(left) <= ACCEPTED * np.linalg.norm(y):
            break
        z[free] += normal(rows, left, LOOSE)
    signs = np.where(free, 0.0, np.sign(z)).astype(np.int8)
    slopes = filters.apply(theta, x)
    if (np.abs(z[free]) > beta).any() or (signs * slopes < 0)[~free].any():
        return None
    return Pattern(x, z, signs, rows, steps)
