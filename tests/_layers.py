"""Small problems with the proven derivatives of their solutions, and the table of the transforms, for the tests of the layers.

Every entry of W, y, target and beta is a float32, so that one proof serves both dtypes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

import mpmath
import numpy as np
import pytest
from _exact import matrix, prove, relative, solve_pattern

from problems import AnalysisL1
from problems.base import Array

COUNT = 3
SEEDS = (0, 5, 2)  # of instances that are 1e-2 and more away from a kink in every combination below
N = 9
BETAS = (0.45, 0.4, 0.5)
FIRST = "first derivatives only"
ALL = (0, 1, 2)  # the arguments W, y and beta, and
SUBSETS = [flags for flags in product((0, 1), repeat=3) if any(flags)]  # which of them are differentiated

# Rounding times a condition number of W0 below 4, as for the methods. In float32 the loss, x* and its gradient are rounded too.
TOLERANCE = {np.dtype(np.float64): 1e-13, np.dtype(np.float32): 1e-6}
each_dtype = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])

VARIED = {  # whether W, y (with its target) and beta are each signal's own
    "y": (0, 1, 0),
    "W": (1, 0, 0),
    "beta": (0, 0, 1),
    "W and y": (1, 1, 0),
    "all": (1, 1, 1),
}
Index = tuple[int, int, int]
ONE: Index = (0, 0, 0)


@dataclass(frozen=True)
class Row:
    """A transform: `run` of a dtype gives arrays, which are those of `truth`, or is refused with the words `refused`."""

    name: str
    run: Callable[[Any], Any]
    truth: Callable[[], Any] = list
    refused: str = ""

    def check(self, dtype: Any) -> None:
        if self.refused:
            with pytest.raises((RuntimeError, TypeError), match=self.refused) as caught:
                self.run(dtype)
            assert "\n" not in str(caught.value)
            return
        found, truth = listed(self.run(dtype)), listed(self.truth())
        assert [np.shape(a) for a in found] == [np.shape(b) for b in truth]
        for a, b in zip(found, truth, strict=True):
            assert np.asarray(a).dtype == dtype
            assert relative(a, b) < TOLERANCE[np.dtype(dtype)]


def listed(arrays: Any) -> list[Any]:
    return [part for each in arrays for part in listed(each)] if isinstance(arrays, tuple | list) else [arrays]


def member(varied: str, i: int) -> Index:
    w, y, beta = VARIED[varied]
    return i * w, i * y, i * beta


@cache
def problem(index: Index = ONE) -> AnalysisL1:
    """The W, the signal and the weight of these indices, rounded to float32."""
    drawn = [AnalysisL1.draw(n=N, operator="random", batch=None, seed=seed) for seed in SEEDS]
    w, y, beta = index
    values = [np.asarray(a, np.float32).astype(np.float64) for a in (drawn[w].theta, drawn[y].y, drawn[y].target, BETAS[beta])]
    found = AnalysisL1(*values[:3], float(values[3]))
    assert found.reference().status == "proven" and found.reference().kink_distance > 1e-2
    return found


def inputs(dtype: Any, index: Index = ONE) -> list[Array]:
    """W, y, beta and target."""
    found = problem(index)
    return [np.array(a, dtype) for a in (found.theta, found.y, found.beta, found.target)]


def stacked(dtype: Any, varied: str) -> list[Array]:
    """W, y, beta and target, those that vary with an axis in front."""
    alone, members = inputs(dtype), [inputs(dtype, member(varied, i)) for i in range(COUNT)]
    return [np.stack(each) if axis == 0 else one for one, axis, *each in zip(alone, axes(varied), *members, strict=True)]


def axes(varied: str) -> tuple[int | None, ...]:
    """in_axes of W, y, beta and target."""
    w, y, beta = (0 if flag else None for flag in VARIED[varied])
    return w, y, beta, y


@cache
def tangents() -> list[Array]:
    """A direction of W, y and beta."""
    rng = np.random.default_rng(0)
    return [np.asarray(rng.standard_normal(shape), np.float32).astype(np.float64) for shape in ((N, N), (N,), ())]


@cache
def jacobians(index: Index = ONE) -> list[Array]:
    """dx*/dW (n, k, n), dx*/dy (n, n) and dx*/dbeta (n,) by the formula at the proved pattern, in 60 digits.

    dx = P (dy - dW^T z - dbeta W_A^T s) - W0^+ (dW x)_0, with the zero rows W0, the others W_A of signs s, and P = I - W0^+ W0.
    """
    found = problem(index)
    pattern, w = prove(found.theta, found.y, found.beta), matrix(found.theta)
    x, z_zero = solve_pattern(w, found.y, found.beta, pattern)
    zero, (k, n) = pattern.basis, found.theta.shape
    assert len(zero) == np.count_nonzero(pattern.signs == 0)  # independent rows: the formula holds
    rows = mpmath.matrix([[w[i, c] for c in range(n)] for i in zero])
    inverse = rows.T * mpmath.inverse(rows * rows.T)
    projector = mpmath.eye(n) - inverse * rows
    signs, z = [mpmath.mpf(int(sign)) for sign in pattern.signs], [found.beta * int(sign) for sign in pattern.signs]
    for i, value in zip(zero, z_zero, strict=True):
        z[i] = value
    in_w = np.array([[[-projector[c, j] * z[i] for j in range(n)] for i in range(k)] for c in range(n)])
    for a, i in enumerate(zero):
        in_w[:, i] -= np.array([[inverse[c, a] * x[j] for j in range(n)] for c in range(n)])
    in_beta = -projector * (w.T * mpmath.matrix(signs))
    return [np.array(a, dtype=np.float64) for a in (in_w, projector.tolist(), list(in_beta))]


# Truths, as the rows of the table name them


def solution(index: Index = ONE) -> Array:
    return problem(index).reference().solution


def gradients(index: Index = ONE) -> list[Array]:
    """Of the loss 1/2 |x* - target|^2 in W, y and beta."""
    found = problem(index)
    g, _ = found.loss_grad(found.reference().solution, found.theta)
    _, in_y, in_beta = jacobians(index)
    return [found.reference().grad, g @ in_y, g @ in_beta]


def in_beta(index: Index = ONE) -> Array:
    return gradients(index)[2]


def pushed(index: Index = ONE, which: Index = (1, 1, 1)) -> Array:
    """The derivative of x* along the tangents of those of W, y and beta that are flagged."""
    along = [np.tensordot(a, t, t.ndim) for a, t in zip(jacobians(index), tangents(), strict=True)]
    return np.asarray(sum(flag * a for flag, a in zip(which, along, strict=True)))


def value(index: Index = ONE) -> Array:
    return np.asarray(problem(index).reference().value)


def of_pairs() -> Array:
    """The solutions of every W with every y."""
    return np.stack([[solution((i, j, 0)) for j in range(COUNT)] for i in range(COUNT)])


def of_each(varied: str, truth: Callable[[Index], Any]) -> list[Array]:
    """The truths of the members, stacked in front."""
    return [np.stack(parts) for parts in zip(*(listed(truth(member(varied, i))) for i in range(COUNT)), strict=True)]


def of_sum(varied: str) -> list[Array]:
    """The gradients of the sum of the losses: what every signal has of its own is stacked, what they share is summed."""
    found = of_each(varied, gradients)
    return [a if axis == 0 else a.sum(axis=0) for a, axis in zip(found, axes(varied), strict=False)]
