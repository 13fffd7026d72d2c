"""What became worse between two runs: hard gates on what is deterministic, a relative one on time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from rich.console import Group
from rich.table import Table as RichTable
from rich.text import Text

from reports import text
from reports.tables import middle
from reports.terminal import rich_table
from reports.text import Cell, Table
from results import ANSWERED, Run, statistics
from results.statistics import Estimate

# What a reader calls the same cell. Not the key (it holds the versions, which differ between base and head), and not
# the knobs: a new knob at its default changes no label.
IDENTITY = (
    "measure", "label", "problem", "operator", "signal", "theta",
    "n", "batch", "sigma", "beta", "seed", "device", "threads",
)  # fmt: skip
# Another BLAS kernel or summation order moves a gradient by round-off times the condition of the active system: by a
# factor of a few, rarely ten. Below 1e-12 errors are round-off of well-conditioned systems and jump by more than ten.
ERROR_RATIO, ERROR_FLOOR = 10.0, 1e-12
# Allocations repeat exactly in one environment; another release of a library moves them by some kilobytes.
ALLOCATION_RATIO = 1.10


@dataclass(frozen=True)
class Comparison:
    """The verdict: `regressions` has one line each and is empty where head is no worse; `changes` one row a label."""

    base: str
    head: str
    regressions: list[str]
    changes: Table
    remarks: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.regressions

    def table(self) -> Group:
        """The comparison for rich: one row a label, the remarks, the regressions."""
        verdict = "no regression" if self.ok else text.plural(len(self.regressions), "regression")
        lines = [
            *self.remarks,
            *(f"REGRESSION {line}" for line in self.regressions),
            f"{self.base} -> {self.head}: {verdict}",
        ]
        shown: RichTable = rich_table(self.changes)
        return Group(shown, *(Text(line) for line in lines))


def between(base: Run, head: Run, time_ratio: float = 1.5) -> Comparison:
    """Compare the cells that both runs planned; time only where the whole interval of its ratio is above time_ratio."""
    if not time_ratio > 0:
        raise ValueError(f"time_ratio must be positive, got {time_ratio}; 1.5 allows head half as much time again")
    before, after = base.frame(), head.frame()
    both = _matched(before, after)
    ratios = {str(label): _time_ratio(rows) for label, rows in both.groupby("label")}
    return Comparison(
        base.name,
        head.name,
        [*_missing(before, both), *_nothing(both), *_gates(both), *_slower(ratios, time_ratio)],
        _table(both, ratios),
        _remarks(base, head, before, after),
    )


def _matched(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """One row a common cell, with the measured columns of base (_base) and head (_head)."""
    left, right = (frame.assign(cell=_names(frame)) for frame in (before, after))
    shared = left[["cell", "label", "measure"]].merge(right[["cell"]].drop_duplicates(), on="cell")
    for frame, suffix in ((left, "_base"), (right, "_head")):
        shared = shared.merge(frame.drop_duplicates("cell").drop(columns=["label", "measure"]).add_suffix(suffix),
                              left_on="cell", right_on=f"cell{suffix}")  # fmt: skip
    return shared


def _names(frame: pd.DataFrame) -> pd.Series:
    rows = frame[list(IDENTITY)].itertuples(index=False)
    names = [" ".join(f"{key}={_shown(value)}" for key, value in zip(IDENTITY, row, strict=True)) for row in rows]
    return pd.Series(names, index=frame.index, dtype=str)


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _missing(before: pd.DataFrame, both: pd.DataFrame) -> list[str]:
    names = _names(before)
    gone = before[~names.isin(set(both.cell))]
    return [
        f"{label}: {text.plural(len(rows), 'cell')} of base missing in head, first {_names(rows).iloc[0]}"
        for label, rows in gone.groupby("label")
    ]


def _nothing(both: pd.DataFrame) -> list[str]:
    """Red when nothing was measured: silence must not look like success."""
    common = both.status_base.isin(ANSWERED) & both.status_head.isin(ANSWERED)
    return [] if common.any() else ["nothing was measured in common: no cell has a result in both runs"]


def _gates(both: pd.DataFrame) -> list[str]:
    """One line a label and gate, with the number of cells and the worst of them."""
    answered = both[both.status_base.isin(ANSWERED) & both.status_head.isin(ANSWERED)]
    lines = _status(both) + _verified(both)
    for column, worse in (
        ("error_rel", _error_grown),
        ("error_abs", _error_grown),
        ("iterations", _grown),
        ("allocated_bytes", _allocated),
    ):
        rows = answered if column != "error_abs" else answered[answered.error_rel_base.isna()]
        lines += _gate(rows, column, worse)
    for column in ("total_s", "error_rel", "allocated_bytes"):
        lines += _lost(answered, column)
    return lines


def _status(both: pd.DataFrame) -> list[str]:
    """From ok to anything else, and from an answer to none."""
    was, now = both.status_base, both.status_head
    worse = both[((was == "ok") & (now != "ok")) | (was.isin(ANSWERED) & ~now.isin(ANSWERED))]
    return [
        f"{label}: status {rows.status_base.iloc[0]} -> {rows.status_head.iloc[0]} "
        f"({text.first_line(rows.reason_head.iloc[0]) or 'no reason given'}) in {_counted(rows)}"
        for label, rows in worse.groupby("label")
    ]


def _verified(both: pd.DataFrame) -> list[str]:
    counts = both.groupby("label")[["verified_base", "verified_head"]].sum()
    fallen = counts[counts.verified_head < counts.verified_base]
    return [f"{row.Index}: verified cells {row.verified_base} -> {row.verified_head}" for row in fallen.itertuples()]


def _error_grown(base: pd.Series, head: pd.Series) -> pd.Series:
    return (head > ERROR_RATIO * base) & (head > ERROR_FLOOR)


def _grown(base: pd.Series, head: pd.Series) -> pd.Series:
    return head > base


def _allocated(base: pd.Series, head: pd.Series) -> pd.Series:
    return head > ALLOCATION_RATIO * base


def _gate(rows: pd.DataFrame, column: str, worse: Callable[[pd.Series, pd.Series], pd.Series]) -> list[str]:
    base, head = rows[f"{column}_base"].astype(float), rows[f"{column}_head"].astype(float)
    failed = rows[["label", "cell"]].assign(base=base, head=head, growth=head / base.clip(lower=1e-300))[worse(base, head)]
    return [_worst(str(label), column, group) for label, group in failed.groupby("label")]


def _worst(label: str, column: str, rows: pd.DataFrame) -> str:
    worst = rows.sort_values("growth").iloc[-1]
    return f"{label}: {column} grew from {worst['base']:.4g} to {worst['head']:.4g} in {_counted(rows, worst.cell)}"


def _lost(rows: pd.DataFrame, column: str) -> list[str]:
    """A number that base has and head has not, though both answered, would escape every gate."""
    gone = rows[rows[f"{column}_base"].notna() & rows[f"{column}_head"].isna()]
    return [f"{label}: {column} no longer measured in {_counted(group)}" for label, group in gone.groupby("label")]


def _counted(rows: pd.DataFrame, example: str = "") -> str:
    return f"{text.plural(len(rows), 'cell')}, such as {example or rows.cell.iloc[0]}"


def _time_ratio(rows: pd.DataFrame) -> Estimate:
    """head / base of the median times, paired over the blocks in which both were timed."""
    timed = rows[(rows.measure == "time") & rows.status_base.isin(ANSWERED) & rows.status_head.isin(ANSWERED)]
    base, head = (
        [taken or [total] for taken, total in zip(timed[f"samples_s_{run}"], timed[f"total_s_{run}"], strict=True)]
        for run in ("base", "head")
    )
    return statistics.paired_ratio(base, head)


def _slower(ratios: dict[str, Estimate], limit: float) -> list[str]:
    """Without an interval (one block, one sample a side) a ratio proves nothing and is only shown."""
    return [
        f"{label}: time ratio {text.interval_text(ratio)} above {limit:g} over {text.plural(ratio.blocks, 'block')}"
        for label, ratio in ratios.items()
        if math.isfinite(ratio.low) and ratio.low > limit
    ]


def _table(both: pd.DataFrame, ratios: dict[str, Estimate]) -> Table:
    lines = [_row(str(label), rows, ratios[str(label)]) for label, rows in both.groupby("label")]
    columns = ("method", "common cells", "ok", "verified", "error, largest", "allocated", "time head / base [95 % CI]")
    return text.table("head against base", columns, lines)


def _row(label: str, rows: pd.DataFrame, ratio: Estimate) -> list[Cell | str]:
    allocated = (rows.allocated_bytes_head / rows.allocated_bytes_base).astype(float)
    return [
        label,
        str(len(rows)),
        _arrow(f"{(rows[f'status_{run}'] == 'ok').sum()}" for run in ("base", "head")),
        _arrow(f"{rows[f'verified_{run}'].sum()}" for run in ("base", "head")),
        _arrow(text.error(rows[f"error_rel_{run}"].astype(float).max(), 0).text for run in ("base", "head")),
        text.number(middle(allocated)),
        text.interval(ratio),
    ]


def _arrow(pair: Iterable[str]) -> str:
    return " -> ".join(pair)


def _remarks(base: Run, head: Run, before: pd.DataFrame, after: pd.DataFrame) -> list[str]:
    """The canaries, which normalise nothing, and the machines."""
    canaries = " -> ".join(text.significant(middle(frame.canary)) for frame in (before, after))
    remarks = [f"canary, median (shown, not divided out): {canaries}"]
    hosts = [sorted(set(frame.host) - {""}) for frame in (before, after)]
    if hosts[0] != hosts[1]:
        remarks.append(
            f"hosts differ ({text.listed(hosts[0])} -> {text.listed(hosts[1])}): the time ratios compare machines too"
        )
    changed = [key for key in ("processor", "versions") if base.environment.get(key) != head.environment.get(key)]
    return [*remarks, f"environments differ in {', '.join(changed)}"] if changed else remarks
