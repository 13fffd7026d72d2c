"""Every trap's expectation: against the reference, against one-sided differences, and where stated against a derivation."""

from __future__ import annotations

import numpy as np
import pytest
from _exact import EXISTS, relative

from problems import AnalysisL1
from problems.base import Array
from problems.traps import EXPECTATIONS, TRAPS, Trap

INSTANCES = [trap for trap in TRAPS if trap.expectation != "refuse"]
STEP = 1e-7  # the one-sided slopes: error about |Q''| h + 1e-16 / h
FAR = ("scalar", "duplicated", "2-D TV", "[I; D]", "circular", "filters", "x* = 0", "target", "orthogonal")


def name(trap: Trap) -> str:
    return trap.name


def test_names_are_unique_and_expectations_known() -> None:
    assert len({trap.name for trap in TRAPS}) == len(TRAPS)
    assert {trap.expectation for trap in TRAPS} == set(EXPECTATIONS)
    assert all(trap.why for trap in TRAPS)


@pytest.mark.parametrize("trap", [trap for trap in TRAPS if trap.expectation == "refuse"], ids=name)
def test_bad_data_are_refused(trap: Trap) -> None:
    with pytest.raises(ValueError, match="must be"):
        trap.make()


@pytest.mark.parametrize("trap", INSTANCES, ids=name)
def test_the_reference_agrees(trap: Trap) -> None:
    problem = trap.make()
    assert problem.y.shape[-1] <= 25
    found = problem.reference()
    if trap.expectation == "kink":
        assert found.status == "kink"
        assert found.grad is None
        return
    assert found.status in (EXISTS if trap.expectation == "gradient" else (*EXISTS, "zero"))
    assert found.grad is not None
    if trap.expectation == "zero":
        assert np.abs(found.grad).max() < 1e-15
    if trap.truth is not None and trap.expectation == "gradient":
        assert relative(found.grad, trap.truth(problem)) < 1e-14  # a few roundings of a derivation by hand


def slopes(problem: AnalysisL1, direction: Array) -> tuple[float, float]:
    """(Q(theta + h d) - Q(theta)) / h and (Q(theta) - Q(theta - h d)) / h on the exact solver."""

    def q(theta: Array) -> float:
        return float(problem.loss(problem.solve(theta), theta)) / problem.loss_scale

    middle = q(problem.theta)
    return (q(problem.theta + STEP * direction) - middle) / STEP, (middle - q(problem.theta - STEP * direction)) / STEP


@pytest.mark.parametrize("trap", [trap for trap in INSTANCES if trap.name.startswith(FAR)], ids=name)
def test_one_sided_slopes_agree_exactly_where_a_gradient_exists(trap: Trap) -> None:
    problem = trap.make()
    rng = np.random.default_rng(0)
    directions = [rng.standard_normal(problem.theta.shape) for _ in range(5)]
    gaps = []
    for direction in directions:
        right, left = slopes(problem, direction)
        gaps.append(abs(right - left))
        if trap.expectation != "kink":
            grad = problem.reference().grad
            assert grad is not None
            slope = float((grad * direction).sum())
            assert right == pytest.approx(slope, abs=1e-4)  # |Q''| is about 100 at most, so 1e-5 is the error of the slope
            assert left == pytest.approx(slope, abs=1e-4)
    if trap.expectation == "kink":
        assert max(gaps) > 1e-2


def test_the_gradient_grows_as_the_rows_become_dependent() -> None:
    near = [trap.make() for trap in TRAPS if trap.name.startswith("near rank kink")]
    norms = [float(np.linalg.norm(problem.reference().grad)) for problem in near]  # type: ignore[arg-type]
    np.testing.assert_allclose(np.array(norms[1:]) / norms[:-1], 100, rtol=0.02)


def test_the_gradient_scales_with_the_loss() -> None:
    scaled = [trap.make() for trap in TRAPS if trap.name.startswith("loss times")]
    grads = [problem.reference().grad / problem.loss_scale for problem in scaled]  # type: ignore[operator]
    assert all(relative(grad, grads[0]) < 1e-15 for grad in grads[1:])
