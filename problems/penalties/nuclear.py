"""g(z; w) = w |Z|_*, the sum of the singular values of z seen as a matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from array_api_compat import array_namespace

from problems.arrays import Array, local
from problems.penalties.base import Manifold, Penalty, vanishing

LEVEL = 1e-12  # singular values below this share of the largest count as zero: rounding leaves about 1e-16


@dataclass(frozen=True)
class Nuclear(Penalty):
    """g(z; w) = w |Z|_*, w >= 0 a scalar, z (p q,) seen as Z (p, q), row after row; prox: soft thresholding of singular values.

    The prox of Z = 0 has derivative 0. Where singular values coincide otherwise, autodiff of the decomposition gives NaN.
    Source: Cai, Candes and Shen (2010).
    """

    name: ClassVar[str] = "nuclear"
    formula: ClassVar[str] = "w |Z|_*"

    shape: tuple[int, int]

    def value(self, z: Any, weight: Any) -> Any:
        xp = array_namespace(z)
        return weight * xp.sum(xp.linalg.svdvals(self._matrix(z)))

    def prox(self, z: Any, step: Any, weight: Any) -> Any:
        matrix = self._matrix(z)
        xp, distinct = local(z, np.diag(np.arange(1.0, 1 + max(self.shape)))[: self.shape[0], : self.shape[1]])
        nonzero = xp.any(z != 0, axis=-1)[..., None, None]
        u, s, v = xp.linalg.svd(xp.where(nonzero, matrix, distinct), full_matrices=False)
        shrunk = xp.where(s > step * weight, s - step * weight, 0.0)
        return xp.reshape(xp.where(nonzero, xp.matmul(u * shrunk[..., None, :], v), 0.0), z.shape)

    def smoothed(self, z: Any, weight: Any, eps: float) -> Any:
        """w tr sqrt(Z Z^T + eps^2 I), on the smaller side of Z."""
        xp, matrix = array_namespace(z), self._matrix(z)
        rows = matrix if self.shape[0] <= self.shape[1] else xp.matrix_transpose(matrix)
        squares = xp.linalg.eigvalsh(xp.matmul(rows, xp.matrix_transpose(rows)))
        return weight * xp.sum(xp.sqrt(squares + eps**2))

    def cvxpy(self, expression: Any, weight: Any) -> tuple[Any, list[Any]]:
        import cvxpy as cp

        return weight * cp.normNuc(cp.reshape(expression, self.shape, order="C")), []

    def manifold(self, z: Array, weight: Array, tolerance: float = 0.0) -> Manifold:
        """Matrices of the rank of Z: tangent U A^T + B V^T; Weingarten map (h, N) -> N h^T Z^{+T} + Z^{+T} h^T N.

        Sources: Vandereycken (2013), section 2; Absil, Mahony and Trumpf (2013), section 5.
        """
        u, s, vt = np.linalg.svd(self._matrix(z))
        r = int(np.count_nonzero(s > max(tolerance, LEVEL * s[0])))
        left, right = u[:, :r], vt[:r].T
        normal = np.kron(u[:, r:], vt[r:].T)
        basis = np.concatenate([np.kron(left, vt.T), np.kron(u[:, r:], right)], axis=1)
        inverse = (left / s[:r]) @ right.T

        def bending(gradient: Array) -> Array:
            n = self._matrix(normal @ (normal.T @ gradient))
            h = basis.T.reshape(basis.shape[1], *self.shape).swapaxes(1, 2)
            return basis.T @ (n @ h @ inverse + inverse @ h @ n).reshape(h.shape[0], len(basis)).T

        return Manifold(basis, (lambda v, w: self._of_rank(v, w, left, right)) if r else vanishing, bending)

    def _of_rank(self, z: Any, weight: Any, left: Array, right: Array) -> Any:
        """w |Z V (U^T Z V)^{-1} U^T Z|_*, equal to g on matrices of rank r near U V^T and smooth around them.

        The squares of the singular values of L R are the eigenvalues of C^T R R^T C with C C^T = L^T L.
        """
        xp, u = local(z, left)
        v, matrix = local(z, right)[1], self._matrix(z)
        tall, wide = matrix @ v, u.T @ matrix
        tall = tall @ xp.linalg.inv(u.T @ tall)
        c = xp.linalg.cholesky(tall.T @ tall)
        return weight * xp.sum(xp.sqrt(xp.linalg.eigvalsh(c.T @ (wide @ wide.T) @ c)))

    def _matrix(self, z: Any) -> Any:
        return array_namespace(z).reshape(z, (*z.shape[:-1], *self.shape))
