"""What went wrong, what could not be judged and what shook: nothing that was planned disappears."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from reports import text
from reports.select import Study
from reports.tables import middle
from reports.text import Cell, Table
from results import JUDGED, STATUSES


def statuses(study: Study) -> Table:
    """Cells of every status: a line a headline label, and one for all other settings of a method together."""
    frame = study.frame
    lines = frame.label.where(frame.headline, frame.method + ", other settings")
    counts = pd.crosstab(lines.astype(str), frame.status)
    shown = [status for status in reversed(STATUSES) if status in counts]
    order = {label: rank for rank, label in enumerate(study.labels)}
    rows = [
        [str(label), *map(_count, counts.loc[label, shown].tolist())]
        for label in sorted(counts.index, key=lambda label: (order.get(label, len(order)), label))
    ]
    note = "Every planned cell, time and memory pass together. Other settings: the ladder over the knob of the method."
    return text.table("Statuses", ("method", *shown), rows, note)


def reasons(study: Study) -> Table:
    """Every status other than ok with its reason and how often."""
    failed = study.frame[study.frame.status != "ok"]
    failed = failed.assign(reason=failed.reason.map(text.first_line))
    groups = failed.groupby(["status", "label", "reason"]).size().reset_index(name="cells")
    groups["rank"] = groups.status.map(STATUSES.index)
    lines = [
        [row.status, row.label, _count(row.cells), row.reason or "no reason given"]
        for row in groups.sort_values(["rank", "label", "reason"]).itertuples()
    ]
    return text.table("Cells that are not ok", ("status", "method", "cells", "reason"), lines, "Reasons cut at 160 characters.")


def _count(value: Any) -> Cell:
    return Cell(str(value), int(value))


def unjudged(study: Study) -> Table:
    """What the methods returned where no relative error exists: kinks, zero gradients, undecided references."""
    known = study.frame.reference_status
    rows = study.frame[(known != "") & ~known.isin(JUDGED)]
    rows = rows.assign(note=[text.first_line(note) for note in rows.note])
    lines = [_unjudged_row(key, group) for key, group in rows.groupby(["reference_status", "label", "status", "note"])]
    columns = ("reference", "method", "status", "cells", "absolute error, largest", "what the method said")
    note = (
        "kink: no gradient exists, so no error does; zero: the gradient is 0, the absolute error is shown; undecided: "
        "the reference could not be established. These rows are in no error figure."
    )
    return text.table("Instances without a relative error", columns, lines, note)


def _unjudged_row(key: Any, rows: pd.DataFrame) -> list[Cell | str]:
    reference, label, status, note = key
    largest = rows.error_abs.astype(float).max()
    shown = text.ABSENT if math.isnan(largest) else f"{largest:.1e}"
    return [reference, label, status, _count(len(rows)), Cell(shown, largest), note or text.ABSENT]


def noise(study: Study) -> Table:
    """The canary and the flags, by host."""
    timed = study.frame[study.frame.measure == "time"]
    lines = [_noise_row(str(run), str(host), rows) for (run, host), rows in timed.groupby(["run", "host"])]
    columns = (
        "run",
        "host",
        "timed cells",
        "noisy",
        "canary, median",
        "canary, 95th percentile",
        "canary, worst",
        "spread",
    )
    note = (
        "Canary: time of a fixed kernel beside each cell, relative to its best in the run; 1: an undisturbed machine. "
        "Noisy cells are flagged, not removed. Spread: median of MAD / median over the cells."
    )
    return text.table("Canary and flags", columns, lines, note)


def _noise_row(run: str, host: str, rows: pd.DataFrame) -> list[Cell | str]:
    canary = rows.canary.astype(float)
    spread = (rows.total_mad_s / rows.total_s).astype(float)
    values = (middle(canary), float(canary.quantile(0.95)), float(canary.max()), middle(spread))
    counts = (int(rows.answered.sum()), int(rows.noisy.sum()))
    return [run, host or text.ABSENT, *map(_count, counts), *(text.number(x) for x in values)]


def catalogue(study: Study) -> Table:
    """What the methods are."""
    lines = [
        [
            label,
            study.family(label),
            str(about.get("formula", "")),
            str(about.get("knob", "")) or text.ABSENT,
            str(about.get("batching", "")),
            _promise(study.frame.loc[study.frame.label == label, "promise"]),
            str(about.get("citation", "")),
        ]
        for label, about in ((label, study.methods.get(label, {})) for label in study.labels)
    ]
    columns = ("method", "family", "formula", "knob", "batches", "promises", "source")
    return text.table(
        "What the methods are",
        columns,
        lines,
        "Promises: the relative error it may be held to, the median over its cells; none: no promise.",
    )


def _promise(tolerances: pd.Series) -> str:
    value = middle(tolerances)
    return f"{value:g}" if math.isfinite(value) else "none"
