"""The C of the closed form: one signal in `signal.c`, signals side by side in `batch.c`; headers say what each argument is."""

from pathlib import Path

from problems.kernels import Kernels

KERNELS = Kernels(Path(__file__).parent, contract=True)
