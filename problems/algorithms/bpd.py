"""The Bregman primal-dual method: mirror steps in the dual box keep the iteration smooth."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from array_api_compat import array_namespace

from problems.algorithms.base import Algorithm, coupled_lengths, images
from problems.arrays import Array
from problems.forms import Form
from problems.penalties import L1, Box

LARGEST = 18.0  # tanh 18 = 1 - 5e-16
BOX = Box()  # |z|_1 with weights w is the maximum of <y, z> over |y_i| <= w_i


class BregmanPrimalDual(Algorithm):
    """x+ = x - t (grad f(x) + sum K_j' y_j), y_j+ = argmin over |y| <= w_j of -<K_j (2 x+ - x), y> + D_psi(y, y_j) / s_j.

    psi is the entropy of the box and 1/w-strongly convex; 1/t = L + sum s_j w_j |K_j|^2. The state is artanh(y / w), within 18,
    where y = w to rounding: y itself would be caught on a bound that a long step ends on.
    """

    name: ClassVar[str] = "bpd"
    citation: ClassVar[str] = "Chambolle and Pock (2016), algorithm 1"
    formula: ClassVar[str] = "x+ = x - t (grad f(x) + K'y), y+ = w tanh(artanh(y / w) + s K (2 x+ - x))"
    needs: ClassVar[str] = "a term, all of them l1 norms"

    @classmethod
    def accepts(cls, form: Form) -> bool:
        return bool(form.terms) and all(isinstance(term.penalty, L1) for term in form.terms)

    def init(self, theta: Array) -> Any:
        scale, lengths = coupled_lengths(self.form, theta)
        convexity = [BOX.entropy_convexity(term.weight(theta)) for term in self.form.terms]
        scaled = tuple(np.asarray(s * c) for s, c in zip(lengths, convexity, strict=True))
        step = 1 / (scale + self.form.smooth.lipschitz(theta))
        return np.zeros(self.form.shape), images(self.form, theta), np.asarray(step), scaled

    def shared(self, start: Any, theta: Any) -> Any:
        """(grad f, weights, read-out) at theta."""
        return self.form.smooth.gradient(theta), [term.weight(theta) for term in self.form.terms], self.form.read(theta)

    def step(self, v: Any, theta: Any, shared: Any) -> Any:
        x, angles, step, lengths = v
        gradient, weights, _ = shared
        slope = gradient(x)
        for term, a, w in zip(self.form.terms, angles, weights, strict=True):
            slope = slope + term.adjoint(theta, BOX.mirror(-a, w))
        new = x - step * slope
        parts = zip(self.form.terms, angles, lengths, strict=True)
        ahead = 2 * new - x
        xp = array_namespace(x)
        moved = [xp.clip(a + s * term.apply(theta, ahead), -LARGEST, LARGEST) for term, a, s in parts]
        return new, tuple(moved), step, lengths

    def read(self, v: Any, theta: Any, shared: Any) -> Any:
        return shared[2](v[0])
