"""Partial smoothness: the implicit function theorem on the active manifold of the penalty."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from methods.base import Gradient, GradientMethod, Prepared, Split
from methods.calculus.frameworks import FRAMEWORKS, Framework, to_numpy
from problems import Form, Problem, Splitting
from problems.base import Array
from problems.forms import Term
from problems.penalties import Manifold
from problems.tangents import tangent

NEARBY = 1e-9  # relative size of the steps that probe whether the manifold stays
PROBES = 2
DOUBT = 1e-7  # eigenvalues of the Hessian on the manifold below this times the largest: rounding takes the promise
NULL = 1e-13  # below this they are zero
TIES = 1e-9  # relative size below which K v* counts as zero; where K = I the solver's zeros, ties and bounds are exact


@dataclass(frozen=True)
class PartialSmoothness(GradientMethod):
    """dv*/dtheta = -B (B^T (Hess F + Hess G) B + W)^+ B^T d(grad F + grad G)/dtheta at the certified v*, x* = R(v*, theta).

    B spans the tangent space of the manifold M on which the penalty stays smooth around v*, G is smooth and equal to it on M,
    W is the curvature of M. Taken on the first form with one term and K = I, otherwise on one with a fixed K (tangents of
    ker K_Z). On the dual of analysis l1, whose face {z_A = +-beta} is fixed, this is the closed form of BLORC; on the Lasso it
    is the support formula. M must not move with theta: a K that depends on theta moves ker K_Z, and leaving that motion out
    is silently wrong, so such forms are refused. Notes a manifold that a step of 1e-9 leaves, and a singular Hessian on it.
    Source: Lewis (2002); Vaiter, Deledalle, Fadili, Peyre and Dossal (2017); Liang, Fadili and Peyre (2017).
    """

    family: ClassVar[str] = "partial smoothness"
    identity: ClassVar[tuple[str, ...]] = ("framework",)
    citation: ClassVar[str] = "Lewis (2002); Vaiter, Deledalle, Fadili, Peyre and Dossal (2017)"
    formula: ClassVar[str] = "dv = -(Hess_M F + Hess_M G)^+ P_T d(grad F + grad G), then x = R(v, theta)"

    framework: str = "torch"

    @property
    def name(self) -> str:
        return f"partial-smoothness-{self.framework}"

    @property
    def requires(self) -> tuple[str, ...]:
        return (self.framework,)

    def unsupported(self, problem: Problem) -> str | None:
        if not isinstance(problem, Splitting):
            return "needs the structure Splitting"
        reasons = [refusal(form, problem) for form in _candidates(problem)]
        return None if None in reasons else next(iter(reasons), "needs a form with one term")

    def prepare(self, problem: Problem) -> Prepared:
        assert isinstance(problem, Splitting)
        form = next(form for form in _candidates(problem) if refusal(form, problem) is None)
        return along(self.framework, problem, form)


def _candidates(problem: Splitting) -> list[Form]:
    """The forms with one term, those with K = I first."""
    return sorted((form for form in problem.forms() if len(form.terms) == 1), key=lambda form: not form.proximable)


def refusal(form: Form, problem: Problem) -> str | None:
    """Why the manifold of this form moves with theta, or is unknown; None: neither."""
    (term,) = form.terms
    here, there = problem.theta, problem.perturbed(np.random.default_rng(0))
    probe = np.random.default_rng(1).standard_normal(form.shape)
    if term.penalty.moves_with_weight and not np.array_equal(term.weight(here), term.weight(there)):
        return f"the manifold of {term.penalty.name} moves with its weight, which depends on theta"
    if not np.array_equal(term.apply(here, probe), term.apply(there, probe)):
        return f"the manifold of {term.penalty.name}(K v) moves with theta, on which K depends"
    if form.solve is None and form.name != "primal":
        return f"the {form.name} form has no certified solver"
    return None


def along(framework_name: str, problem: Problem, form: Form) -> Split:
    """theta -> gradient by the manifold of that form at v*, whether it moves with theta or not."""
    framework = FRAMEWORKS[framework_name]
    solve = form.solve or problem.solve

    def forward(theta: Array) -> Any:
        v = solve(theta)
        return theta, v, np.asarray(form.read(theta)(v))

    def backward(state: Any) -> Gradient:
        theta, v, x = state
        signals = v if v.ndim == 2 else v[None]
        manifolds = [_manifold(form.terms[0], theta, one) for one in signals]
        with framework.active():
            grad, note = _gradient(framework, problem, form, theta, v, manifolds)
        return Gradient(problem.loss(x, theta), x, grad, note=note or _leaving(form, theta, v, manifolds))

    return Split(forward, backward)


def _manifold(term: Term, theta: Array, v: Array) -> Manifold:
    tolerance = TIES * np.abs(term.apply(theta, v)).max(initial=0.0) if term.operator is not None else 0.0
    return tangent(term, theta, v, float(tolerance))


def _gradient(
    framework: Framework, problem: Problem, form: Form, theta: Array, v: Array, manifolds: list[Manifold]
) -> tuple[Any, str]:
    """(dL/dtheta, a doubt about the Hessian): d/dtheta of L(R(v, theta), theta) - <grad F + grad G, w>, H w = dL/dv on T."""
    here, at = framework.array(theta), framework.array(v)

    def penalty(v: Any, t: Any) -> Any:
        signals = v if v.ndim == 2 else v[None]
        return sum(manifold.representative(one, t) for manifold, one in zip(manifolds, signals, strict=True))

    def slope(v: Any, t: Any) -> Any:
        return form.smooth.gradient(t)(v) + framework.grad(lambda u: penalty(u, t))(v)

    right = to_numpy(framework.grad(lambda u: problem.loss(form.read(here)(u), here))(at)).reshape(len(manifolds), -1)
    slopes = to_numpy(slope(at, here)).reshape(right.shape)
    w, note = np.zeros(right.shape), ""
    for i, hessian in enumerate(_hessians(framework, lambda v: slope(v, here), v)):
        basis = manifolds[i].basis
        inverse, doubt = _pseudo_inverse(basis.T @ hessian @ basis + manifolds[i].curvature(slopes[i]))
        w[i], note = basis @ (inverse @ (basis.T @ right[i])), note or doubt
    adjoint = framework.array(w.reshape(v.shape))

    def contracted(t: Any) -> Any:
        return problem.loss(form.read(t)(at), t) - (slope(at, t) * adjoint).sum()

    return framework.grad(contracted)(here), note


def _hessians(framework: Framework, slope: Callable[[Any], Any], v: Array) -> Array:
    """d slope / dv of every signal, (batch, n, n): signals do not interact, so one direction serves all of them."""
    n, at = v.shape[-1], framework.array(v)
    units = np.broadcast_to(np.eye(n).reshape(n, *(1,) * (v.ndim - 1), n), (n, *v.shape))
    columns = to_numpy(framework.map(lambda e: framework.jvp(slope, (at,), (e,)), framework.array(units)))
    return np.moveaxis(columns.reshape(n, -1, n), 0, 1)


def _pseudo_inverse(hessian: Array) -> tuple[Array, str]:
    """(H^+, a doubt) of a symmetric H, by eigenvalues after its diagonal is scaled to one."""
    if not hessian.size:
        return hessian, ""
    diagonal = np.abs(np.diag(hessian))
    scale = 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    values, vectors = np.linalg.eigh(scale[:, None] * (hessian + hessian.T) / 2 * scale)
    kept = values > NULL * values.max()
    half = scale[:, None] * vectors[:, kept] / np.sqrt(values[kept])
    fine = (values > DOUBT * values.max()).all()
    return half @ half.T, "" if fine else "the Hessian on the manifold is nearly singular: v* need not be differentiable"


def _leaving(form: Form, theta: Array, v: Array, manifolds: list[Manifold]) -> str:
    """A doubt where proximal steps from points beside v* - grad f(v*) end on a manifold of another dimension."""
    (term,) = form.terms
    if term.operator is not None:
        return ""
    rng, length = np.random.default_rng(0), 1 / (form.smooth.lipschitz(theta) or 1.0)
    forward = v - length * form.smooth.gradient(theta)(v)
    size = NEARBY * max(float(np.abs(forward).max(initial=0.0)), np.finfo(float).tiny)
    for _ in range(PROBES):
        step = size * rng.standard_normal(v.shape)
        for moved in (forward + step, forward - step):
            new = term.penalty.prox(moved, length, term.weight(theta))
            found = [_manifold(term, theta, one) for one in (new if v.ndim == 2 else new[None])]
            if any(a.basis.shape != b.basis.shape for a, b in zip(found, manifolds, strict=True)):
                return f"the active manifold changes within {NEARBY:.0e} of the solution: v* need not be differentiable"
    return ""
