"""ProxSuite's QPLayer: an augmented Lagrangian solver of quadratic programmes as a torch function."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from methods.base import GradientMethod, Prepared
from methods.calculus.autodiff import Solved, differentiate
from methods.peers import programme
from methods.peers.library import inside
from problems import Problem, Reference


@dataclass(frozen=True)
class Proxsuite(GradientMethod):
    """du/dtheta from the KKT system of the active set that ProxQP identified, regularised by rho and mu.

    `tolerance` None leaves eps = 1e-9 for the solution and eps = 1e-4, rho = mu = 1e-6 for the adjoint, as the library has
    them; else all four are `tolerance`. The adjoint is written in torch's default dtype, so that is float64 while a call runs.
    `converged` and `iterations` are ProxQP's own, of the worst signal. P may be singular. Two equal calls may differ in
    rounding, which the adjoint carries to 1e-10. Source: Bambade et al. (2024).
    """

    family: ClassVar[str] = "quadratic program layer"
    requires: ClassVar[tuple[str, ...]] = ("torch", "proxsuite")
    knob: ClassVar[str] = "tolerance"
    identity: ClassVar[tuple[str, ...]] = ("form",)
    citation: ClassVar[str] = "Bambade, Schramm, Taylor and Carpentier (2024)"
    formula: ClassVar[str] = "(dP, dq, dA, db) from K r = -dL/du, K the regularised KKT matrix of the active set"

    form: str = "dual"
    tolerance: float | None = None

    @property
    def name(self) -> str:
        return f"proxsuite-{self.form}"

    def unsupported(self, problem: Problem) -> str | None:
        return programme.unsupported(problem)

    def prepare(self, problem: Problem) -> Prepared:
        return inside("proxsuite", lambda: differentiate("torch", problem, self._solution, lambda theta: ()), _double)

    def _solution(self, problem: Problem, theta: Any, constants: Any) -> Any:
        return programme.solution(self.form, problem, theta, self._solve)

    def _solve(self, qp: programme.QP) -> Solved:
        import proxsuite
        import torch
        from proxsuite.torch.qplayer import QPFunction

        settings = () if self.tolerance is None else ("eps", "eps_backward", "rho_backward", "mu_backward")
        none = torch.empty(0)
        q = qp.q if qp.q.ndim == 2 else qp.q[None]
        u = QPFunction(**dict.fromkeys(settings, self.tolerance))(qp.P, q, none, none, qp.A, qp.lower, qp.upper)[0]
        solvers = [u.grad_fn.vector_of_qps.get(i).results.info for i in range(len(q))]
        solved = all(info.status == proxsuite.proxqp.QPSolverOutput.PROXQP_SOLVED for info in solvers)
        return Solved(u if qp.q.ndim == 2 else u[0], torch.tensor(solved), torch.tensor([info.iter for info in solvers]))

    def ladder(self) -> tuple[GradientMethod, ...]:
        return tuple(replace(self, tolerance=t) for t in (None, 1e-2, 1e-4, 1e-6, 1e-8, 1e-10))

    def promise(self, problem: Problem, reference: Reference) -> float | None:
        return programme.promise(reference, self.tolerance, 1e-4)


@contextlib.contextmanager
def _double() -> Iterator[None]:
    """torch.float64 as torch's default dtype, put back at the end."""
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
