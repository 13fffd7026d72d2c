"""The functions of a library of kernels in Python, as the headers beside them declare them."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from problems.kernels import build

ROOT = Path(__file__).parents[2]
TYPES = {"d": "double[]", "f": "float[]", "b": "int8_t[]", "i": "int32_t[]", "l": "int64_t[]", "q": "int64_t[]"}


@dataclass(frozen=True)
class Kernels:
    """The C of a folder; `contract`: a product and a sum may be one instruction, which sums with compensation forbid;
    `headers`: folders of headers of others that it needs.

    `ffi` (its declarations), `lib` (its functions and constants) and `numbers` (the type of an array of float64, for
    ffi.from_buffer) are there at first use, which builds the library where that was never done on this machine.
    Raises BuildError where it cannot be built.
    """

    folder: Path
    contract: bool
    headers: Callable[[], tuple[str, ...]] | None = None

    def __getattr__(self, name: str) -> Any:
        """Called until ffi and lib are there."""
        if name not in ("ffi", "lib", "numbers"):
            raise AttributeError(name)
        self.load()
        return self.__dict__[name]

    def load(self) -> None:
        """Now rather than at first use. Threads that come at once all get what the first has made, with no lock that a fork
        could leave behind locked.
        """
        if "lib" not in self.__dict__:
            ffi, lib = self.__dict__.setdefault("_made", self._make())
            self.__dict__.update(ffi=ffi, lib=lib, numbers=ffi.typeof("double[]"))

    def __reduce__(self) -> tuple[Any, ...]:
        return Kernels, (self.folder, self.contract, self.headers)

    @property
    def flags(self) -> tuple[str, ...]:
        contract = f"-ffp-contract={'fast' if self.contract else 'off'}"
        return (contract, *(f"-I{folder}" for folder in self.headers())) if self.headers else (contract,)

    def ready(self) -> Path | None:
        """The library, built where it was not; None where it cannot be kept, so that every process builds its own."""
        with build.library(self.folder, self.flags) as path:
            return path if path == build.library_path(self.folder, self.flags) else None

    def call(self, name: str, *arguments: Any) -> Any:
        """A function with arrays for its pointers, C-contiguous and of the declared type, else ValueError or TypeError."""
        from_buffer = self.ffi.from_buffer
        given = [from_buffer(TYPES[a.dtype.char], a) if isinstance(a, np.ndarray) else a for a in arguments]
        return getattr(self.lib, name)(*given)

    def _make(self) -> tuple[Any, Any]:
        from cffi import FFI

        ffi = FFI()
        for header in sorted(self.folder.glob("*.h")):
            if header.with_suffix(".c").exists():  # the others are shared by C files alone
                ffi.cdef("\n".join(line for line in header.read_text().splitlines() if not line.startswith("#")))
        with build.library(self.folder, self.flags) as path:
            return ffi, ffi.dlopen(str(path))


def every() -> list[Kernels]:
    """Of all folders `kernels` of the checkout with C files: what their packages call KERNELS."""
    folders = {path.parent for depth in ("*", "*/*") for path in ROOT.glob(f"{depth}/kernels/*.c")}
    names = sorted(".".join(folder.relative_to(ROOT).parts) for folder in folders)
    return [importlib.import_module(name).KERNELS for name in names]
