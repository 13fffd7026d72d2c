"""Independent rows that come and go, with their pseudo-inverse kept current, in midpoints of multiprecision balls."""

from __future__ import annotations

from dataclasses import dataclass

from flint import arb, arb_mat, ctx

from problems.arrays import Array
from problems.proofs.arithmetic import balls, column

SPARE = 32  # bits: what is smaller than this many last ones is rounding


@dataclass
class Basis:
    """W_B in the slots `rows` (-1: empty) of w (n, n), and t (n, n) = (W_B W_B^T)^-1 W_B, both zero in empty slots.

    A row moves t by one matrix of rank 1 (Greville, 1960), where a fresh factorisation costs a hundred times as much. Rounding
    is not enclosed; `projected` estimates it. The precision is that of flint's context.
    """

    rows: list[int]
    w: arb_mat
    t: arb_mat

    @classmethod
    def of(cls, w: Array, rows: Array) -> Basis:
        """From rows of w (k, n); ZeroDivisionError where the precision does not show them to be independent."""
        n = w.shape[1]
        wb, empty = balls(w[rows]), n - len(rows)
        t = (wb * wb.transpose()).solve(wb, algorithm="lu") if len(rows) else wb
        whole, inverse = (arb_mat([*m.tolist(), *([[arb(0)] * n] * empty)]) for m in (wb, t))
        return cls([*rows.tolist(), *([-1] * empty)], whole, inverse.mid())

    def lift(self, x: arb_mat) -> dict[int, arb]:
        """W_B^{+T} x by row of W_B."""
        return {row: value for row, value in zip(self.rows, (self.t * x).entries(), strict=True) if row >= 0}

    def projected(self, x: arb_mat, scale: float) -> arb_mat:
        """x - W_B^+ W_B x in balls as wide as its last refinement; ZeroDivisionError where most digits of `scale` are gone."""
        if -1 not in self.rows:
            return arb_mat(x.nrows(), 1)
        transposed, inverse = self.w.transpose(), self.t.transpose()
        x = x - transposed * (self.t * x)
        x = (x - inverse * (self.w * x)).mid()
        correction = inverse * (self.w * x)
        width = max((abs(entry).upper() for entry in correction.entries()), default=arb(0))
        if width > scale * arb(2) ** (-ctx.prec // 4):
            raise ZeroDivisionError
        ball = arb(0, width)
        return column([a.mid() - b.mid() + ball for a, b in zip(x.entries(), correction.entries(), strict=True)])

    def add(self, row: int, values: Array) -> None:
        """Put an independent row of W in; ZeroDivisionError where all of it beyond the span of the others is rounded away."""
        w = balls(values)
        weights = self.t * w
        rest = w - self.w.transpose() * weights
        again = self.t * rest  # twice is enough
        rest, weights = (rest - self.w.transpose() * again).mid(), weights + again
        squared = _square(rest)
        if not squared > _square(w) * arb(4) ** (SPARE - ctx.prec):
            raise ZeroDivisionError
        slot = self.rows.index(-1)
        weights[slot, 0] = arb(-1)
        self.t = (self.t - weights * (rest.transpose() / squared)).mid()
        self.rows[slot] = row
        self._write(self.w, slot, values.tolist())

    def remove(self, row: int) -> arb_mat:
        """Take a row out; the direction (n, 1) that its space loses."""
        slot = self.rows.index(row)
        lost = arb_mat([[self.t[slot, j]] for j in range(self.t.ncols())])
        self.t = (self.t - (self.t * lost) * (lost.transpose() / _square(lost))).mid()
        self.rows[slot] = -1
        for matrix in (self.t, self.w):
            self._write(matrix, slot, [0.0] * self.t.ncols())
        return lost

    @staticmethod
    def _write(matrix: arb_mat, slot: int, values: list[float]) -> None:
        for j, value in enumerate(values):
            matrix[slot, j] = arb(value)


def _square(v: arb_mat) -> arb:
    return (v.transpose() * v)[0, 0]
