"""Imported once by the server that all workers are forked from; initialises no backend and starts no thread."""

import contextlib
import importlib

for _name in ("torch", "jax", "jax.numpy", "cvxpy", "cvxpylayers.torch", "cvxpylayers.jax", "diffcp", "daqp", "harness.worker", "harness.cli"):
    with contextlib.suppress(ImportError):
        importlib.import_module(_name)
