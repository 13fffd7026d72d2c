"""jaxopt, which is no longer maintained: its solvers of box-constrained quadratics with implicit differentiation."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np

from methods.base import GradientMethod, Prepared
from methods.calculus.autodiff import Solved, differentiate
from methods.peers import programme
from methods.peers.library import inside
from problems import BoxDual, Problem, Reference

SPREAD = 1e4  # of row lengths of W, whose fourth power is 1 / rounding


@dataclass(frozen=True)
class Jaxopt(GradientMethod):
    """du/dtheta by the implicit function theorem on the optimality function of the solver, all under jit (vmap for a batch).

    Solvers: box-cdqp (coordinate descent, dual) and box-osqp (ADMM, dual or primal). `tolerance` None leaves all as the library
    has it: tol 1e-4 and 1e-3, and an adjoint by conjugate gradients to 1e-5, loose enough to be wrong without a word; else
    maxiter is raised and the adjoint solved to rounding. `converged`: the solver's own error met its tol. The library is
    unmaintained since 2025. Source: Blondel et al. (2022).
    """

    family: ClassVar[str] = "implicit fixed point"
    requires: ClassVar[tuple[str, ...]] = ("jax", "jaxopt")
    knob: ClassVar[str] = "tolerance"
    identity: ClassVar[tuple[str, ...]] = ("solver", "form")
    citation: ClassVar[str] = "Blondel et al. (2022); unmaintained since 2025"
    formula: ClassVar[str] = "(d_u F)' r = dL/du, then -(d_theta F)' r, F(u, theta) = 0 the solver's optimality"

    solver: str = "box-osqp"
    form: str = "dual"
    tolerance: float | None = None

    @property
    def name(self) -> str:
        return f"jaxopt-{self.solver}" + ("-primal" if self.form == "primal" else "")

    def unsupported(self, problem: Problem) -> str | None:
        return programme.unsupported(problem)

    def prepare(self, problem: Problem) -> Prepared:
        return inside("jaxopt", lambda: differentiate("jax", problem, self._solution, lambda theta: ()))

    def _solution(self, problem: Problem, theta: Any, constants: Any) -> Any:
        settings = {} if self.tolerance is None else _tight(self.tolerance)

        def solve(qp: programme.QP) -> Solved:
            return Solved(*programme.over_batch(lambda q: _SOLVERS[self.solver](qp._replace(q=q), settings), qp.q))

        return programme.solution(self.form, problem, theta, solve)

    def ladder(self) -> tuple[GradientMethod, ...]:
        return tuple(replace(self, tolerance=t) for t in (None, 1e-2, 1e-4, 1e-6, 1e-8, 1e-10))

    def promise(self, problem: Problem, reference: Reference) -> float | None:
        return programme.promise(reference, self.tolerance, 1e-4) if _well_scaled(problem) else None


def _well_scaled(problem: Problem) -> bool:
    """Whether conjugate gradients on the normal equations, which raise the spread of the rows of W to its fourth power, end."""
    assert isinstance(problem, BoxDual)
    lengths = np.linalg.norm(problem.parametrisation.matrix(problem.theta), axis=-1)
    return bool(lengths.max() < SPREAD * lengths.min())


def _tight(tolerance: float) -> dict[str, Any]:
    """Settings under which the tolerance alone decides: conjugate gradients on the normal equations go on to rounding."""
    adjoint = partial(_library().linear_solve.solve_normal_cg, tol=1e-14, maxiter=10_000)
    return {"tol": tolerance, "maxiter": 100_000, "implicit_diff_solve": adjoint}


def _library() -> Any:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="JAXopt is no longer maintained", category=DeprecationWarning)
        import jaxopt
    return jaxopt


def _box_cdqp(qp: programme.QP, settings: dict[str, Any]) -> tuple[Any, Any, Any]:
    import jax.numpy as jnp

    solver = _library().BoxCDQP(**settings)
    u, state = solver.run(jnp.zeros_like(qp.q), params_obj=(qp.P, qp.q), params_ineq=(qp.lower, qp.upper))
    return u, state.error <= solver.tol, state.iter_num


def _box_osqp(qp: programme.QP, settings: dict[str, Any]) -> tuple[Any, Any, Any]:
    solver = _library().BoxOSQP(**settings)
    found, state = solver.run(params_obj=(qp.P, qp.q), params_eq=qp.A, params_ineq=(qp.lower, qp.upper))
    return found.primal[0], state.status == solver.SOLVED, state.iter_num


_SOLVERS: dict[str, Callable[[programme.QP, dict[str, Any]], tuple[Any, Any, Any]]] = {
    "box-cdqp": _box_cdqp,
    "box-osqp": _box_osqp,
}
