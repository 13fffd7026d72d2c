"""The column `sweep`: the sweeps that a cell belongs to, each by its name with the axes that vary in it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from math import isfinite

from results.record import Planned

AXES = ("problem", "theta", "n", "batch", "sigma", "operator", "signal", "seed", "device", "threads")
KNOBS = "knobs"
RUNG = 3  # values of its knob from which a method is a line in a diagram and not a setting or two


def described(name: str, cells: Iterable[Planned]) -> str:
    """noise(n, sigma) for cells in which n and sigma take several values; knobs, where a method stands at RUNG of its own."""
    cells = list(cells)
    free = [axis for axis in AXES if len({str(getattr(cell, axis)) for cell in cells}) > 1]
    rungs = defaultdict[str, set[float]](set)
    for cell in cells:
        if isfinite(cell.knob_value):
            rungs[cell.method].add(cell.knob_value)
    if any(len(values) >= RUNG for values in rungs.values()):
        free.append(KNOBS)
    return f"{name}({', '.join(free)})"


def joined(sweeps: Iterable[str]) -> str:
    """What stands in the column for a cell of several sweeps."""
    return "; ".join(dict.fromkeys(sweeps))


def varies(column: str, *axes: str) -> bool:
    """Whether a cell belongs to a sweep in which all these axes vary."""
    return any(set(axes) <= set(free.split(", ")) for free in re.findall(r"\((.*?)\)", column))
