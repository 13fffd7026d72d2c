"""Which rows belong together: the headline instances, the sweeps, the ladders and the grid of one or several runs.

A run mixes sweeps; the column `sweep` names those of a row, with the axes that vary in each.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from results import ANSWERED, JUDGED
from results.sweeps import KNOBS, described, joined, varies

if TYPE_CHECKING:
    from results import Run

SETTING = ["problem", "theta", "batch", "n", "sigma", "device", "threads"]
INSTANCE = [*SETTING, "operator", "signal"]
BLOCK = ["run", *INSTANCE, "seed"]
ROUND_OFF = 1e-16  # below this a relative error in float64 says nothing
REFERENCE_METHOD = "blorc"
PEER_METHOD = "cvxpylayers-torch"


@dataclass(frozen=True)
class Study:
    """The rows of one or several runs with what the report derives from them.

    Derived columns: headline (a label of the main comparison), answered, judged, floor (the larger of round-off and the
    radius of the reference), error (error_rel, not below the floor; NaN unless judged and answered), seconds (total_s
    of an answer), fixed (the knobs other than the swept one), beyond (finite differences whose step exceeds rho).
    """

    frame: pd.DataFrame
    methods: dict[str, dict[str, Any]]

    @cached_property
    def labels(self) -> list[str]:
        """The headline labels by family, in the order of LEADING."""
        kept = self.frame.loc[self.frame.headline, ["label", "family"]].drop_duplicates("label")
        return sorted(kept.label, key=lambda label: (family_rank(self.family(label)), label))

    @cached_property
    def headline(self) -> pd.DataFrame:
        """Timed rows of headline labels."""
        return self.frame[self.frame.headline & (self.frame.measure == "time")]

    @cached_property
    def main(self) -> pd.DataFrame:
        """The rows of the main comparison: headline rows of the setting (n, sigma, batch, ...) with most rows."""
        if self.headline.empty:
            return self.headline
        sizes = self.headline.groupby(SETTING, dropna=False).size().reset_index(name="rows")
        best = sizes.sort_values("rows", ascending=False, kind="stable").head(1)
        return self.headline.merge(best[SETTING], on=SETTING)

    def family(self, label: str) -> str:
        return str(self.methods.get(label, {}).get("family") or self._families.get(label, "user"))

    @cached_property
    def _families(self) -> dict[str, str]:
        return dict(zip(self.frame.label, self.frame.family, strict=True))


# The families that stand first, in this order and with hues of their own; all others follow by name.
LEADING = (
    "closed form",
    "autodiff of the closed form",
    "unrolling",
    "smoothing + implicit differentiation",
    "cone program",
    "finite differences",
    "warm start",
    "user",
)
LIMIT = "limit"  # the family of what is timed beside the methods and is none


def family_rank(family: str) -> tuple[int, str]:
    """Known families in their order, unknown ones behind them by name."""
    return (LEADING.index(family), "") if family in LEADING else (len(LEADING), family)


def load(runs: Sequence[Run]) -> Study:
    """All rows of the runs with the derived columns."""
    methods = {label: about for run in runs for label, about in run.methods.items()}
    names = [run.name for run in runs]
    # Two folders of one name are two runs all the same.
    unique = [name if names.count(name) == 1 else f"{name} ({rank + 1})" for rank, name in enumerate(names)]
    frames = [frame.assign(run=name) for name, run in zip(unique, runs, strict=True) if len(frame := run.frame())]
    if not frames:
        return Study(_derive(runs[0].frame(), methods), methods)
    together = pd.concat(frames, ignore_index=True)
    if len(runs) > 1:  # a report on several runs is a sweep over what differs between them
        among = described("runs", [cell for run in runs for cell in run.cells.values()])
        together["sweep"] = [joined([column, among]) for column in together.sweep]
    return Study(_derive(together, methods), methods)


def _derive(frame: pd.DataFrame, methods: dict[str, dict[str, Any]]) -> pd.DataFrame:
    chosen = [bool(methods.get(label, {}).get("headline", True)) for label in frame.label]
    headline = pd.Series(chosen, index=frame.index, dtype=bool) & (frame.family != LIMIT)
    answered = frame.status.isin(ANSWERED)
    judged = frame.reference_status.isin(JUDGED)
    floor = frame.reference_radius.astype(float).clip(lower=ROUND_OFF).fillna(ROUND_OFF)
    error = frame.error_rel.astype(float).clip(lower=floor).where(judged & answered)
    fixed = [_without(knobs, knob) for knobs, knob in zip(frame.knobs, frame.knob, strict=True)]
    steps_out = (frame.family == "finite differences") & (frame.knob == "h") & (frame.knob_value > frame.rho)
    return frame.assign(
        headline=headline if headline.any() else True,
        answered=answered,
        judged=judged,
        floor=floor,
        error=error,
        seconds=frame.total_s.astype(float).where(answered),
        fixed=pd.Series(fixed, index=frame.index, dtype=str),
        beyond=steps_out.astype(bool),
    )


def _without(knobs: str, knob: str) -> str:
    values = json.loads(knobs or "{}")
    values.pop(knob, None)
    return json.dumps(values, sort_keys=True)


def sweep(frame: pd.DataFrame, axis: str) -> pd.DataFrame:
    """The rows of sweeps over `axis` between which nothing else varies (but operator, signal, seed); empty where none was made.

    Of all settings the one with the most values of the axis, then with the most rows; of its operators only those that
    stand at all of these values, so that no point of a curve is a median over other instances than the next.
    """
    others = [name for name in INSTANCE if name != axis]
    setting = [name for name in SETTING if name != axis]
    frame = _members(frame, axis)
    groups = frame.groupby(others, dropna=False)[axis].agg(values="nunique", rows="size").reset_index()
    groups = groups[groups["values"] >= 2]
    if groups.empty:
        return frame.iloc[:0]
    settings = groups.groupby(setting, dropna=False).agg(values=("values", "max"), rows=("rows", "sum")).reset_index()
    best = settings.sort_values(["values", "rows"], ascending=False, kind="stable").head(1)
    return frame.merge(groups.merge(best[[*setting, "values"]], on=[*setting, "values"])[others], on=others)


def grid(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of the largest n x sigma grid."""
    others = [name for name in SETTING if name not in ("n", "sigma")]
    rows = _members(frame, "n", "sigma")
    if rows.empty:
        return rows
    best = rows.groupby(others, dropna=False).size().reset_index(name="rows")
    best = best.sort_values("rows", ascending=False, kind="stable").head(1)
    return rows.merge(best[others], on=others)


def _members(frame: pd.DataFrame, *axes: str) -> pd.DataFrame:
    """The rows of sweeps in which all these axes vary."""
    return frame[frame.sweep.map(lambda column: varies(column, *axes)).astype(bool)]


def ladders(study: Study, measure: str = "time") -> pd.DataFrame:
    """The rows of the instances on which knobs are swept; `line` names the ladder a row stands on."""
    frame = study.frame[study.frame.measure == measure]
    line = ["method", "fixed"]
    rows = frame.merge(_members(frame, KNOBS)[INSTANCE].drop_duplicates(), on=INSTANCE)
    if rows.empty:
        return rows.assign(line=pd.Series(dtype=str))
    chosen = set(study.labels)
    names = {
        key: min(group, key=lambda label: (label not in chosen, len(label), label)) for key, group in frame.groupby(line).label
    }
    keys = zip(rows.method, rows.fixed, strict=True)
    return rows.assign(line=[names[key] for key in keys])


def instances(frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The instances of the rows with their names, those with the most rows first; a name says only what differs."""
    varying = [name for name in INSTANCE if frame[name].nunique(dropna=False) > 1] or ["operator"]
    groups = [
        (", ".join(describe(name, value) for name, value in zip(varying, key, strict=True)), rows)
        for key, rows in frame.groupby(varying, dropna=False)
    ]
    return sorted(groups, key=lambda group: -len(group[1]))


def describe(name: str, value: Any) -> str:
    """operator tv -> "tv", n 64 -> "n = 64", batch 0 -> "one signal"."""
    if name == "batch":
        return f"batch of {value}" if value else "one signal"
    if isinstance(value, str):
        return value or f"no {name}"
    return f"{name} = {value:g}"


def situation(frame: pd.DataFrame, without: Sequence[str] = ()) -> str:
    """One line on what the rows have in common and over what they range."""
    parts = []
    for name in [name for name in INSTANCE if name not in without]:
        values = sorted(frame[name].dropna().unique())
        if values:
            parts.append(f"{name} {', '.join(_value(name, value) for value in values)}")
    seeds = frame.seed.nunique()
    return "; ".join([*parts, f"{seeds} seed" if seeds == 1 else f"{seeds} seeds"])


def caption(frame: pd.DataFrame, axes: Sequence[str] = ()) -> str:
    """The situation for the head of a figure: without its axes, and without what is as usual."""
    usual = [name for name, value in (("theta", "dense"), ("batch", 0)) if (frame[name] == value).all()]
    return situation(frame, [*axes, *usual, "problem", "device", "threads"])


def _value(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value or "-"
    return "none" if name == "batch" and not value else f"{value:g}"
