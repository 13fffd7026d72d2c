"""How C is built and bound, and the C that lower-level solutions need.

`build.py` makes one shared library of the C files of a folder, once a machine; `binding.py` gives its functions, as the headers
beside them declare them. Begin with `Kernels`. The C: `chain.c`, `graph.c`, `sweeps.c`; `lanes.h` serves other folders too.
May import: problems.storage.
"""

from pathlib import Path

from problems.kernels.binding import Kernels, every
from problems.kernels.build import BuildError

__all__ = ["KERNELS", "BuildError", "Kernels", "every"]

KERNELS = Kernels(Path(__file__).parent, contract=False)  # the sums of chains and graphs are compensated
