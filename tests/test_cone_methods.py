"""The cone-program methods against the reference, over operators, parametrisations and batches."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace

import numpy as np
import pytest

from methods import to_numpy
from methods.base import GradientMethod
from methods.peers.cvxpylayers import ConeLayer, _inaccurate
from methods.peers.diffcp import Diffcp
from methods.peers.osqp import Osqp
from methods.peers.proxsuite import Proxsuite
from problems import THETAS, AnalysisL1, Problem
from problems.base import Array
from problems.traps import TRAPS

BETAS = {"identity": 0.32, "tv": 0.15, "dct": 0.16, "random": 0.45}
DEFAULTS = (ConeLayer("torch"), ConeLayer("jax"), Diffcp("lsqr"))
TIGHT = (
    ConeLayer("torch", tolerance=1e-10, adjoint="dense"),
    ConeLayer("jax", tolerance=1e-10, adjoint="dense"),
    Diffcp("dense", tolerance=1e-10),
)
TIGHT_SOLVERS = (Osqp(tolerance=1e-8), Proxsuite(tolerance=1e-10))


def draw(operator: str = "tv", theta: str = "dense", batch: int | None = None, n: int = 12) -> AnalysisL1:
    return AnalysisL1.draw(n=n, operator=operator, theta=theta, batch=batch, beta=BETAS[operator])


def errors(method: GradientMethod, problem: AnalysisL1) -> tuple[float, float]:
    """(relative error of the gradient, largest error of x)."""
    reference = problem.reference()
    assert reference.grad is not None, reference.reason
    result = method.prepare(problem)(problem.theta)
    grad, x = to_numpy(result.grad), to_numpy(result.solution)
    assert grad.shape == problem.theta.shape
    assert grad.dtype == x.dtype == np.float64
    assert float(result.value) == pytest.approx(reference.value, rel=1e-4)
    return relative(grad, reference.grad), float(np.abs(x - reference.solution).max())


def relative(a: Array, b: Array) -> float:
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


@pytest.mark.parametrize("batch", [None, 3])
@pytest.mark.parametrize("theta", THETAS)
@pytest.mark.parametrize("operator", BETAS)
@pytest.mark.parametrize("method", TIGHT, ids=lambda m: m.name)
def test_tight_settings_reach_the_reference(method: GradientMethod, operator: str, theta: str, batch: int | None) -> None:
    problem = draw(operator, theta, batch)
    promised = method.promise(problem, problem.reference())
    assert promised is not None
    error, error_x = errors(method, problem)
    assert error_x < 1e-9  # ten times the solver's tolerance
    assert error < promised / 10


def test_nothing_is_promised_where_a_kink_is_closer_than_the_solver_can_tell() -> None:
    traps = {trap.name: trap.make() for trap in TRAPS if trap.expectation == "gradient"}
    promised = {"slack 1e-15, active row": None, "near rank kink, e = 1e-06": None, "near rank kink, e = 1e-04": 1e-6}
    for name, expected in promised.items():  # in the last the kink is 25 tolerances away
        reference = traps[name].reference()
        assert [method.promise(traps[name], reference) for method in TIGHT] == [expected] * len(TIGHT)


def test_nothing_is_promised_where_nobody_knows_how_far_a_kink_is() -> None:
    problem = draw("tv")
    unknown = replace(problem.reference(), kink_distance=math.nan)
    assert all(method.promise(problem, problem.reference()) for method in (*TIGHT, *TIGHT_SOLVERS))
    assert not any(method.promise(problem, unknown) for method in (*TIGHT, *TIGHT_SOLVERS))


@pytest.mark.parametrize("operator", BETAS)
def test_lsqr_stops_at_its_own_residual_whatever_the_solver(operator: str) -> None:
    error, error_x = errors(Diffcp("lsqr", tolerance=1e-10), draw(operator))
    assert error_x < 1e-9
    assert error < 1e-4  # LSQR's fixed residual of 1e-8 times a condition number below 1e4


def test_clarabel_is_accurate_to_the_square_root_of_its_tolerance() -> None:
    method = ConeLayer("torch", tolerance=1e-12, adjoint="dense", solver="Clarabel")
    problem = draw("dct")
    error, error_x = errors(method, problem)
    assert 1e-12 < error_x < 1e-5  # the quadratic is a second-order cone: x is good to sqrt(1e-12) times a constant
    assert error < 1e-4
    assert method.promise(problem, problem.reference()) is None
    assert method.prepare(problem)(problem.theta).converged is None


@pytest.mark.parametrize("operator", BETAS)
def test_defaults_are_the_same_computation_everywhere(operator: str) -> None:
    problem = draw(operator, batch=3)
    grads = [to_numpy(method.prepare(problem)(problem.theta).grad) for method in DEFAULTS]
    for grad in grads[1:]:
        assert relative(grad, grads[0]) < 1e-6  # rounding, carried through 100 iterations of SCS and the stop of LSQR


@pytest.mark.parametrize("method", (*DEFAULTS, *TIGHT), ids=lambda m: m.label)
def test_a_call_is_a_pure_function_of_theta(method: GradientMethod) -> None:
    problem = draw("random", n=8)
    call = method.prepare(problem)
    first = call(problem.theta)
    call(1.1 * problem.theta)
    again = call(problem.theta)
    assert np.array_equal(to_numpy(first.grad), to_numpy(again.grad))
    assert np.array_equal(to_numpy(first.solution), to_numpy(again.solution))


@pytest.mark.parametrize("method", (ConeLayer(tolerance=0.0), Diffcp(tolerance=0.0)), ids=lambda m: m.name)
def test_an_inaccurate_solution_is_not_called_converged(method: GradientMethod) -> None:
    problem = draw("identity", n=4)
    assert method.prepare(problem)(problem.theta).converged is False


@pytest.mark.parametrize("method", (*DEFAULTS, *TIGHT), ids=lambda m: m.label)
def test_a_solved_program_is_called_converged(method: GradientMethod) -> None:
    problem = draw("dct", n=8, batch=2)
    assert method.prepare(problem)(problem.theta).converged is True


def test_a_batch_with_one_signal_that_does_not_converge_does_not() -> None:
    """SCS does not bring a signal of 1e7 to 1e-9 within the 1e5 iterations that it allows itself."""
    problem, method = draw(batch=3), Diffcp(tolerance=1e-9)
    y = problem.y * np.array([[1.0], [1e7], [1.0]])
    whole = AnalysisL1(problem.theta, y, problem.target, problem.beta)
    for b in (0, 2):
        alone = AnalysisL1(problem.theta, y[b], problem.target[b], problem.beta)
        assert method.prepare(alone)(alone.theta).converged is True
    assert method.prepare(whole)(whole.theta).converged is False


def test_other_warnings_pass() -> None:
    with pytest.warns(UserWarning, match="another") as caught, _inaccurate() as found:
        warnings.simplefilter("always")
        warnings.warn("Solved/Inaccurate.", stacklevel=1)
        warnings.warn("another", stacklevel=1)
    assert len(caught) == 1
    assert len(found) == 1


def test_unknown_settings_are_named() -> None:
    with pytest.raises(ValueError, match="solver must be one of SCS, Clarabel, MOREAU or None, got 'ECOS'"):
        ConeLayer(solver="ECOS").prepare(draw(n=4))
    with pytest.raises(ValueError, match="adjoint must be one of lsqr, lsmr, dense or None, got 'qr'"):
        Diffcp("qr").prepare(draw(n=4))


@pytest.mark.parametrize("method", (*DEFAULTS, *TIGHT), ids=lambda m: m.label)
def test_what_a_method_says_of_itself(method: GradientMethod) -> None:
    class Bare(Problem):
        solve = loss = loss_grad = reference = lambda self: None  # type: ignore[assignment]

    assert method.unsupported(Bare()) == "needs the structure ConicProgram"
    assert method.unsupported(draw(n=4)) is None
    rungs = method.ladder()
    assert {rung.name for rung in rungs} == {method.name}
    assert len({rung.label for rung in rungs}) == len(rungs) == 7
    assert method in rungs
