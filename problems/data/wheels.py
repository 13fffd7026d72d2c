"""Data inside the wheel of scikit-learn, read without that library: its import takes a second."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path


def scikit_learn(*parts: str) -> Path:
    """A file under its datasets; FileNotFoundError where it is not installed."""
    found = find_spec("sklearn")
    if found is None or found.origin is None:
        raise FileNotFoundError("scikit-learn is not installed; its wheel holds the data")
    return Path(found.origin).parent.joinpath("datasets", *parts)
