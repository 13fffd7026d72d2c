"""The head figure (work-precision), its memory twin, and the performance profiles."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator

from reports import select, statistics, text
from reports.select import BLOCK, Study
from reports.style import OTHERS, families, handle, legend, panels, styles

MOST_PANELS = 4  # instances of one figure; the tables have them all
TARGETS = (1e-3, 1e-6, 1e-10)
COSTS = {"seconds": ("time", 1e3, "time of one gradient, ms"), "peak_bytes": ("memory", 1 / 2**20, "peak memory, MiB")}
ERROR = "relative error of the gradient (left: more accurate)"


def settings(study: Study, column: str = "seconds") -> pd.DataFrame:
    """One point for every setting and ladder instance: median cost and error over the seeds."""
    measure, unit, _ = COSTS[column]
    rows = select.ladders(study, measure)
    if column == "peak_bytes":
        rows = rows[~(rows.peak_bytes < rows.floor_bytes)]
    found = [group.assign(where=where, cost=group[column].astype(float) * unit) for where, group in select.instances(rows)]
    if not found:
        return pd.DataFrame(columns=["where", "line", "label", "family", "knob_value", "cost", "error"])
    points = pd.concat(found).dropna(subset=["cost", "error"])
    keys = ["where", "line", "label", "family"]
    return points.groupby(keys, sort=False)[["knob_value", "cost", "error"]].median().reset_index()


def overview(study: Study, column: str = "seconds") -> Figure | str:
    """All methods in one panel an instance, with the Pareto front."""
    points = settings(study, column)
    if points.empty:
        return f"Work-precision diagram ({COSTS[column][0]}): no knob was swept, or no setting was judged"
    places = list(dict.fromkeys(points["where"]))[:MOST_PANELS]
    figure, axes = panels(len(places), 2, 5.6 if len(places) > 1 else 9.0, 5.4, sharex=True, sharey=True)
    looks = styles(study)
    for axis, where in zip(axes, places, strict=True):
        here = points[points["where"] == where]
        for line, rows in here.groupby("line"):
            _line(axis, rows, looks[line].color, looks[line].marker, looks[line].dash)
        _front(axis, here)
        _label(axis, where, column)
    front = Line2D([], [], color="black", lw=3.5, alpha=0.35, label="Pareto front")
    legend(figure, study, set(points.line), [front])
    figure.suptitle(_shared(study, column), fontsize=9, x=0.01, ha="left")  # clear of the legend
    return figure


def _shared(study: Study, column: str) -> str:
    """What the panels have in common; the title of each says what differs."""
    rows = select.ladders(study, COSTS[column][0])
    return select.caption(rows, [name for name in select.INSTANCE if rows[name].nunique() > 1])


def by_family(study: Study, column: str = "seconds") -> Figure | str:
    """The same points, a row of panels an instance and a panel a family, so that each method can be followed."""
    points = settings(study, column)
    if points.empty:
        return ""
    where = points["where"].iloc[0]
    here = points[points["where"] == where]
    shown = [family for family in families(study) if (here.line.map(study.family) == family).any()]
    figure, axes = panels(len(shown), 4, 3.6, 4.8, sharex=True, sharey=True)
    looks = styles(study)
    for axis, family in zip(axes, shown, strict=True):
        mine = here.line.map(study.family) == family
        for _, rows in here[~mine].groupby("line"):
            _line(axis, rows, OTHERS, "o", "-", size=2.5)
        _front(axis, here)
        for line, rows in here[mine].groupby("line"):
            _line(axis, rows, looks[line].color, looks[line].marker, looks[line].dash)
        _label(axis, family, column)
        axis.set_xlabel("relative error")
        handles = [handle(line, looks[line]) for line in sorted(here[mine].line.unique())]
        axis.legend(handles=handles, loc="upper left", bbox_to_anchor=(-0.1, -0.18), frameon=False, handlelength=3)
    figure.suptitle(f"{where}: {_shared(study, column)}", fontsize=9)
    return figure


def _line(axis: Axes, rows: pd.DataFrame, color: object, marker: str, dash: object, size: float = 5) -> None:
    """In the order of the knob, not of the error: a curve that turns back shows itself. Without a value: a lone marker."""
    look: dict[str, Any] = {"color": color, "marker": marker, "markersize": size, "alpha": 0.95}
    swept = rows.dropna(subset="knob_value").sort_values("knob_value")
    axis.plot(swept.error, swept.cost, linestyle=dash, lw=1.3, **look)
    default = rows[rows.knob_value.isna()]
    axis.plot(default.error, default.cost, linestyle="none", **look)


def _front(axis: Axes, points: pd.DataFrame) -> None:
    best = points[statistics.pareto(points.cost, points.error)].sort_values("error")
    # Drawn on to the ends of the data, so that a front of one point is seen too.
    error = [best.error.iloc[0], *best.error, points.error.max()]
    cost = [points.cost.max(), *best.cost, best.cost.iloc[-1]]
    axis.step(error, cost, where="post", color="black", lw=3.5, alpha=0.35, zorder=0.5)


def _label(axis: Axes, title: str, column: str) -> None:
    axis.set(xscale="log", yscale="log", title=title, xlabel=ERROR)
    axis.set_ylabel(COSTS[column][2] if axis.get_subplotspec().is_first_col() else "")  # type: ignore[union-attr]
    axis.xaxis.set_major_locator(LogLocator(numticks=9))


def profiles(study: Study) -> Figure | str:
    """Dolan-More: the share of blocks on which a method is within a factor tau of the best that is accurate."""
    rows = common(study)
    if rows.empty:
        return "Performance profile: no block was judged"
    figure, axes = panels(len(TARGETS), 3, 4.2, 4.8, sharey=True)
    for axis, target in zip(axes, TARGETS, strict=True):
        _profile(axis, rows, study, target)
    legend(figure, study, set(rows.label))
    return figure


def common(study: Study) -> pd.DataFrame:
    """Headline rows of the judged blocks on which most methods were planned: elsewhere an absence is no failure."""
    rows = study.headline
    judged = rows.groupby(BLOCK, dropna=False).judged.transform("any")
    rows = rows[judged]
    planned = rows.groupby(BLOCK, dropna=False).label.transform("nunique")
    return rows[planned == planned.max()]


def _profile(axis: Axes, rows: pd.DataFrame, study: Study, target: float) -> None:
    cost = rows.seconds.where(rows.error <= target)
    block = rows.groupby(BLOCK, dropna=False).ngroup()
    table = rows.assign(cost=cost, block=block).groupby(["block", "label"]).cost.min().unstack("label")
    blocks = len(table)
    ratios = pd.DataFrame(statistics.profile(table.to_numpy()), columns=table.columns)
    finite = statistics.finite(ratios.to_numpy())
    end = 10 ** math.ceil(math.log10(max(finite.max(initial=10.0) * 1.2, 10.0)))
    looks = styles(study)
    for label, column in ratios.items():
        reached = np.sort(statistics.finite(column))
        share = np.arange(reached.size + 1) / blocks
        x, y = [1.0, *reached, end], [0.0, *share[1:], share[-1]]
        look = looks[str(label)]
        axis.step(x, y, where="post", color=look.color, linestyle=look.dash, lw=1.6, marker=look.marker, markersize=4,
                  markevery=[len(x) - 1], clip_on=False)  # fmt: skip
    axis.set(xscale="log", xlim=(1, end), ylim=(-0.02, 1.04), title=f"error at most {target:g}")
    axis.set(xlabel="tau: time / best time", ylabel=f"share of {text.plural(blocks, 'block')}" if target == TARGETS[0] else "")
