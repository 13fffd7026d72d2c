"""The tables of measured cells: headline, cost to reach an error, ratios to one method."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from reports import text
from reports.select import INSTANCE, REFERENCE_METHOD, ROUND_OFF, Study, family_rank, instances, ladders, situation
from reports.text import Cell, Table
from results import statistics
from results.statistics import Estimate

TARGETS = (1e-2, 1e-4, 1e-6, 1e-8, 1e-10, 1e-12)
PAIR = ["run", *INSTANCE, "seed"]  # one block: rows equal in these can be divided
HEADLINE = (
    "method", "family", "total ms [95 % CI]", "error, median", "error, largest", "ok", "verified", "claims converged",
    "peak MiB", "forward error", "cosine", "forward ms", "backward ms", "first call ms", "setup ms", "zero rows",
)  # fmt: skip
DAGGER = "† finite differences whose step exceeds rho: they may step over a change of the sign pattern."


def name(label: str, rows: pd.DataFrame) -> str:
    return f"{label} †" if bool(rows.beyond.any()) else label


def headline(study: Study) -> Table:
    """One row for every headline label, whether it answered or not."""
    rows = dict(list(study.main.groupby("label")))
    lines = [_headline_row(study, label, rows.get(label, study.main.iloc[:0])) for label in study.labels]
    lines.sort(key=lambda line: line[2].order)
    note = (
        f"Medians over the blocks of {situation(study.main) if len(study.main) else 'nothing: no cell was planned'}. "
        "Errors are relative to the reference gradient; 'at floor': below the radius of the reference or 1e-16; "
        "forward error: |x - x*| / |x*|; "
        "peak memory is measured in a pass of its own, at the nearest n it had (in brackets where another); ok: cells "
        "with status ok of cells planned (of a slow method fewer may be); verified: error within the method's own "
        "promise, of the cells with one. " + DAGGER
    )
    return text.table("All methods", HEADLINE, lines, note)


def _headline_row(study: Study, label: str, rows: pd.DataFrame) -> list[Cell]:
    answered = rows[rows.answered]
    worst = answered.sort_values("error", na_position="first").tail(1)
    claims, verdicts = rows.converged.dropna(), rows.verified.dropna()
    phases = [answered.forward_s, answered.backward_s, answered.first_call_s, answered.setup_s]
    shown = name(label, rows)
    return [
        Cell(shown, label),
        Cell(study.family(label), study.family(label)),
        text.milliseconds_interval(_total(answered)),
        text.error(middle(answered.error), middle(answered.floor)),
        text.error(middle(worst.error), middle(worst.floor)),
        text.share(int((rows.status == "ok").sum()), len(rows)),
        text.share(int(verdicts.sum()), len(verdicts)),
        text.share(int(claims.sum()), len(claims)),
        _peak(study, label, rows),
        text.error(middle(answered.error_x), ROUND_OFF),
        text.number(middle(answered.cosine), 6),
        *(text.milliseconds(middle(phase)) for phase in phases),
        text.number(middle(rows.zero_rows), 2),
    ]


def _total(answered: pd.DataFrame) -> Estimate:
    """Over the blocks; a single block has the interval of its own samples."""
    if len(answered) != 1:
        return statistics.median_interval(answered.seconds)
    row = answered.iloc[0]
    return Estimate(float(row.seconds), float(row.total_low_s), float(row.total_high_s), 1)


def middle(values: pd.Series) -> float:
    """The median of what was measured; NaN where nothing was."""
    kept = statistics.finite(values.astype(float))
    return float(pd.Series(kept).median()) if kept.size else math.nan


def _peak(study: Study, label: str, rows: pd.DataFrame) -> Cell:
    frame = study.frame
    measured = frame[(frame.label == label) & (frame.measure == "memory") & frame.peak_bytes.notna() & frame.answered]
    if measured.empty or rows.empty:
        return Cell(text.ABSENT, math.inf)
    n, batch = rows.n.iloc[0], rows.batch.iloc[0]
    distance = (measured.n - n).abs() + (measured.batch - batch).abs() * 1e6
    nearest = measured[distance == distance.min()]
    found = nearest.iloc[0]
    elsewhere = "" if (found.n, found.batch) == (n, batch) else f"(n = {found.n}, batch {found.batch})"
    return text.mebibytes(middle(nearest.peak_bytes), middle(nearest.floor_bytes), elsewhere)


def reach(study: Study) -> Table:
    """The cheapest setting of every method that reaches an error on all seeds of the ladder instance."""
    lines = [
        [where, str(line), *(_cost(settings, target) for target in TARGETS)]
        for where, frame in instances(_judgeable(ladders(study)))
        for line, settings in sorted(
            ((str(line), _by_label(rows)) for line, rows in frame.groupby("line")),
            key=lambda found: (family_rank(study.family(found[0])), found[0]),
        )
    ]
    columns = ("instance", "method", *(f"ms to {target:.0e}" for target in TARGETS))
    note = (
        "Median time of the cheapest measured setting whose largest error over the seeds is at most the target; 'not "
        "reached': none of its settings got there; its own tolerance may still allow it elsewhere."
    )
    return text.table("Cost to reach an error", columns, lines, note)


def _judgeable(rows: pd.DataFrame) -> pd.DataFrame:
    """Without the instances that have no relative error; a cell that never got a reference stays, as a failure."""
    return rows[rows.judged | (rows.reference_status == "")]


def _by_label(rows: pd.DataFrame) -> pd.DataFrame:
    """A line per setting; one cell without an answer or a reference makes the setting reach nothing."""
    return rows.groupby("label").agg(seconds=("seconds", "median"), error=("error", lambda errors: errors.max(skipna=False)))


def _cost(settings: pd.DataFrame, target: float) -> Cell:
    within = settings[settings.error <= target]
    return text.milliseconds(within.seconds.min()) if len(within) else Cell("not reached", math.inf)


def divisor(study: Study) -> str:
    """The label all others are divided by: blorc, else the one that answered on most blocks, the faster first."""
    if REFERENCE_METHOD in study.labels:
        return REFERENCE_METHOD
    answered = study.main.dropna(subset="seconds").groupby("label").seconds.agg(["size", "median"])
    return str(answered.sort_values(["size", "median"], ascending=[False, True]).index[0]) if len(answered) else ""


def ratio(rows: pd.DataFrame, label: str, to: str) -> Estimate:
    """Time of a label over that of another, paired over the blocks in which both answered."""
    both = _paired(rows, label, to)
    return statistics.paired_ratio(both.samples_to.tolist(), both.samples.tolist())


def _paired(rows: pd.DataFrame, label: str, to: str) -> pd.DataFrame:
    timed = rows.dropna(subset="seconds")
    samples: list[Any] = [taken or [total] for taken, total in zip(timed.samples_s, timed.seconds, strict=True)]
    timed = timed.assign(samples=pd.Series(samples, index=timed.index, dtype=object))
    columns = [*PAIR, "samples", "seconds", "total_low_s", "total_high_s"]
    return timed.loc[timed.label == label, columns].merge(timed.loc[timed.label == to, columns], on=PAIR, suffixes=("", "_to"))


def ratios(study: Study) -> Table:
    """Every headline label against the one that all are divided by."""
    to = divisor(study)
    lines = [_ratio_row(study, label, to) for label in study.labels if label != to]
    lines.sort(key=lambda line: line[2].order)
    columns = (
        "method",
        "family",
        f"time / {to or 'none'} [95 % CI]",
        "faster",
        "undecided",
        "slower",
        "shared blocks",
        "error / its error",
    )
    note = (
        "Median over the shared blocks of the headline setting, both methods measured interleaved in the same block; "
        "bootstrap over blocks and over the samples in a block. Faster, slower: blocks in which the 95 % intervals of "
        "the two medians do not overlap. A ratio of times at unequal error is no verdict: the last column is the ratio "
        "of the median errors."
    )
    return text.table(f"Against {to or 'none'}", columns, lines, note)


def _ratio_row(study: Study, label: str, to: str) -> list[Cell]:
    both = _paired(study.main, label, to)
    faster = int((both.total_high_s < both.total_low_s_to).sum())
    slower = int((both.total_low_s > both.total_high_s_to).sum())
    errors = [middle(study.main.loc[study.main.label == one, "error"]) for one in (label, to)]
    counts = (faster, len(both) - faster - slower, slower, len(both))
    return [
        Cell(label, label),
        Cell(study.family(label), study.family(label)),
        text.interval(statistics.paired_ratio(both.samples_to.tolist(), both.samples.tolist())),
        *(Cell(str(count), count) for count in counts),
        text.number(errors[0] / errors[1] if errors[1] else math.nan, 2),
    ]
