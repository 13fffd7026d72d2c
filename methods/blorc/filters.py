"""x*(taps) and its adjoint for a filter bank, matrix-free: the pattern of problems/solvers/filter_dual.py, then Krylov."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from methods.blorc.bounded import Adjoint, Stack
from methods.blorc.solver import SignalSolver
from problems.base import Array, SolveError
from problems.operators.parametrisations import Filters
from problems.solvers import filter_dual
from problems.solvers.box_dual import DEPENDENT, TOUCHING
from problems.solvers.filter_dual import Pattern
from problems.solvers.inside import TOUCH

LARGEST = 2**21  # entries of a K that the dense route, which is cubic, may be handed
LOOSE = 1e-8  # relative residual of one solve of a refined one
ROUNDS = 5
ACCEPTED = 1e-13  # |W0 v| by share of |g|
SINGULAR = 1e10  # |u| over |W0 W0^T u| from which zero rows count as dependent


@dataclass(frozen=True)
class FilterSolution:
    """The pattern of one signal; `note` says why the gradient may not exist."""

    pattern: Pattern
    note: str

    @property
    def x(self) -> Array:
        return self.pattern.x

    @property
    def z(self) -> Array:
        return self.pattern.z

    @property
    def iterations(self) -> int:
        return self.pattern.steps

    def adjoint(self, g: Array) -> tuple[Array, Array]:
        """W0 W0^T h = W0 g by refined conjugate gradients, and v = g - W0^T h; SolveError where W0 v stays above rounding."""
        rows, lifted, v = self.pattern.rows, np.zeros(self.pattern.rows.shape[0]), g
        for _ in range(ROUNDS):
            left = rows @ v
            if np.linalg.norm(left) <= ACCEPTED * np.linalg.norm(g):
                break
            lifted += filter_dual.normal(rows, left, LOOSE)
            v = g - rows.T @ lifted
        else:
            raise SolveError("the adjoint of taps -> x* is not solved to rounding: the zero rows are ill-conditioned")
        h = np.zeros(len(self.z))
        h[self.pattern.signs == 0] = lifted
        return h, v


def solve(filters: Filters, theta: Array, y: Array, beta: float) -> Adjoint:
    """Of signals y, (n,) or (batch, n)."""
    filters.check(theta, y.shape[-1])
    signals = [_solved(filters, theta, signal, beta) for signal in np.atleast_2d(y)]
    return signals[0] if y.ndim == 1 else Stack(signals)


def _solved(filters: Filters, theta: Array, y: Array, beta: float) -> Adjoint:
    """One signal; what Krylov cannot solve, or doubts, goes to the dense route where K is small enough to be written out."""
    small = len(theta) * len(y) ** 2 <= LARGEST
    start = np.zeros(len(theta) * len(y))
    try:
        pattern = filter_dual.solve(filters, theta, y, beta)
        found = FilterSolution(pattern, _doubt(filters, theta, pattern, y, beta))
        if not (small and found.note):
            return found
        start = pattern.z
    except SolveError:
        if not small:
            raise
    return SignalSolver(y, beta).hand_over(filters.matrix(theta), start)


def _doubt(filters: Filters, theta: Array, pattern: Pattern, y: Array, beta: float) -> str:
    """Why there may be no gradient. A right side chosen at random has a part outside the range of a singular W0 W0^T, and says
    how far rounding moves the duals of an ill-conditioned one."""
    zero, longest = pattern.signs == 0, float(np.sqrt((theta**2).sum(axis=(1, 2)).max()))
    right = np.random.default_rng(0).standard_normal(int(zero.sum()))
    try:
        grown = np.linalg.norm(filter_dual.normal(pattern.rows, right, LOOSE)) / (np.linalg.norm(right) or 1.0)
    except SolveError:
        return DEPENDENT
    if len(right) > len(y) or grown > SINGULAR:
        return DEPENDENT
    left = filter_dual.ACCEPTED * float(np.linalg.norm(y))
    steps = np.abs(filters.apply(theta, pattern.x))[~zero]
    z_off, step_off = left * grown, left * grown**0.5 * longest
    touching = (np.abs(pattern.z[zero]) >= beta * (1 - TOUCH) - z_off).any()
    return TOUCHING if touching or steps.min(initial=np.inf) <= TOUCH * longest * np.abs(y).max() + step_off else ""
