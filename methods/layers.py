"""Drop-in layers for x*(W, y) = argmin_x 1/2 |x - y|^2 + beta |W x|_1 with its exact gradient in W, y and beta.

torch: x = AnalysisL1Layer(beta)(W, y); JAX: x = analysis_l1(W, y, beta). W (k, n) is shared by the signals y, (n,) or
(batch, n). float32 or float64, computed in float64, on the CPU. Each framework is loaded when its layer is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from methods._layer import KinkWarning

if TYPE_CHECKING:
    AnalysisL1Layer: Any

__all__ = ["AnalysisL1Layer", "KinkWarning", "analysis_l1"]


def analysis_l1(w: Any, y: Any, beta: Any) -> Any:
    """x*(W, y) in JAX, shape (n,) or (batch, n), differentiable once (reverse mode) in all three; for jit, vmap and grad.

    W (k, n), y (n,) or (batch, n), beta > 0 a number or an array of shape (); float64 needs jax_enable_x64, as everywhere
    in JAX. Raises ValueError naming the argument; what only the values show is raised by the compiled code as JAX's runtime
    error. Warns with KinkWarning.
    """
    from methods import _layer_jax

    return _layer_jax.solution(w, y, beta)


def __getattr__(name: str) -> Any:
    """AnalysisL1Layer, a torch.nn.Module: its class cannot exist before torch is loaded."""
    if name == "AnalysisL1Layer":
        from methods import _layer_torch

        return _layer_torch.module_class()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
