"""Exact solution of the box dual for a sparse W of any pattern and its adjoint: one signal.

Coordinate descent on the rows finds most of the pattern, projected Newton steps with a sparse LU of W_F W_F^T find the
rest: the dense route with its tolerances, on sparse algebra. Dependent free rows are left open.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from problems.base import Array, SolveError
from problems.kernels import KERNELS

if TYPE_CHECKING:
    from scipy.sparse import csr_array

SWEEPS = 100
BETWEEN = 10  # sweeps after a Newton step that met the box
NEWTONS = 100
REFINED = 4  # refinements of a solution, at most

RELAXATION = 1.4
ACCEPTED = 1e-11  # residual of a free row, by share of |w_i| |y|, above which a solution is not accepted
TOUCH = 1e-12  # a dual this close to its bound, or a bound row this close to zero, may be at a kink
ROUNDING = 2e-15  # residual of a free row, by share of |w_i| |y|, above which a solution is refined
PIVOT = 1e-12  # of the factor, by share of the diagonal: below it the rows count as dependent
SAFE = 10.0  # how many times what rounding is seen to move z and x has to stay clear of a kink
ILL = 1e-8  # by that share of beta rounding may move z, and by that of it the adjoint
SHIFT = 1e-12  # of the diagonal of W_F W_F^T where its rows are dependent
BOUND = 1e-14  # a dual this close to its bound has met it

ILL_CONDITIONED = "ill-conditioned zero rows: rounding grows with the square of their condition"


@dataclass
class Rows:
    """x = y - W^T z of one signal on the way to x*; state is the sign of z on bound rows and 0 on free ones."""

    w: csr_array
    y: Array
    beta: float
    x: Array = field(init=False)
    z: Array = field(init=False)
    state: Array = field(init=False)
    iterations: int = 0
    ill: bool = False  # the free rows are so ill-conditioned that the adjoint may be off

    def __post_init__(self) -> None:
        k = self.w.shape[0]
        self.x, self.z, self.state = self.y.copy(), np.zeros(k), np.zeros(k, np.int8)
        self.transposed = self.w.T.tocsr()
        w, types = self.w, (np.int64, np.int32, np.float64)
        self.entries = tuple(np.ascontiguousarray(a, t) for a, t in zip((w.indptr, w.indices, w.data), types, strict=True))
        self.lengths = np.sqrt(self.w.multiply(self.w).sum(axis=1))
        self.norm = float(np.linalg.norm(self.y))
        self.free, self.rows, self.factor = np.zeros(0, np.int64), self.w[:0], _Factor(self.w[:0], self.lengths[:0])

    @property
    def note(self) -> str:
        return ILL_CONDITIONED if self.ill else ""

    def minimise(self) -> bool:
        """Whether x* is reached with its pattern verified, clear of rounding."""
        if not (0.0 < self.norm < np.inf and self.lengths.min() > 0.0 and self.lengths.max() < np.inf):
            return False
        for _ in range(SWEEPS):
            self.iterations += 1
            if not self._sweep():
                break
        refined = -1
        for _ in range(NEWTONS):
            self.iterations += 1
            slopes = self.w @ self.x
            wrong = self.state * slopes < 0.0
            self.state[wrong] = 0
            free = np.flatnonzero(self.state == 0)
            if np.array_equal(free, self.free) and refined >= 0 and not self.factor.dependent:
                residual = np.abs(slopes[free] / self.lengths[free]).max(initial=0.0)
                if residual <= ROUNDING * self.norm or refined == REFINED:
                    return self._verified(slopes)
                refined += 1
            else:
                self.free, self.rows = free, self.w[free]
                self.factor, refined = _Factor(self.rows, self.lengths[free]), 0
            if not self._step(self.factor.solve(slopes[free])):
                refined = -1
                for _sweep in range(BETWEEN):
                    self._sweep()
        return False

    def adjoint(self, g: Array) -> tuple[Array, Array]:
        """(h, v): h = W_F^{+T} g on the free rows, v = g - W_F^T h; SolveError where W_F v does not vanish to rounding."""
        lifted, v, norm, transposed = np.zeros(len(self.free)), g, np.linalg.norm(g), self.rows.T.tocsr()
        residual = self.rows @ v
        for _ in range(REFINED):
            lifted = lifted + self.factor.solve(residual)
            v = g - transposed @ lifted
            residual = self.rows @ v
            if np.abs(residual / self.lengths[self.free]).max(initial=0.0) <= ROUNDING * norm:
                break
        if np.abs(residual / self.lengths[self.free]).max(initial=0.0) > ACCEPTED * norm:
            raise SolveError("the adjoint of W -> x* is not solved to rounding: the zero rows are ill-conditioned")
        h = np.zeros(self.w.shape[0])
        h[self.free] = lifted
        return h, v

    def _sweep(self) -> int:
        """One pass of coordinate descent; the number of rows that came to a bound or left one."""
        moving = self.lengths, self.beta, RELAXATION, self.x, self.z, self.state
        return int(KERNELS.call("sweep_rows", len(self.z), *self.entries, *moving))

    def _step(self, step: Array) -> bool:
        """Move z_F by the step, whole if the box allows; else projected on the box, a quarter as long until |x| falls."""
        z, beta = self.z[self.free], self.beta
        inside = bool((np.abs(z + step) <= beta).all())
        before, length = float(self.x @ self.x), 1.0
        while True:
            self.z[self.free] = np.clip(z + length * step, -beta, beta)
            self.x = self.y - self.transposed @ self.z
            if inside or float(self.x @ self.x) < before or length < 1e-3:
                break
            length *= 0.25
        if not inside:
            met = np.abs(self.z[self.free]) >= beta * (1 - BOUND)
            rows = self.free[met]
            self.state[rows] = np.sign(self.z[rows])
            self.z[rows] = beta * self.state[rows]
        return inside

    def _verified(self, slopes: Array) -> bool:
        """|z_i| < beta and w_i x = 0 on free rows, s_i w_i x > 0 on bound ones, clear of what rounding moves."""
        scale, free = self.lengths * self.norm, self.state == 0
        of_z, of_x = self._moved_by_rounding(slopes)
        inner = (self.lengths * (self.beta * (1 - TOUCH) - np.abs(self.z)) >= SAFE * of_z) & (
            np.abs(slopes) <= ACCEPTED * scale
        )
        return bool(np.where(free, inner, self.state * slopes >= TOUCH * scale + SAFE * of_x * self.lengths).all())

    def _moved_by_rounding(self, slopes: Array) -> tuple[float, float]:
        """How far |w_i| |dz_i| and |dx| go by the residual of free rows, or rounding where that is more; as in signal.c."""
        lengths = self.lengths[self.free]
        residual = np.maximum(np.abs(slopes[self.free]), ROUNDING / SAFE * lengths * self.norm)
        step = slopes[self.free]
        for _ in range(2):  # the second time by about the worst of all signs
            step = self.factor.solve(np.copysign(residual, step))
        of_z, of_x = float(np.abs(step * lengths).max(initial=0.0)), float(np.abs(step) @ residual) ** 0.5
        self.ill = bool(np.abs(step).max(initial=0.0) > ILL * self.beta)
        return of_z, of_x


class _Factor:
    """A sparse LU of W_F W_F^T with rows of unit length, its diagonal raised where the rows are dependent or close to it."""

    def __init__(self, rows: csr_array, lengths: Array) -> None:
        from scipy.sparse import diags_array

        self.lengths, self.dependent = lengths, False
        if not len(lengths):
            return
        unit = diags_array(1.0 / lengths) @ rows
        gram = (unit @ unit.T).tocsc()
        found = _factored(gram)
        if found is None:
            self.dependent = True
            found = _factored(gram + diags_array(np.full(len(lengths), SHIFT)), least=0.0)
        self.lu = found

    def solve(self, r: Array) -> Array:
        if not len(self.lengths) or self.lu is None:
            return np.zeros_like(r)
        return np.asarray(self.lu.solve(r / self.lengths)) / self.lengths


def _factored(gram: Any, least: float = PIVOT) -> Any:
    """SuperLU of a symmetric positive definite matrix with unit diagonal; None where a pivot is not above `least`."""
    from scipy.sparse.linalg import splu

    options = {"SymmetricMode": True}
    try:
        lu = splu(gram.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options)
    except RuntimeError:  # a pivot is exactly zero
        return None
    return lu if lu.U.diagonal().min() > least else None
