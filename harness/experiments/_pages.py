"""What every experiment does with its rows: a folder that is new, a CSV file, and the table on the terminal."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markdown import Markdown

WIDTH = 180  # of a log, in which no name may be cut


def fresh(folder: Path) -> None:
    """ValueError where the folder exists already."""
    if folder.exists():
        raise ValueError(f"folder {folder} exists already; give another --out")


def write_csv(rows: Sequence[Any], path: Path) -> None:
    """One line for each of the dataclass instances, their fields as columns."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(field.name for field in fields(rows[0]))
        writer.writerows(map(astuple, rows))


def table(columns: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (columns, ["---"] * len(columns), *lines))


def show(markdown: str) -> None:
    """On a terminal as wide as it is, in a log wide enough."""
    console = Console()
    wide = console if console.is_terminal else Console(width=WIDTH)
    wide.print(Markdown(markdown))
