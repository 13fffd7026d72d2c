"""How C is built and bound, and the C that lower-level solutions need.

`build.py` makes one shared library of the C files of a folder, once a machine; `binding.py` gives its functions, as the headers beside
them declare them. Begin with `Kernels`.
"""

from problems.kernels.binding import Kernels

__all__ = ["Kernels"]
