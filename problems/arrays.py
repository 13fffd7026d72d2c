"""The type of all arrays, and a problem's own NumPy data in the caller's array library."""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace, device
from numpy.typing import NDArray

Array = NDArray[Any]  # float64 wherever a problem or method hands it out


def local(like: Any, data: Array) -> tuple[Any, Any]:
    """(the array library of `like`, `data` as its array on the same device); a copy, since torch wants writable memory."""
    xp = array_namespace(like)
    return xp, xp.asarray(data, device=device(like), copy=True)
