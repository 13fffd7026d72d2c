"""What is known of the time of a plan before it starts: what sampling may take, and what the same plan took here before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from harness import environment
from harness.measure.runner import Options
from results import Planned, Run, RunError

LOOKED_AT = 10  # run folders, the newest first
AS_NOW = ("budget_s", "rounds", "threads")  # settings that the time of a run hangs on


def sampling(cells: Iterable[Planned], options: Options) -> float:
    """Seconds that sampling takes at most where no call is longer than its share of the budget."""
    return options.budget_s * sum(cell.measure == "time" for cell in cells)


def earlier(cells: Iterable[Planned], options: Options, folder: Path) -> float | None:
    """Seconds of the newest whole run of the same cells by this processor among the run folders in `folder`; None: none."""
    wanted, processor = _identity(cells), environment.processor()
    for run in _runs(folder):
        alike = all(run.settings.get(name) == getattr(options, name) for name in AS_NOW)
        here = run.environment.get("processor") == processor
        if alike and here and _identity(run.cells.values()) == wanted and run.costs and len(run.rows()) == len(run.cells):
            return float(sum(line["wall_s"] for line in run.costs))
    return None


def _runs(folder: Path) -> Iterator[Run]:
    plans = sorted(folder.glob("*/plan.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in plans[:LOOKED_AT]:
        try:
            run = Run.open(path.parent)
            _ = run.environment
        except (RunError, OSError):
            continue  # damaged, or being deleted
        yield run


def _identity(cells: Iterable[Planned]) -> set[Any]:
    return {(cell.block(), cell.label, cell.device, cell.threads) for cell in cells}
