"""Laws of smooth lower levels: the a-posteriori bound holds, values have envelope gradients, mirror steps stay inside."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from _exact import relative
from _judged import judged

from harness.plan.catalogue import ensemble
from methods.base import Gradient, GradientMethod
from methods.bregman_fixed_point import BregmanFixedPoint
from methods.calculus.bregman import form_of, iteration, start
from methods.calculus.newton import Derivatives, itself
from methods.ift import IFT
from methods.ift_cg import InexactIFT
from methods.linear_solve_vjp import LinearSolveVJP
from methods.value_duality import ValueDuality
from problems import AnalysisL1, Conditioned, Constants, LinearSystem, Problem, smoothed
from problems.base import Array
from problems.quadratic import QuadraticBilevel
from problems.tv_value import TVValue

SMOOTH = [(name, theta) for name in ("smooth-tv", "quadratic", "ridge", "logistic") for theta in ensemble(name).thetas]
each_smooth = pytest.mark.parametrize(("name", "theta"), SMOOTH)


def drawn(name: str, theta: str, seed: int = 1) -> Problem:
    one = ensemble(name)
    return one.instance(one.small, seed, theta, "", one.signals[0] if one.signals else "")


@pytest.mark.parametrize("seed", [1, 2])
@each_smooth
def test_the_bound_of_an_inexact_gradient_holds_over_the_ladder(name: str, theta: str, seed: int) -> None:
    problem = drawn(name, theta, seed)
    reference, bounds = problem.reference(), []
    for method in InexactIFT().ladder():
        result = method.prepare(problem)(problem.theta)
        assert result.converged and result.bound is not None and result.note == ""
        columns = judged(result, problem, reference, None)
        assert columns["status"] == "ok", columns["reason"]
        assert columns["error_rel"] <= columns["error_bound"] == result.bound
        bounds.append(result.bound)
    assert np.isfinite(bounds[-1]) and bounds[-1] < 1e-4 * bounds[0]  # and it says something: it falls with eps


@each_smooth
def test_the_constants_bound_what_they_say(name: str, theta: str) -> None:
    problem = drawn(name, theta)
    assert isinstance(problem, Conditioned)
    known, model, rng = problem.constants(problem.theta), Derivatives("torch", problem, itself), np.random.default_rng(0)
    centre, t = problem.solve(problem.theta), problem.theta
    slack = 1 + 1e-9
    for scale in (1e-3, 1e-2, 1e-1, 1.0):
        for _ in range(5):
            x, step = centre + scale * rng.standard_normal(centre.shape), scale * rng.standard_normal(centre.shape)
            curvatures = np.linalg.eigvalsh(model.hessian(x, t))
            assert known.mu <= curvatures[0] * slack and curvatures[-1] <= known.lipschitz * slack
            moved, size, zero = x + step, float(np.linalg.norm(step)), 1e-10 * known.lipschitz
            bend = np.linalg.norm(model.hessian(moved, t) - model.hessian(x, t), 2)
            assert bend <= known.hessian * size * slack + zero
            mixed = np.linalg.norm(model.cross_matrix(moved, t) - model.cross_matrix(x, t), 2)
            assert mixed <= known.cross * size * slack + zero
            turn = np.linalg.norm(problem.loss_grad(moved, t)[0] - problem.loss_grad(x, t)[0])
            assert turn <= known.loss * size * slack


def test_the_bound_is_its_formula_by_hand() -> None:
    """(B + M_B a) (L_L a + r + M_H a |w|) / mu + M_B a |w| + L_theta a with a = 1/2, r = 0, B = 7 and |w| = 11."""
    assert Constants(2, 1, hessian=3, cross=0, loss=0).error(0.5, 0, 7, 11) == 57.75  # 7 (3 / 2 * 11) / 2
    full = Constants(2, 1, hessian=3, cross=5, loss=13, direct=17)
    assert full.error(0.5, 1, 7, 11) == 9.5 * (6.5 + 1 + 16.5) / 2 + 27.5 + 8.5


def test_a_bound_below_the_error_is_inaccurate() -> None:
    problem = drawn("quadratic", "shift")
    result = InexactIFT(eps=1e-3).prepare(problem)(problem.theta)
    columns = judged(replace(result, bound=1e-12), problem, problem.reference(), None)
    assert columns["status"] == "inaccurate" and columns["verified"] is False
    assert "the method's own bound 1.0e-12 is violated" in columns["reason"]
    assert np.isnan(judged(replace(result, bound=None), problem, problem.reference(), None)["error_bound"])


@dataclass(frozen=True, eq=False)
class Estimated(QuadraticBilevel):
    """Its constants are called estimates."""

    def constants(self, theta: Array):  # type: ignore[no-untyped-def]
        return replace(QuadraticBilevel.constants(self, theta), rigorous=False)


def test_a_bound_from_estimated_constants_says_so() -> None:
    problem = Estimated.draw(4, 1, "shift")
    assert InexactIFT().prepare(problem)(problem.theta).note == "bound not rigorous: its constants are estimates"


@pytest.mark.parametrize("seed", range(3))
def test_the_implicit_function_theorem_is_the_closed_form_on_the_quadratic_problem(seed: int) -> None:
    problem = QuadraticBilevel.draw(12, seed, "shift")
    g = problem.a1.T @ (problem.a1 @ problem.solve(problem.theta) - problem.b1)
    closed = -problem.a3.T @ problem.a2 @ np.linalg.solve(problem.a2.T @ problem.a2, g)
    for method in (IFT(), LinearSolveVJP()):
        assert relative(method.prepare(problem)(problem.theta).grad, closed) < 1e-12  # rounding times a condition number of 100


@pytest.mark.parametrize("reached", [(True, True), (True, False), (False, True)])
def test_a_linear_solve_converges_where_both_of_its_systems_do(reached: tuple[bool, bool]) -> None:
    flags = iter(reached)

    class Told(LinearSolveVJP):
        def _solve(self, problem: LinearSystem, theta: Array, b: Array) -> tuple[Array, int, bool]:
            return (*super()._solve(problem, theta, b)[:2], next(flags))

    problem = drawn("quadratic", "shift")
    assert Told().prepare(problem)(problem.theta).converged is all(reached)


@pytest.mark.parametrize("seed", range(3))
def test_the_gradient_of_the_value_is_that_of_the_envelope(seed: int) -> None:
    problem = TVValue.draw(16, seed, "weight-and-data", 0.1)
    weight, u, x = np.exp(problem.theta[0]), problem.theta[1:], problem.solve(problem.theta)
    envelope = np.append(weight * np.abs(np.diff(x)).sum(), u - x)
    assert relative(problem.reference().grad, envelope) < 1e-13
    result = ValueDuality(iterations=3000).prepare(problem)(problem.theta)
    assert relative(result.grad, envelope) < 1e-8  # as the iterates: momentum near 1 leaves ripples
    primal = 0.5 * ((x - u) ** 2).sum() + weight * np.abs(np.diff(x)).sum()
    assert float(result.value) == pytest.approx(primal, rel=1e-10)  # the loss is the optimal value; a dual value from below
    assert ValueDuality(iterations=10).prepare(problem)(problem.theta).value < primal


@dataclass(frozen=True)
class DropsTheOperator(GradientMethod):
    """The linear-solve gradient that back-propagates through b alone, as if K did not depend on theta."""

    name = "drops-the-operator"

    def unsupported(self, problem: Problem) -> str | None:
        return None

    def prepare(self, problem: Problem):  # type: ignore[no-untyped-def]
        whole, silent = LinearSolveVJP().prepare(problem), np.zeros_like(problem.theta)

        def call(theta: Array) -> Gradient:
            found = whole(theta)
            return found if isinstance(problem, QuadraticBilevel) else replace(found, grad=silent)

        return call


def test_a_parameter_that_is_silently_dropped_is_seen_where_the_operator_depends_on_it() -> None:
    blind, seeing = drawn("quadratic", "shift"), drawn("ridge", "row-weights")  # K does not depend on theta; K does
    statuses = []
    for problem in (blind, seeing):
        result = DropsTheOperator().prepare(problem)(problem.theta)
        statuses.append(
            judged(result, problem, problem.reference(), DropsTheOperator().promise(problem, problem.reference()))["status"]
        )
        right = LinearSolveVJP().prepare(problem)(problem.theta)
        assert (
            judged(right, problem, problem.reference(), LinearSolveVJP().promise(problem, problem.reference()))["status"]
            == "ok"
        )
    assert statuses == ["ok", "inaccurate"]


@pytest.mark.parametrize("operator", ["tv", "random-2n"])
def test_mirror_steps_stay_inside_the_box(operator: str) -> None:
    problem = AnalysisL1.draw(n=9, operator=operator, seed=2)
    form = form_of(problem)
    z, length = start(form, problem.theta)
    step = iteration(form, problem.theta, length)
    for _ in range(5):
        z = step(z)
        assert (np.abs(z) < problem.beta).all()  # strictly, until the distance, which falls geometrically, is below rounding
    for _ in range(3000):
        z = step(z)
    assert (np.abs(z) <= problem.beta * (1 + 1e-15)).all()


def test_a_bregman_method_refuses_what_has_no_entropy() -> None:
    refused = BregmanFixedPoint().unsupported(drawn("ridge", "weight"))
    assert refused == "needs one term with K = I, a constraint set with an entropy"


def test_smoothing_follows_from_the_penalties() -> None:
    problem = AnalysisL1.draw(n=9, batch=2)
    x, rows = problem.target, problem.target @ problem.theta.T
    expected = 0.5 * ((x - problem.y) ** 2).sum() + problem.beta * np.sqrt(rows**2 + 1e-2).sum()
    assert smoothed(problem, 0.1).objective(x, problem.theta) == pytest.approx(expected, rel=1e-14)
    with pytest.raises(TypeError, match="smoothing needs the primal form"):
        smoothed(TVValue.draw(8, 1, "weight-and-data", 0.1), 0.1)
