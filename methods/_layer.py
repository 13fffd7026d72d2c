"""What the layers share: x* and its cotangents in NumPy, the checks of what comes in, and the warning at a kink."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING

import numpy as np

from problems.base import Array

if TYPE_CHECKING:
    from methods._bounded import Exact


class KinkWarning(UserWarning):
    """x*(W, y) is not differentiable here, or too close to tell: the result of the formula need not be a gradient.

    The backward pass warns, and Python shows it once for each reason unless a filter says otherwise. Dependent zero rows are no
    kink for a parametrisation of W that keeps their rank, such as weights of fixed rows; only its user can know that.
    """


def check_shapes(w: tuple[int, ...], y: tuple[int, ...]) -> None:
    """ValueError where W is not (k, n) or y not (n,) or (batch, n)."""
    if len(y) not in (1, 2) or 0 in y:
        raise ValueError(f"y must have shape (n,) or (batch, n), got {y}")
    if len(w) != 2 or w[0] == 0 or w[1] != y[-1]:
        hint = "; pass W.T" if len(w) == 2 and w[0] == y[-1] else ""
        raise ValueError(f"W must have shape (k, n) with n = {y[-1]} as y has, got {w}{hint}")


def check_values(w: Array, y: Array, beta: float) -> None:
    """ValueError where beta is not positive or anything is not finite."""
    if not 0.0 < beta < math.inf:
        raise ValueError(f"beta must be a finite number > 0, got {beta:g}")
    for name, a in (("W", w), ("y", y)):
        if not math.isfinite(np.vdot(a, a)) and not np.isfinite(a).all():  # the first alone is quick
            raise ValueError(f"{name} must be finite, got {np.count_nonzero(~np.isfinite(a))} NaN or infinite entries")


def warn_at_kink(found: Exact) -> None:
    if found.doubt:
        warnings.warn(f"x* may have no gradient here: {found.doubt}", KinkWarning, stacklevel=2)


def outer_sum(z: Array, v: Array, h: Array, x: Array) -> Array:
    """-(z v^T + h x^T) summed over the signals: (..., batch, k) and (..., batch, n) to (..., k, n), as one matrix product."""
    left = np.concatenate((-z, -h), axis=-2)
    return np.swapaxes(left, -1, -2) @ np.concatenate((v, x), axis=-2)


def beta_slopes(w: Array, z: Array, v: Array, beta: float) -> Array:
    """dL/dbeta = -<s, W v> over the rows off zero, s_i = z_i / beta, for each signal.

    This is <dL/dW, W> / beta. W v is 0 on the zero rows, and is left out there: its rounding would outweigh small rows off
    zero. (..., k) and (..., n) to (...).
    """
    signs = np.where(np.abs(z) < beta, 0.0, np.sign(z))
    return np.asarray(-np.einsum("...j,...j->...", signs @ w, v))
