"""How compiled code is made: numba, kept on disk between processes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, cast

import numba
from numba.core import config

from problems import _cache

Function = Callable[..., Any]

HERE = Path(__file__).parent
SOURCES = (HERE / "_compiling.py",)  # compiled here


@cache
def _folder(package: Path) -> str:
    """A folder of the user's cache that changes with any source of the package, and of what it compiles from here.

    numba itself looks at the file of a function alone, and would keep what was inlined from another.
    """
    root = _cache.folder("compiled")
    paths = SOURCES if package == HERE else (*sorted(package.glob("*.py")), *SOURCES)
    sources = b"".join(path.read_bytes() for path in paths)
    return str(root / hashlib.sha256(sources).hexdigest()[:16]) if root else ""


def compiled(function: Function) -> Function:
    """njit that releases the GIL, with sums reassociated so that they use vector registers; NaN and infinity are kept."""
    return _made(function, {"reassoc", "contract"})


def compiled_as_written(function: Function) -> Function:
    """njit that releases the GIL and keeps the order of operations, for sums with compensation."""
    return _made(function, set())


def _made(function: Function, fastmath: set[str]) -> Function:
    folder = _folder(Path(function.__code__.co_filename).parent)
    before, config.CACHE_DIR = config.CACHE_DIR, folder  # read when the function is decorated
    try:
        made = numba.njit(cache=bool(folder), nogil=True, error_model="numpy", fastmath=fastmath)(function)
    finally:
        config.CACHE_DIR = before
    return cast(Function, made)
