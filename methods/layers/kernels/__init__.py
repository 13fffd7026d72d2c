"""The layer of methods/blorc/kernels as custom calls of XLA, in `xla.c`; only JAX's layer needs it, and JAX's headers."""

from pathlib import Path

from methods.blorc import kernels
from problems.kernels import Kernels


def _headers() -> tuple[str, ...]:
    import jax

    return jax.ffi.include_dir(), str(kernels.KERNELS.folder)


KERNELS = Kernels(Path(__file__).parent, contract=False, headers=_headers)
