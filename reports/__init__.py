"""READS the table: summaries, figures, HTML and Markdown reports, comparison of two runs. Begin in `page.py`.

Needs nothing but a run folder: every figure can be redrawn on a machine without the frameworks that were measured.
May import: results.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reports.compare import Comparison
    from results import Run

__all__ = ["checks_table", "compare", "terminal_table", "write_claim", "write_report"]

# pandas, matplotlib and seaborn are slow to import: the command line must not wait for them.


def write_report(runs: Sequence[Run], folder: Path) -> Path:
    """Write index.html, report.md and figures/ of one or several runs into the folder; the path of index.html."""
    from reports.page import write

    return write(runs, folder)


def write_claim(folder: Path) -> Path:
    """Write the page and the figure of the claim that an experiment left in the folder; the path of the page."""
    from reports.claims import write

    return write(folder)


def terminal_table(run: Run) -> Any:
    """The headline table of a run, to be printed by rich."""
    from reports.terminal import summary

    return summary(run)


def checks_table(checks: Mapping[str, Any]) -> str:
    """The content of checks.json as text: what each method returns on each trap."""
    from reports.hard import plain

    return plain(checks)


def compare(base: Run, head: Run, time_ratio: float = 1.5) -> Comparison:
    """What became worse from base to head; see reports.compare for the rules."""
    from reports.compare import between

    return between(base, head, time_ratio)
