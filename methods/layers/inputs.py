"""What the layers refuse, in one sentence each, and the warning at a kink."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from problems.base import Array

ONCE = (
    "the layer of x*(W, y) has first derivatives only: it cannot be differentiated twice; a derivative along a direction is"
    " that of torch.func.jvp or jax.jvp"
)


class KinkWarning(UserWarning):
    """x*(W, y) is not differentiable here, or too close to tell: the result of the formula need not be a gradient.

    The derivative warns, and Python shows it once for each reason unless a filter says otherwise. Dependent zero rows are no
    kink for a parametrisation of W that keeps their rank, such as weights of fixed rows; only its user can know that.
    """


def check_shapes(w: Sequence[int], y: Sequence[int], beta: Sequence[int]) -> tuple[int, ...]:
    """The leading axes of x*, to which those of W (..., k, n), y (..., n) and beta (...) are broadcast; ValueError."""
    if not len(y) or not y[-1]:
        raise ValueError(f"y must have shape (..., n) with n > 0, got {tuple(y)}")
    if len(w) < 2 or not w[-2] or w[-1] != y[-1]:
        hint = "; pass W.T" if len(w) == 2 and w[0] == y[-1] else ""
        raise ValueError(f"W must have shape (..., k, n) with k > 0 and n = {y[-1]} as y has, got {tuple(w)}{hint}")
    lead = tuple(y[:-1])
    if len(w) == 2 and tuple(beta) in ((), (1,)):
        return lead
    lead = _broadcast("W must have shape (..., k, n), its leading axes to be", lead, w[:-2], w)
    return lead if tuple(beta) == (1,) else _broadcast("beta must have shape (1,) or one to be", lead, beta, beta)


def _broadcast(what: str, lead: tuple[int, ...], shape: Sequence[int], given: Sequence[int]) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(lead, tuple(shape))
    except ValueError:
        raise ValueError(f"{what} broadcast with {lead}, got {tuple(given)}") from None


def check_beta(beta: Any, dtype: str = "float64") -> None:
    """TypeError where beta is no real number; ValueError where that is not a finite one above 0 in the dtype."""
    if isinstance(beta, bool) or not isinstance(beta, int | float | np.integer | np.floating):
        raise TypeError(f"beta must be a number > 0 or an array of them, got {described(beta)}; pass such a number")
    if not 0.0 < (beta if dtype == "float64" else _rounded(beta, dtype)) < math.inf:
        where = "" if dtype == "float64" else f" in {dtype}"
        raise ValueError(f"beta must be a finite number > 0{where}, got {beta:g}")


def _rounded(beta: Any, dtype: str) -> float:
    with np.errstate(over="ignore", under="ignore"):
        return float(np.asarray(beta).astype(dtype))


def check_values(w: Array, y: Array, beta: float) -> None:
    """ValueError where beta is not positive or anything is not finite."""
    check_beta(beta)
    for name, a in (("W", w), ("y", y)):
        if not np.isfinite(a).all():
            raise ValueError(f"{name} must be finite, got {np.count_nonzero(~np.isfinite(a))} NaN or infinite entries")


def described(a: Any) -> str:
    """What somebody passed, for a message: its type, and the text of a short one."""
    kind = type(a)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__.partition('.')[0]}.{kind.__name__}"
    return f"the {name} {a!r}" if isinstance(a, str | bool) else name


def warn_at_kink(doubts: Iterable[str]) -> None:
    """One KinkWarning for the reasons why a derivative may not exist, if there are any."""
    if reasons := sorted({*doubts} - {""}):
        warnings.warn(f"x* may have no gradient here: {'; '.join(reasons)}", KinkWarning, stacklevel=2)


def remedy(a: Any, convert: str, of_numpy: str) -> str:
    """What to do with something that is no array of the framework."""
    if hasattr(a, "mask") or hasattr(a, "get_mask"):
        return "its mask would be lost: fill it first"
    if hasattr(a, "toarray") or hasattr(a, "todense"):
        return f"pass it dense, by {'.toarray()' if hasattr(a, 'toarray') else '.todense()'}, as an array of the framework"
    if isinstance(a, np.ndarray | np.generic):
        return f"convert it with {of_numpy}"
    return f"convert it with {convert}" if isinstance(a, list | tuple) else "pass an array of numbers"
