"""The layer of methods/blorc/kernels as custom calls of XLA, in `xla.c`; only JAX's layer needs it, and JAX's headers."""

from pathlib import Path

from problems.kernels import Kernels


def _headers() -> str:
    import jax

    return jax.ffi.include_dir()


KERNELS = Kernels(Path(__file__).parent, contract=False, headers=_headers)
