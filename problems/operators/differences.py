"""Forward differences of signals and images, without a matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from array_api_compat import array_namespace

from problems.arrays import Array
from problems.operators.fixed import Constant

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True)
class Differences1D(Constant):
    """(K x)_i = x_{i+1} - x_i, k = n - 1; |K|^2 = 4 cos^2(pi / 2n)."""

    n: int

    @property
    def shape(self) -> tuple[int, int]:
        return self.n - 1, self.n

    def apply(self, theta: Any, x: Any) -> Any:
        return x[..., 1:] - x[..., :-1]

    def adjoint(self, theta: Any, z: Any) -> Any:
        padded = array_namespace(z).concat([0 * z[..., :1], z, 0 * z[..., :1]], axis=-1)
        return padded[..., :-1] - padded[..., 1:]

    def sparse(self, theta: Array) -> csr_array:
        return _forward(self.n)[:-1]

    def square_norm(self, theta: Array) -> float:
        return _square_norm(self.n)


@dataclass(frozen=True)
class Differences2D(Constant):
    """K x = [dx; dy] of an image (h, w), row after row: x_{i,j+1} - x_ij, then x_{i+1,j} - x_ij, 0 at the far edge; k = 2 h w.

    |K|^2 = 4 cos^2(pi / 2h) + 4 cos^2(pi / 2w). Isotropic total variation is |K x|_{2,1}. Source: Chambolle (2004).
    """

    height: int
    width: int

    @property
    def shape(self) -> tuple[int, int]:
        n = self.height * self.width
        return 2 * n, n

    def apply(self, theta: Any, x: Any) -> Any:
        xp, batch = array_namespace(x), x.shape[:-1]
        image = xp.reshape(x, (*batch, self.height, self.width))
        dx = xp.concat([image[..., 1:] - image[..., :-1], 0 * image[..., :1]], axis=-1)
        dy = xp.concat([image[..., 1:, :] - image[..., :-1, :], 0 * image[..., :1, :]], axis=-2)
        return xp.concat([xp.reshape(part, x.shape) for part in (dx, dy)], axis=-1)

    def adjoint(self, theta: Any, z: Any) -> Any:
        xp, batch, n = array_namespace(z), z.shape[:-1], self.height * self.width
        across = Differences1D(self.width)
        dx = xp.reshape(z[..., :n], (*batch, self.height, self.width))
        dy = xp.reshape(z[..., n:], (*batch, self.height, self.width))[..., :-1, :]
        upper = xp.concat([0 * z[..., : self.width], xp.reshape(dy, (*batch, -1)), 0 * z[..., : self.width]], axis=-1)
        return xp.reshape(across.adjoint(theta, dx[..., :-1]), (*batch, n)) + upper[..., :n] - upper[..., self.width :]

    def sparse(self, theta: Array) -> csr_array:
        from scipy.sparse import csr_array, eye_array, kron, vstack

        dx = kron(eye_array(self.height), _forward(self.width))
        dy = kron(_forward(self.height), eye_array(self.width))
        return csr_array(vstack([dx, dy]))

    def square_norm(self, theta: Array) -> float:
        return _square_norm(self.height) + _square_norm(self.width)


def _forward(n: int) -> csr_array:
    """Forward differences with a last row of zeros, (n, n)."""
    from scipy.sparse import csr_array, diags_array

    return csr_array(diags_array([np.append(-np.ones(n - 1), 0.0), np.ones(n - 1)], offsets=[0, 1]))


def _square_norm(n: int) -> float:
    """The largest eigenvalue of the Laplacian of a path."""
    return float(4 * np.cos(np.pi / (2 * n)) ** 2)
