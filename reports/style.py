"""How a method looks: the same colour, marker and dash in every figure; and the frame that all figures share."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reports.select import LEADING, Study, family_rank

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "*")
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)))
OTHERS = "0.85"  # the methods of the other families behind a panel
LIGHT, DARK = 0.64, 0.34  # lightness of the first and last member of a family
# A hue for each of LEADING, then one for each other family of the run in the order of their names.
HUES = (
    "#0173b2", "#8b5fd6", "#029e73", "#de8f05", "#c8373a", "#8c7a5b", "#555555", "#a0008a",
    "#0fb5c9", "#8a8f3c", "#d65a9c", "#7a3b12", "#4f7f3a", "#2b2f9e", "#e2714a", "#6d8fae",
)  # fmt: skip


class Style(NamedTuple):
    color: Any
    marker: str
    dash: Any


def styles(study: Study) -> dict[str, Style]:
    """Colour by family, lightness, marker and dash by place in the family; a headline label has a look of its own.

    Depends on the names in the run alone, not on what a figure shows.
    """
    looks: dict[str, Style] = {}
    for family in families(study):
        for place, label in enumerate(members := _members(study, family)):
            looks[label] = _style(hue(study, family), place, len(members))
    method = dict(zip(study.frame.label, study.frame.method, strict=True))
    # A ladder of a method at other fixed knobs, not in the headline: the look of the method, finely dotted.
    first = {method[label]: look._replace(dash=(0, (1, 2))) for label, look in reversed(looks.items())}
    plain = Style((0.3, 0.3, 0.3), "o", "-")
    return {label: looks.get(label) or first.get(method[label], plain) for label in method}


def families(study: Study) -> list[str]:
    return sorted({study.family(label) for label in study.labels}, key=family_rank)


def _members(study: Study, family: str) -> list[str]:
    return [label for label in study.labels if study.family(label) == family]


def hue(study: Study, family: str) -> str:
    """The colour of a family, the same in every figure of the study."""
    others = [one for one in families(study) if one not in LEADING]
    place = LEADING.index(family) if family in LEADING else len(LEADING) + (others.index(family) if family in others else 0)
    return HUES[place % len(HUES)]


def _style(base: str, place: int, size: int) -> Style:
    lightness = (LIGHT + DARK) / 2 if size == 1 else LIGHT + (DARK - LIGHT) * place / (size - 1)
    color = sns.set_hls_values(base, l=lightness)
    return Style(color, MARKERS[place % len(MARKERS)], DASHES[place % len(DASHES)])


@contextlib.contextmanager
def theme() -> Iterator[None]:
    """The look of all figures, without touching the caller's settings; the same bytes from the same table."""
    fixed = {"svg.hashsalt": "dargmin", "axes.titlesize": 10, "axes.titleweight": "bold", "legend.fontsize": 8.5}
    fixed |= {"axes.labelsize": 10, "xtick.labelsize": 9, "ytick.labelsize": 9, "figure.titlesize": 12}
    with sns.axes_style("whitegrid", {"grid.color": "0.92", "axes.edgecolor": "0.5"}), mpl.rc_context(fixed):
        yield


def panels(count: int, columns: int, width: float, height: float, **shared: Any) -> tuple[Figure, list[Axes]]:
    """A figure with `count` axes on a grid; the places left over are removed; y is labelled once a line."""
    columns = min(columns, count)
    lines = math.ceil(count / columns)
    figure = Figure(figsize=(width * columns, height * lines), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False, **shared)
    axes = list(grid.flat)
    for empty in axes[count:]:
        empty.remove()
    for axis in axes[:count]:
        axis.tick_params(labelbottom=True)
    return figure, axes[:count]


def handle(label: str, look: Style) -> Line2D:
    return Line2D([], [], color=look.color, marker=look.marker, linestyle=look.dash, markersize=5, lw=1.4, label=label)


def legend(figure: Figure, study: Study, labels: Iterable[str], extra: Sequence[Line2D] = ()) -> None:
    """A line in the colour of each family that has one of the labels, their markers below it; covers no data."""
    looks, shown = styles(study), set(labels)
    handles: list[Line2D] = list(extra)
    for family in families(study):
        members = [label for label in _members(study, family) if label in shown]
        members += sorted(label for label in shown - set(study.labels) if study.family(label) == family)
        if members:
            color = hue(study, family)
            handles.append(Line2D([], [], color=color, lw=2, label=f"$\\bf{{{_bold(family)}}}$"))
            handles += [handle(label, Style(color, looks[label].marker, "none")) for label in members]
    # Constrained layout widens for a legend but does not heighten: the last names would be cut off.
    figure.set_figheight(max(figure.get_figheight(), 0.19 * len(handles) + 0.3))
    figure.legend(handles=handles, loc="outside right upper", frameon=False, handlelength=3.2)


def _bold(text: str) -> str:
    return text.replace(" ", "\\ ").replace("+", "{+}").replace("-", "{-}")
