"""TorchOpt's custom_root: the implicit function theorem around a solver of one's own choice."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from methods.base import GradientMethod, Prepared
from methods.calculus.autodiff import differentiate
from methods.peers import programme
from methods.peers.library import inside
from problems import BoxDual, Problem, Reference
from problems.base import Array
from problems.solvers import box_dual


@dataclass(frozen=True)
class Torchopt(GradientMethod):
    """du/dtheta = -(d_u F)^-1 d_theta F at F(u, theta) = clip(u - (Pu + q)/|W|^2, -beta, beta) - u = 0, x = y - W'u.

    The library solves the adjoint system alone; the dual itself comes from an exact active set. `adjoint` normal-cg is its
    default, conjugate gradients on the normal equations to a residual of 1e-5; inv forms d_u F and solves it. The signals of
    a batch go one by one: d_u F of the whole batch would be one matrix. Source: Ren et al. (2023).
    """

    name: ClassVar[str] = "torchopt"
    family: ClassVar[str] = "implicit fixed point"
    requires: ClassVar[tuple[str, ...]] = ("torch", "torchopt")
    batching: ClassVar[str] = "loop"
    citation: ClassVar[str] = "Ren et al. (2023)"
    formula: ClassVar[str] = "(d_u F)' r = -dL/du, then (d_theta F)' r, F(u, theta) = clip(u - (Pu + q)/|W|^2) - u"

    adjoint: str = "normal-cg"

    def unsupported(self, problem: Problem) -> str | None:
        return programme.unsupported(problem)

    def prepare(self, problem: Problem) -> Prepared:
        assert isinstance(problem, BoxDual)
        y, beta, parametrisation = problem.y, float(problem.beta), problem.parametrisation

        def constants(theta: Array) -> tuple[Array, Array]:
            w = parametrisation.matrix(theta)
            duals = np.stack([box_dual.solve(w, signal, beta).z for signal in np.atleast_2d(y)])
            return duals.reshape(*y.shape[:-1], len(w)), np.asarray(1 / np.linalg.norm(w, 2) ** 2)

        return inside("torchopt", lambda: differentiate("torch", problem, self._solution, constants), _quiet)

    def _solution(self, problem: Problem, theta: Any, constants: tuple[Any, Any]) -> Any:
        found, step = constants

        def solve(qp: programme.QP) -> Any:
            import torch

            if qp.q.ndim == 1:
                return self._root(qp, qp.q, found, step)
            return torch.stack([self._root(qp, q, u, step) for q, u in zip(qp.q, found, strict=True)])

        return programme.solution("dual", problem, theta, solve)

    def _root(self, qp: programme.QP, q: Any, found: Any, step: Any) -> Any:
        import torch
        import torchopt

        linear = {"normal-cg": torchopt.linear_solve.solve_normal_cg, "inv": torchopt.linear_solve.solve_inv}[self.adjoint]

        def residual(u: Any, p: Any, q: Any) -> Any:
            return torch.clip(u - step * (p @ u + q), qp.lower, qp.upper) - u

        @torchopt.diff.implicit.custom_root(residual, argnums=(1, 2), solve=linear())
        def solver(u: Any, p: Any, q: Any) -> Any:
            return u.clone().requires_grad_()

        return solver(found, qp.P, q)

    def promise(self, problem: Problem, reference: Reference) -> float | None:
        return programme.promise(reference, programme.TIGHT, 1e-6) if self.adjoint == "inv" else None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings that functorch, which the library still calls, has moved, and torch.jit.script is to go."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`torch.jit.script` is", category=DeprecationWarning)
        warnings.filterwarnings("ignore", message="We've integrated functorch", category=FutureWarning)
        yield
