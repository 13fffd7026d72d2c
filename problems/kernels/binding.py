"""The functions of a library of kernels in Python, as the headers beside them declare them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from problems.kernels import build


@dataclass(frozen=True)
class Kernels:
    """The C of a folder; `contract`: a product and a sum may be one instruction, which sums with compensation forbid."""

    folder: Path
    contract: bool

    @cached_property
    def ffi(self) -> Any:
        """Its declarations, for ffi.from_buffer and the like."""
        from cffi import FFI

        ffi = FFI()
        for header in sorted(self.folder.glob("*.h")):
            if header.with_suffix(".c").exists():  # the others are shared by C files alone
                ffi.cdef("\n".join(line for line in header.read_text().splitlines() if not line.startswith("#")))
        return ffi

    @cached_property
    def numbers(self) -> Any:
        """The type of an array of float64, for ffi.from_buffer."""
        return self.ffi.typeof("double[]")

    @cached_property
    def lib(self) -> Any:
        """Its functions and constants; built first where that was never done on this machine."""
        return self.ffi.dlopen(str(build.library(self.folder, (f"-ffp-contract={'fast' if self.contract else 'off'}",))))
