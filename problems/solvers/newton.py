"""Newton's method with backtracking on a smooth strictly convex function, as far as float64 goes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from problems.arrays import Array

FLAT = 1e-14  # a decrement below this times the value, or times 1: values no longer tell steps apart
SMALL = 1e-7  # a step of this relative size is the last: what is left is its square


def newton(
    value: Callable[[Array], float],
    slope: Callable[[Array], Array],
    solve: Callable[[Array, Array], Array],
    x: Array,
    limit: int,
) -> tuple[Array, int, bool]:
    """(minimiser, steps, whether they became small) from x, with solve(x, r) = H(x)^{-1} r.

    Where values no longer tell steps apart they are taken whole while the slope halves. One that is small is the last; a slope
    that does not fall is rounding, and then the minimiser has no more digits than the step says.
    """
    level, before = value(x), np.inf
    for count in range(1, limit + 1):
        down = slope(x)
        step = -solve(x, down)
        decrement, size = -float((down * step).sum()), float(np.abs(down).max())
        if not np.isfinite(decrement):
            return x, count, False
        if decrement > FLAT * max(1.0, abs(level)):
            before, length = np.inf, _length(value, x, step, level, decrement)
            if not length:
                return x, count, False
            x, level = x + length * step, value(x + length * step)
            continue
        x = x + step
        if (small := bool(np.abs(step).max() <= SMALL * np.abs(x).max())) or size > before / 2:
            return x, count, small
        before = size
    return x, limit, False


def _length(value: Callable[[Array], float], x: Array, step: Array, level: float, decrement: float) -> float:
    """The first of 1, 1/2, 1/4, ... that takes the value down; 0: none above 1e-12."""
    length = 1.0
    while not value(x + length * step) <= level - 0.1 * length * decrement:
        length /= 2
        if length < 1e-12:
            return 0.0
    return length
