"""BLORC as printed: ADMM, a threshold on |W x|, and the pseudo-inverse formulas."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from methods.base import Gradient, GradientMethod, Prepared, Split
from problems import BoxDual, Dense, Problem, Reference, Splitting
from problems.algorithms import algorithm
from problems.base import Array


@dataclass(frozen=True)
class BlorcPaper(GradientMethod):
    """dQ/dW_A = -beta s (P g)^T, dQ/dW_0 = -(P (q g^T + g q^T) W0^+)^T with P = I - W0^+ W0, q = y - beta W_A^T s.

    x* comes from `iterations` of ADMM; rows with |w_i x| <= gamma count as zero. The formulas need g = dL/dx at x* = P q.
    Source: Ghosh, McCann and Ravishankar (2022), eq. (7)-(8) and section 3; Ghosh et al. (2022), Algorithm 4.1.
    """

    name: ClassVar[str] = "blorc-paper"
    family: ClassVar[str] = "closed form"
    knob: ClassVar[str] = "iterations"
    batching: ClassVar[str] = "loop"
    citation: ClassVar[str] = "Ghosh, McCann and Ravishankar (2022), eq. (7)-(8)"
    formula: ClassVar[str] = "dQ/dW_A = -beta s (Pg)', dQ/dW_0 = -(P(qg' + gq')W0^+)'"

    iterations: int = 3000
    gamma: float = 1e-3

    def unsupported(self, problem: Problem) -> str | None:
        if not (isinstance(problem, BoxDual) and isinstance(problem, Splitting)):
            return "needs the structures BoxDual and Splitting"
        return None if isinstance(problem.parametrisation, Dense) else "the printed formulas are for theta = W"

    def prepare(self, problem: Problem) -> Prepared:
        assert isinstance(problem, BoxDual) and isinstance(problem, Splitting)
        admm = algorithm("admm", problem)
        beta, signals = problem.beta, np.atleast_2d(problem.y)

        def forward(w: Array) -> tuple[Array, Array]:
            v = admm.init(w)
            shared = admm.shared(v, w)
            for _ in range(self.iterations):
                v = admm.step(v, w, shared)
            return w, admm.read(v, w, shared)

        def backward(state: tuple[Array, Array]) -> Gradient:
            w, x = state
            rows = np.atleast_2d(x @ w.T)
            signs = np.where(np.abs(rows) > self.gamma, np.sign(rows), 0.0)
            parts = [_split(w, y, beta, s) for y, s in zip(signals, signs, strict=True)]
            closed = np.stack([p @ q for _, p, q in parts]).reshape(x.shape)
            g, direct = problem.loss_grad(closed, w)
            grad = direct.copy()
            for s, (pinv, p, q), slope in zip(signs, parts, np.atleast_2d(g), strict=True):
                grad[s != 0] -= beta * np.outer(s[s != 0], p @ slope)
                grad[s == 0] -= (p @ (np.outer(q, slope) + np.outer(slope, q)) @ pinv).T
            read = signs.reshape(*x.shape[:-1], len(w))
            return Gradient(problem.loss(closed, w), closed, grad, iterations=self.iterations, pattern=read)

        return Split(forward, backward)

    def ladder(self) -> tuple[GradientMethod, ...]:
        return tuple(replace(self, iterations=count) for count in (30, 100, 300, 1000, 3000, 10000))

    def promise(self, problem: Problem, reference: Reference) -> float | None:
        return None  # the threshold misreads a pattern now and then, whatever the iterations


def _split(w: Array, y: Array, beta: float, signs: Array) -> tuple[Array, Array, Array]:
    """(W0^+, P, q) of a sign pattern."""
    w0 = w[signs == 0]
    pinv = np.linalg.pinv(w0)
    return pinv, np.eye(len(y)) - pinv @ w0, y - beta * (signs @ w)
