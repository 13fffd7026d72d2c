"""The manifold of v on which a term g(K v) stays smooth."""

from __future__ import annotations

import numpy as np

from problems.arrays import Array
from problems.forms import Term, matrix_of
from problems.penalties import Manifold


def tangent(term: Term, theta: Array, v: Array, tolerance: float = 0.0) -> Manifold:
    """M = {u: K(theta) u in M'} at v, (n,), with M' the active manifold of the penalty at K v: for l1 the kernel of K_Z.

    With N' normal and B' tangent to M': B = ker N'^T K, and a gradient whose normal part is K^T n, n = N' l, has the curvature
    (B'^T K B)^T curvature'(n) (B'^T K B). Where ker K_Z moves with theta, v moves with it, apart from all this.
    representative(u, theta) takes theta in place of the weight, smooth in both. `tolerance`: see `Penalty.manifold`.
    """
    inner = term.penalty.manifold(term.apply(theta, v), term.weight(theta), tolerance)
    if term.operator is None:
        return Manifold(inner.basis, lambda u, t: inner.representative(u, term.weight(t)), inner.bending)
    k = matrix_of(term, theta, len(v))
    normal = _complement(inner.basis)
    across = k.T @ normal
    basis = _complement(across)
    along = inner.basis.T @ k @ basis

    def bending(gradient: Array) -> Array:
        multipliers = np.linalg.lstsq(across, gradient, rcond=None)[0]
        return along.T @ inner.curvature(normal @ multipliers) @ along

    return Manifold(basis, lambda u, t: inner.representative(term.apply(t, u), term.weight(t)), bending)


def _complement(columns: Array) -> Array:
    """An orthonormal basis of the vectors orthogonal to the columns, (n, n - rank)."""
    from scipy.linalg import null_space

    return np.eye(len(columns)) if columns.shape[1] == 0 else null_space(columns.T)
