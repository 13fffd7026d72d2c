"""OSQP's torch layer."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from methods.base import GradientMethod, Prepared
from methods.calculus.autodiff import Solved, differentiate
from methods.peers import programme
from methods.peers.library import inside
from problems import Problem, Reference


@dataclass(frozen=True)
class Osqp(GradientMethod):
    """du/dtheta from the KKT system of the active set that OSQP found, solved with iterative refinement.

    `tolerance` is eps_abs and eps_rel, None the layer's 1e-5; below 1e-8 its 4000 iterations, which no setting of the layer
    changes, often do not do. One solver a signal, one after the other on one thread. A LibraryError says where
    the status is not solved, so what comes back is `converged`; it tells no iterations.
    Source: Stellato et al. (2020).
    """

    family: ClassVar[str] = "quadratic program layer"
    requires: ClassVar[tuple[str, ...]] = ("torch", "osqp", "joblib")
    knob: ClassVar[str] = "tolerance"
    identity: ClassVar[tuple[str, ...]] = ("form",)
    citation: ClassVar[str] = "Stellato, Banjac, Goulart, Bemporad and Boyd (2020)"
    formula: ClassVar[str] = "(dP, dq, dA, dl, du) from K r = -dL/du, K the KKT matrix of the active set"

    form: str = "dual"
    tolerance: float | None = None

    @property
    def name(self) -> str:
        return f"osqp-{self.form}"

    def unsupported(self, problem: Problem) -> str | None:
        return programme.unsupported(problem)

    def prepare(self, problem: Problem) -> Prepared:
        return inside("osqp", lambda: differentiate("torch", problem, self._solution, lambda theta: ()), _one_thread)

    def _solution(self, problem: Problem, theta: Any, constants: Any) -> Any:
        return programme.solution(self.form, problem, theta, self._solve)

    def _solve(self, qp: programme.QP) -> Solved:
        import torch
        from osqp.nn.torch import OSQP

        p_rows, p_columns, a_rows, a_columns = _places(self.form, qp)
        settings = () if self.tolerance is None else ("eps_abs", "eps_rel")
        layer = OSQP(
            (p_rows, p_columns), qp.P.shape, (a_rows, a_columns), qp.A.shape, **dict.fromkeys(settings, self.tolerance)
        )
        u = layer(qp.P[p_rows, p_columns], qp.q, qp.A[a_rows, a_columns], qp.lower, qp.upper)
        return Solved(u, torch.tensor(True))

    def ladder(self) -> tuple[GradientMethod, ...]:
        return tuple(replace(self, tolerance=t) for t in (None, 1e-2, 1e-4, 1e-6, 1e-8, 1e-10))

    def promise(self, problem: Problem, reference: Reference) -> float | None:
        """Nothing closer to a kink than 1e-2: the adjoint is regularised by 1e-6, whatever the tolerance."""
        return programme.promise(reference, self.tolerance, 1e-4) if reference.kink_distance >= 1e-2 else None


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """The layer asks joblib for a thread a core, over which a backend given from outside wins; osqp warns of its own layer."""
    import joblib

    with joblib.parallel_config(backend="sequential"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The default value of raise_error", category=PendingDeprecationWarning)
        yield


def _places(form: str, qp: programme.QP) -> tuple[Any, Any, Any, Any]:
    """Rows and columns of P and A that may be nonzero for some theta, by columns: other orders permute dA in silence."""
    import torch

    m, n = len(qp.A), len(qp.P)
    if form == "dual":  # P dense, A = I
        one = torch.arange(n)
        return *_by_columns(torch.ones(n, n)), one, one
    k = m // 2  # P diagonal, A = [W, -I; -W, -I]
    half = torch.cat([torch.ones(k, n - k), torch.eye(k)], dim=1)
    one = torch.arange(n)
    return one, one, *_by_columns(torch.cat([half, half]))


def _by_columns(mask: Any) -> tuple[Any, Any]:
    columns, rows = mask.T.nonzero(as_tuple=True)
    return rows, columns
