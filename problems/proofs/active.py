"""The bounded active set of problems/solvers/box_dual.py in multiprecision: it finds patterns that float64 cannot see."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import numpy as np
from flint import arb, arb_mat, ctx, fmpz_mat, nmod_mat

from problems.arrays import Array
from problems.proofs import arithmetic
from problems.proofs.arithmetic import balls, column
from problems.proofs.basis import Basis
from problems.proofs.kkt import Signal
from problems.solvers.box_dual import BOUND

BITS = (256, 512, 1024)
STEPS = 1000
PRIME = 2**61 - 1
CLEAR = 1e-10  # rows this far from the span of others, by share of their length, are independent in float64


def settle(signal: Signal, dual: Array) -> Iterator[tuple[Array, Array, Array]]:
    """(signs of the bound duals, signs of W x, duals) at a minimiser over the box, from float64 duals (k) of K(theta).

    Once a precision, each going on from the last: filter banks have rows with |w_i x*| from 1e-10 down to 1e-150, whose signs
    decide the pattern; what rounding hides counts as zero. It proves nothing. Each step
    goes to the minimiser over the free rows, as far as the box allows; the row that blocks is bound, or, on arrival, the row of
    the most negative s_i w_i x is freed. Free rows beyond a basis are held, so that dependent rows are met one by one.
    """
    share = np.clip(dual / signal.beta, -1, 1)
    share = _vertex(signal, np.where(np.abs(share) < 1 - BOUND, share, np.sign(share)))
    free = np.abs(share) < 1
    z = [(bound * s).mid() for bound, s in zip(signal.bounds(), share.tolist(), strict=True)]
    for bits in BITS:
        rows: list[arb] = []
        with ctx.workprec(bits), suppress(ZeroDivisionError):
            rows = _settle(signal, z, free)
        if rows:
            bound = np.array([0 if f else _sign(value) for value, f in zip(z, free.tolist(), strict=True)], dtype=np.int8)
            signs = np.where([row.contains(0) for row in rows], 0, bound).astype(np.int8)
            shares = [float(value / limit) for value, limit in zip(z, signal.bounds(), strict=True)]
            yield bound, signs, np.array(shares) * signal.beta


def _settle(signal: Signal, z: list[arb], free: Array) -> list[arb]:
    """Bring z and the free rows to a minimiser; W x there. ZeroDivisionError where the precision is too low to go on."""
    b, w, y = signal.bounds(), balls(signal.w), balls(signal.y)
    transposed, rows, scale = w.transpose(), [arb(1)] * len(z), float(np.abs(signal.y).max())
    basis = Basis.of(signal.w, independent(signal.w, np.flatnonzero(free)))
    for _ in range(STEPS):
        x = y - transposed * column(z)
        first = _go(z, basis.lift(x), b)
        if first is not None:
            z[first] = b[first].mid() * _sign(z[first])
            free[first] = False
            lost = basis.remove(first)
            held = np.setdiff1d(np.flatnonzero(free), basis.rows)
            if len(held):
                _replace(basis, signal.w, held, lost)
            continue
        rows = (w * basis.projected(x, scale)).entries()
        worst = _worst(rows, z, free)
        if worst is None:
            break
        free[worst] = True
        basis.add(worst, signal.w[worst])
    return rows


def _replace(basis: Basis, w: Array, held: Array, lost: arb_mat) -> None:
    """Give the basis back the direction it lost, by the row held that has most of it; none may have any."""
    length = (lost.transpose() * lost)[0, 0].sqrt()
    shares = [(abs(share) / length).mid() for share in (balls(w[held]) * lost).entries()]
    best = max(range(len(held)), key=shares.__getitem__)
    if shares[best] > float(np.abs(w).max()) * arb(2) ** (-ctx.prec // 2):
        basis.add(int(held[best]), w[held[best]])


def _vertex(signal: Signal, share: Array) -> Array:
    """Shares of the bounds with the same W^T z but free rows independent, by linear programming; `share` where that fails."""
    from scipy.optimize import linprog

    free = np.flatnonzero(np.abs(share) < 1)
    if len(independent(signal.w, free)) == len(free):
        return share
    cost = np.random.default_rng(0).standard_normal(len(free))
    equal = (signal.w[free] * signal.float_bounds()[free, None]).T
    found = linprog(cost, A_eq=equal, b_eq=equal @ share[free], bounds=(-1, 1), method="highs-ds")
    moved = share.copy()
    if found.status == 0:
        moved[free] = np.where(np.abs(found.x) < 1 - BOUND, found.x, np.sign(found.x))
    return moved


def independent(w: Array, rows: Array) -> Array:
    """A maximal independent subset of the rows, well-conditioned as far as float64 sees, completed modulo a prime."""
    from scipy.linalg import qr

    if not len(rows):
        return rows
    with np.errstate(all="ignore"):
        lengths = np.linalg.norm(w[rows], axis=1, keepdims=True)
        scaled = np.nan_to_num(w[rows] / np.where(lengths > 0, lengths, 1.0))
        triangle, order = qr(scaled.T, mode="r", pivoting=True)
    ordered = rows[order]
    clear = int((np.abs(np.diagonal(triangle)) > CLEAR).sum())
    if clear == min(len(rows), w.shape[1]):
        return np.sort(ordered[:clear])
    reduced, rank = nmod_mat(fmpz_mat(arithmetic.integer_rows(w[ordered])).transpose(), PRIME).rref()
    pivots = [next(j for j in range(len(rows)) if int(reduced[i, j])) for i in range(rank)]
    return np.sort(ordered[pivots])


def _go(z: list[arb], step: dict[int, arb], b: list[arb]) -> int | None:
    """Move z along the step as far as the box allows; the row that blocks, if any."""
    length, first = arb(1), None
    for i, s in step.items():
        room = (b[i] - z[i]) / s if s > 0 else -(b[i] + z[i]) / s if s < 0 else arb(2)
        if room.mid() < length:
            length, first = room.mid(), i
    length = arb(0) if length < 0 else length
    for i, s in step.items():
        z[i] = (z[i] + length * s).mid()
    return first


def _worst(rows: list[arb], z: list[arb], free: Array) -> int | None:
    """The bound row of the most negative s_i w_i x among those certainly negative."""
    slopes = {i: row * _sign(z[i]) for i, row in enumerate(rows) if not free[i]}
    wrong = {i: float(slope) for i, slope in slopes.items() if slope < 0}
    return min(wrong, key=wrong.__getitem__) if wrong else None


def _sign(value: arb) -> int:
    return 1 if value > 0 else -1
