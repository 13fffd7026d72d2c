"""The head figure (work-precision), its memory twin, and the performance profiles."""

from __future__ import annotations

import math
import textwrap
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator

from reports import select, text
from reports.select import BLOCK, LIMIT, Study
from reports.style import OTHERS, families, handle, hue, legend, panels, styles
from results import statistics

MOST_PANELS = 4  # instances of one figure; the tables have them all
TARGETS = (1e-3, 1e-6, 1e-10)
COSTS = {"seconds": ("time", 1e3, "time of one gradient, ms"), "peak_bytes": ("memory", 1 / 2**20, "peak memory, MiB")}
ERROR = "relative error of the gradient"  # a longer one would reach its neighbour, as a title would that is not broken
TITLE = 36  # characters of a line


def settings(study: Study, column: str = "seconds") -> pd.DataFrame:
    """One point for every setting and ladder instance, but for limits: median cost and error over the seeds."""
    measure, unit, _ = COSTS[column]
    rows = select.ladders(study, measure)
    rows = rows[rows.family != LIMIT]
    if column == "peak_bytes":
        rows = rows[~(rows.peak_bytes < rows.floor_bytes)]
    found = [group.assign(where=where, cost=group[column].astype(float) * unit) for where, group in select.instances(rows)]
    if not found:
        return pd.DataFrame(columns=["where", "line", "label", "family", "knob_value", "cost", "error"])
    points = pd.concat(found).dropna(subset=["cost", "error"])
    keys = ["where", "line", "label", "family"]
    return points.groupby(keys, sort=False)[["knob_value", "cost", "error"]].median().reset_index()


def overview(study: Study, column: str = "seconds") -> Figure | str:
    """The front of every family in one panel an instance, over the front of all; the marker says which member it is."""
    points = settings(study, column)
    if points.empty:
        return f"Work-precision diagram ({COSTS[column][0]}): no knob was swept, or no setting was judged"
    points = points.assign(family=points.line.map(study.family))
    places = list(dict.fromkeys(points["where"]))[:MOST_PANELS]
    figure, axes = panels(len(places), 2, 5.6 if len(places) > 1 else 9.0, 5.4, sharex=True, sharey=True)
    best = points.groupby(["where", "family"], group_keys=False)[list(points.columns)].apply(_best)
    for axis, where in zip(axes, places, strict=True):
        for family, rows in best[best["where"] == where].groupby("family"):
            _family(axis, rows, study, str(family))
        _front(axis, points[points["where"] == where])
        _label(axis, where, column)
    front = Line2D([], [], color="black", lw=3.5, alpha=0.35, label="Pareto front of all")
    legend(figure, study, set(best[best["where"].isin(places)].line), [front])
    figure.suptitle(_shared(study, column), fontsize=9, x=0.01, ha="left")  # clear of the legend
    return figure


def _best(points: pd.DataFrame) -> pd.DataFrame:
    return points[statistics.pareto(points.cost, points.error)].sort_values("error")


def _family(axis: Axes, rows: pd.DataFrame, study: Study, family: str) -> None:
    """The front of one family in its colour, at each point the marker of the member that is best there."""
    color, looks = hue(study, family), styles(study)
    axis.step(rows.error, rows.cost, where="post", color=color, lw=1.6, alpha=0.9)  # between two points nothing is known
    for line, mine in rows.groupby("line"):
        look = {
            "color": color,
            "marker": looks[str(line)].marker,
            "markersize": 6,
            "markeredgecolor": "white",
            "linestyle": "none",
        }
        axis.plot(mine.error, mine.cost, **look)  # type: ignore[arg-type]


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
    best = _best(points)
    # Drawn on to the ends of the data, so that a front of one point is seen too.
    error = [best.error.iloc[0], *best.error, points.error.max()]
    cost = [points.cost.max(), *best.cost, best.cost.iloc[-1]]
    axis.step(error, cost, where="post", color="black", lw=3.5, alpha=0.35, zorder=0.5)


def _label(axis: Axes, title: str, column: str) -> None:
    axis.set(xscale="log", yscale="log", title=textwrap.fill(title, TITLE, break_on_hyphens=False), xlabel=ERROR)
    axis.set_ylabel(COSTS[column][2] if axis.get_subplotspec().is_first_col() else "")  # type: ignore[union-attr]
    axis.xaxis.set_major_locator(LogLocator(numticks=9))


def profiles(study: Study) -> Figure | str:
    """Dolan-More: the share of blocks on which the best member of a family is within a factor tau of the best of all."""
    rows = common(study)
    if rows.empty:
        return "Performance profile: no block was judged"
    figure, axes = panels(len(TARGETS), 3, 4.2, 4.8, sharey=True)
    rows = rows.assign(family=rows.label.map(study.family))
    for axis, target in zip(axes, TARGETS, strict=True):
        for family, curve in _curves(rows, target, "family").items():
            axis.step(*curve, where="post", color=hue(study, family), lw=1.8, clip_on=False)
        _profile(axis, rows, f"error at most {target:g}", first=target == TARGETS[0])
    handles = [Line2D([], [], color=hue(study, family), lw=2, label=family) for family in families(study)]
    figure.legend(handles=handles, loc="outside right upper", frameon=False)
    return figure


def member_profiles(study: Study) -> Figure | str:
    """The same at the middle target, a panel a family: its methods in colour, all others grey."""
    rows = common(study)
    if rows.empty:
        return ""
    target, looks = TARGETS[1], styles(study)
    curves = _curves(rows, target, "label")
    shown = [family for family in families(study) if any(study.family(label) == family for label in curves)]
    figure, axes = panels(len(shown), 4, 3.6, 4.8, sharex=True, sharey=True)
    for place, (axis, family) in enumerate(zip(axes, shown, strict=True)):
        mine = [label for label in study.labels if label in curves and study.family(label) == family]
        for label in curves.keys() - set(mine):
            axis.step(*curves[label], where="post", color=OTHERS, lw=0.9, zorder=1)
        for label in mine:
            look = looks[label]
            axis.step(*curves[label], where="post", color=look.color, linestyle=look.dash, lw=1.6)
            axis.plot(*(values[-1] for values in curves[label]), color=look.color, marker=look.marker, clip_on=False)
        _profile(axis, rows, family, first=place % 4 == 0)
        handles = [handle(label, looks[label]) for label in mine]
        axis.legend(handles=handles, loc="upper left", bbox_to_anchor=(-0.1, -0.18), frameon=False, handlelength=3)
    figure.suptitle(f"error at most {target:g}", fontsize=9)
    return figure


def common(study: Study) -> pd.DataFrame:
    """Headline rows of the judged blocks on which most methods were planned: elsewhere an absence is no failure."""
    rows = study.headline
    judged = rows.groupby(BLOCK, dropna=False).judged.transform("any")
    rows = rows[judged]
    planned = rows.groupby(BLOCK, dropna=False).label.transform("nunique")
    return rows[planned == planned.max()]


def _curves(rows: pd.DataFrame, target: float, by: str) -> dict[str, tuple[list[float], list[float]]]:
    """(tau, share) of every label or family; in a block a family is as good as the best of its members there."""
    cost = rows.seconds.where(rows.error <= target)
    block = rows.groupby(BLOCK, dropna=False).ngroup()
    table = rows.assign(cost=cost, block=block).groupby(["block", by]).cost.min().unstack(by)
    ratios = pd.DataFrame(statistics.profile(table.to_numpy()), columns=table.columns)
    finite = statistics.finite(ratios.to_numpy())
    end = 10 ** math.ceil(math.log10(max(finite.max(initial=10.0) * 1.2, 10.0)))
    found = {}
    for name, column in ratios.items():
        reached = np.sort(statistics.finite(column))
        share = np.arange(reached.size + 1) / len(table)
        found[str(name)] = [1.0, *reached, end], [0.0, *share[1:], share[-1]]
    return found


def _profile(axis: Axes, rows: pd.DataFrame, title: str, first: bool) -> None:
    blocks = rows.groupby(BLOCK, dropna=False).ngroups
    axis.set(xscale="log", ylim=(-0.02, 1.04), title=title, xlabel="tau: time / best time")
    axis.set_xlim(left=1.0)
    axis.set_ylabel(f"share of {text.plural(blocks, 'block')}" if first else "")
