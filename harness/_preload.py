"""Imported once by the server that all workers are forked from; initialises no backend and starts no thread."""

import contextlib
import importlib

_FRAMEWORKS = ("torch", "jax", "jax.numpy", "cvxpy", "cvxpylayers.torch", "cvxpylayers.jax", "diffcp", "daqp")

for _name in (*_FRAMEWORKS, "harness.worker", "harness.cli"):
    with contextlib.suppress(ImportError):
        importlib.import_module(_name)
