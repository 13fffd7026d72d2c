"""Laws of unrolled, implicit and partly smooth differentiation: what must coincide, what converges, what is silently wrong."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from _exact import relative

from methods import GradientMethod
from methods.calculus.frameworks import Torch
from methods.fixed_point import ADJOINTS, FixedPoint
from methods.neumann import Neumann
from methods.one_step import OneStep
from methods.partial_smoothness import PartialSmoothness, along, refusal
from methods.truncated import Truncated
from methods.unrolled import Unrolled
from methods.unrolled_forward import UnrolledForward
from methods.weak import Weak
from problems import AnalysisL1, Form
from problems.lasso import Lasso
from problems.penalties import PENALTIES, Penalty


@cache
def problem() -> AnalysisL1:
    return AnalysisL1.draw(n=9, operator="random-2n", seed=2)


def grad(method: GradientMethod, of: Any = None) -> Any:
    of = of or problem()
    return np.asarray(method.prepare(of)(of.theta).grad)


def error(method: GradientMethod, of: Any = None) -> float:
    of = of or problem()
    return float(relative(grad(method, of), of.reference().grad))


@pytest.mark.parametrize("scheme", ["ista", "fista", "admm"])
def test_forward_mode_and_truncation_to_all_iterations_are_reverse_mode(scheme: str) -> None:
    whole = grad(Unrolled(scheme, iterations=40))
    assert error(Unrolled(scheme, iterations=40)) > 1e-6  # far from converged: a limit that all of them share shows nothing
    assert relative(grad(UnrolledForward(scheme, iterations=40)), whole) < 1e-12  # rounding
    assert relative(grad(Truncated(scheme, last=40, iterations=40)), whole) < 1e-12
    assert relative(grad(Truncated(scheme, last=4, iterations=40)), whole) > 1e-3


def test_the_weak_derivative_written_by_hand_is_that_of_the_framework() -> None:
    assert relative(grad(Weak(iterations=40)), grad(Unrolled("ista", iterations=40))) < 1e-12  # rounding; no ties are met


def test_a_truncated_neumann_series_converges_geometrically_and_starts_with_one_step() -> None:
    assert relative(grad(Neumann(terms=0)), grad(OneStep())) < 1e-15
    errors = np.array([error(Neumann(terms=terms)) for terms in (0, 20, 40, 60)])
    rates = errors[1:] / errors[:-1]
    assert errors[0] > 0.1 and rates.max() < 0.5
    assert rates[2] == pytest.approx(rates[1], rel=0.3)  # the slowest mode is left
    assert (
        relative(grad(Neumann(terms=400)), grad(FixedPoint(tolerance=1e-13, limit=100_000))) < 1e-10
    )  # 1e-13 over a gap of 1/80


@pytest.mark.parametrize("adjoint", ADJOINTS)
def test_every_adjoint_solves_the_same_system(adjoint: str) -> None:
    assert error(FixedPoint("admm", tolerance=1e-12, adjoint=adjoint)) < 1e-9


def test_a_loose_fixed_point_is_wrong_and_claims_to_have_converged() -> None:
    found = FixedPoint(tolerance=1e-2).prepare(problem())(problem().theta)
    assert found.converged and not found.note
    assert relative(np.asarray(found.grad), problem().reference().grad) > 1e-2


def test_a_fixed_point_that_meets_its_cap_says_so() -> None:
    found = FixedPoint(tolerance=1e-10, limit=5).prepare(problem())(problem().theta)
    assert found.converged is False and found.iterations == 5
    assert found.note == "the iteration and the adjoint system stopped short of the tolerance"


@pytest.mark.parametrize(("limit", "expected"), [(1, False), (100, True)])
def test_gmres_that_stops_short_says_so(limit: int, expected: bool) -> None:
    contraction, right = torch.linspace(0.0, 0.99, 400, dtype=torch.float64), torch.ones(400, dtype=torch.float64)
    method = FixedPoint(tolerance=1e-8, adjoint="gmres", limit=limit)
    b, met = method._adjoint(Torch(), lambda b: contraction * b, right)
    residual = float(torch.linalg.norm(contraction * b + right - b) / torch.linalg.norm(right))
    assert bool(met) is expected is (residual < 2e-8)  # after one restart it is 2e-5


def test_momentum_is_no_fixed_point_map() -> None:
    assert FixedPoint("fista").unsupported(problem()) == (
        "fista is no fixed-point map: its momentum changes with every iteration"
    )
    assert Neumann("admm").unsupported(problem()) == "admm does not build its state from a solution"


def test_too_many_directions_are_refused_with_their_number() -> None:
    wide = AnalysisL1.draw(n=65, operator="random")
    for method in (UnrolledForward(), Weak()):
        assert method.unsupported(wide) == "needs 4225 directions of 4225 entries each, more than 16777216 numbers"


# Partial smoothness


class Primal(AnalysisL1):
    """Analysis l1 without its dual."""

    def forms(self) -> tuple[Form, ...]:
        return super().forms()[:1]


class Scaled(Lasso):
    """The dual-like form whose box moves with theta."""

    def forms(self) -> tuple[Form, ...]:
        from problems.forms import Term
        from problems.penalties import Box

        (form,) = super().forms()
        return (Form("primal", form.smooth, (Term(Box(), None, form.terms[0].weight),), form.shape),)


def test_a_manifold_that_moves_with_theta_is_refused() -> None:
    one = problem()
    primal = Primal(one.theta, one.y, one.target, one.beta)
    reason = PartialSmoothness().unsupported(primal)
    assert reason == "the manifold of l1(K v) moves with theta, on which K depends"
    lasso = Lasso.draw(n=16, seed=1, theta="row-weights", signal="gaussian")
    boxed = Scaled(lasso.theta, lasso.a, lasso.y, lasso.a_val, lasso.y_val)
    assert PartialSmoothness().unsupported(boxed) == "the manifold of box moves with its weight, which depends on theta"
    assert refusal(lasso.forms()[0], lasso) is None


@pytest.mark.parametrize("operator", ["tv", "random"])
def test_leaving_the_motion_of_the_manifold_out_is_silently_wrong(operator: str) -> None:
    one = AnalysisL1.draw(n=16, operator=operator, seed=1)
    found = along("torch", one, one.forms()[0])(one.theta)  # the primal, whose ker K_Z turns with theta = K
    assert relative(np.asarray(found.grad), one.reference().grad) > 0.1  # measured 0.70 and 0.83
    assert not found.note
    assert error(PartialSmoothness(), one) < 1e-12


def test_partial_smoothness_notes_a_solution_on_the_edge_of_its_manifold() -> None:
    y = np.array([1.0, 3.0, -2.0, 0.25])  # |y_1| = beta exactly: x_1 leaves zero to one side
    edge = AnalysisL1(np.eye(4), y, np.array([0.5, -1.0, 0.75, 0.25]), 1.0)
    note = PartialSmoothness().prepare(edge)(edge.theta).note
    assert note == "the active manifold changes within 1e-09 of the solution: v* need not be differentiable"
    inside = AnalysisL1(np.eye(4), y, edge.target, 1.01)
    assert PartialSmoothness().prepare(inside)(inside.theta).note == ""


@pytest.mark.parametrize("penalty", PENALTIES, ids=lambda penalty: penalty.name)
def test_penalties_know_whether_their_manifold_moves_with_the_weight(penalty: Penalty) -> None:
    z, h = 2 * np.random.default_rng(3).standard_normal(6), 1e-6
    low, high = (np.asarray(penalty.prox(z, 1.0, np.asarray(0.8 + sign * h))) for sign in (-1, 1))
    basis = penalty.manifold(np.asarray(penalty.prox(z, 1.0, np.asarray(0.8))), np.asarray(0.8)).basis
    slope = (high - low) / (2 * h)
    normal = slope - basis @ (basis.T @ slope)
    # Central differences: curvature h^2 = 1e-12, rounding 1e-10; motion of a face is of the order of one.
    assert (np.linalg.norm(normal) > 1e-2) == penalty.moves_with_weight


@pytest.mark.parametrize("penalty", [p for p in PENALTIES if p.has_prox_derivative], ids=lambda penalty: penalty.name)
def test_weak_derivatives_of_the_prox_are_its_slopes(penalty: Penalty) -> None:
    rng, h = np.random.default_rng(4), 1e-6
    z, dz = 2 * rng.standard_normal((2, 6))
    weight, dweight = 0.5 + rng.random(6), rng.standard_normal(6)
    ahead, behind = (penalty.prox(z + s * h * dz, 0.7, weight + s * h * dweight) for s in (1, -1))
    found = penalty.prox_derivative(z, 0.7, weight, dz, dweight)
    np.testing.assert_allclose(found, (ahead - behind) / (2 * h), atol=1e-9)  # piecewise linear: rounding 1e-16 / h
