"""x* in rational arithmetic, for data exactly on a kink: small problems only, since the numbers grow with every row."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from flint import arb, arb_mat, fmpq, fmpq_mat, fmpz_mat

from problems.arrays import Array
from problems.proofs import arithmetic
from problems.proofs.kkt import Signal

LARGEST = 64  # zero rows


@dataclass(frozen=True)
class Edge:
    """x* exactly: the signs of W x*, its zero rows and their rank; `tight`: in every dual a zero row has |z_i| = b_i."""

    x: arb_mat
    signs: Array
    zero: Array
    rank: int
    tight: bool


def solve(signal: Signal, signs: Array) -> Edge | None:
    """x* if `signs` are those of bound duals of an optimal vertex of the dual, else None.

    With z = b s on the bound rows and W_F W_F^T z_F = W_F q on the free rows F, which must be independent: |z_F| <= b and
    s_i w_i x >= 0 on bound rows prove x = y - W^T z to be x*. Equalities are allowed: bound rows may be zero rows of W x*.
    """
    free = np.flatnonzero(signs == 0)
    if len(free) > LARGEST or not signal.exact_bounds or arithmetic.rank(signal.w[free]) < len(free):
        return None
    b, w, wf = fmpq(*signal.beta.as_integer_ratio()), _rationals(signal.w), _rationals(signal.w[free])
    z = [b * int(sign) for sign in signs.tolist()]
    x = _rationals(signal.y[:, None]) - w.transpose() * fmpq_mat(len(z), 1, z)
    inner: list[fmpq] = []
    if len(free):
        solved = (wf * wf.transpose()).solve(wf * x)
        inner, x = solved.entries(), x - wf.transpose() * solved
    rows = (w * x).entries()
    slopes = [row * int(sign) for row, sign in zip(rows, signs.tolist(), strict=True)]
    if any(abs(value) > b for value in inner) or any(slope < 0 for slope in slopes):
        return None
    exact = np.array([_sign(row) for row in rows], dtype=np.int8)
    zero = np.flatnonzero(exact == 0)
    dual = signs.copy()  # its signs where |z_i| = b, 0 elsewhere
    dual[free] = [_sign(value) if abs(value) == b else 0 for value in inner]
    rank = arithmetic.rank(signal.w[zero])
    tight = bool(dual[zero].any())
    if tight and rank < len(zero):
        tight = _separates(signal.w[zero], dual[zero])
    return Edge(_enclosed(x), exact, zero, rank, tight)


def _separates(w: Array, signs: Array) -> bool:
    """Whether a direction d was found with s_i w_i d >= 0 on the rows of sign s_i, not all 0, and w_i d = 0 on those of sign 0.

    With z_i = b s_i on the former it shows that no other dual z', W^T z' = W^T z, is inside the box: 0 = sum (z_i - z'_i) w_i d
    would be positive. By linear programming in float64, then exactly in the null space of the rows with w_i d = 0.
    """
    from scipy.optimize import linprog

    bound = signs != 0
    upright = w[bound] * signs[bound, None]
    sides, limits = np.concatenate([-upright, upright]), np.repeat([0.0, 1.0], len(upright))
    inside = w[~bound]
    equal = {"A_eq": inside, "b_eq": np.zeros(len(inside))} if len(inside) else {}
    found = linprog(-upright.sum(axis=0), A_ub=sides, b_ub=limits, bounds=(None, None), **equal)
    if found.status != 0:
        return False
    flat = upright @ found.x < 1e-9  # of rows that reach up to 1
    kernel = _kernel(np.concatenate([inside, upright[flat]]))
    if flat.all() or not kernel.ncols():
        return False
    columns = np.array([[int(entry.p) / int(entry.q) for entry in row] for row in kernel.tolist()])
    weights = np.linalg.lstsq(columns, found.x, rcond=None)[0]
    heights = (_rationals(upright[~flat]) * kernel * _rationals(weights[:, None])).entries()
    return all(height > 0 for height in heights)


def _kernel(w: Array) -> fmpq_mat:
    """A basis of {d: w d = 0}, its columns of largest entry 1, exactly."""
    n = w.shape[1]
    if not len(w):
        return fmpq_mat(n, n, [fmpq(int(i == j)) for i in range(n) for j in range(n)])
    basis, nullity = fmpz_mat(arithmetic.integer_rows(w)).nullspace()
    columns = [[int(basis[i, j]) for i in range(n)] for j in range(nullity)]
    largest = [max(map(abs, entries)) for entries in columns]
    return fmpq_mat(n, nullity, [fmpq(columns[j][i], largest[j]) for i in range(n) for j in range(nullity)])


def is_solution(signal: Signal, signs: Array, x: Array) -> bool:
    """Whether P q = x exactly, for the pattern `signs`: W_Z x = 0, and q - x in the row space of W_Z."""
    zero = arithmetic.integer_rows(signal.w[signs == 0])
    point = arithmetic.integer_rows(x[None])[0]
    if any(sum(a * b for a, b in zip(row, point, strict=True)) for row in zero):
        return False
    active = np.flatnonzero(signs)
    penalty = [Fraction(0)] * len(x)
    for i in active.tolist():
        weight = Fraction(signal.beta) * int(signs[i])
        penalty = [total + weight * Fraction(w) for total, w in zip(penalty, signal.w[i].tolist(), strict=True)]
    rest = [Fraction(y) - p - Fraction(t) for y, p, t in zip(signal.y.tolist(), penalty, x.tolist(), strict=True)]
    common = math.lcm(*(value.denominator for value in rest))
    integers = [int(value * common) for value in rest]
    if not any(integers):
        return True
    return bool(zero) and arithmetic.integer_rank([*zero, integers]) == arithmetic.integer_rank(zero)


def _sign(value: fmpq) -> int:
    return (value > 0) - (value < 0)


def _rationals(a: Array) -> fmpq_mat:
    return fmpq_mat(a.shape[0], a.shape[1], [fmpq(*value.as_integer_ratio()) for value in a.ravel().tolist()])


def _enclosed(x: fmpq_mat) -> arb_mat:
    return arb_mat(x.nrows(), 1, [arb(value) for value in x.entries()])
