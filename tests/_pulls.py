"""x* and its cotangents by either layer, as NumPy arrays."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from methods.layers import AnalysisL1Layer, analysis_l1
from problems.base import Array


def by_torch(w: Array, y: Array, beta: float, g: Array) -> list[Array]:
    """x*, and the cotangents of W, y and beta for the cotangent g of x*."""
    inputs = [torch.tensor(a, requires_grad=True) for a in (w, y, np.asarray(beta, w.dtype))]
    x = AnalysisL1Layer(inputs[2])(*inputs[:2])
    x.backward(torch.tensor(g))
    return [x.detach().numpy(), *(a.grad.numpy() for a in inputs)]


def by_jax(w: Array, y: Array, beta: float, g: Array) -> list[Array]:
    with jax.enable_x64(w.dtype == np.float64):
        x, pull_back = jax.vjp(analysis_l1, w, y, jnp.asarray(beta, w.dtype))
        return [np.asarray(a) for a in (x, *pull_back(jnp.asarray(g)))]


# What compiled code raises: JAX has one class for a program that fails when it first runs, and another for later.
RUNTIME_ERRORS = jax.errors.JaxRuntimeError, ValueError

BY = {"torch": by_torch, "jax": by_jax}
each_layer = pytest.mark.parametrize("layer", ["torch", "jax"])
