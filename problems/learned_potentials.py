"""Denoising by learned potentials: filters on a DCT basis under a smooth potential, differentiated in filters and weights."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np

from problems.arrays import Array, local
from problems.base import Energy, Problem, Reference, SolveError
from problems.data.photographs import crop
from problems.ensembles import Ensemble
from problems.proofs.undecided import undecided_where_unsolved

FILTERS, SIZE = 4, 3  # how many are learned, and their side
EPS = 0.05  # of the potential, for images in [0, 1]
STEPS = 50  # of Newton's method, damped


@dataclass(frozen=True, eq=False)
class LearnedPotentials(Problem, Energy):
    """x*(theta) = argmin 1/2 |x - y|^2 + sum_k exp(nu_k) sum_p rho((C_k x)_p), C_k = sum_l t_kl K_l.

    L = 1/(2 n) |x* - target|^2; theta: (4 + 4 * 8,), the log-weights nu before the coefficients t by rows; basis = K
    (8, n, n), the periodic convolutions with the 3 x 3 DCT atoms but the constant one; rho(t) = sqrt(t^2 + eps^2), so that
    Phi is strongly convex.
    Source: Roth and Black (2009); Kunisch and Pock (2013).
    """

    theta: Array
    basis: Array
    y: Array
    target: Array

    @classmethod
    def draw(cls, n: int, seed: int, theta: str, sigma: float) -> LearnedPotentials:
        """White noise on a crop of a photograph; filters are atoms plus a tenth of Gaussians, weights sigma / 2."""
        rng = np.random.default_rng(seed)
        clean, basis = crop(n, rng), _atoms(math.isqrt(n))
        coefficients = np.eye(FILTERS, len(basis)) + 0.1 * rng.standard_normal((FILTERS, len(basis)))
        weights = np.full(FILTERS, np.log(sigma / 2))
        return cls(np.append(weights, coefficients), basis, clean + sigma * rng.standard_normal(n), clean)

    # Problem

    def solve(self, theta: Array) -> Array:
        """Newton's method, the step halved until the energy falls; SolveError where the gradient does not vanish."""
        weights, filters = self._unpack(theta)
        x = self.y
        for _ in range(STEPS):
            rows = filters @ x
            first, second = _slopes(rows)
            slope = x - self.y + np.einsum("k,kpn,kp->n", weights, filters, first)
            if np.abs(slope).max() <= 1e-14 * np.abs(self.y).max():
                return x
            scaled = np.sqrt(weights[:, None] * second)[..., None] * filters
            flat = scaled.reshape(-1, len(x))
            x = self._damped(theta, x, np.linalg.solve(np.eye(len(x)) + flat.T @ flat, slope))
        if np.abs(slope).max() <= 1e-12 * np.abs(self.y).max():
            return x
        raise SolveError(f"Newton's method left a gradient of {np.abs(slope).max():.1e}")

    def _damped(self, theta: Array, x: Array, step: Array) -> Array:
        value, length = float(self.objective(x, theta)), 1.0
        while length > 1e-3 and float(self.objective(x - length * step, theta)) > value * (1 + 1e-15):
            length /= 2
        return x - length * step

    def loss(self, x: Any, theta: Any) -> Any:
        xp, target = local(x, self.target)
        return xp.sum((x - target) ** 2) / (2 * len(self.target))

    def loss_grad(self, x: Array, theta: Array) -> tuple[Array, Array]:
        return (x - self.target) / len(self.target), np.zeros_like(theta)

    def perturbed(self, rng: np.random.Generator) -> Array:
        return self.theta + 0.01 * rng.standard_normal(self.theta.shape)

    def data_names(self) -> tuple[str, ...]:
        return "basis", "y", "target"

    def structure(self) -> Hashable:
        return type(self), self.shapes()

    @undecided_where_unsolved
    def reference(self) -> Reference:
        """R(x; theta) = x - y + sum_k e^{nu_k} C_k^T rho'(C_k x), on the whole space."""
        from problems.proofs.enclosure import Optimality, certify, times

        def parts(theta: Any) -> tuple[Any, list[Any]]:
            coefficients = theta[FILTERS:].reshape(FILTERS, -1)
            return np.exp(theta[:FILTERS]), [sum(c * k for c, k in zip(row, self.basis, strict=True)) for row in coefficients]

        def residual(u: Any, theta: Any) -> Any:
            weights, filters = parts(theta)
            return u - self.y + sum(w * (c.T @ _slopes(c @ u)[0]) for w, c in zip(weights, filters, strict=True))

        def jacobian(u: Any, theta: Any) -> Any:
            weights, filters = parts(theta)
            curved = (w * times(c.T * _slopes(c @ u)[1], c) for w, c in zip(weights, filters, strict=True))
            return sum(curved, start=np.eye(len(u)))

        def cross(u: Any, theta: Any, w: Any) -> Any:
            weights, filters = parts(theta)
            made = []
            for weight, c in zip(weights, filters, strict=True):
                first, second = _slopes(c @ u)
                along = second * (c @ w)
                made.append([weight * (first @ (c @ w)), *(weight * (first @ (k @ w) + along @ (k @ u)) for k in self.basis)])
            return np.append([row[0] for row in made], [row[1:] for row in made])

        return certify(
            self, Optimality(self.solve(self.theta), residual, jacobian, cross, lambda u, theta: u, lambda u, theta, g: (g, 0))
        )

    # Structure that methods ask for

    def objective(self, x: Any, theta: Any) -> Any:
        xp, y = local(theta, self.y)
        weights, filters = self._unpack(theta)
        potentials = xp.sum(xp.sqrt((filters @ x) ** 2 + EPS**2), axis=-1)
        return 0.5 * xp.sum((x - y) ** 2) + xp.sum(weights * potentials)

    def initial(self) -> Array:
        return self.y

    def _unpack(self, theta: Any) -> tuple[Any, Any]:
        """(weights (4,), C (4, n, n))."""
        xp, basis = local(theta, self.basis)
        coefficients = xp.reshape(theta[FILTERS:], (FILTERS, basis.shape[0]))
        return xp.exp(theta[:FILTERS]), xp.tensordot(coefficients, basis, axes=1)


def _slopes(rows: Any) -> tuple[Any, Any]:
    """(rho', rho'') of rho(t) = sqrt(t^2 + eps^2)."""
    sizes = np.sqrt(rows * rows + EPS**2)
    return rows / sizes, EPS**2 / sizes**3


def _atoms(side: int) -> Array:
    """The periodic convolutions with the atoms of the 3 x 3 DCT, but the constant one, (8, side^2, side^2)."""
    from scipy.fft import dct

    lines = dct(np.eye(SIZE), axis=0, norm="ortho")
    shifts = [np.roll(np.eye(side), step, axis=0) for step in range(SIZE)]
    rows = [sum(c * shift for c, shift in zip(line, shifts, strict=True)) for line in lines]
    return np.array([np.kron(down, across) for down in rows for across in rows][1:])


ENSEMBLE = Ensemble(
    name="learned-potentials",
    draw=LearnedPotentials.draw,
    citation="Roth and Black (2009)",
    formula="1/2 |x - y|^2 + sum e^nu_k rho(sum t_kl K_l x)",
    thetas=("weights-and-filters",),
    n=100,
    small=36,
    noise=True,
)
