"""What the methods on cone programs share: solver arguments, the tolerance ladder, and batches of a ConicModel."""

from __future__ import annotations

from typing import Any

import numpy as np

from problems import ConicProgram, Problem, Reference
from problems.base import Array, ConicModel
from problems.sensitivity import sensitivity

PROMISE = 1e-6
TOLERANCES = (1e-2, 1e-4, 1e-6, 1e-8, 1e-10, 1e-12)

CITATION = "Agrawal, Amos, Barratt, Boyd, Diamond and Kolter (2019)"

_ADJOINTS = ("lsqr", "lsmr", "dense")
_GAPS = ("tol_gap_abs", "tol_gap_rel", "tol_feas")
_SETTINGS = {"SCS": ("eps",), "Clarabel": _GAPS, "MOREAU": _GAPS}


def solver_arguments(solver: str | None, tolerance: float | None, adjoint: str | None) -> dict[str, Any]:
    """The keyword arguments of diffcp, or of Moreau; None leaves the library's own default.

    Moreau's default is an active set whose accuracy no setting moves; a tolerance is for its interior-point solver. ValueError
    names a bad solver or adjoint.
    """
    if solver is not None and solver not in _SETTINGS:
        raise ValueError(f"solver must be one of {', '.join(_SETTINGS)} or None, got {solver!r}")
    if adjoint is not None and adjoint not in _ADJOINTS:
        raise ValueError(f"adjoint must be one of {', '.join(_ADJOINTS)} or None, got {adjoint!r}")
    if solver == "MOREAU":
        if adjoint is not None:
            raise ValueError(f"adjoint must be None with MOREAU, which has one of its own, got {adjoint!r}")
        return {} if tolerance is None else {"solver": "ipm", "ipm_settings": dict.fromkeys(_GAPS, tolerance)}
    arguments: dict[str, Any] = {}
    if solver is not None:
        arguments["solve_method"] = solver
    if adjoint is not None:
        arguments["mode"] = adjoint
    if tolerance is not None:
        arguments |= dict.fromkeys(_SETTINGS[solver or "SCS"], tolerance)
    return arguments


def promise(
    problem: Problem, reference: Reference, solver: str | None, tolerance: float | None, adjoint: str | None
) -> float | None:
    """The relative gradient error that a setting can promise beside a reference.

    With the dense adjoint the gradient error is the solver's error times the conditioning of the adjoint system. SCS at
    1e-10 leaves |x - x*| <= 2e-10 and 1e-8 in the gradient (48 instances, n = 16 to 128); 1e-6 leaves two digits. LSQR
    stops at a residual of 1e-8 that cannot be set, Clarabel at 1e-7 in x: their error has no bound known beforehand. Nor is
    anything promised where the nearest kink is closer than ten tolerances, which no solution of that tolerance can tell apart,
    or where nobody knows how far it is,
    or where the gradient is so small, or the program's numbers so large, that the tolerance of them is above the promise.
    """
    if tolerance is None or tolerance > 1e-10 or adjoint != "dense" or solver not in (None, "SCS"):
        return None
    if reference.grad is None or not reference.kink_distance >= 10 * tolerance:
        return None
    assert isinstance(problem, ConicProgram)
    small = 10 * tolerance * sensitivity(problem, reference) > PROMISE * float(np.linalg.norm(reference.grad))
    large = tolerance * float(np.abs(problem.conic_model().argument(problem.theta)).max()) > PROMISE
    return None if small or large else PROMISE


def signals(model: ConicModel) -> tuple[list[tuple[Array, ...]], bool]:
    """The values of the data parameters, one tuple a signal, and whether they have a batch axis."""
    batched = [value.ndim > parameter.ndim for value, parameter in zip(model.data, model.data_parameters, strict=True)]
    if not any(batched):
        return [model.data], False
    count = len(model.data[batched.index(True)])
    columns = [value if has else [value] * count for value, has in zip(model.data, batched, strict=True)]
    return list(zip(*columns, strict=True)), True
