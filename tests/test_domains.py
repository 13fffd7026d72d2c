"""Every problem driven to the ends of its domain: its reference never raises, and a gradient is never noise."""

from __future__ import annotations

import numpy as np
import pytest
from _ends import ends

from problems import PROBLEMS, Ensemble, Problem
from problems.base import REFERENCE_STATUSES


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
