"""The headline of a run for a terminal."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table as RichTable
from rich.text import Text

from reports import tables
from reports.findings import findings
from reports.findings import summary as size
from reports.select import load
from reports.text import Cell, Table
from results import Run

# The report has the rest.
SHOWN = ("method", "total ms [95 % CI]", "error, median", "error, largest", "ok")


def summary(run: Run) -> Group:
    """Plan size and statuses, the headline table, the findings."""
    study = load([run])
    sentences = [Text(f"- {sentence}") for sentence in findings(study)]
    return Group(Text(f"{run.name}: {size(study)}"), rich_table(tables.headline(study), SHOWN), *sentences)


def rich_table(content: Table, shown: tuple[str, ...] = ()) -> RichTable:
    """A table of the report for rich, with the columns shown (all by default)."""
    kept = [place for place, column in enumerate(content.columns) if not shown or column in shown]
    made = RichTable(title=content.title, title_justify="left")
    for place in kept:
        made.add_column(content.columns[place], justify="left" if place == 0 else "right", no_wrap=True)
    for row in content.rows:
        made.add_row(*(_plain(row[place]) for place in kept))
    return made


def _plain(cell: Cell) -> Text:
    """As text: a label in brackets is no markup."""
    return Text(cell.text)
