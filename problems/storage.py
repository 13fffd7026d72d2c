"""Where the suite keeps what it can make again: proofs and compiled kernels, in the user's cache folder."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

VARIABLE = "DARGMIN_CACHE"  # a folder, or 0 for no cache


def folder(name: str) -> Path | None:
    """The cache folder of that name, not yet made; None where there is to be no cache."""
    setting = os.environ.get(VARIABLE, "")
    if setting == "0":
        return None
    if setting:
        return Path(setting) / name
    root = os.environ.get("XDG_CACHE_HOME", "")
    if not Path(root).is_absolute():  # the standard ignores a relative or empty value
        with suppress(RuntimeError):
            root = str(Path.home() / ".cache")
    return Path(root) / "dargmin" / name if root else None
