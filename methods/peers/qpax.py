"""qpax: an interior-point solver of quadratic programmes whose derivative is relaxed on purpose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from methods.base import GradientMethod, Prepared
from methods.calculus.autodiff import differentiate
from methods.peers import programme
from methods.peers.library import inside
from problems import Problem, Reference


@dataclass(frozen=True)
class Qpax(GradientMethod):
    """du/dtheta of the solution of the KKT system with s_i z_i = kappa in place of 0, whatever the accuracy of u itself.

    `kappa` None leaves target_kappa = 1e-3 and solver_tol = 1e-5: the derivative of a smoothed problem, relaxed by default.
    `backend` e (explicit) is the default; its derivative in the constraint matrix, which the primal form needs, is wrong
    unless all multipliers are one; i (implicit) is right. jit, vmap for a batch; the layer tells no status.
    Source: Tracy and Manchester (2024).
    """

    family: ClassVar[str] = "quadratic program layer"
    requires: ClassVar[tuple[str, ...]] = ("jax", "qpax")
    knob: ClassVar[str] = "kappa"
    identity: ClassVar[tuple[str, ...]] = ("form",)
    citation: ClassVar[str] = "Tracy and Manchester (2024); relaxed by default"
    formula: ClassVar[str] = "implicit derivative of the KKT system with s_i z_i = kappa"

    form: str = "dual"
    kappa: float | None = None
    backend: str = "e"

    @property
    def name(self) -> str:
        return f"qpax-{self.form}"

    def unsupported(self, problem: Problem) -> str | None:
        return programme.unsupported(problem)

    def prepare(self, problem: Problem) -> Prepared:
        return inside("qpax", lambda: differentiate("jax", problem, self._solution, lambda theta: ()))

    def _solution(self, problem: Problem, theta: Any, constants: Any) -> Any:
        return programme.solution(self.form, problem, theta, self._solve)

    def _solve(self, qp: programme.QP) -> Any:
        import jax.numpy as jnp
        import qpax

        g, h = programme.one_sided(self.form, qp)
        none, empty = jnp.zeros((0, len(qp.P))), jnp.zeros(0)
        settings = {} if self.kappa is None else {"solver_tol": min(self.kappa, 1e-8), "target_kappa": self.kappa}

        def solve(q: Any) -> Any:
            return qpax.solve_qp_primal(qp.P, q, none, empty, g, h, backend=self.backend, **settings)

        return programme.over_batch(solve, qp.q)

    def ladder(self) -> tuple[GradientMethod, ...]:
        """The library's defaults, then relaxations by the backend that is right, so that kappa decides."""
        return (Qpax(self.form), *(Qpax(self.form, kappa, "i") for kappa in (1e-2, 1e-4, 1e-6, 1e-8, 1e-10, 1e-12)))

    def promise(self, problem: Problem, reference: Reference) -> float | None:
        return None  # biased by construction, by kappa over margins that only the solution tells
