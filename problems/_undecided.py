"""The reference of an instance that cannot be solved to certified accuracy: undecided with a reason, never an exception."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from problems.base import Energy, Problem, Reference
from problems.forms import Splitting


def undecided_where_unsolved(reference: Callable[[Any], Reference]) -> Callable[[Any], Reference]:
    """Decorates `reference`: SolveError and other failures of arithmetic become status undecided, x* of NaN, no gradient."""

    @wraps(reference)
    def answered(problem: Any) -> Reference:
        try:
            with np.errstate(all="ignore"):
                return reference(problem)
        except (ArithmeticError, np.linalg.LinAlgError) as error:
            return Reference("undecided", None, np.full(_shape(problem), np.nan), np.nan, reason=str(error))

    return answered


def _shape(problem: Problem) -> tuple[int, ...]:
    """That of x*."""
    if isinstance(problem, Energy):
        return np.shape(problem.initial())
    if not isinstance(problem, Splitting):
        return ()
    form = problem.forms()[0]
    return np.shape(form.read(problem.theta)(np.zeros(form.shape)))
