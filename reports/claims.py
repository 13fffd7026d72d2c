"""A claim of a paper as a page: its figure, the fitted slopes with intervals, and what was said of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports import style, text
from reports.text import Cell, Table
from results import statistics
from results.claims import Claim, Curve
from results.statistics import Estimate

FEW = 6
SLOPES = {"power": "p in y ~ x^p [95 % CI]", "geometric": "q in y ~ q^x [95 % CI]"}


def write(folder: Path) -> Path:
    """claim.md, slopes.csv and claim.png / .svg beside the folder's claim.json; the path of the page."""
    claim = Claim.read(folder)
    picture = figure(claim)
    for kind in ("png", "svg"):
        picture.savefig(folder / f"claim.{kind}", dpi=130, metadata={"Date": None} if kind == "svg" else None)
    found = table(claim)
    lines = [",".join(found.columns), *(",".join(f'"{cell.text}"' for cell in row) for row in found.rows)]
    (folder / "slopes.csv").write_text("\n".join(lines) + "\n")
    page = folder / "claim.md"
    page.write_text(_page(claim, found))
    return page


def slope(claim: Claim, curve: Curve) -> Estimate:
    """The fitted p or q over the curve's own range; nothing where it has none."""
    if curve.fit is None:
        return Estimate()
    x, y = np.array(curve.x), np.array(curve.y)
    inside = (x >= curve.fit[0]) & (x <= curve.fit[1])
    fitted = {"power": statistics.exponent, "geometric": statistics.rate}[claim.fit]
    return fitted(x[inside], y[inside])


def table(claim: Claim) -> Table:
    """Every curve with its slope and what was expected."""
    several = len({curve.panel for curve in claim.curves}) > 1
    lines = [
        [
            *([curve.panel] if several else []),
            curve.label,
            _interval(claim, slope(claim, curve)),
            f"{curve.fit[0]:g} to {curve.fit[1]:g}" if curve.fit else text.ABSENT,
            curve.expected or text.ABSENT,
        ]
        for curve in claim.curves
    ]
    columns = [*(["panel"] if several else []), "curve", SLOPES.get(claim.fit, "slope"), "range of the fit", "expected"]
    return text.table("Slopes", columns, lines)


def _interval(claim: Claim, found: Estimate) -> Cell:
    """Four decimals for q: what tells rates apart is 1 - q."""
    if claim.fit != "geometric" or not np.isfinite(found.low):
        return text.interval(found)
    return Cell(f"{found.value:.4f} [{found.low:.4f}, {found.high:.4f}]", found.value)


def figure(claim: Claim) -> Figure:
    """One panel beside another, a line a curve, its fitted range drawn bolder."""
    names = list(dict.fromkeys(curve.panel for curve in claim.curves))
    labels = list(dict.fromkeys(curve.label for curve in claim.curves))
    colours = dict(zip(labels, sns.color_palette("colorblind", len(labels)), strict=True))
    with style.theme():
        made, axes = style.panels(len(names), 2 if len(names) == 4 else 3, 4.6, 3.6)
        for name, axis in zip(names, axes, strict=True):
            _draw(claim, name, axis, colours)
        handles = [
            style.handle(label, style.Style(colours[label], style.MARKERS[i % len(style.MARKERS)], "-"))
            for i, label in enumerate(labels)
        ]
        made.legend(handles=handles, loc="outside right upper", frameon=False)
        made.suptitle(claim.title, x=0.01, ha="left")
    return made


def _draw(claim: Claim, name: str, axis: Axes, colours: dict[str, tuple[float, float, float]]) -> None:
    labels = list(colours)
    for curve in (curve for curve in claim.curves if curve.panel == name):
        x, y = np.array(curve.x), np.array(curve.y)
        shown = np.isfinite(y) & (y > 0)
        marker = style.MARKERS[labels.index(curve.label) % len(style.MARKERS)]
        (line,) = axis.plot(x[shown], y[shown], color=colours[curve.label], marker=marker, ms=3.2, lw=0.9, alpha=0.9)
        line.set_markevery(max(1, int(shown.sum()) // 25))
        if curve.fit is not None:
            bold = shown & (x >= curve.fit[0]) & (x <= curve.fit[1])
            axis.plot(x[bold], y[bold], color=colours[curve.label], lw=2.6, alpha=0.6)
    for mark in (mark for mark in claim.marks if mark.panel == name):
        axis.axvline(mark.x, color="0.4", ls=":", lw=1)
        axis.annotate(
            mark.label,
            (mark.x, 0.03),
            xycoords=axis.get_xaxis_transform(),
            xytext=(-3, 0),
            textcoords="offset points",
            rotation=90,
            fontsize=8,
            va="bottom",
            ha="right",
            color="0.3",
        )
    axis.set_yscale("log")
    if claim.fit != "geometric":
        axis.set_xscale("log")
        _tick(axis, {x for curve in claim.curves if curve.panel == name for x in curve.x})
    axis.set(title=name, xlabel=claim.x_label, ylabel=claim.y_label)


def _tick(axis: Axes, values: set[float]) -> None:
    """The values themselves where they are few: within a decade the labels of matplotlib overlap."""
    if len(values) <= FEW:
        axis.set_xticks(sorted(values), labels=[f"{value:g}" for value in sorted(values)])
        axis.set_xticks([], minor=True)


def _page(claim: Claim, found: Table) -> str:
    lines = [
        f"# {claim.title}",
        "",
        claim.statement,
        "",
        f"Source: {claim.source}.",
        "",
        "![curves](claim.png)",
        "",
        found.markdown(),
        "",
        "Slopes by least squares on logarithms over the range shown (bold in the figure), residual bootstrap. Errors are",
        "relative to the proven reference gradient.",
        *(["", *(f"- {note}" for note in claim.notes)] if claim.notes else []),
    ]
    return "\n".join(lines) + "\n"
