"""BLORC for whole batches in torch, on the CPU or a CUDA device: matrix-matrix work, no loop over the signals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from methods.base import Gradient, GradientMethod, Prepared, Split
from methods.blorc import entry
from methods.blorc.torch_dual import BatchedSolver
from methods.calculus.frameworks import Torch
from problems import BoxDual, Dense, Problem, Reference
from problems.base import Array


@dataclass(frozen=True)
class BlorcBatched(GradientMethod):
    """dL/dW = -(Z^T V + H^T X) + dL/dW|x for the signals X = Y - Z W of a batch, all on one device.

    An ADMM start in float32, projected Newton steps on the signals still open, and the optimality conditions checked in
    float64 for every signal. What the steps leave open goes to the bounded active set on the CPU, and the note counts it.
    Memory grows with batch times (zero rows)^2. Raises SolveError where no pattern verifies.
    Source: Ghosh, McCann, Mitchell and Ravishankar (2022), Theorem 3.2, rewritten with the dual z.
    """

    name: ClassVar[str] = "blorc-batched-torch"
    family: ClassVar[str] = "closed form"
    identity: ClassVar[tuple[str, ...]] = ("device",)
    requires: ClassVar[tuple[str, ...]] = ("torch",)
    citation: ClassVar[str] = entry.CITATION
    formula: ClassVar[str] = "dQ/dW = -(Z' V + H' X), rows of Z, V, H, X: one signal each"

    device: str = "cpu"

    def on(self, device: str) -> GradientMethod | None:
        return replace(self, device=device) if device in Torch.devices else None

    def unsupported(self, problem: Problem) -> str | None:
        if isinstance(problem, BoxDual) and not isinstance(problem.parametrisation, Dense):
            return "the batched products are those of theta = W"
        return entry.unsupported(problem)

    def prepare(self, problem: Problem) -> Prepared:
        assert isinstance(problem, BoxDual)
        torch = Torch(self.device)
        solver = BatchedSolver(torch.array(problem.y), float(problem.beta))
        evaluate = _evaluation(problem.with_data(torch.array(problem.data())))

        def forward(theta: Array) -> Any:
            w = torch.array(theta)
            return w, solver.solve(w)

        def backward(state: Any) -> Gradient:
            w, found = state
            value, g, direct = evaluate(found.x, w)
            grad = found.gradient(g)
            return Gradient(value, found.x, grad if direct is None else grad + direct, True, found.iterations, found.note)

        return Split(forward, backward)

    def promise(self, problem: Problem, reference: Reference) -> float | None:
        return entry.PROMISE


def _evaluation(problem: Problem) -> Callable[[Any, Any], tuple[Any, Any, Any]]:
    """(x, W) -> (L, dL/dx, dL/dW at fixed x) on the device of x; None for the last where the loss does not depend on W."""
    import torch

    def evaluate(x: Any, w: Any) -> tuple[Any, Any, Any]:
        leaves = x.detach().requires_grad_(), w.detach().requires_grad_()
        value = problem.loss(*leaves)
        return value.detach(), *torch.autograd.grad(value, leaves, allow_unused=True)

    return evaluate
