"""How C is built and bound, and the C that lower-level solutions need.

`build.py` makes one shared library of the C files of a folder, once a machine; `binding.py` gives its functions, as the headers beside
them declare them. Begin with `Kernels`. The C here: `chain.c`, `graph.c` and `sweeps.c`; `lanes.h` is shared with the closed form.
"""

from pathlib import Path

from problems.kernels.binding import Kernels
from problems.kernels.build import BuildError

__all__ = ["KERNELS", "BuildError", "Kernels"]

KERNELS = Kernels(Path(__file__).parent, contract=False)  # the sums of chains and graphs are compensated
