"""Figures of the sweeps: time, error and memory over n, over sigma, and the grid of both."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from reports import select
from reports.laws import memory
from reports.select import Study
from reports.style import OTHERS, Style, families, handle, panels, styles

NAMES = {
    "n": "n (length of the signal)",
    "sigma": "sigma (noise)",
    "seconds": "time of one gradient, ms",
    "error": "relative error of the gradient",
    "peak_bytes": "peak memory, MiB",
}
UNITS = {"seconds": 1e3, "peak_bytes": 1 / 2**20}


def over(study: Study, axis: str, column: str) -> Figure | str:
    """One panel a family: its methods in colour, all others grey; or why there is nothing to draw."""
    source = memory(study) if column == "peak_bytes" else study.headline
    rows = select.sweep(source, axis)
    rows = rows[(rows[axis] > 0) & (rows[column] > 0)]
    if rows[axis].nunique() < 2:
        return f"{_bare(column)} over {axis}: measured at fewer than two values of {axis} on the same instances"
    rows = rows.assign(value=rows[column].astype(float) * UNITS.get(column, 1.0))
    shown = [family for family in families(study) if (rows.label.map(study.family) == family).any()]
    figure, axes = panels(len(shown), 4, 3.6, 4.6, sharex=True, sharey=True)
    for place, family in zip(axes, shown, strict=True):
        _panel(place, rows, study, family, axis)
    _ticks(axes, rows[axis])
    for rank, place in enumerate(axes):
        place.set(xlabel=NAMES[axis], ylabel="" if rank % 4 else NAMES[column])
    figure.suptitle(select.caption(rows, [axis]), fontsize=9)
    return figure


def _bare(column: str) -> str:
    return NAMES[column].split(",")[0]


def _panel(place: Axes, rows: pd.DataFrame, study: Study, family: str, axis: str) -> None:
    looks = styles(study)
    labels = [label for label in study.labels if label in set(rows.label)]
    mine = [label for label in labels if study.family(label) == family]
    for label in labels:
        if label not in mine:
            middle = rows[rows.label == label].groupby(axis).value.median()
            place.plot(middle.index, middle, color=OTHERS, lw=0.9, zorder=1)
    for label in mine:
        _curve(place, rows[rows.label == label], axis, looks[label])
    place.set(xscale="log", yscale="log", title=family)
    handles = [handle(label, looks[label]) for label in mine]
    place.legend(handles=handles, loc="upper left", bbox_to_anchor=(-0.1, -0.2), frameon=False, handlelength=3)


def _curve(place: Axes, rows: pd.DataFrame, axis: str, look: Style) -> None:
    """Median over operators and seeds with the whole range; seaborn drops what was not measured."""
    sns.lineplot(
        data=rows, x=axis, y="value", estimator="median", errorbar=("pi", 100), ax=place, legend=False,
        color=look.color, marker=look.marker, linestyle=look.dash, markersize=5, lw=1.6,
        err_kws={"alpha": 0.15, "lw": 0},
    )  # fmt: skip


def _ticks(axes: list[Axes], values: pd.Series) -> None:
    """The measured values as ticks: powers of ten would name places where nothing was measured. Crowded ones go."""
    ticks = sorted(values.unique())
    span = math.log(ticks[-1] / ticks[0])
    kept = [ticks[0]]
    for tick in ticks[1:]:
        if math.log(tick / kept[-1]) > span / 8:
            kept.append(tick)
    for place in axes:
        place.xaxis.set_major_locator(FixedLocator(kept))
        place.xaxis.set_minor_locator(NullLocator())
        place.xaxis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:g}"))


def heat(study: Study, column: str) -> Figure | str:
    """One small n x sigma map a method, one logarithmic colour scale; hatched: planned, not answered."""
    rows = select.grid(study.headline)
    if rows.empty or not (rows[column] > 0).any():
        return f"{_bare(column)} over n x sigma: no grid of at least two n and two sigma was measured"
    rows = rows.assign(value=rows[column].astype(float) * UNITS.get(column, 1.0))
    labels = [label for label in study.labels if label in set(rows.label)]
    figure, axes = panels(len(labels), 5, 2.5, 2.15, sharex=True, sharey=True)
    scale = LogNorm(rows.value[rows.value > 0].min(), rows.value.max() * (1 + 1e-9))
    for place, label in zip(axes, labels, strict=True):
        _map(place, rows[rows.label == label], label, scale)
    figure.suptitle(select.caption(rows, ["n", "sigma"]), fontsize=9)
    figure.colorbar(axes[0].collections[0], ax=axes, label=NAMES[column], shrink=0.6, pad=0.01)
    return figure


def _map(place: Axes, rows: pd.DataFrame, label: str, scale: LogNorm) -> None:
    values = rows.groupby(["sigma", "n"]).value.median().unstack("n").sort_index(ascending=False)
    place.set_facecolor("0.96")
    place.patch.set(hatch="////", edgecolor="0.7")
    sns.heatmap(
        values, ax=place, cmap="viridis", norm=scale, vmin=scale.vmin, vmax=scale.vmax, cbar=False, linewidths=0.5,
        xticklabels=[f"{n:g}" for n in values.columns], yticklabels=[f"{sigma:g}" for sigma in values.index],
    )  # fmt: skip
    _annotate(place, values.to_numpy(), scale)
    place.set_title(label.replace("(", "\n("), fontsize=7.5, fontweight="normal")  # a long one would reach its neighbour
    place.set(xlabel="n", ylabel="sigma" if place.get_subplotspec().is_first_col() else "")  # type: ignore[union-attr]
    place.tick_params(labelsize=7.5, rotation=0)


def _annotate(place: Axes, values: np.ndarray, scale: LogNorm) -> None:
    """Seaborn's own annotation knows one format; times and errors over many decades need a short one each."""
    for (line, column), value in np.ndenumerate(values):
        if math.isfinite(value):
            color = "white" if float(scale(value)) < 0.55 else "black"
            place.text(column + 0.5, line + 0.5, _short(value), ha="center", va="center", fontsize=6.5, color=color)


def _short(value: float) -> str:
    if 0.01 <= value < 10_000:
        return f"{value:.2g}" if value < 100 else f"{value:.0f}"
    mantissa, power = f"{value:.0e}".split("e")
    return f"{mantissa}e{int(power)}"
