"""Solvers of the tests' own, independent of problems/: small, slow, and in as many digits as wanted."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import mpmath
import numpy as np
from scipy.optimize import lsq_linear

from problems.base import Array

DIGITS = 60
STEP = mpmath.mpf(10) ** -20  # central differences in 60 digits: error 1e-40, round-off 1e-40

EXISTS = ("proven", "bounded", "unproven")  # the statuses of a reference whose gradient exists and does not vanish

mpmath.mp.dps = DIGITS


def relative(a: Array, b: Array) -> float:
    """|a - b| / |b| in the Frobenius norm."""
    return float(np.linalg.norm(np.asarray(a) - b) / np.linalg.norm(b))


def optimality_gap(w: Array, y: Array, beta: float, x: Array, z: Array) -> float:
    """The largest relative violation of x = y - W^T z, |z| <= beta and <z, W x> = beta |W x|_1: 0 only at the solution."""
    rows = w @ x
    lengths = np.linalg.norm(w, axis=1).sum() * np.linalg.norm(y)
    stationary = np.abs(x - (y - w.T @ z)).max() / np.abs(y).max()
    in_box = (np.abs(z).max(initial=0.0) - beta) / beta
    aligned = (beta * np.abs(rows).sum() - z @ rows) / (beta * lengths) if lengths else 0.0
    return float(max(stationary, in_box, aligned))


def by_bvls(w: Array, y: Array, beta: float) -> Array:
    """x* by scipy's bounded-variable least squares on the dual."""
    found = lsq_linear(w.T, y, bounds=(-beta, beta), method="bvls", tol=1e-15)
    return y - w.T @ found.x


def by_enumeration(w: Array, y: Array, beta: float) -> Array:
    """x* by trying all 3^k sign patterns: the feasible dual point of least |y - W^T z|."""
    best, least = y, np.inf
    for pattern in itertools.product((-1.0, 0.0, 1.0), repeat=len(w)):
        z = beta * np.array(pattern)
        free = z == 0
        z[free] = np.linalg.lstsq(w[free].T, y - w.T @ z, rcond=None)[0] if free.any() else 0.0
        x = y - w.T @ z
        if np.abs(z).max() <= beta * (1 + 1e-9) and x @ x < least:  # 1e-9: a pattern of a bound row counts as feasible
            best, least = x, x @ x
    return best


@dataclass(frozen=True)
class Pattern:
    """A sign pattern of W x*, proved optimal at W in 60 digits; `basis` are independent rows spanning the zero rows."""

    signs: Array
    basis: list[int]


def prove(w: Array, y: Array, beta: float) -> Pattern:
    """The strict pattern at W: |z_i| < beta on zero rows and s_i w_i x* > 0 elsewhere, checked in 60 digits.

    On dependent zero rows the signs alone are proved (x* = P q with s_i w_i x* > 0, and bvls agrees on x*).
    """
    x = by_bvls(w, y, beta)
    rows = w @ x
    signs = np.where(np.abs(rows) > 1e-9 * np.linalg.norm(w, axis=1) * np.linalg.norm(y), np.sign(rows), 0.0)
    pattern = Pattern(signs, _independent(w, np.flatnonzero(signs == 0)))
    exact, z = solve_pattern(matrix(w), y, beta, pattern)
    for i in np.flatnonzero(signs):
        assert signs[i] * sum(mpmath.mpf(w[i, j]) * exact[j] for j in range(len(y))) > 0
    if len(pattern.basis) == (signs == 0).sum():
        assert all(abs(value) < beta for value in z)
    else:
        assert max(abs(exact[j] - x[j]) for j in range(len(y))) < 1e-9  # bvls is good to about 1e-12
    return pattern


def matrix(w: Array) -> mpmath.matrix:
    return mpmath.matrix(w.tolist())


def solve_pattern(w: mpmath.matrix, y: Array, beta: float, pattern: Pattern) -> tuple[list, list]:
    """(x*, z on the basis) by the KKT system of a pattern: W0 W0^T z = W0 q, x = q - W0^T z, q = y - beta W_A^T s."""
    n = len(y)
    active = [int(i) for i in np.flatnonzero(pattern.signs)]
    q = [mpmath.mpf(y[j]) - mpmath.mpf(beta) * sum(int(pattern.signs[i]) * w[i, j] for i in active) for j in range(n)]
    rows = pattern.basis
    if not rows:
        return q, []
    gram = mpmath.matrix(len(rows))
    for a, i in enumerate(rows):
        for b, j in enumerate(rows):
            gram[a, b] = sum(w[i, c] * w[j, c] for c in range(n))
    z = mpmath.lu_solve(gram, mpmath.matrix([sum(w[i, c] * q[c] for c in range(n)) for i in rows]))
    return [q[c] - sum(w[i, c] * z[a] for a, i in enumerate(rows)) for c in range(n)], list(z)


def differences(size: int, operator: Callable[[int, mpmath.mpf], mpmath.matrix], loss: Callable[..., mpmath.mpf]) -> Array:
    """Central differences of loss(operator(j, step)) over j < size, in 60 digits, rounded to float64."""
    slopes = [(loss(operator(j, STEP)) - loss(operator(j, -STEP))) / (2 * STEP) for j in range(size)]
    return np.array([float(slope) for slope in slopes])


def _independent(w: Array, rows: Array) -> list[int]:
    chosen: list[int] = []
    for row in rows:
        if np.linalg.matrix_rank(w[[*chosen, int(row)]], tol=1e-9) > len(chosen):
            chosen.append(int(row))
    return chosen


def touching_tv(count: int) -> Iterator[tuple[Array, Array]]:
    """(W, y), W weighted differences of 6 and beta = 1: x* has a zero row whose dual is 1 or -1, but for rounding in y."""
    for seed in range(count):
        rng = np.random.default_rng(seed)
        w = rng.uniform(0.5, 2.0, (5, 1)) * np.diff(np.eye(6), axis=0)
        signs, touching = rng.choice([-1.0, 0.0, 1.0], 5), int(rng.integers(5))
        signs[touching] = 0.0
        x = rng.standard_normal() + np.append(0.0, np.cumsum(signs * rng.uniform(0.5, 2.0, 5)))
        z = np.where(signs == 0.0, rng.uniform(-0.9, 0.9, 5), signs)
        z[touching] = rng.choice([-1.0, 1.0])
        yield w, x + w.T @ z


def image_tv(side: int) -> Array:
    """2-D total variation of a side x side image, rows as in the vectorised image: any flat 2 x 2 block is a cycle."""
    d, eye = np.diff(np.eye(side), axis=0), np.eye(side)
    return np.concatenate([np.kron(eye, d), np.kron(d, eye)])
