"""optimistix and lineax: the dual as a fixed point, differentiated by the implicit function theorem."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from methods.base import GradientMethod, Prepared
from methods.calculus.autodiff import Solved, differentiate
from methods.peers import programme
from methods.peers.library import inside
from problems import BoxDual, Problem, Reference
from problems.algorithms.base import step_length
from problems.base import Array


@dataclass(frozen=True)
class Optimistix(GradientMethod):
    """du/dtheta = (I - d_u T)^-1 d_theta T at u = T(u, theta) = clip(u - (Pu + q)/|W|^2, -beta, beta), x = y - W'u.

    `optimistix.fixed_point` iterates T under jit (vmap for a batch), lineax solves the adjoint system by LU. `tolerance` is
    rtol and atol of the last step; the library has no default for it, so the one of its documentation's examples stands.
    Source: Rader, Lyons and Kidger (2024); for the theorem Krantz and Parks (2003).
    """

    name: ClassVar[str] = "optimistix"
    family: ClassVar[str] = "implicit fixed point"
    requires: ClassVar[tuple[str, ...]] = ("jax", "optimistix", "lineax")
    knob: ClassVar[str] = "tolerance"
    citation: ClassVar[str] = "Rader, Lyons and Kidger (2024)"
    formula: ClassVar[str] = "(I - d_u T)' r = dL/du, then (d_theta T)' r, at u = T(u, theta) = clip(u - (Pu + q)/|W|^2)"

    tolerance: float = 1e-8
    max_steps: int = 1_000_000

    def unsupported(self, problem: Problem) -> str | None:
        return programme.unsupported(problem)

    def prepare(self, problem: Problem) -> Prepared:
        assert isinstance(problem, BoxDual)
        operator = problem.parametrisation

        def length(theta: Array) -> Array:
            return step_length(operator.square_norm(theta))

        return inside("optimistix", lambda: differentiate("jax", problem, self._solution, length))

    def _solution(self, problem: Problem, theta: Any, step: Any) -> Any:
        def solve(qp: programme.QP) -> Solved:
            return Solved(*programme.over_batch(lambda q: self._fixed_point(qp, q, step), qp.q))

        return programme.solution("dual", problem, theta, solve)

    def _fixed_point(self, qp: programme.QP, q: Any, step: Any) -> tuple[Any, Any, Any]:
        import jax.numpy as jnp
        import optimistix

        def projected(u: Any, args: Any) -> Any:
            p, q, lower, upper = args
            return jnp.clip(u - step * (p @ u + q), lower, upper)

        found = optimistix.fixed_point(
            projected,
            optimistix.FixedPointIteration(rtol=self.tolerance, atol=self.tolerance),
            jnp.zeros_like(q),
            args=(qp.P, q, qp.lower, qp.upper),
            max_steps=self.max_steps,
            throw=False,
        )
        return found.value, found.result == optimistix.RESULTS.successful, found.stats["num_steps"]

    def ladder(self) -> tuple[GradientMethod, ...]:
        return tuple(replace(self, tolerance=t) for t in (1e-2, 1e-4, 1e-6, 1e-8, 1e-10, 1e-13))

    def promise(self, problem: Problem, reference: Reference) -> float | None:
        return programme.promise(reference, self.tolerance, 1e-6) if self.tolerance <= 1e-10 else None  # 1 - rate is 1e-3 on TV
