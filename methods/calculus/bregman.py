"""The Bregman proximal gradient method on the first form whose constraint set has an entropy of positive modulus.

z+ = argmin over u of <t grad f(z), u> + g(u) + D_psi(u, z), t = (modulus of psi) / L: smooth, and inside the set for ever. In
the box it is w tanh(artanh(z / w) - t grad f(z)), in the simplex proportional to z exp(-t grad f(z)).
Source: Beck and Teboulle (2003); Bauschke, Bolte and Teboulle (2017).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from problems import Form, Problem, Splitting
from problems.algorithms.base import step_length
from problems.base import Array


def form_of(problem: Problem) -> Form:
    """The first form with one term, K = I, and an entropy."""
    assert isinstance(problem, Splitting)
    return next(form for form in problem.forms() if _accepted(form))


def unsupported(problem: Problem) -> str | None:
    """What is missing; None: nothing."""
    if not isinstance(problem, Splitting):
        return "needs the structure Splitting"
    form = next(filter(_accepted, problem.forms()), None)
    if form is None:
        return "needs one term with K = I, a constraint set with an entropy"
    if not _modulus(form, problem.theta):
        return f"the entropy of {form.terms[0].penalty.name} is not strongly convex, so the step has no bound"
    return None


def _accepted(form: Form) -> bool:
    return form.proximable and form.terms[0].penalty.has_entropy


def start(form: Form, theta: Array) -> tuple[Array, Array]:
    """(the minimiser of the entropy, t), constants of the differentiation."""
    term = form.terms[0]
    first = term.penalty.mirror(np.zeros(form.shape), term.weight(theta))
    return first, step_length(form.smooth.lipschitz(theta)) * _modulus(form, theta)


def iteration(form: Form, theta: Any, length: Any) -> Callable[[Any], Any]:
    """z -> z+."""
    term, gradient = form.terms[0], form.smooth.gradient(theta)
    weight = term.weight(theta)
    return lambda z: term.penalty.mirror_step(z, length * gradient(z), weight)


def _modulus(form: Form, theta: Array) -> float:
    term = form.terms[0]
    return term.penalty.entropy_convexity(term.weight(theta))
