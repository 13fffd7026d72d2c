"""Drop-in layers for x*(W, y) = argmin_x 1/2 |x - y|^2 + beta |W x|_1 with its exact derivative in W, y and beta.

Both are names of dargmin. torch: x = AnalysisL1Layer(beta)(W, y). Begin in `torch_layer.py`; `torch_operators.py` has the
operators below it, and `torch_sparse.py` a W that is a sparse tensor. JAX: x = analysis_l1(W, y, beta), in `jax_function.py`;
`kernels/` has its custom calls. Each framework is loaded when its layer is first used. Under both lie the kernel of
methods/blorc (`layer.h`), the axes of vmap (`axes.py`), signals that the kernel leaves open (`open_signals.py`) and what is
refused (`inputs.py`). `method.py` measures them.
May import: methods.base, methods.blorc, methods.calculus, problems.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from methods.layers.inputs import KinkWarning

if TYPE_CHECKING:
    from methods.layers.torch_layer import AnalysisL1Layer

__all__ = ["EXPORTED", "AnalysisL1Layer", "KinkWarning", "analysis_l1", "solution_of"]

# The custom calls in a program of JAX with analysis_l1, for the safety checks of jax.export.
EXPORTED = ("dargmin_solve", "dargmin_pull", "dargmin_push")


def analysis_l1(w: Any, y: Any, beta: Any) -> Any:
    """x* = argmin_x 1/2 |x - y|^2 + beta |W x|_1 in JAX, exactly, with its exact derivative in W, y and beta.

    dL/dW = -(z v^T + h x*^T), dL/dy = v, dL/dbeta = -<s, W v> with v = P g and h = W0^{+T} g for g = dL/dx*: W0 are the rows
    with w_i x* = 0, P projects on their kernel, s are the signs of the others.

    W (..., k, n), y (..., n) and x* (..., n), in the units of y; beta > 0, in those of y over those of W, has shape (), (1,) or
    (...). Leading axes broadcast. Signals that share
    W are solved together: W (k, n); for each W of its own there is a loop inside. float32 or float64 (which needs
    jax_enable_x64, as everywhere in JAX), computed in float64, on the CPU. Native to jit; for vmap, grad, jvp, scan, remat and
    export (EXPORTED are its custom calls; a process that only loads a program calls methods.layers.jax_function.register
    first). Signals that are to be shared among devices go through jax.shard_map. First derivatives, in reverse and in forward
    mode. Raises ValueError or TypeError naming the argument; what only the values show is raised by the compiled program as
    JAX's runtime error. Warns with KinkWarning where the gradient may not exist.

    Example::

        step = jax.jit(jax.grad(lambda W, y: (analysis_l1(W, y, 0.1) ** 2).sum()))
        step(jnp.eye(64), jnp.ones((100, 64)))

    Source: Ghosh, McCann, Mitchell and Ravishankar (2022), Theorem 3.2, rewritten with the dual z.
    """
    from methods.layers import jax_function

    return jax_function.solution(w, y, beta)


def solution_of(framework: str) -> Callable[[Any, Any, Any], Any]:
    """(W, y, beta) -> x* in "torch" or "jax"."""
    if framework == "jax":
        return analysis_l1
    from methods.layers.torch_layer import solution

    return solution


def __getattr__(name: str) -> Any:
    """AnalysisL1Layer, a torch.nn.Module: its class cannot exist before torch is loaded."""
    if name == "AnalysisL1Layer":
        from methods.layers.torch_layer import AnalysisL1Layer

        return AnalysisL1Layer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
