"""A factor of rows W0, by which least-squares problems with W0^T and W0 are solved, in float64."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from problems.arrays import Array

CONDITION = 1e-10  # below this reciprocal condition of W0 W0^T, normal equations are not used
RANK = 1e-10  # singular values below this share of the largest count as zero


@dataclass(frozen=True)
class RowFactor:
    """Solutions h of W0^T h = v for W0 of shape (m, n): by Cholesky, or by SVD where that is ill-conditioned or singular.

    Rows are scaled to unit length first, so that neither the rank nor the condition depends on their scale.
    """

    unit: Array  # the rows of W0 over their lengths
    lengths: Array
    cholesky: Array | None  # of unit unit^T
    pseudo_inverse: Array | None  # of unit^T, shape (m, n)
    rank: int
    reciprocal: float = 1.0  # reciprocal condition of unit unit^T over its range

    @classmethod
    def of(cls, w0: Array) -> RowFactor:
        lengths = row_lengths(w0)
        unit = w0 / lengths[:, None]
        if len(w0) <= w0.shape[1]:
            from scipy.linalg.lapack import dpocon, dpotrf

            gram = unit @ unit.T
            factor, info = dpotrf(gram, lower=1, clean=0)
            if not len(w0):
                return cls(unit, lengths, factor, None, 0)
            reciprocal = dpocon(factor, np.abs(gram).sum(axis=0).max(), uplo="L")[0] if info == 0 else 0.0
            if reciprocal > CONDITION:
                return cls(unit, lengths, factor, None, len(w0), float(reciprocal))
        u, singular, vt = np.linalg.svd(unit, full_matrices=False)
        kept = singular > RANK * singular.max(initial=0.0)
        reciprocal = (singular[kept].min(initial=np.inf) / singular.max(initial=1.0)) ** 2
        return cls(unit, lengths, None, (u[:, kept] / singular[kept]) @ vt[kept], int(kept.sum()), float(reciprocal))

    @property
    def full_rank(self) -> bool:
        return self.rank == len(self.unit)

    def lift(self, v: Array) -> Array:
        """h with W0^T h the projection of v on the row space; h = W0^{+T} v at full rank. v (n,) or (n, r), h (m,) or (m, r).

        Once refined, so that the error grows with the condition of the rows, not with its square.
        """
        if self.pseudo_inverse is not None:
            solution = self.pseudo_inverse @ v
        else:
            solution = self._solve(self.unit @ v)
            solution += self._solve(self.unit @ (v - self.unit.T @ solution))
        return (solution.T / self.lengths).T

    def reach(self, t: Array) -> Array:
        """The shortest c with W0 c = t (m,), or as close to it as can be."""
        t = t / self.lengths
        return t @ self.pseudo_inverse if self.pseudo_inverse is not None else self._solve(t) @ self.unit

    def _solve(self, r: Array) -> Array:
        from scipy.linalg.lapack import dpotrs

        return dpotrs(self.cholesky, r, lower=1)[0] if len(r) else np.zeros_like(r)


def row_lengths(w: Array) -> Array:
    """|w_i|, and 1 for a row of zeros."""
    lengths = np.linalg.norm(w, axis=1)
    lengths[lengths == 0] = 1.0
    return lengths
