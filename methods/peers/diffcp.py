"""diffcp called directly: the derivative of a cone program without a framework around it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from methods.base import Gradient, GradientMethod, Prepared, Split
from methods.peers import conic
from methods.peers.library import inside
from problems import ConicProgram, Problem, Reference
from problems.base import Array, ConicModel


@dataclass(frozen=True)
class Diffcp(GradientMethod):
    """dL/dtheta = J_theta^T D^T(dL/dx) with D^T the adjoint derivative of the cone program and J its data's Jacobian.

    CVXPY's map theta -> (A, b, c) is sparse and affine; diffcp solves min c'x, Ax + s = b, s in K with SCS and gives
    D^T(dL/dx, 0, 0) = (dA, db, dc) by `adjoint`: lsqr, lsmr or dense. `tolerance` is SCS's eps, None its default;
    SCS starts cold, its status becomes `converged`. The signals of a batch are solved one by one. LibraryError
    where SCS finds no solution. Source: Agrawal, Barratt, Boyd, Busseti and Moursi (2019).
    """

    family: ClassVar[str] = "cone program"
    requires: ClassVar[tuple[str, ...]] = ("cvxpy", "diffcp", "scs")
    knob: ClassVar[str] = "tolerance"
    identity: ClassVar[tuple[str, ...]] = ("adjoint",)
    batching: ClassVar[str] = "loop"
    citation: ClassVar[str] = "Agrawal, Barratt, Boyd, Busseti and Moursi (2019)"
    formula: ClassVar[str] = "(dA, db, dc) = D'(dL/dx, 0, 0); dL/dtheta = J' (dA, db, dc), J = d(A, b, c)/dtheta"

    adjoint: str = "lsqr"
    tolerance: float | None = None

    @property
    def name(self) -> str:
        return f"diffcp-{self.adjoint}"

    def unsupported(self, problem: Problem) -> str | None:
        return None if isinstance(problem, ConicProgram) else "needs the structure ConicProgram"

    def prepare(self, problem: Problem) -> Prepared:
        assert isinstance(problem, ConicProgram)
        arguments = conic.solver_arguments("SCS", self.tolerance, self.adjoint)
        return inside("diffcp", lambda: self._steps(problem, arguments))

    def _steps(self, problem: Any, arguments: dict[str, Any]) -> Split:
        model = problem.conic_model()
        program = _Program(model, arguments)
        signals, batched = conic.signals(model)

        def forward(theta: Array) -> tuple[Array, list[dict[str, Any]], Array]:
            argument = model.argument(theta)
            results = [program.solve(argument, data) for data in signals]
            x = np.stack([program.extract(result["x"]) for result in results])
            return theta, results, x if batched else x[0]

        def backward(state: tuple[Array, list[dict[str, Any]], Array]) -> Gradient:
            theta, results, x = state
            g, direct = problem.loss_grad(x, theta)
            cotangent = program.pullback(results, g if batched else g[None])
            grad = direct + model.argument_vjp(theta, cotangent)
            infos = [result["info"] for result in results]
            converged = all(info["status"] == "solved" for info in infos)
            iterations = max(info["iter"] for info in infos)
            return Gradient(problem.loss(x, theta), x, grad, converged=converged, iterations=iterations)

        return Split(forward, backward)

    def ladder(self) -> tuple[GradientMethod, ...]:
        return tuple(replace(self, tolerance=t) for t in (None, *conic.TOLERANCES))

    def promise(self, problem: Problem, reference: Reference) -> float | None:
        return conic.promise(problem, reference, "SCS", self.tolerance, self.adjoint)


class _Program:
    """The canonical cone program of a ConicModel, as a function of its parameters."""

    def __init__(self, model: ConicModel, arguments: dict[str, Any]) -> None:
        import cvxpy as cp
        from cvxpy.reductions.solvers.conic_solvers.scs_conif import dims_to_solver_dict

        data, chain, _ = model.problem.get_problem_data(cp.DIFFCP)
        # Canonicalisation may replace parameters and variables by ones with fresh ids.
        parameter_ids, variable_ids = chain.compose_param_id_map(), chain.compose_var_id_map()
        self._cone_program = data[cp.settings.PARAM_PROB]
        self._cones = dims_to_solver_dict(self._cone_program.cone_dims)
        self._parameter = parameter_ids.get(model.parameter.id, (model.parameter.id,))[0]
        self._data_parameters = [parameter_ids.get(p.id, (p.id,))[0] for p in model.data_parameters]
        start = self._cone_program.var_id_to_col[variable_ids.get(model.variable.id, (model.variable.id,))[0]]
        self._columns, self._shape = slice(start, start + model.variable.size), model.variable.shape
        self._arguments = arguments

    def solve(self, argument: Array, data: tuple[Array, ...]) -> dict[str, Any]:
        """diffcp's result: x, y, s, the derivative's adjoint DT, and the solver's info."""
        import diffcp
        from scipy.sparse import csc_matrix

        values = {self._parameter: argument, **dict(zip(self._data_parameters, data, strict=True))}
        # Without its explicit zeros A would have no entry, and the gradient none, wherever the parameter is zero.
        c, _, a, b = self._cone_program.apply_parameters(values, keep_zeros=True)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Solved/Inaccurate", category=UserWarning)  # info says it too
            return diffcp.solve_and_derivative_internal(csc_matrix(-a), b, c, self._cones, **self._arguments)

    def extract(self, x: Array) -> Array:
        """The value of the model's variable."""
        return x[self._columns].reshape(self._shape, order="F")

    def pullback(self, results: list[dict[str, Any]], g: Array) -> Array:
        """The cotangent of the model's parameter, summed over the batch: g has the batch axis in front."""
        parts = [result["DT"](*self._cotangents(result, row)) for result, row in zip(results, g, strict=True)]
        da, db, dc = (sum(pieces[1:], pieces[0]) for pieces in zip(*parts, strict=True))
        return np.asarray(self._cone_program.apply_param_jac(dc, -da, db, {self._parameter})[self._parameter])

    def _cotangents(self, result: dict[str, Any], row: Array) -> tuple[Array, Array, Array]:
        dx, zero = np.zeros_like(result["x"]), np.zeros_like(result["s"])
        dx[self._columns] = row.ravel(order="F")
        return dx, zero, zero
