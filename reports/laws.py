"""Cost laws: fitted exponents of time and memory in n, in the batch and in a knob, and where each method ends."""

from __future__ import annotations

import math

import pandas as pd

from reports import text
from reports.select import Study, ladders, sweep
from reports.text import Cell, Table
from results import statistics
from results.statistics import Estimate

LEAST = 3  # sizes of a fit that a further table is worth
ENDED = ("timeout", "oom", "crash")  # statuses of a limit that was met; larger sizes are not run
NOTE = (
    "p of {axis}^p by least squares in log-log over all cells of the range shown (memory: over its own grid), "
    "residual bootstrap. Overheads flatten the start of a curve: p is that of this range, not of the algorithm. "
    "Memory below the floor of the meter is left out. Ends: the least size at which a limit was met, and which."
)


def tables(study: Study) -> tuple[Table, ...]:
    """Exponents in n, for every kind of theta whose n a run swept, and in the batch and in a knob where it swept them."""
    others = [exponents(study, theta=theta) for theta in _further(study)]
    found = [exponents(study), *others, exponents(study, "batch"), knobs(study)]
    return tuple(table for place, table in enumerate(found) if place == 0 or table.rows)


def exponents(study: Study, axis: str = "n", theta: str = "") -> Table:
    """Fitted p in cost ~ axis^p of time and of memory; of one kind of theta, or of that with most sizes."""
    costs = {"seconds": _sized(study.headline, axis, theta), "peak_bytes": _sized(memory(study), axis, theta)}
    frames = {column: sweep(rows, axis) for column, rows in costs.items()}
    fits = {column: _fits(frame, axis, column) for column, frame in frames.items()}
    lines = [
        [
            label,
            study.family(label),
            *(text.interval(fits[column].get(label, Estimate())) for column in frames),
            _range(frames["seconds"], label, axis),
            _end(frames["seconds"], label, axis),
        ]
        for label in study.labels
        if any(label in fit for fit in fits.values())
    ]
    columns = ("method", "family", "time [95 % CI]", "memory [95 % CI]", f"{axis} of the fit", "ends")
    title = "Scaling exponents in n" if axis == "n" else f"Scaling exponents in the {axis}"
    return text.table(f"{title}, {theta} theta" if theta else title, columns, lines, NOTE.format(axis=axis))


def _further(study: Study) -> list[str]:
    """Kinds of theta beside that of the first table with as many sizes as a fit needs."""
    first = set(sweep(study.headline, "n").theta)
    kinds = sorted(set(study.headline.theta) - first)
    return [theta for theta in kinds if sweep(_sized(study.headline, "n", theta), "n").n.nunique() >= LEAST]


def knobs(study: Study) -> Table:
    """Fitted p in memory ~ knob^p, for ladders in the memory pass: what unrolling costs with its iterations."""
    rows = ladders(study, "memory")
    rows = rows.assign(peak_bytes=_above_floor(rows)) if len(rows) else rows
    lines = []
    for (line, knob), frame in rows.groupby(["line", "knob"]) if len(rows) else ():
        fit = statistics.exponent(frame.knob_value, frame.peak_bytes)
        if fit.finite:
            values = frame.knob_value.dropna()
            lines.append([line, knob, text.interval(fit), f"{values.min():g} to {values.max():g}"])
    columns = ("method", "knob", "memory [95 % CI]", "values")
    return text.table("Growth of memory with a knob", columns, lines, NOTE.format(axis="knob"))


def memory(study: Study) -> pd.DataFrame:
    """Memory rows of headline labels whose peak stands above the floor of the meter."""
    frame = study.frame
    rows = frame[frame.headline & (frame.measure == "memory")]
    return rows.assign(peak_bytes=_above_floor(rows))


def _above_floor(rows: pd.DataFrame) -> pd.Series:
    return rows.peak_bytes.astype(float).where(~(rows.peak_bytes < rows.floor_bytes) & rows.answered)


def _sized(rows: pd.DataFrame, axis: str, theta: str) -> pd.DataFrame:
    """Of this kind of theta, if one is named; without single signals where the axis is the batch: 0 is no size."""
    rows = rows[rows.theta == theta] if theta else rows
    return rows[rows.batch > 0] if axis == "batch" else rows


def _fits(frame: pd.DataFrame, axis: str, column: str) -> dict[str, Estimate]:
    return {str(label): statistics.exponent(rows[axis], rows[column]) for label, rows in frame.groupby("label")}


def _range(frame: pd.DataFrame, label: str, axis: str) -> str:
    sizes = frame.loc[(frame.label == label) & frame.seconds.notna(), axis]
    return f"{sizes.min()} to {sizes.max()}" if len(sizes) else text.ABSENT


def _end(frame: pd.DataFrame, label: str, axis: str) -> Cell:
    ended = frame[(frame.label == label) & frame.status.isin(ENDED)].sort_values(axis)
    if ended.empty:
        return Cell(text.ABSENT, math.inf)
    first = ended.iloc[0]
    return Cell(f"{axis} = {first[axis]}: {first.status}", float(first[axis]))
