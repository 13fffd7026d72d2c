"""The linear system that a sign pattern of W x* implies, enclosed in balls: x*, its dual, the adjoint, and all margins.

The lower level is x* = argmin 1/2 |x - y|^2 + sum_i b_i |w_i x| with exact float64 w_i, y and bounds b_i = beta exp(theta_i) in
balls: log-weights move the bounds alone, so the rows stay exact. For a pattern s in {-1, 0, 1}^k with zero rows Z, others A,
and B in Z a basis of the rows in Z: W_B W_B^T u = W_B q with q = y - W_A^T (b s)_A, and x = q - W_B^T u, so W_Z x = 0 exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from flint import arb, arb_mat, ctx

from problems.arrays import Array
from problems.proofs import arithmetic
from problems.proofs.arithmetic import balls, column
from problems.solvers.inside import deepest

ROOM = 1e-6  # a float64 dual this far inside the box, by share of its bound, needs no linear program


@dataclass(frozen=True)
class Signal:
    """One lower level: exact rows w (k, n), y and target (n,), beta, and log-weights (k,) or None where theta is w itself.

    `shared`: the log-weights are one number, repeated.
    """

    w: Array
    y: Array
    target: Array
    beta: float
    log_weights: Array | None = None
    shared: bool = False

    def bounds(self) -> list[arb]:
        """b = beta exp(theta), k balls; exact where theta is 0."""
        if self.log_weights is None:
            return [arb(self.beta)] * len(self.w)
        return [arb(self.beta) * arb(t).exp() for t in self.log_weights.tolist()]

    def float_bounds(self) -> Array:
        with np.errstate(over="ignore", under="ignore"):
            return self.beta * (np.ones(len(self.w)) if self.log_weights is None else np.exp(self.log_weights))

    @property
    def weighted(self) -> bool:
        return self.log_weights is not None

    @property
    def exact_bounds(self) -> bool:
        return self.log_weights is None or not self.log_weights.any()


@dataclass(frozen=True)
class System:
    """A sign pattern: `zero` and `active` rows, a `basis` of the zero rows, and `fixed` dual values for the `rest` of them."""

    signs: Array
    zero: Array
    active: Array
    basis: Array
    rest: Array
    fixed: Array

    @classmethod
    def of(cls, signal: Signal, signs: Array, dual: Array | None) -> System:
        zero, active = np.flatnonzero(signs == 0), np.flatnonzero(signs)
        w0 = signal.w[zero]
        rank = arithmetic.rank(w0)
        if rank == len(zero):
            return cls(signs, zero, active, zero, zero[:0], np.zeros(0))
        with np.errstate(all="ignore"):
            chosen = _well_conditioned(w0, rank)
            rest = np.setdiff1d(np.arange(len(zero)), chosen)
            inner = _inner_dual(signal, signs, zero, chosen, rest, dual)
        return cls(signs, zero, active, zero[chosen], zero[rest], np.nan_to_num(inner))

    @property
    def rank(self) -> int:
        return len(self.basis)

    @property
    def dependent(self) -> bool:
        return len(self.rest) > 0


def _well_conditioned(w0: Array, rank: int) -> Array:
    """Rows that float64 takes for a well-conditioned basis; whether they are independent, the ball solve finds out."""
    from scipy.linalg import qr

    lengths = np.linalg.norm(w0, axis=1, keepdims=True)
    scaled = np.nan_to_num(w0 / np.where(lengths > 0, lengths, 1.0))
    return np.sort(qr(scaled.T, mode="r", pivoting=True)[1][:rank])


def _inner_dual(signal: Signal, signs: Array, zero: Array, chosen: Array, rest: Array, dual: Array | None) -> Array:
    """Float64 duals for the `rest` of the zero rows, all of them inside the box: of minimum norm, those given, or deepest."""
    w0, b = signal.w[zero], signal.float_bounds()
    q = signal.y - (b * signs) @ signal.w
    least = np.linalg.lstsq(w0.T, q, rcond=1e-10)[0]
    given = [] if dual is None else [(dual * b / signal.beta)[zero]]
    for candidate in (least, *given):
        if np.isfinite(candidate).all() and (np.abs(candidate) < b[zero] * (1 - ROOM)).all():
            return candidate[rest]
    basis = w0[chosen]
    coefficients = np.linalg.lstsq(basis.T, w0[rest].T, rcond=None)[0]  # w_rest = coefficients^T W_B
    start = np.linalg.lstsq(basis.T, q, rcond=None)[0]
    # all duals of x* on the zero rows: HiGHS calls the equations themselves infeasible where they are redundant
    directions = np.concatenate([-coefficients, np.eye(len(rest))])
    bounds = np.concatenate([b[zero[chosen]], b[zero[rest]]])
    return deepest(np.concatenate([start, np.zeros(len(rest))]), directions, bounds)[len(chosen) :]


@dataclass(frozen=True)
class Enclosure:
    """Columns of balls around the numbers that a pattern implies, at one precision.

    x (n); z (k), b s on A; for L = 1/2 |x - target|^2 the adjoint v = P (x - target) (n) and h = W_B^{+T} (x - target) on the
    basis, 0 elsewhere (k); margins (k): s_i w_i x on A, b_i - |z_i| on Z. All positive: x is x*, with a strict dual.
    """

    x: arb_mat
    z: arb_mat
    v: arb_mat
    h: arb_mat
    margins: list[arb]
    bits: int


def enclose(signal: Signal, system: System, bits: int) -> Enclosure:
    """The enclosure at a working precision; ZeroDivisionError where W_B W_B^T is not shown to be nonsingular there.

    On Z beyond the basis z is held at `fixed`, and u - (W_B W_B^T)^-1 W_B (W_rest^T fixed) on the basis: W_Z^T z = W_B^T u
    holds exactly, because both sides lie in the row space of W_B and have the same product with W_B.
    """
    with ctx.workprec(bits):
        w, wb = balls(signal.w), balls(signal.w[system.basis])
        b = signal.bounds()
        z = [bound * int(sign) for bound, sign in zip(b, system.signs.tolist(), strict=True)]
        q, target = balls(signal.y) - w.transpose() * column(z), balls(signal.target)
        held = balls(signal.w[system.rest]).transpose() * balls(system.fixed)
        u, lifted, shift = lift(wb, q, target, held)
        x = q - wb.transpose() * column(u)
        v = x - target + wb.transpose() * column(lifted)
        h = [arb(0)] * len(z)
        for row, dual, adjoint, correction in zip(system.basis.tolist(), u, lifted, shift, strict=True):
            z[row], h[row] = dual - correction, -adjoint
        for row, value in zip(system.rest.tolist(), system.fixed.tolist(), strict=True):
            z[row] = arb(value)
        rows = (w * x).entries()
        margins = [rows[i] * int(sign) if sign else b[i] - abs(z[i]) for i, sign in enumerate(system.signs.tolist())]
        return Enclosure(x, column(z), v, column(h), margins, bits)


def lift(wb: arb_mat, *sides: arb_mat) -> list[list[arb]]:
    """(W_B W_B^T)^-1 W_B r for each column r, by LU in balls: it ends only where every matrix in the balls is nonsingular."""
    if not wb.nrows():
        return [[] for _ in sides]
    right = wb * arb_mat([list(row) for row in zip(*(side.entries() for side in sides), strict=True)])
    solved = (wb * wb.transpose()).solve(right, algorithm="lu").tolist()
    return [list(entries) for entries in zip(*solved, strict=True)]
