"""Every problem driven to the ends of its domain: its reference never raises, and a gradient is never noise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from problems import PROBLEMS, Ensemble, Problem
from problems.base import REFERENCE_STATUSES

# The least n that makes sense, where that is not the ensemble's own.
LEAST = {"analysis-l1": 4, "box-dual-tv": 4, "smooth-tv": 4, "tv-value": 4, "scalar": 1, "logistic": 26, "ridge": 10}
IMAGES = ("image-denoising", "deblurring", "mri", "learned-potentials")
# The numbers of theta that are logarithms of weights; the rest of theta is data or a matrix.
LOGS: dict[str, slice] = {
    **dict.fromkeys(("lasso", "elastic-net", "ridge", "logistic", "smooth-tv"), slice(None)),
    **dict.fromkeys(("box-dual-tv", "tv-value", "image-denoising", "deblurring", "mri"), slice(0, 1)),
    "learned-potentials": slice(0, 4),
}


def ends(problem: Ensemble, seed: int) -> Iterator[tuple[str, Problem]]:
    """(what was done, the instance): the least n, weights 10^-12 to 10^12 of the drawn ones, y = 0 and y constant."""
    least = 9 if problem.name in IMAGES else LEAST.get(problem.name, max(2, problem.least))
    theta = problem.thetas[0]
    drawn: Any = problem.instance(least, seed, theta)
    yield "the least n", drawn
    if problem.name in LOGS:
        for power in (-12, -6, 6, 12):
            moved = np.array(drawn.theta)
            moved[LOGS[problem.name] if moved.ndim else ()] += power * np.log(10)
            yield f"weights times 1e{power}", replace(drawn, theta=moved)
    if hasattr(drawn, "y") and drawn.y is not None and problem.name != "logistic":  # whose y are labels
        for level in (0.0, 1.0):
            yield f"y = {level}", replace(drawn, y=np.full_like(drawn.y, level))


def holds(what: str, problem: Problem) -> None:
    with np.errstate(all="ignore"):
        found = problem.reference()
    assert found.status in REFERENCE_STATUSES, what
    if found.status in ("undecided", "kink"):
        assert found.grad is None and found.reason, what
        return
    assert found.grad is not None and np.isfinite(found.grad).all(), what
    if found.status == "zero" or not found.grad.any():
        assert found.status == "zero" and not found.grad.any() and found.radius == 0.0, what
    else:
        assert 0 < found.radius < 1e-12, (what, found.radius)


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_the_reference_answers_at_the_ends(problem: Ensemble) -> None:
    for what, instance in ends(problem, 1):
        holds(what, instance)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 12))
@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_the_reference_answers_at_the_ends_of_many_instances(problem: Ensemble, seed: int) -> None:
    for what, instance in ends(problem, seed):
        holds(what, instance)
