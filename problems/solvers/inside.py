"""A dual strictly inside the box where duals are not unique: with one, the sign pattern is the same for all data close by."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from problems.arrays import Array
from problems.solvers.row_factor import RANK, RowFactor

CLIPS, ROOM = 50, 0.98  # clippings to that share of the box, which is quick and finds most
TOUCH = 1e-12  # a dual this close to its bound, by share of it, may be there; of ill-conditioned rows one further away


def clear(factor: RowFactor) -> float:
    """The share of its bound that the dual of a zero row has to keep from it, lest rounding has taken it inside."""
    return TOUCH / factor.reciprocal**0.5 if factor.reciprocal > 0 else np.inf


@dataclass(frozen=True)
class Face:
    """The duals z with W^T z as close to q as can be and |z_i| <= b_i, for rows W (m, n) of unit length or zero; z: a start."""

    factor: RowFactor
    w: Array
    q: Array
    b: Array
    z: Array

    @cached_property
    def inside(self) -> Array | None:
        """One with |z_i| < b_i on all rows, clear of rounding; None: there is none, or none that float64 can tell."""
        found = self._clipped(self.z, ROOM)
        if found is not None:
            return found
        deepest = self._deepest()
        depth = np.abs(deepest / self.b).max(initial=0.0)
        return self._clipped(deepest, (1 + depth) / 2) if depth < 1 else None

    def _clipped(self, z: Array, room: float) -> Array | None:
        """By clipping to that share of the box and projecting back, in turn."""
        limit = self.b * (1 - clear(self.factor))
        for _ in range(CLIPS):
            z = np.clip(z, -room * self.b, room * self.b)
            z = z + self.factor.lift(self.q - z @ self.w)
            if (np.abs(z) < limit).all():
                return z
        return None

    def _deepest(self) -> Array:
        from scipy.linalg import null_space

        start = self.factor.lift(self.q)
        return deepest(start, null_space(self.w.T, rcond=RANK), self.b)


def deepest(start: Array, directions: Array, b: Array) -> Array:
    """The z = start + directions c with least max |z_i| / b_i, by linear programming; NaN where that fails."""
    from scipy.optimize import linprog

    count = directions.shape[1]
    shares, level = directions / b[:, None], -np.ones((len(b), 1))
    sizes = np.abs(shares).max(axis=0, initial=0.0)
    shares = shares / np.where(sizes > 0, sizes, 1.0)
    box = np.block([[shares, level], [-shares, level]])
    bounds = [(None, None)] * count + [(0, None)]
    right = np.concatenate([-start / b, start / b])
    if not (np.isfinite(box).all() and np.isfinite(right).all()):
        return np.full(len(b), np.nan)
    found = linprog(np.append(np.zeros(count), 1.0), box, right, bounds=bounds)
    return start + b * (shares @ found.x[:-1]) if found.status == 0 else np.full(len(b), np.nan)
