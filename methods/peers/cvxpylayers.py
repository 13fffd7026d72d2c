"""CVXPYlayers: the lower level as a differentiable cone program in torch or JAX."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from methods.base import Gradient, GradientMethod, Prepared, Split
from methods.calculus.frameworks import FRAMEWORKS
from methods.peers import conic
from methods.peers.library import inside
from problems import ConicProgram, Problem, Reference
from problems.base import Array

Function = Callable[..., Any]


@dataclass(frozen=True)
class ConeLayer(GradientMethod):
    """dL/dtheta through CVXPYlayers: canonicalise once, solve the cone program, differentiate its optimality system.

    With F(z; A, b, c) = 0 the homogeneous embedding of the cone program (A, b, c)(theta) and M = dF/dz at its solution,
    the backward pass solves M^T r = dL/dz and returns -(dF/dtheta)^T r. `tolerance` is the forward solver's (SCS: eps;
    Clarabel and Moreau: gap and feasibility), `adjoint` how r is found: lsqr, lsmr or dense; None is the library's own
    default. Moreau keeps the quadratic and differentiates by itself. Cold-started, on one thread. Raises diffcp's SolverError
    where SCS finds no solution; SCS's doubt about a solution and Moreau's status become `converged`; the status of Clarabel
    stays inside the library.
    Source: Agrawal, Amos, Barratt, Boyd, Diamond and Kolter (2019).
    """

    family: ClassVar[str] = "cone program"
    knob: ClassVar[str] = "tolerance"
    identity: ClassVar[tuple[str, ...]] = ("framework", "solver")
    citation: ClassVar[str] = conic.CITATION
    formula: ClassVar[str] = "dL/dtheta = -(dF/dtheta)' r, M' r = dL/dz, M = dF/dz, F(z, theta) = 0 the cone embedding"

    framework: str = "torch"
    tolerance: float | None = None
    adjoint: str | None = None
    solver: str | None = None

    @property
    def name(self) -> str:
        return f"cvxpylayers-{self.framework}" + (f"-{self.solver.lower()}" if self.solver else "")

    @property
    def requires(self) -> tuple[str, ...]:
        backend = {"Clarabel": ("diffcp", "clarabel"), "MOREAU": ("moreau",)}.get(self.solver or "", ("diffcp", "scs"))
        return ("cvxpy", "cvxpylayers", self.framework, *backend)

    def unsupported(self, problem: Problem) -> str | None:
        return None if isinstance(problem, ConicProgram) else "needs the structure ConicProgram"

    def prepare(self, problem: Problem) -> Prepared:
        assert isinstance(problem, ConicProgram)
        arguments = conic.solver_arguments(self.solver, self.tolerance, self.adjoint)
        return inside("cvxpylayers", lambda: self._steps(problem, arguments))

    def _steps(self, problem: Any, arguments: dict[str, Any]) -> Split:
        framework, vjp = FRAMEWORKS[self.framework], _VJPS[self.framework]
        model = problem.conic_model()
        backend = "MOREAU" if self.solver == "MOREAU" else None
        if backend is None:
            arguments |= {"n_jobs_forward": 1, "n_jobs_backward": 1}
        with framework.active():
            layer = _layer_class(self.framework)(
                model.problem,
                parameters=[model.parameter, *model.data_parameters],
                variables=[model.variable],
                solver=backend,
                solver_args=arguments,
            )
            data = framework.array(model.data)

        def loss(theta: Any) -> tuple[Any, Any]:
            (x,) = layer(model.argument(theta), *data)
            return problem.loss(x, theta), x

        def forward(theta: Array) -> tuple[Any, Any, Function, bool | None]:
            with framework.active(), _inaccurate() as found:
                value, x, pullback = vjp(loss, framework.array(theta))
            return value, x, pullback, _CLAIMS.get(self.solver or "", lambda layer: not found)(layer)

        def backward(state: tuple[Any, Any, Function, bool | None]) -> Gradient:
            value, x, pullback, converged = state
            with framework.active():
                return Gradient(value, x, pullback(), converged=converged)

        return Split(forward, backward)

    def ladder(self) -> tuple[GradientMethod, ...]:
        """The library's defaults, then tolerances with the adjoint solved directly, so that the tolerance decides."""
        defaults = ConeLayer(self.framework, solver=self.solver)
        adjoint = None if self.solver == "MOREAU" else "dense"
        return (defaults, *(replace(defaults, tolerance=t, adjoint=adjoint) for t in conic.TOLERANCES))

    def promise(self, problem: Problem, reference: Reference) -> float | None:
        return conic.promise(problem, reference, self.solver, self.tolerance, self.adjoint)


def _layer_class(framework: str) -> Function:
    if framework == "torch":
        from cvxpylayers.torch import CvxpyLayer
    else:
        from cvxpylayers.jax import CvxpyLayer
    return CvxpyLayer


def _moreau_solved(layer: Any) -> bool:
    """Whether every status of the last call is Solved; no public way leads to it."""
    from moreau import SolverStatus

    context = layer.ctx.solver_ctx
    solver = context.get_jax_solver() if context._jax_solver else context.get_torch_solver("cpu")
    return bool(np.all(np.ravel(solver.info.status) == SolverStatus.Solved))


# What solvers other than SCS claim.
_CLAIMS: dict[str, Callable[[Any], bool | None]] = {"Clarabel": lambda layer: None, "MOREAU": _moreau_solved}


@contextlib.contextmanager
def _inaccurate() -> Iterator[list[str]]:
    """Collect diffcp's warning that a solution is inaccurate; every other goes its way, but for Moreau's on its own default."""
    found: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("always", message="Solved/Inaccurate", category=UserWarning)
        warnings.filterwarnings("ignore", message="solver='auto' resolved to", category=UserWarning)
        yield found
    for warning in caught:
        if str(warning.message).startswith("Solved/Inaccurate"):
            found.append(str(warning.message))
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


# Eager: the solver behind the layer cannot be traced, so jax.jit is out of reach.


def _torch_vjp(f: Function, theta: Any) -> tuple[Any, Any, Function]:
    import torch

    leaf = theta.requires_grad_()
    value, x = f(leaf)
    return value.detach(), x.detach(), lambda: torch.autograd.grad(value, leaf)[0]


def _jax_vjp(f: Function, theta: Any) -> tuple[Any, Any, Function]:
    import jax
    import jax.numpy as jnp

    value, pullback, x = jax.vjp(f, theta, has_aux=True)
    return value, x, lambda: pullback(jnp.ones_like(value))[0]


_VJPS: dict[str, Function] = {"torch": _torch_vjp, "jax": _jax_vjp}
