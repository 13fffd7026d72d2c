"""What the peers share: the lower level as a quadratic programme in theta, dual or primal, and x* from its solution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from array_api_compat import array_namespace, device

from methods.calculus.autodiff import Solved
from problems import BoxDual, Problem, Reference

TIGHT = 1e-8  # of the solvers' residuals, above which nothing is promised


class QP(NamedTuple):
    """min 1/2 u'Pu + q'u subject to lower <= A u <= upper; q is (m,) or (batch, m), all else is shared by the batch."""

    P: Any
    q: Any
    A: Any
    lower: Any
    upper: Any


@dataclass(frozen=True)
class Form:
    """One way to write min 1/2 |x - y|^2 + beta |W x|_1: `programme(W, y, beta)`, and `read(u, W, y)` = x*."""

    programme: Callable[[Any, Any, Any], QP]
    read: Callable[[Any, Any, Any], Any]
    two_sided: bool  # whether lower is finite


def _dual(w: Any, y: Any, beta: Any) -> QP:
    """min 1/2 |y - W'u|^2 over |u| <= beta: theta acts through P = WW' and q = -Wy, and P is singular where k > n."""
    xp, k = array_namespace(w), w.shape[0]
    ones = xp.ones(k, dtype=w.dtype, device=device(w))
    return QP(w @ w.T, -(y @ w.T), xp.eye(k, dtype=w.dtype, device=device(w)), -beta * ones, beta * ones)


def _primal(w: Any, y: Any, beta: Any) -> QP:
    """min 1/2 |x|^2 - y'x + beta 1't over (x, t) with +-W x - t <= 0: theta acts through A alone, and P is singular."""
    xp, (k, n) = array_namespace(w), w.shape
    like = {"dtype": w.dtype, "device": device(w)}
    slack = -xp.eye(k, **like)
    a = xp.concat([xp.concat([w, slack], axis=1), xp.concat([-w, slack], axis=1)])
    quadratic = xp.concat([xp.ones(n, **like), xp.zeros(k, **like)])
    q = xp.concat([-y, beta * xp.ones((*y.shape[:-1], k), **like)], axis=-1)
    upper = xp.zeros(2 * k, **like)
    return QP(xp.eye(n + k, **like) * quadratic, q, a, upper - float("inf"), upper)


FORMS = {
    "dual": Form(_dual, lambda u, w, y: y - u @ w, two_sided=True),
    "primal": Form(_primal, lambda u, w, y: u[..., : w.shape[1]], two_sided=False),
}


def unsupported(problem: Problem) -> str | None:
    return None if isinstance(problem, BoxDual) else "needs the structure BoxDual"


def solution(form: str, problem: Any, theta: Any, solve: Callable[[QP], Any]) -> Any:
    """x*(theta) by a differentiable solver: `solve` takes the programme to u, (m,) or (batch, m), or to `Solved`."""
    w = problem.parametrisation.matrix(theta)
    found = solve(FORMS[form].programme(w, problem.y, problem.beta))
    if isinstance(found, Solved):
        return found._replace(x=FORMS[form].read(found.x, w, problem.y))
    return FORMS[form].read(found, w, problem.y)


def one_sided(form: str, qp: QP) -> tuple[Any, Any]:
    """(G, h) with G u <= h in place of lower <= A u <= upper."""
    if not FORMS[form].two_sided:
        return qp.A, qp.upper
    xp = array_namespace(qp.A)
    return xp.concat([qp.A, -qp.A]), xp.concat([qp.upper, -qp.lower])


def over_batch(solve: Callable[[Any], Any], q: Any) -> Any:
    """solve(q) for one signal, jax.vmap of it for a batch."""
    import jax

    return jax.vmap(solve)(q) if q.ndim == 2 else solve(q)


def promise(reference: Reference, tolerance: float | None, error: float) -> float | None:
    """`error` at a tight tolerance, unless the nearest kink is closer than ten tolerances: no solution tells it apart."""
    if tolerance is None or tolerance > TIGHT:
        return None
    return error if reference.kink_distance >= 10 * tolerance else None
