"""The C of the closed form: solutions in `signal.c`, their adjoint in `adjoint.c`; `signal.h` says what each argument is."""

from pathlib import Path

from problems.kernels import Kernels

KERNELS = Kernels(Path(__file__).parent, contract=True)
