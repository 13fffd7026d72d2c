"""The border to the code of methods and problems: what it returns or raises becomes plain values here, or a clear error."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from methods import Gradient, GradientMethod, to_numpy
from problems.base import REFERENCE_STATUSES, Array, Problem, Reference

TEXT = 300  # characters that are kept of what a method says


class BadAnswer(TypeError):
    """What a method returned cannot be used; the message names the field, what was expected and what was got."""


def received(answer: Any) -> Gradient:
    """The answer of a call as NumPy arrays, bool, int, float and str; BadAnswer where one of them is something else."""
    answer = given(answer)
    return Gradient(
        value=float(_scalar("value", answer.value, "a real number", "fiu")),
        solution=_array("solution", answer.solution),
        grad=_array("grad", answer.grad),
        converged=None if answer.converged is None else _flag("converged", answer.converged),
        iterations=None if answer.iterations is None else _count("iterations", answer.iterations),
        note=sentence("note", answer.note),
        direction=None if answer.direction is None else _array("direction", answer.direction),
        pattern=None if answer.pattern is None else _array("pattern", answer.pattern),
        bound=None if answer.bound is None else level("bound", answer.bound),
    )


def judged(problem: Problem) -> Reference:
    """The reference of a problem; BadAnswer where it is none, or its gradient does not have the shape of theta."""
    found = problem.reference()
    if not isinstance(found, Reference):
        raise BadAnswer(f"reference() must return a Reference, got {_kind(found)}")
    if found.status not in REFERENCE_STATUSES:
        raise BadAnswer(f"status of a reference must be one of {', '.join(REFERENCE_STATUSES)}, got {found.status!r}")
    if found.grad is not None and np.shape(found.grad) != problem.theta.shape:
        raise BadAnswer(f"grad of a reference must have the shape of theta, {problem.theta.shape}, got {_kind(found.grad)}")
    return found


def given(answer: Any) -> Gradient:
    """The answer, unread; BadAnswer where it is no Gradient."""
    if not isinstance(answer, Gradient):
        raise BadAnswer(f"a call must return a Gradient, got {_kind(answer)}")
    return answer


def promised(method: GradientMethod, problem: Problem, reference: Reference) -> float | None:
    """The relative error that the method promises on the instance; None: it promises nothing."""
    found = method.promise(problem, reference)
    return None if found is None else level("promise", found)


def level(field: str, value: Any) -> float:
    """One real number from 0 upwards, infinity included."""
    found = _scalar(field, value, "a real number", "fiu")
    if math.isnan(found) or found < 0:
        raise BadAnswer(f"{field} must be at least 0, got {found}")
    return float(found)


def sentence(field: str, value: Any) -> str:
    """One line of a str, an exception or None."""
    if isinstance(value, BaseException):
        return told(value)
    if value is not None and not isinstance(value, str):
        raise BadAnswer(f"{field} must be a str, got {_kind(value)}")
    return _line(value or "")


def told(error: BaseException) -> str:
    """Type and first line of an exception, whose own message may be long, broken or no text at all."""
    try:
        text = str(error)
    except Exception:
        text = "its message cannot be read"
    return ": ".join(filter(None, (type(error).__name__, _line(text))))


def _line(text: str) -> str:
    return next(iter(text.strip()[: 10 * TEXT].splitlines()), "")[:TEXT].encode(errors="replace").decode()


def _array(field: str, value: Any) -> Array:
    """Real numbers; their dtype is kept, so that a float32 result shows."""
    if isinstance(value, np.ma.MaskedArray):
        raise BadAnswer(f"{field} must be an array of real numbers, got a masked array; fill it")
    try:
        found = to_numpy(value)
    except Exception as error:
        raise BadAnswer(f"{field} must be an array of real numbers, got {_kind(value)}: {told(error)}") from error
    if found.dtype.kind not in "fiu":
        raise BadAnswer(f"{field} must be an array of real numbers, got {_kind(value)}")
    return found


def _flag(field: str, value: Any) -> bool:
    found = _scalar(field, value, "True, False or None", "biu")
    if found not in (0, 1):
        raise BadAnswer(f"{field} must be True, False or None, got {found}")
    return bool(found)


def _count(field: str, value: Any) -> int:
    found = level(field, value)
    if not found.is_integer():
        raise BadAnswer(f"{field} must be a whole number, got {found}")
    return int(found)


def _scalar(field: str, value: Any, expected: str, kinds: str) -> Any:
    """The one entry of a number or an array of any framework."""
    try:
        found = to_numpy(value)
    except Exception as error:
        raise BadAnswer(f"{field} must be {expected}, got {_kind(value)}: {told(error)}") from error
    if found.size != 1 or found.dtype.kind not in kinds:
        raise BadAnswer(f"{field} must be {expected}, got {_kind(value)}")
    return found.item()


def _kind(value: Any) -> str:
    """None, a str, a float64 array of shape (3,)."""
    if value is None:
        return "None"
    shape = getattr(value, "shape", None)
    where = f" of shape {tuple(shape)}" if isinstance(shape, tuple) else ""
    return f"{getattr(value, 'dtype', '')} {type(value).__name__}{where}".strip()
