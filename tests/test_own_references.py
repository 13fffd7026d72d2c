"""References of a user's own problem: each holds its radius against the closed form in 60 digits, and refuses what it must."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import mpmath
import numpy as np
import pytest
from _exact import relative

import dargmin as dm
from dargmin import Array
from problems.smooth_tv import SmoothedVariation, SmoothTV

SEEDS = range(4)


@dataclass(frozen=True, eq=False)
class Ridge(dm.TwiceDifferentiable):
    """x* = argmin 1/2 |A x - y|^2 + 1/2 sum_i theta_i x_i^2, theta () or (n,), L = scale/2 |x* - A^T y|^2."""

    theta: Array
    a: Array
    y: Array
    scale: float = 0.3
    error: float = 0.0  # of solve

    @classmethod
    def draw(cls, n: int, seed: int, shape: tuple[int, ...] = ()) -> Ridge:
        rng = np.random.default_rng(seed)
        return cls(rng.uniform(0.5, 2.0, shape), rng.standard_normal((2 * n, n)), rng.standard_normal(2 * n))

    def solve(self, theta: Array) -> Array:
        x = np.linalg.solve(self.a.T @ self.a + np.diag(theta + np.zeros(len(self.a.T))), self.a.T @ self.y)
        return np.asarray(x * (1 + self.error))

    def loss(self, x: Any, theta: Any) -> Any:
        return 0.5 * self.scale * ((x - self.a.T @ self.y) ** 2).sum()

    def loss_grad(self, x: Any, theta: Any) -> tuple[Any, Any]:
        return self.scale * (x - self.a.T @ self.y), np.zeros_like(theta)

    def slope(self, x: Any, theta: Any) -> Any:
        return self.a.T @ (self.a @ x - self.y) + theta * x

    def hessian(self, x: Any, theta: Any) -> Any:
        return self.a.T @ self.a + theta * np.eye(len(x))

    def cross(self, x: Any, theta: Any, w: Any) -> Any:
        return x * w if theta.ndim else x @ w

    def formula(self, theta: Any) -> tuple[Any, Any]:
        h, b = self.hessian(self.a[0], theta), self.a.T @ self.y
        x = dm.ball_solve(h, b)
        return x, -self.cross(x, theta, dm.ball_solve(h, self.scale * (x - b)))

    def constants(self) -> dm.Constants:
        curvatures = np.linalg.eigvalsh(self.hessian(self.a[0], self.theta))
        return dm.Constants(curvatures[0], curvatures[-1], hessian=0.0, cross=float(self.theta.size) or 1.0, loss=self.scale)

    def reference(self) -> dm.Reference:
        return dm.proven_minimiser(self)


@dataclass(frozen=True, eq=False)
class Given(dm.Problem):
    """All of a problem but what the example of `proven_formula` says."""

    theta: Array
    y: Array
    target: Array

    def solve(self, theta: Array) -> Array:
        return np.asarray(self.y / (1 + theta))

    def loss(self, x: Any, theta: Any) -> Any:
        return 0.5 * ((x - self.target) ** 2).sum()

    def loss_grad(self, x: Any, theta: Any) -> tuple[Any, Any]:
        return x - self.target, np.zeros_like(theta)


def exact(problem: Ridge) -> Array:
    """dL/dtheta in 60 digits, rounded."""
    n = len(problem.a.T)
    a, y = mpmath.matrix(problem.a.tolist()), mpmath.matrix(problem.y.tolist())
    weights = (problem.theta + np.zeros(n)).tolist()
    h, b = a.T * a + mpmath.diag(weights), a.T * y
    x = mpmath.lu_solve(h, b)
    w = mpmath.lu_solve(h, mpmath.mpf(problem.scale) * (x - b))
    each = [-x[i] * w[i] for i in range(n)]
    return np.array([float(v) for v in each]) if problem.theta.ndim else np.array(float(mpmath.fsum(each)))


def instances() -> list[Ridge]:
    return [Ridge.draw(n, seed, shape) for n in (1, 5, 12) for seed in SEEDS for shape in ((), (n,))]


@pytest.mark.parametrize("helper", [dm.proven_minimiser, lambda one: dm.proven_formula(one, Ridge.formula)])
def test_a_proof_holds_its_radius(helper: Any) -> None:
    for problem in instances():
        found = helper(problem)
        assert found.status == "proven" and found.radius <= 1e-15
        assert found.grad.shape == problem.theta.shape
        assert relative(found.grad, exact(problem)) <= found.radius + 2.0**-53  # the truth is rounded to float64
        assert relative(found.solution, problem.solve(problem.theta)) < 1e-12
        assert found.value == pytest.approx(float(problem.loss(found.solution, problem.theta)), rel=1e-15)


def test_the_example_of_a_formula_is_proven() -> None:
    """y = 3, target = 1, theta = 1: x* = 3/2 and dL/dtheta = -3/4 * 1/2."""
    (code,) = re.findall(r"::\n\n((?:        .*\n|\n)+)    ", dm.proven_formula.__doc__ or "")
    names: dict[str, Any] = {"Given": Given, "proven_formula": dm.proven_formula}
    exec("class Mine(Given):\n" + code, names)
    found = names["Mine"](np.ones(()), np.array([3.0]), np.array([1.0])).reference()
    assert found.status == "proven" and found.grad == -0.375 and found.solution == 1.5


def test_a_rough_solution_is_proven_all_the_same() -> None:
    rough = replace(Ridge.draw(5, 0), error=1e-6)
    assert relative(rough.reference().grad, exact(rough)) < 1e-15


@dataclass(frozen=True, eq=False)
class Cancelling(Ridge):
    """dL/dx = c c - d = 1, which float64 rounds to 0, at every entry; c and d are 2^30 + 1 and 2^60 + 2^31."""

    c: float = 2.0**30 + 1
    d: float = 2.0**60 + 2.0**31

    def loss_grad(self, x: Any, theta: Any) -> tuple[Any, Any]:
        return np.array([self.c * self.c - self.d] * len(x)), 0.0 * theta


def test_products_of_data_are_not_rounded() -> None:
    drawn = Ridge.draw(3, 0)
    problem = Cancelling(drawn.theta, drawn.a, drawn.y)
    assert not problem.loss_grad(drawn.a[0], drawn.theta)[0].any()
    h = problem.hessian(drawn.a[0], drawn.theta)
    expected = -(problem.solve(problem.theta) @ np.linalg.solve(h, np.ones(3)))
    found = problem.reference()
    assert found.status == "proven" and relative(found.grad, expected) < 1e-13


@dataclass(frozen=True, eq=False)
class WrongHessian(Ridge):
    def hessian(self, x: Any, theta: Any) -> Any:
        return self.a.T @ self.a * (1 + 1e-4) + theta * np.eye(len(x))


@dataclass(frozen=True, eq=False)
class WrongCross(Ridge):
    def cross(self, x: Any, theta: Any, w: Any) -> Any:
        return -Ridge.cross(self, x, theta, w)


@pytest.mark.parametrize("shape", [(), (4,)])
@pytest.mark.parametrize(("kind", "named"), [(WrongHessian, "hessian(x, theta)"), (WrongCross, "cross(x, theta, w)")])
def test_a_derivative_that_is_none_is_refuted(kind: type[Ridge], named: str, shape: tuple[int, ...]) -> None:
    drawn = Ridge.draw(4, 1, shape)
    found = kind(drawn.theta, drawn.a, drawn.y).reference()
    assert found.status == "undecided" and found.grad is None
    assert found.reason.startswith(f"{named} is not the derivative of")


def test_what_cannot_be_proven_is_undecided_with_the_reason() -> None:
    problem = Ridge.draw(3, 0)
    found = dm.proven_formula(problem, lambda one, theta: (one.a[0], np.log(np.exp(theta)) - theta))
    assert found.status == "undecided" and found.grad is None
    assert found.reason == "the gradient is too close to 0 for a relative error"
    found = dm.proven_formula(problem, lambda one, theta: (dm.ball_solve(np.zeros((3, 3)), one.a[0]), theta))
    assert found.status == "undecided" and found.reason
    found = dm.proven_formula(problem, lambda one, theta: (one.a[0], 0 * theta))
    assert found.status == "zero" and found.grad == 0.0


@dataclass(frozen=True, eq=False)
class Unsolved(Ridge):
    def solve(self, theta: Array) -> Array:
        raise dm.SolveError("it does not converge")


@pytest.mark.parametrize("helper", [dm.proven_minimiser, lambda one: dm.bounded_minimiser(one, Ridge.constants(one))])
def test_an_instance_that_is_not_solved_is_undecided(helper: Any) -> None:
    drawn = Ridge.draw(3, 0)
    found = helper(Unsolved(drawn.theta, drawn.a, drawn.y))
    assert found.status == "undecided" and found.reason == "it does not converge"


@dataclass(frozen=True, eq=False)
class Odd(Ridge):
    extra: Any = None


def test_fields_that_may_hide_floats_are_refused_and_others_stay() -> None:
    drawn = Ridge.draw(3, 0)
    for kept in ("name", 3, np.arange(3), (3, 0.5), None, True):
        assert Odd(drawn.theta, drawn.a, drawn.y, extra=kept).reference().status == "proven"
    for hidden in ([0.5], {"a": 0.5}, np.zeros(2, dtype=complex), np.sin):
        with pytest.raises(TypeError, match="a proof needs fields that are real arrays, numbers or names, got extra of type"):
            Odd(drawn.theta, drawn.a, drawn.y, extra=hidden).reference()


def test_a_formula_that_leaves_the_balls_is_refused() -> None:
    problem = Ridge.draw(3, 0, (3,))
    with pytest.raises(TypeError, match=r"formula must calculate with the balls it is given, got the float 0\.5"):
        dm.proven_formula(problem, lambda one, theta: (one.y, np.full(3, 0.5)))
    with pytest.raises(TypeError, match=r"dL/dtheta in the shape of theta, \(3,\), got \(2,\)"):
        dm.proven_formula(problem, lambda one, theta: (one.y, theta[:2]))


@dataclass(frozen=True, eq=False)
class Batch(Ridge):
    def solve(self, theta: Array) -> Array:
        return np.zeros((2, 3))


def test_a_batch_is_refused() -> None:
    drawn = Ridge.draw(3, 0)
    with pytest.raises(TypeError, match=r"x\* must have shape \(n,\), got \(2, 3\)"):
        Batch(drawn.theta, drawn.a, drawn.y).reference()


# The a-posteriori bound


@dataclass(frozen=True, eq=False)
class ByHand(SmoothTV, dm.TwiceDifferentiable):
    """Smooth total variation with the derivatives of its energy by hand, and a `solve` that is off by `error`."""

    error: float = 0.0

    def solve(self, theta: Array) -> Array:
        return SmoothTV.solve(self, theta) + self.error * np.cos(np.arange(len(self.y)))

    def slope(self, x: Any, theta: Any) -> Any:
        return SmoothedVariation(self.y).gradient(theta)(x)

    def hessian(self, x: Any, theta: Any) -> Any:
        (alpha, nu, xi), t, d = np.exp(theta), np.diff(x), np.diff(np.eye(len(x)), axis=0)
        bend = alpha * nu**2 * (t * t + nu**2) ** -1.5
        return (1 + xi) * np.eye(len(x)) + d.T @ (bend[:, None] * d)

    def cross(self, x: Any, theta: Any, w: Any) -> Any:
        (alpha, nu, xi), t, v = np.exp(theta), np.diff(x), np.diff(w)
        q = t * t + nu**2
        return np.array([(alpha * t / q**0.5) @ v, -(alpha * nu**2 * t / q**1.5) @ v, xi * x @ w])


def test_a_proof_of_a_nonlinear_energy_is_that_of_the_suite() -> None:
    for seed in SEEDS:
        drawn = SmoothTV.draw(12, seed, "logs", 0.1)
        truth, found = drawn.reference(), dm.proven_minimiser(ByHand(drawn.theta, drawn.y, drawn.target, error=1e-6))
        assert found.status == truth.status == "proven"
        assert relative(found.grad, truth.grad) <= found.radius + truth.radius


@pytest.mark.parametrize("error", [0.0, 1e-6, 1e-4])
def test_a_bound_holds_against_the_proven_gradient(error: float) -> None:
    for seed in SEEDS:
        drawn = SmoothTV.draw(12, seed, "logs", 0.1)
        truth = drawn.reference()
        problem = ByHand(drawn.theta, drawn.y, drawn.target, error)
        found = dm.bounded_minimiser(problem, problem.constants(problem.theta))
        assert found.status == "bounded" and truth.status == "proven"
        assert relative(found.grad, truth.grad) <= found.radius + truth.radius
        assert found.radius < 1e-6 if error == 0.0 else found.radius < np.inf  # and it says something


def test_a_bound_of_ridge_regression_holds_and_says_something() -> None:
    for problem in instances():
        found = dm.bounded_minimiser(problem, problem.constants())
        assert found.status == "bounded" and 0.0 < found.radius < 1e-9
        assert relative(found.grad, exact(problem)) <= found.radius


def test_a_bound_is_as_good_as_its_constants() -> None:
    drawn = SmoothTV.draw(12, 0, "logs", 0.1)
    problem = ByHand(drawn.theta, drawn.y, drawn.target, error=1e-3)
    known, truth = problem.constants(problem.theta), drawn.reference()
    wrong = replace(known, mu=1e9, hessian=0.0, cross=0.0)
    found = dm.bounded_minimiser(problem, wrong)
    assert found.radius < relative(found.grad, truth.grad)  # it believes them
    found = dm.bounded_minimiser(problem, replace(known, rigorous=False))
    assert found.status in ("unproven", "undecided")
    exact_ = replace(problem, error=0.0)
    found = dm.bounded_minimiser(exact_, replace(known, rigorous=False))
    assert found.status == "unproven" and found.reason == "the constants of its bound are estimates"


def test_a_bound_as_large_as_the_gradient_is_undecided() -> None:
    problem = replace(Ridge.draw(3, 0), scale=0.0)
    found = dm.bounded_minimiser(problem, problem.constants())
    assert found.status == "undecided" and found.grad is None and "as large as the gradient" in found.reason


def test_a_bound_is_its_formula_by_hand() -> None:
    """Phi = 1/2 (x - 2)^2 + x^2 / 2 and L = 1/2 (x - 2)^2: x* = 1, mu = L = 2, w = -1/2, M_B = B = 1, dL/dtheta = 1/2."""
    problem = Ridge(np.ones(()), np.ones((1, 1)), np.array([2.0]), scale=1.0)
    found = dm.bounded_minimiser(problem, dm.Constants(2.0, 2.0, hessian=0.0, cross=1.0, loss=1.0))
    unit = 64 * 2.0**-52
    distance, residual = unit * (2 * 1 + 2) / 2, unit * (2 * 0.5 + 1)
    error = (1 + distance) * (distance + residual) / 2 + 0.5 * distance + unit * 1 * 0.5
    assert found.grad == 0.5 and found.radius == pytest.approx(error / (0.5 - error), rel=1e-15, abs=0.0)
