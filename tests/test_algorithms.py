"""Every algorithm of ALGORITHMS: it solves the forms it accepts, and refuses the others with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import cvxpy as cp
import numpy as np
import pytest
from scipy.optimize import nnls

from problems import AnalysisL1
from problems.algorithms import ALGORITHMS, Algorithm, algorithm
from problems.base import Array
from problems.forms import Distance, Form, LeastSquares, Smooth, Splitting, Term, fixed
from problems.lasso import Lasso
from problems.operators.differences import Differences1D
from problems.penalties import L1, L21, Nonnegative, Simplex

W, Y = np.diff(np.eye(4), axis=0), np.array([1.0, 0.9, -0.5, -0.6])
EXACT = [kind for kind in ALGORITHMS if kind.exact]
BREGMAN = ("bpg", "bpd")
each_exact = pytest.mark.parametrize("kind", EXACT, ids=lambda kind: kind.name)
NONE = np.zeros(())
A, B = np.random.default_rng(0).standard_normal((12, 6)), np.random.default_rng(1).standard_normal(12)


class Logistic(Smooth):
    """f(v) = sum_i log(1 + exp(-a_i v)): not quadratic."""

    def value(self, theta: Any) -> Any:
        return lambda v: np.logaddexp(0, -A @ v).sum()

    def gradient(self, theta: Any) -> Any:
        return lambda v: -A.T @ (1 / (1 + np.exp(A @ v)))

    def lipschitz(self, theta: Array) -> float:
        return float(np.linalg.norm(A, 2) ** 2 / 4)


def form(smooth: Smooth, *terms: Term) -> Form:
    return Form("primal", smooth, terms, (6,))


FUSED = (Term(L1(), None, lambda theta: 0.5), Term(L1(), Differences1D(6), lambda theta: 1.0))
FORMS = {
    "analysis-primal": AnalysisL1(W, Y, Y, 0.1).forms()[0],
    "analysis-dual": AnalysisL1(W, Y, Y, 0.1).forms()[1],
    "lasso": form(LeastSquares(fixed(A, B), True), FUSED[0]),
    "fused-lasso": form(LeastSquares(fixed(A, B), True), *FUSED),
    "nonnegative": form(LeastSquares(fixed(A, B), True), Term(Nonnegative())),
    "simplex": form(LeastSquares(fixed(A, B), True), Term(Simplex())),
    "isotropic": form(LeastSquares(fixed(A, B), True), Term(L21(3), None, lambda theta: 2.0)),
    "few-rows": form(LeastSquares(fixed(A[:3], B[:3])), FUSED[0]),
    "logistic": form(Logistic(), *FUSED),
    "smooth": form(LeastSquares(fixed(A, B), True)),
}
# Who accepts what. ISTA and FISTA: one term, K = I; ADMM and its kin: f quadratic, in the primal (linearised: in both).
ONE = {"analysis-dual", "lasso", "nonnegative", "simplex", "isotropic", "few-rows"}
ALL = set(FORMS) - {"smooth"}
ACCEPTED = {
    "ista": ONE,
    "fista": ONE,
    "fista-sc": ONE - {"analysis-dual", "few-rows"},
    "admm": ALL - {"logistic", "analysis-dual"},
    "admm-stiff": ALL - {"logistic", "analysis-dual"},
    "ladmm": ALL - {"logistic"},
    "hqs": ALL - {"logistic"},
    "pdhg": ALL,
    "bpg": {"analysis-dual", "nonnegative", "simplex"},
    "bpd": {"analysis-primal", "lasso", "fused-lasso", "few-rows", "logistic"},
}


@dataclass(frozen=True)
class Only(Splitting):
    """A lower level that is one form."""

    form: Form

    def forms(self) -> tuple[Form, ...]:
        return (self.form,)


@pytest.mark.parametrize("kind", ALGORITHMS, ids=lambda kind: kind.name)
def test_who_accepts_what_and_the_reason(kind: type[Algorithm]) -> None:
    assert kind.citation and kind.formula and kind.needs
    assert {name for name, one in FORMS.items() if kind.accepts(one)} == ACCEPTED[kind.name]
    for name in set(FORMS) - ACCEPTED[kind.name]:
        with pytest.raises(TypeError, match=f"^{kind.name} needs "):
            algorithm(kind.name, Only(FORMS[name]))


def test_unknown_algorithms_are_named() -> None:
    with pytest.raises(ValueError, match=r"algorithm must be one of ista, fista, admm, .*, got 'newton'"):
        algorithm("newton", Only(FORMS["lasso"]))


def run(scheme: Algorithm, theta: Array, count: int) -> tuple[Array, Array]:
    """(x after `count` steps, x after one more)."""
    v = scheme.init(theta)
    shared = scheme.shared(v, theta)
    for _ in range(count):
        v = scheme.step(v, theta, shared)
    return scheme.read(v, theta, shared), scheme.read(scheme.step(v, theta, shared), theta, shared)


@cache
def drawn(operator: str, theta: str, batch: int | None) -> AnalysisL1:
    return AnalysisL1.draw(n=9, operator=operator, theta=theta, batch=batch, seed=1)


@pytest.mark.parametrize(
    ("operator", "theta", "batch"),
    [("scaled-identity", "dense", 2), ("tv", "weight", None), ("random-2n", "row-weights", 2), ("filters", "dense", 2)],
)
@pytest.mark.parametrize("kind", [kind for kind in EXACT if kind.name != "fista-sc"], ids=lambda kind: kind.name)
def test_algorithms_converge_to_x_star_and_stay_there(
    kind: type[Algorithm], operator: str, theta: str, batch: int | None
) -> None:
    problem = drawn(operator, theta, batch)
    x = problem.solve(problem.theta)
    # Linear rate: rounding by then; mirror steps are slow where an entry of the dual is strictly inside, but near its bound.
    atol = 1e-3 if kind.name in BREGMAN and operator == "random-2n" else 1e-8
    accepted = [one for one in problem.forms() if kind.accepts(one)]
    assert accepted
    for one in accepted:
        for found in run(kind(one), problem.theta, 15000 if kind.name == "admm-stiff" else 1500):
            np.testing.assert_allclose(found, x, atol=atol)


@pytest.mark.parametrize("signal", ["gaussian", "diabetes"])
@each_exact
def test_algorithms_solve_the_lasso(kind: type[Algorithm], signal: str) -> None:
    problem = Lasso.draw(10, 1, "weight", signal)
    if not kind.accepts(problem.forms()[0]):
        assert kind.name == "bpg"
        return
    for found in run(algorithm(kind.name, problem), problem.theta, 20000 if kind.name == "admm-stiff" else 2000):
        np.testing.assert_allclose(found, problem.solve(problem.theta), atol=1e-8)  # linear rate, as above


def solved(name: str) -> Array:
    """x* of a form of FORMS by another solver: exactly, or to 1e-6."""
    if name == "nonnegative":
        return nnls(A, B)[0]
    one, u = FORMS[name], cp.Variable(6)
    fit = cp.sum(cp.logistic(-A @ u)) if name == "logistic" else 0.5 * cp.sum_squares(A @ u - B)
    parts = [
        term.penalty.cvxpy(u if term.operator is None else term.operator.matrix(NONE) @ u, np.asarray(term.weight(NONE)))
        for term in one.terms
    ]
    problem = cp.Problem(cp.Minimize(fit + sum(part for part, _ in parts)), [c for _, more in parts for c in more])
    problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-11, tol_gap_rel=1e-11, tol_feas=1e-11)
    return np.asarray(u.value)


@pytest.mark.parametrize("name", ["nonnegative", "simplex", "isotropic", "fused-lasso", "logistic"])
def test_constraints_groups_several_terms_and_any_smooth_f(name: str) -> None:
    x, kinds = solved(name), [kind for kind in EXACT if kind.accepts(FORMS[name]) and kind.name != "admm-stiff"]
    assert kinds
    for kind in kinds:
        for found in run(kind(FORMS[name]), NONE, 3000):
            np.testing.assert_allclose(found, x, atol=1e-5, err_msg=kind.name)  # a gap of 1e-11 is below 5e-6 in x


@pytest.mark.parametrize("theta", [W, np.zeros((3, 4))], ids=["tv", "zero"])
@pytest.mark.parametrize("kind", ALGORITHMS, ids=lambda kind: kind.name)
def test_algorithms_accept_an_operator_that_is_zero(kind: type[Algorithm], theta: Array) -> None:
    problem = AnalysisL1(theta, Y, Y, 0.1)
    for one in filter(kind.accepts, problem.forms()):
        assert np.isfinite(run(kind(one), problem.theta, 2)).all()
    flat = form(LeastSquares(fixed(np.zeros((7, 6)), np.ones(7)), True), Term(L1()))  # f constant: L = 0
    if kind.name == "fista-sc":
        with pytest.raises(ValueError, match=r"fista-sc needs a strongly convex f, got mu / L = .*; take fista"):
            kind(flat).init(NONE)
    elif kind.accepts(flat):
        assert np.isfinite(run(kind(flat), NONE, 2)).all()


def test_fista_for_strongly_convex_f_has_its_linear_rate() -> None:
    """mu/2 |x_K - x*|^2 <= F(x_K) - F* <= (1 - sqrt(mu/L))^K (F(x_0) - F* + mu/2 |x_0 - x*|^2)."""
    problem = Lasso.draw(10, 1, "weight", "diabetes")
    one, x = problem.forms()[0], problem.solve(problem.theta)
    low, high = one.smooth.convexity(problem.theta), one.smooth.lipschitz(problem.theta)
    rise = one.objective(problem.theta)(0 * x) - one.objective(problem.theta)(x) + low / 2 * (x @ x)
    for count in (10, 50, 200):
        found = run(algorithm("fista-sc", problem), problem.theta, count)[0]
        gap = one.objective(problem.theta)(found) - one.objective(problem.theta)(x)
        assert low / 2 * ((found - x) ** 2).sum() <= gap + 1e-12 <= (1 - (low / high) ** 0.5) ** count * rise + 2e-12


@pytest.mark.parametrize("name", ["analysis-primal", "lasso", "fused-lasso"])
def test_half_quadratic_splitting_solves_the_moreau_smoothed_problem(name: str) -> None:
    """grad f(x) + sum_j rho K_j^T (K_j x - prox_{g_j/rho}(K_j x)) = 0, which is not the optimality of x*."""
    one, theta = FORMS[name], W if name == "analysis-primal" else NONE
    (scheme,) = (kind(one) for kind in ALGORITHMS if kind.name == "hqs")
    assert not scheme.exact
    x, _ = run(scheme, theta, 3000)
    rho = scheme.init(theta)[1]
    residual = one.smooth.gradient(theta)(x)
    for term in one.terms:
        rows = term.apply(theta, x)
        residual = residual + rho * term.adjoint(theta, rows - term.penalty.prox(rows, 1 / rho, np.asarray(term.weight(theta))))
    np.testing.assert_allclose(residual, 0, atol=1e-10)  # linear rate 1 - 1/11 of the best-conditioned part: rounding
    if name == "lasso":
        assert np.abs(x - run(algorithm("fista-sc", Only(one)), theta, 500)[0]).max() > 1e-3  # biased, by about 1 / rho


def test_mirror_steps_stay_inside_and_smooth() -> None:
    """No entry of an iterate is exactly on a bound: the iteration has no kinks."""
    for name in ("nonnegative", "simplex"):
        x, _ = run(algorithm("bpg", Only(FORMS[name])), NONE, 50)
        assert (x > 0).all() and run(algorithm("ista", Only(FORMS[name])), NONE, 50)[0].min() == 0


def test_the_forms_that_promise_strong_convexity_are_strongly_convex() -> None:
    assert Distance(Y).strongly_convex and Distance(Y).convexity(NONE) == 1
    assert LeastSquares(fixed(A, B), True).convexity(NONE) == pytest.approx(np.linalg.eigvalsh(A.T @ A)[0], rel=1e-10)
    assert LeastSquares(fixed(A[:3], B[:3])).convexity(NONE) == 0 and not Logistic().strongly_convex
