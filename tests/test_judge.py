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


def test_without_a_pattern_on_either_side_nothing_is_counted() -> None:
    problem = AnalysisL1.draw(n=8)
    gradient, reference = BlorcPaper().prepare(problem)(problem.theta), problem.reference()
    pairs = [(replace(gradient, pattern=None), reference), (gradient, replace(reference, pattern=None))]
    assert all(math.isnan(judge(given, problem, truth, None)["misread_rows"]) for given, truth in pairs)
