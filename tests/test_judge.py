"""What the judge records of an answer against its reference."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from _judged import judged

from harness.checks.judge import ROUNDING
from methods.blorc import Blorc
from methods.blorc.paper import BlorcPaper
from problems import AnalysisL1
from problems.sensitivity import sensitivity


@pytest.mark.parametrize("batch", [None, 3])
def test_misread_rows_are_counted_against_the_proven_pattern(batch: int | None) -> None:
    problem = AnalysisL1.draw(n=16, operator="tv", seed=1, batch=batch)
    reference = problem.reference()
    assert reference.pattern is not None
    rows = np.abs(reference.solution @ problem.theta.T)
    inner = float(rows[reference.pattern != 0].min()) / 2
    right, wrong = (BlorcPaper(gamma=gamma).prepare(problem)(problem.theta) for gamma in (inner, 10.0))
    found = judged(right, problem, reference, None)
    assert found["misread_rows"] == 0
    assert found["error_rel"] < 1e-12  # rounding times a condition number below 1e3
    found = judged(wrong, problem, reference, None)
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
        found = judged(answer, problem, reference, promise)
        assert found["error_rel"] == pytest.approx(1e-3 if STATUSES[status] else math.nan, nan_ok=True)
        assert found["error_abs"] == pytest.approx(1e-3 if known else math.nan, nan_ok=True)
        assert found["verified"] is (kept if known else None)
        assert found["status"] == ("inaccurate" if known and not kept else "ok")


def test_without_a_pattern_on_either_side_nothing_is_counted() -> None:
    problem = AnalysisL1.draw(n=8)
    gradient, reference = BlorcPaper().prepare(problem)(problem.theta), problem.reference()
    pairs = [(replace(gradient, pattern=None), reference), (gradient, replace(reference, pattern=None))]
    assert all(math.isnan(judged(given, problem, truth, None)["misread_rows"]) for given, truth in pairs)


def changed(**changes: object) -> dict[str, object]:
    """What is recorded of blorc's answer with some of its parts changed."""
    return judged(replace(ANSWER, **changes), PROBLEM, REFERENCE, None)


PROBLEM = AnalysisL1.draw(n=8, operator="tv", seed=1)
ANSWER, REFERENCE = Blorc().prepare(PROBLEM)(PROBLEM.theta), PROBLEM.reference()


def test_an_answer_of_another_shape_is_an_error_with_both_shapes() -> None:
    found = changed(grad=ANSWER.grad[:-1])
    assert (found["status"], found["reason"]) == ("error", "grad must have the shape of theta, (7, 8), got (6, 8)")
    found = changed(solution=ANSWER.solution[:-1])
    assert (found["status"], found["reason"]) == ("error", "solution must have shape (8,), got (7,)")
    assert math.isnan(found["error_rel"])


@pytest.mark.parametrize("part", ["grad", "solution"])
def test_one_entry_that_is_no_number_is_told(part: str) -> None:
    spoiled = np.array(getattr(ANSWER, part))
    spoiled.flat[3] = np.nan
    assert changed(**{part: spoiled})["status"] == "nan"


def test_a_solution_far_away_has_diverged() -> None:
    far = 1e3 * (np.linalg.norm(REFERENCE.solution) + 1) / np.linalg.norm(ANSWER.solution)
    assert changed(solution=0.99 * far * ANSWER.solution)["status"] != "diverged"
    assert changed(solution=1.01 * far * ANSWER.solution)["status"] == "diverged"


def test_the_errors_are_those_of_their_definitions() -> None:
    off = np.zeros(PROBLEM.theta.shape)
    off[2, 3] = 1e-3
    found, truth = changed(grad=REFERENCE.grad + off), REFERENCE.grad
    assert found["error_abs"] == pytest.approx(1e-3)
    assert found["error_rel"] == pytest.approx(1e-3 / np.linalg.norm(truth))
    assert found["error_max"] == pytest.approx(1e-3 / np.abs(truth).max())


def test_a_slope_is_judged_against_that_of_the_reference() -> None:
    along = np.random.default_rng(0).standard_normal(PROBLEM.theta.shape)
    slope = float((REFERENCE.grad * along).sum())
    found = changed(grad=np.asarray(1.01 * slope), direction=along)
    assert found["error_rel"] == pytest.approx(0.01) and found["error_abs"] == pytest.approx(0.01 * abs(slope))


def test_the_error_against_differences_stands_beside() -> None:
    found = judged(ANSWER, PROBLEM, REFERENCE, None, 2 * REFERENCE.grad)
    assert found["error_paper"] == pytest.approx(0.5) and found["error_rel"] < 1e-12


def test_likeness_is_that_of_the_directions_and_of_the_signs() -> None:
    same, other = changed(grad=3 * REFERENCE.grad), changed(grad=-REFERENCE.grad)
    assert (same["cosine"], same["sign_agreement"]) == (pytest.approx(1.0), 1.0)
    assert (other["cosine"], other["sign_agreement"]) == (pytest.approx(-1.0), 0.0)
    turned = REFERENCE.grad.copy()
    turned.flat[:14] *= -1
    large = np.abs(REFERENCE.grad) > 1e-12 * np.abs(REFERENCE.grad).max()
    expected = 1 - large.flat[:14].sum() / large.sum()
    assert changed(grad=turned)["sign_agreement"] == pytest.approx(expected) and 0 < expected < 1


@pytest.mark.parametrize(
    ("changes", "promise", "verified", "reason"),
    [
        ({}, 1e-3, True, ""),
        ({}, None, None, ""),
        ({"factor": 1.01}, 1e-3, False, "error 1.0e-02 is above the method's own promise 1e-03"),
        ({"factor": 1.01}, 2e-2, True, ""),
        ({"factor": 1.01, "bound": 1e-3}, 2e-2, False, "error 1.0e-02: the method's own bound 1.0e-03 is violated"),
        ({"factor": 1.01, "bound": 2e-2}, 2e-2, True, ""),
        ({"converged": False}, 1e-3, True, "the solver reports that it did not converge"),
    ],
)
def test_what_a_method_claims_is_held_against_what_is_found(
    changes: dict[str, object], promise: float | None, verified: bool | None, reason: str
) -> None:
    given = {name: value for name, value in changes.items() if name != "factor"}
    answer = replace(ANSWER, grad=changes.get("factor", 1.0) * REFERENCE.grad, **given)
    found = judged(answer, PROBLEM, REFERENCE, promise)
    assert (found["verified"], found["reason"]) == (verified, reason)
    assert found["status"] == ("inaccurate" if reason else "ok")


@pytest.mark.parametrize(("noises", "kept"), [(0.5, True), (2.0, False)])
def test_a_gradient_below_the_rounding_of_the_solution_owes_no_digits(noises: float, kept: bool) -> None:
    """Of size 1e-15 here, so that no promise about a gradient of size 1 is touched."""
    noise, unit = ROUNDING * sensitivity(PROBLEM, REFERENCE), REFERENCE.grad / np.linalg.norm(REFERENCE.grad)
    assert 1e-16 < noise / np.linalg.norm(REFERENCE.solution) < 1e-14
    tiny = 1e-30 * unit
    found = judged(replace(ANSWER, grad=tiny + noises * noise * unit), PROBLEM, replace(REFERENCE, grad=tiny), 1e-8)
    assert found["verified"] is kept and found["error_rel"] > 1e10
