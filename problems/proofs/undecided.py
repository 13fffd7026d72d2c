"""The reference of an instance that cannot be solved to certified accuracy: undecided with a reason, never an exception."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

import numpy as np

from problems.base import Energy, Problem, Reference
from problems.forms import Splitting

Rest = ParamSpec("Rest")


def undecided_where_unsolved(
    reference: Callable[Concatenate[Any, Rest], Reference],
) -> Callable[Concatenate[Any, Rest], Reference]:
    """Decorates `reference` of a problem, the first argument: SolveError and other failures of arithmetic become status
    undecided, x* of NaN, no gradient.
    """

    @wraps(reference)
    def answered(problem: Any, *args: Rest.args, **kwargs: Rest.kwargs) -> Reference:
        try:
            with np.errstate(all="ignore"):
                return reference(problem, *args, **kwargs)
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
