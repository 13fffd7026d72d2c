"""What the judge records of an answer against its reference."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from harness.judge import judge
from methods.blorc_paper import BlorcPaper
from problems import AnalysisL1


@pytest.mark.parametrize("batch", [None, 3])
def test_misread_rows_are_counted_against_the_proven_pattern(batch: int | None) -> None:
    problem = AnalysisL1.draw(n=16, operator="tv", seed=1, batch=batch)
    reference = problem.reference()
    assert reference.pattern is not None
    rows = np.abs(reference.solution @ problem.theta.T)
    inner = float(rows[reference.pattern != 0].min()) / 2
    right, wrong = (BlorcPaper(gamma=gamma).prepare(problem)(problem.theta) for gamma in (inner, 10.0))
    found = judge(right, problem, reference, None)
    assert found["misread_rows"] == 0
    assert found["error_rel"] < 1e-12  # rounding times a condition number below 1e3
    found = judge(wrong, problem, reference, None)
    assert found["misread_rows"] == np.count_nonzero(reference.pattern) > 0
    assert found["error_rel"] > 1e-3


STATUSES = {"proven": True, "bounded": True, "unproven": True, "zero": False, "kink": False, "undecided": False}


@pytest.mark.parametrize("status", STATUSES)
def test_a_reference_with_a_gradient_gives_an_error_and_judges_the_promise(status: str) -> None:
    """An answer that is 1e-3 off, by share of a gradient of length 1; where that is 0 only the absolute error is there."""
    problem = AnalysisL1.draw(n=8)
    gradient, reference = BlorcPaper().prepare(problem)(problem.theta), problem.reference()
    assert reference.grad is not None
    unit = reference.grad / np.linalg.norm(reference.grad)
    truth = unit if STATUSES[status] else 0 * unit
    answer = replace(gradient, grad=truth + 1e-3 * unit)
    known = status not in ("kink", "undecided")
    reference = replace(reference, status=status, grad=truth if known else None)
    for promise, kept in ((2e-3, True), (5e-4, False)):
        found = judge(answer, problem, reference, promise)
        assert {name: found.get(name) for name in ("error_rel", "error_abs")} == {
            "error_rel": pytest.approx(1e-3) if STATUSES[status] else None,
            "error_abs": pytest.approx(1e-3) if known else None,
        }
        assert found["verified"] is (kept if known else None)
        assert found["status"] == ("inaccurate" if known and not kept else "ok")


def test_without_a_pattern_on_either_side_nothing_is_counted() -> None:
    problem = AnalysisL1.draw(n=8)
    gradient, reference = BlorcPaper().prepare(problem)(problem.theta), problem.reference()
    pairs = [(replace(gradient, pattern=None), reference), (gradient, replace(reference, pattern=None))]
    assert all(math.isnan(judge(given, problem, truth, None)["misread_rows"]) for given, truth in pairs)
