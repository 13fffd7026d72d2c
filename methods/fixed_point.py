"""Fixed-point implicit differentiation (deep equilibrium): iterate to a tolerance, solve the adjoint fixed point."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from array_api_compat import array_namespace

from methods.base import GradientMethod, Prepared
from methods.calculus.fixed_point import differentiate_fixed_point
from methods.calculus.frameworks import Framework
from methods.calculus.schemes import stationary_refusal
from problems import Problem, Reference, Splitting
from problems.algorithms import algorithm

ADJOINTS = ("plain", "anderson", "gmres")
MEMORY = 5  # residuals that Anderson's method mixes
RIDGE = 1e-14  # of its normal equations, relative to their trace: rounding


@dataclass(frozen=True)
class FixedPoint(GradientMethod):
    """b = (dT/dv)^T b + (dR/dv)^T dL/dx, then dL/dtheta = (dT/dtheta)^T b + (dR/dtheta)^T dL/dx + dL/dtheta|x.

    v <- T(v, theta) until |T(v) - v| <= tolerance |T(v)|, over the whole batch, then b to the same tolerance by the plain
    iteration, Anderson's acceleration of it, or GMRES. Converged says that the two tolerances were met and not more: with a
    contraction factor 1 - gap, v is off by tolerance / gap, and a v with the wrong active set has another derivative.
    Source: Christianson (1994); Bai, Kolter and Koltun (2019); for Anderson Walker and Ni (2011).
    """

    family: ClassVar[str] = "implicit differentiation"
    identity: ClassVar[tuple[str, ...]] = ("scheme", "framework")
    knob: ClassVar[str] = "tolerance"
    citation: ClassVar[str] = "Christianson (1994); Bai, Kolter and Koltun (2019)"
    formula: ClassVar[str] = "b = (dT/dv)' b + (dR/dv)' dL/dx, dL/dtheta = (dT/dtheta)' b + (dR/dtheta)' dL/dx"

    scheme: str = "ista"
    framework: str = "torch"
    tolerance: float = 1e-6
    adjoint: str = "plain"
    limit: int = 10_000

    def __post_init__(self) -> None:
        if self.adjoint not in ADJOINTS:
            raise ValueError(f"adjoint must be one of {', '.join(ADJOINTS)}, got {self.adjoint!r}")

    @property
    def name(self) -> str:
        return f"fixed-point-{self.scheme}-{self.framework}"

    @property
    def requires(self) -> tuple[str, ...]:
        return (self.framework,)

    def unsupported(self, problem: Problem) -> str | None:
        return stationary_refusal(self.scheme, problem)

    def prepare(self, problem: Problem) -> Prepared:
        assert isinstance(problem, Splitting)
        start = algorithm(self.scheme, problem).init
        return differentiate_fixed_point(self.framework, self.scheme, problem, start, self._solve, self._adjoint)

    def _solve(self, framework: Framework, step: Callable[[Any], Any], v: Any) -> tuple[Any, Any, Any]:
        return framework.until(lambda v: _advance(step, v), v, self.tolerance, self.limit)

    def _adjoint(self, framework: Framework, transpose: Callable[[Any], Any], right: Any) -> tuple[Any, Any]:
        def step(b: Any) -> Any:
            return transpose(b) + right

        if self.adjoint == "plain":
            b, _, met = framework.until(lambda b: _advance(step, b), right, self.tolerance, self.limit)
            return b, met
        if self.adjoint == "anderson":
            xp = array_namespace(right)
            history = xp.stack([0 * right] * MEMORY)
            state = (right, history, history)
            (b, _, _), _, met = framework.until(
                lambda state: _mixed(step, state, self.tolerance), state, self.tolerance, self.limit
            )
            return b, met
        b = framework.gmres(lambda b: b - transpose(b), right, self.tolerance, self.limit)
        _, gap, _ = _advance(step, b)
        # GMRES stops by the residual it updates; the true one may be above it by rounding.
        return b, gap <= 2 * self.tolerance * _norm(right)

    def ladder(self) -> tuple[GradientMethod, ...]:
        return tuple(replace(self, tolerance=10.0**-digits) for digits in (1, 2, 3, 4, 6, 8, 10))

    def promise(self, problem: Problem, reference: Reference) -> float | None:
        return None  # a tolerance on steps bounds the error only together with a contraction factor


def _norm(v: Any) -> Any:
    return (v * v).sum() ** 0.5


def _advance(step: Callable[[Any], Any], v: Any) -> tuple[Any, Any, Any]:
    """(T(v), |T(v) - v|, |T(v)|)."""
    new = step(v)
    return new, _norm(new - v), _norm(new)


def _mixed(step: Callable[[Any], Any], state: Any, tolerance: float) -> tuple[Any, Any, Any]:
    """Anderson's step: sum_i a_i T(v_i) over the last iterates, sum a = 1, with |sum_i a_i (T(v_i) - v_i)| minimal.

    state: (v, the last T(v_i), the last T(v_i) - v_i), newest last; a row of zeros stands for none yet.
    """
    v, images, residuals = state
    xp = array_namespace(v)
    new, gap, scale = _advance(step, v)
    images = xp.concat([images[1:], new[None]])
    residuals = xp.concat([residuals[1:], (new - v)[None]])
    products = residuals @ residuals.T
    size = xp.linalg.trace(products)
    ridge = RIDGE * size + xp.where(size > 0, 0.0 * size, 1.0 + 0.0 * size)
    present = xp.astype(xp.linalg.diagonal(products) > 0, v.dtype)
    weights = xp.linalg.solve(products + ridge * xp.eye(MEMORY, dtype=v.dtype), present[:, None])[:, 0]
    weights = weights / xp.sum(weights)
    return (xp.where(gap > tolerance * scale, weights @ images, new), images, residuals), gap, scale
