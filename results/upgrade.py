"""Runs of an older schema, read as what they are today."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from results.record import Planned
from results.sweeps import described

OLDER = (1,)


def cells(planned: dict[str, dict[str, Any]]) -> dict[str, Planned]:
    """Of schema 1, which kept no sweeps: the run is one."""
    found = {key: Planned(**{"sweep": "", **cell}) for key, cell in planned.items()}
    sweep = described("run", found.values())
    return {key: replace(cell, sweep=sweep) for key, cell in found.items()}


def line(row: dict[str, Any], planned: Planned | None) -> dict[str, Any]:
    """Of schema 1, which called the promise a tolerance."""
    kept = {name: value for name, value in row.items() if name != "tolerance"}
    return {**kept, "promise": row["tolerance"], "sweep": planned.sweep if planned else ""}
