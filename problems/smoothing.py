"""Twice differentiable approximations of a lower level in canonical form, from the smoothings of its penalties."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from problems.arrays import Array
from problems.base import Energy
from problems.forms import Form, Splitting
from problems.penalties.base import Penalty


@dataclass(frozen=True, eq=False)
class SmoothedForm(Energy):
    """Phi_eps(x; theta) = f(x; theta) + sum_j g_j,eps(K_j(theta) x; w_j(theta)), with Phi_eps -> Phi as eps -> 0."""

    form: Form
    eps: Any  # a number of the caller's array library

    def objective(self, x: Any, theta: Any) -> Any:
        total = self.form.smooth.value(theta)(x)
        for term in self.form.terms:
            total = total + term.penalty.smoothed(term.apply(theta, x), term.weight(theta), self.eps)
        return total

    def initial(self) -> Array:
        return np.zeros(self.form.shape)


def smoothed(problem: Splitting, eps: Any) -> Energy:
    """Phi_eps of the primal form; TypeError with the reason where there is none."""
    form = next((form for form in problem.forms() if form.name == "primal"), None)
    if form is None:
        raise TypeError("smoothing needs the primal form")
    for term in form.terms:
        if type(term.penalty).smoothed is Penalty.smoothed:
            raise TypeError(f"the penalty {term.penalty.name} has no smoothing")
    return SmoothedForm(form, eps)
