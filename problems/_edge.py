"""x* in rational arithmetic, for data exactly on a kink: small problems only, since the numbers grow with every row."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from flint import arb, arb_mat, fmpq, fmpq_mat

from problems import _balls
from problems._kkt import Signal
from problems.base import Array

LARGEST = 64  # zero rows


@dataclass(frozen=True)
class Edge:
    """x* exactly: the signs of W x*, its zero rows and their rank; `bound`: a zero row has |z_i| = b_i in the dual found."""

    x: arb_mat
    signs: Array
    zero: Array
    rank: int
    bound: bool


def solve(signal: Signal, signs: Array) -> Edge | None:
    """x* if `signs` are those of bound duals of an optimal vertex of the dual, else None.

    With z = b s on the bound rows and W_F W_F^T z_F = W_F q on the free rows F, which must be independent: |z_F| <= b and
    s_i w_i x >= 0 on bound rows prove x = y - W^T z to be x*. Equalities are allowed: bound rows may be zero rows of W x*.
    """
    free = np.flatnonzero(signs == 0)
    if len(free) > LARGEST or not signal.exact_bounds or _balls.rank(signal.w[free]) < len(free):
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
    exact = np.array([(row > 0) - (row < 0) for row in rows], dtype=np.int8)
    zero = np.flatnonzero(exact == 0)
    bound = any(abs(value) == b for value in inner) or bool(signs[zero].any())
    return Edge(_enclosed(x), exact, zero, _balls.rank(signal.w[zero]), bound)


def is_solution(signal: Signal, signs: Array, x: Array) -> bool:
    """Whether P q = x exactly, for the pattern `signs`: W_Z x = 0, and q - x in the row space of W_Z."""
    zero = _balls.integer_rows(signal.w[signs == 0])
    point = _balls.integer_rows(x[None])[0]
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
    return bool(zero) and _balls.integer_rank([*zero, integers]) == _balls.integer_rank(zero)


def _rationals(a: Array) -> fmpq_mat:
    return fmpq_mat(a.shape[0], a.shape[1], [fmpq(*value.as_integer_ratio()) for value in a.ravel().tolist()])


def _enclosed(x: fmpq_mat) -> arb_mat:
    return arb_mat(x.nrows(), 1, [arb(value) for value in x.entries()])
