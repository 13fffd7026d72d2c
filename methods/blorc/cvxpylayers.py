"""BLORC as a backend of CVXPYlayers: their layer around the CVXPY model, the exact solver and its gradient inside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from methods.base import Gradient, GradientMethod, Prepared, Split
from methods.blorc import entry
from methods.calculus.frameworks import FRAMEWORKS
from problems import BoxDual, ConicProgram, Dense, Problem, Reference
from problems.base import Array, ConicModel


@dataclass(frozen=True)
class BlorcCvxpylayers(GradientMethod):
    """dL/dW by autograd through CvxpyLayer(model, solver = BLORC), where dL/dW = -(z v^T + h x*^T) and dL/dy = v.

    CVXPYlayers hands a solver of its kind "parametric" the values of the model's parameters W and y, and takes the variable's
    value and the parameters' gradients back; no cone program is built on the way. It does so for one signal at a time.
    Sources: Ghosh, McCann, Mitchell and Ravishankar (2022), Theorem 3.2; Agrawal et al. (2019) for the layer.
    """

    name: ClassVar[str] = "cvxpylayers-torch-blorc"
    family: ClassVar[str] = "closed form"
    requires: ClassVar[tuple[str, ...]] = ("cvxpy", "cvxpylayers", "torch", "cffi")
    batching: ClassVar[str] = "loop"
    citation: ClassVar[str] = entry.CITATION
    formula: ClassVar[str] = entry.FORMULA

    def unsupported(self, problem: Problem) -> str | None:
        if not isinstance(problem, ConicProgram):
            return "needs the structure ConicProgram"
        if not isinstance(problem, BoxDual):
            return "needs the structure BoxDual"
        return None if isinstance(problem.parametrisation, Dense) else "the layer's parameter is W itself: theta = W"

    def prepare(self, problem: Problem) -> Prepared:
        assert isinstance(problem, ConicProgram) and isinstance(problem, BoxDual)
        from cvxpylayers.torch import CvxpyLayer

        model, torch = problem.conic_model(), FRAMEWORKS["torch"]
        parameters = [model.parameter, *model.data_parameters]
        notes: list[str] = []
        backend = _backend(model, float(problem.beta), notes)
        layer = CvxpyLayer(model.problem, parameters=parameters, variables=[model.variable], solver=backend)
        signals = torch.array(problem.y)

        def forward(theta: Array) -> tuple[Any, Any, Any, str]:
            notes.clear()
            w = torch.array(theta).requires_grad_()
            x = layer(w, signals)[0] if signals.ndim == 1 else _stacked([layer(w, y)[0] for y in signals])
            return problem.loss(x, w), x.detach(), w, "; ".join(dict.fromkeys(notes))

        def backward(state: tuple[Any, Any, Any, str]) -> Gradient:
            value, x, w, note = state
            (grad,) = _gradients(value, w)
            return Gradient(value.detach(), x, grad, True, note=note)

        return Split(forward, backward)

    def promise(self, problem: Problem, reference: Reference) -> float | None:
        return entry.PROMISE


def _backend(model: ConicModel, beta: float, notes: list[str]) -> Any:
    """The solver interface: values of parameters in, value of the variable out; its gradient in, those of parameters out."""
    from cvxpylayers.interfaces.base import SolverInterface

    from methods.blorc.solver import SignalSolver

    w, (y,), x = model.parameter, model.data_parameters, model.variable

    def solve_and_state(problem: Any, **arguments: Any) -> tuple[float, Any]:
        found = SignalSolver(np.array(y.value), beta).solve(np.ascontiguousarray(w.value))
        x.value = found.x
        if found.note:
            notes.append(found.note)
        return 0.0, found

    def gradient(problem: Any, found: Any) -> None:
        g = np.ascontiguousarray(x.gradient)
        w.gradient, y.gradient = found.gradient(g), found.adjoint(g)[1]

    return SolverInterface.from_parametric_functions(
        solve=lambda problem, **arguments: solve_and_state(problem)[0], solve_and_state=solve_and_state, gradient=gradient
    )


def _stacked(solutions: list[Any]) -> Any:
    import torch

    return torch.stack(solutions)


def _gradients(value: Any, w: Any) -> Any:
    import torch

    return torch.autograd.grad(value, w)
