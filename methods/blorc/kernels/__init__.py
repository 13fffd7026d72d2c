"""The C of the closed form: solutions in `signal.c`, their adjoint in `adjoint.c`, as `signal.h` says; for the layers,
derivatives in W, y and beta in `layer.c`."""

from pathlib import Path

from problems.kernels import Kernels

KERNELS = Kernels(Path(__file__).parent, contract=True)
