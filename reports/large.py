"""What was measured at sizes where no dense matrix is formed: images and long signals, each with its reference and memory."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from reports import text
from reports.select import INSTANCE, Study, family_rank
from reports.tables import middle
from reports.text import Table
from results import statistics

LEAST = 1024  # n from which an instance is large
TITLE = "Large instances"
NOTE = (
    "One gradient, from theta to the array of its shape. Medians over the seeds with 95 % intervals; peak: resident memory "
    "above what the prepared call holds already, in a pass of its own. Reference: proven, or bounded a posteriori, and the "
    "relative radius it states; 'at floor': the error is below it. Zero rows: their share of all k rows."
)
COLUMNS = (
    "instance", "n", "k", "method", "status", "seconds [95 % CI]", "first call s", "peak MiB", "error", "reference", "radius",
    "zero rows",
)  # fmt: skip


def table(study: Study) -> Table:
    """A line for every method on every large instance that is no dense matrix."""
    frame = study.frame[(study.frame.n >= LEAST) & (study.frame.theta != "dense")]
    lines = []
    for _, rows in frame.groupby(INSTANCE, dropna=False, sort=True):
        for label in sorted(rows.label.unique(), key=lambda label: (family_rank(study.family(label)), label)):
            mine = rows[rows.label == label]
            lines += [_line(label, mine[mine.measure == "time"], mine[mine.measure == "memory"])]
    return text.table(TITLE, COLUMNS, lines, NOTE)


def _line(label: str, timed: pd.DataFrame, weighed: pd.DataFrame) -> list[Any]:
    rows = timed if len(timed) else weighed
    one = rows.iloc[0]
    batch = f", batch of {one.batch}" if one.batch else ""
    sized = weighed[weighed.answered]
    return [
        f"{one.operator}, {one.theta}, {one.signal}{batch}",
        text.number(float(one.n)),
        text.number(float(one.k)),
        label,
        text.listed(sorted(rows.status.unique())),
        text.interval(statistics.median_interval(timed.seconds)),
        text.number(middle(rows.first_call_s)),
        text.mebibytes(middle(sized.peak_bytes), middle(sized.floor_bytes)),
        text.error(float(rows.error.max()) if rows.error.notna().any() else math.nan, middle(rows.floor)),
        text.listed(sorted(rows.reference_status.unique())),
        text.error(float(rows.reference_radius.astype(float).max()), 0.0),
        text.number(middle(rows.zero_rows), 2),
    ]


def sections(study: Study) -> list[tuple[Table, ...]]:
    """The table, where a run has such instances."""
    found = table(study)
    return [(found,)] if found.rows else []
