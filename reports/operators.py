"""Errors by problem and by operator family, and how often a method acted on a wrong sign pattern."""

from __future__ import annotations

from typing import Any

import pandas as pd

from reports import text
from reports.select import Study, situation
from reports.tables import middle
from reports.text import Cell, Table


def by_operator(study: Study) -> tuple[Table, ...]:
    """The tables of a study with several problems or operators; none where it has one of each."""
    rows = study.headline[study.headline.error.notna()]
    named = rows[rows.operator != ""]
    tables = [errors(study, part, axis) for part, axis in ((rows, "problem"), (named, "operator")) if part[axis].nunique() > 1]
    if named.operator.nunique() > 1 and len(read := named[named.misread_rows.notna()]):
        tables.append(misread(read))
    return tuple(tables)


def errors(study: Study, rows: pd.DataFrame, axis: str) -> Table:
    """Median and largest error of every headline label on every problem, or on every operator."""
    groups = dict(list(rows.groupby([axis, "label"])))
    found, names = set(rows.label), list(rows[axis].unique())
    lines = [[label, *(_error(groups.get((name, label))) for name in names)] for label in study.labels if label in found]
    note = (
        "Relative error against the reference gradient, median and largest, and in brackets the instances that have one: "
        f"{situation(rows, [axis])}. A method that was measured on fewer instances than another shows it there."
    )
    return text.table(f"Errors by {axis}", ("method", *names), lines, note)


def _error(rows: pd.DataFrame | None) -> Cell:
    if rows is None:
        return Cell(text.ABSENT, float("inf"))
    floor = middle(rows.floor)
    median, largest = (text.error(value, floor) for value in (middle(rows.error), float(rows.error.max())))
    return Cell(f"{median.text}, {largest.text} ({len(rows)})", median.order)


def misread(rows: pd.DataFrame) -> Table:
    """Of the methods that say which pattern they acted on: how often it was wrong, and the errors then and else."""
    groups = [
        *rows.groupby(["operator", "label"], sort=False),
        *((("all", label), found) for label, found in rows.groupby("label")),
    ]
    lines = [_misread_row(operator, label, found) for (operator, label), found in groups]
    columns = ("operator", "method", "patterns misread", "rows misread, median", "error when misread", "error when right")
    note = (
        "A pattern is misread where the sign that the method gave a row of W x* (zero included) is not the proven one; "
        "of such instances the median number of rows, and the largest error of the instances on either side."
    )
    return text.table("Sign patterns misread", columns, lines, note)


def _misread_row(operator: Any, label: Any, rows: pd.DataFrame) -> list[Cell | str]:
    wrong, right = rows[rows.misread_rows > 0], rows[rows.misread_rows == 0]
    return [
        operator,
        label,
        text.share(len(wrong), len(rows)),
        text.number(middle(wrong.misread_rows)),
        *(text.error(side.error.max(), middle(side.floor)) for side in (wrong, right)),
    ]
