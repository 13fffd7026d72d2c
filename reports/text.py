"""Numbers as text, and the Table that HTML, Markdown and the terminal all print."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from results.statistics import Estimate

ABSENT = "–"  # not measured
MIB = 2.0**20


class Cell(NamedTuple):
    """What is printed, and what it is sorted by."""

    text: str
    order: float | str = ""


@dataclass(frozen=True)
class Table:
    """A titled table; `note` stands under it and says what the columns are."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""

    def markdown(self) -> str:
        lines = ["| " + " | ".join(map(_escaped, self.columns)) + " |", "|" + " --- |" * len(self.columns)]
        lines += ["| " + " | ".join(_escaped(cell.text) for cell in row) + " |" for row in self.rows]
        return "\n".join(lines)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], note: str = "") -> Table:
    """A table; plain strings become cells that are sorted as text."""
    cells = tuple(tuple(cell if isinstance(cell, Cell) else Cell(cell, cell) for cell in row) for row in rows)
    return Table(title, tuple(columns), cells, note)


def significant(value: float, digits: int = 3) -> str:
    """1234.5 -> 1,234; 0.012345 -> 0.0123; very small and very large ones as 1.23e-07."""
    if not math.isfinite(value):
        return ABSENT
    return f"{value:,.0f}" if 10 ** (digits - 1) <= abs(value) < 1e6 else f"{value:.{digits}g}"


def number(value: float, digits: int = 3) -> Cell:
    return Cell(significant(value, digits), _order(value))


def milliseconds(seconds: float) -> Cell:
    return number(seconds * 1e3)


def milliseconds_interval(estimate: Estimate) -> Cell:
    scaled = Estimate(1e3 * estimate.value, 1e3 * estimate.low, 1e3 * estimate.high)
    return Cell(interval_text(scaled), _order(estimate.value))


def interval(estimate: Estimate) -> Cell:
    return Cell(interval_text(estimate), _order(estimate.value))


def interval_text(estimate: Estimate) -> str:
    if not estimate.finite:
        return ABSENT
    if not math.isfinite(estimate.low):
        return f"{significant(estimate.value)} (no interval)"
    return f"{significant(estimate.value)} [{significant(estimate.low)}, {significant(estimate.high)}]"


def error(value: float, floor: float) -> Cell:
    """A relative error, or that it cannot be told from that of the reference."""
    if not math.isfinite(value):
        return Cell(ABSENT, math.inf)
    return Cell("at floor" if value <= floor else f"{value:.1e}", value)


def mebibytes(value: float, floor: float, where: str = "") -> Cell:
    if not math.isfinite(value):
        return Cell(ABSENT, math.inf)
    size = "< floor" if value < floor else significant(value / MIB)
    return Cell(f"{size} {where}".strip(), value)


def share(count: int, total: int) -> Cell:
    """12/15, sorted by the quotient; 0 of 0 is not measured."""
    return Cell(f"{count}/{total}", count / total) if total else Cell(ABSENT, -1.0)


def percent(value: float) -> Cell:
    return Cell(f"{value:.0%}", value) if math.isfinite(value) else Cell(ABSENT, -1.0)


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def listed(names: Iterable[str], most: int = 6) -> str:
    """a, b and 3 more."""
    names = list(names)
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"


def _order(value: float) -> float:
    return value if math.isfinite(value) else math.inf


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def first_line(text: Any) -> str:
    return str(text).strip().split("\n")[0][:160]
