"""How far the exact methods are from what LAPACK needs when the sign pattern is given away, and from the cone layer."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from reports import text
from reports.select import INSTANCE, LIMIT, PEER_METHOD, Study, describe, family_rank
from reports.text import Cell, Table
from results import statistics
from results.statistics import Estimate

TITLE = "Speed of the exact gradient"
NOTE = (
    "Microseconds are medians of total time a signal over the seeds. The other two are ratios of medians, paired over the "
    "blocks in which both were measured interleaved, with 95 % intervals. The limit is the BACKWARD phase of lapack-limit: "
    "dpotrf and dpotrs with two right-hand sides on the zero rows, W0 [q, target] and one outer product, the pattern given "
    "away. Error: the largest relative one. |Z|: zero rows a signal, and their share of all k. Solver: the share of the "
    "forward phase in the total, where a method has two phases."
)


def table(study: Study) -> Table:
    """Every method on every setting that has a limit; no rows where none was measured."""
    timed = study.frame[study.frame.measure == "time"]
    setting = [name for name in INSTANCE if timed[name].nunique(dropna=False) > 1] or ["operator"]
    lines = []
    for key, rows in timed.groupby(setting, dropna=False, sort=True):
        limit = rows[rows.family == LIMIT]
        if limit.empty:
            continue
        where = ", ".join(describe(name, value) for name, value in zip(setting, key, strict=True))
        others = rows[(rows.family != LIMIT) & rows.seconds.notna()]
        order = sorted(others.label.unique(), key=lambda label: (family_rank(study.family(label)), label))
        lines += [_line(where, label, others, limit) for label in order]
    columns = ("setting", "method", "us a signal [95 % CI]", f"{PEER_METHOD} / it", "it / limit", "error", "|Z|", "solver")
    return text.table(TITLE, columns, lines, NOTE)


def _line(where: str, label: str, rows: pd.DataFrame, limit: pd.DataFrame) -> list[Any]:
    mine = rows[rows.label == label]
    signals = mine.batch.clip(lower=1)
    spread = statistics.median_interval(mine.seconds / signals)
    microseconds = Estimate(1e6 * spread.value, 1e6 * spread.low, 1e6 * spread.high, spread.blocks)
    return [
        where,
        label,
        text.interval(microseconds),
        text.interval(_ratio(mine, rows[rows.label == PEER_METHOD])),
        text.interval(_ratio(limit.assign(samples_s=limit.backward_s.map(lambda value: [value])), mine)),
        text.error(float(mine.error.max()) if mine.error.notna().any() else math.nan, 0.0),
        _zero_rows(mine),
        text.percent(float((mine.forward_s / mine.total_s).median())),
    ]


def _zero_rows(rows: pd.DataFrame) -> Cell:
    share, k = float(rows.zero_rows.median()), int(rows.k.iloc[0])
    return Cell(f"{text.significant(share * k)} of {k} ({share:.0%})", share) if share >= 0 else Cell(text.ABSENT, -1.0)


def _ratio(base: pd.DataFrame, head: pd.DataFrame) -> Estimate:
    """Median over shared blocks of the time of head over that of base."""
    keys = ["run", *INSTANCE, "seed"]
    both = base[[*keys, "samples_s"]].merge(head[[*keys, "samples_s"]], on=keys, suffixes=("_base", "_head"))
    return statistics.paired_ratio(both.samples_s_base.tolist(), both.samples_s_head.tolist())


def sections(study: Study) -> list[tuple[Table, ...]]:
    """The table, where a run has the limit."""
    found = table(study)
    return [(found,)] if found.rows else []
