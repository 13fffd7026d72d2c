"""The figures of a report, in order, and their files."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from reports import fronts, sweeps
from reports.select import Study
from reports.style import theme

CHAPTERS = ("front", "scaling", "level", "grid", "profile")  # of the page, that have figures


@dataclass(frozen=True)
class Drawing:
    """A figure of the page; `draw` returns the reason where the data for it are missing ("": not worth a word)."""

    name: str
    section: str
    title: str
    caption: str
    draw: Callable[[Study], Figure | str]
    folded: bool = False  # a click away: what shows every method by itself

    def __post_init__(self) -> None:
        if self.section not in CHAPTERS:
            raise ValueError(f"the section of figure {self.name!r} must be one of {', '.join(CHAPTERS)}, got {self.section!r}")


@dataclass(frozen=True)
class Drawn:
    """A figure on disk, or why it is not there."""

    section: str
    title: str
    caption: str
    png: str = ""  # relative to the folder of the report
    svg: str = ""  # as a data URI, for a page that loads nothing
    missing: str = ""
    folded: bool = False


FRONT = (
    "Each curve is a family: the best that any setting of any of its members does, the marker says which member. Medians "
    "over seeds. Errors below the radius of the reference, or below 1e-16, stand at that floor. The grey band is the Pareto "
    "front: no other setting is both faster and more accurate. Lower left is better. Methods and settings that returned no "
    "judged answer are absent here and listed under Failures."
)
MEMBERS = (
    "Each curve is one method over its knob; a lone marker is a method without a knob, one whose knob was not swept here, "
    "or the default of a library that does not tell its value. Grey: the methods of the other families, and the Pareto front."
)
SWEEP = (
    "Medians over operators and seeds, shade: their whole range. Grey: the methods of the other families. A curve that "
    "ends early belongs to a method that failed beyond."
)
HEAT = "Medians over operators and seeds. Hatched: planned, but not answered or not judged."
PROFILE = (
    "Share of blocks on which a family (a click away: a method) at the settings of the headline reached the error within tau "
    "times the time of the fastest method that did; a family is as good as its best member on that block. Failures, refusals "
    "and larger errors count as infinitely slow, so a curve need not reach 1; one at 0 never got there. Ranks behind the "
    "first depend on who else is in the comparison."
)

DRAWINGS = (
    Drawing("work-precision", "front", "Work-precision diagram", FRONT, fronts.overview),
    Drawing("work-precision-family", "front", "Work-precision by family, first instance", MEMBERS, fronts.by_family),
    Drawing(
        "memory-precision", "front", "Memory-precision diagram", FRONT, partial(fronts.overview, column="peak_bytes")
    ),
    Drawing("time-n", "scaling", "Time over n", SWEEP, partial(sweeps.over, axis="n", column="seconds")),
    Drawing("error-n", "scaling", "Error over n", SWEEP, partial(sweeps.over, axis="n", column="error")),
    Drawing(
        "memory-n", "scaling", "Memory over n", SWEEP + " Peaks below the floor of the meter are left out.",
        partial(sweeps.over, axis="n", column="peak_bytes"),
    ),
    Drawing("error-sigma", "level", "Error over sigma", SWEEP, partial(sweeps.over, axis="sigma", column="error")),
    Drawing("time-sigma", "level", "Time over sigma", SWEEP, partial(sweeps.over, axis="sigma", column="seconds")),
    Drawing("grid-time", "grid", "Time over n and sigma", HEAT, partial(sweeps.heat, column="seconds"), True),
    Drawing("grid-error", "grid", "Error over n and sigma", HEAT, partial(sweeps.heat, column="error"), True),
    Drawing("profile", "profile", "Time to reach an error, relative to the best", PROFILE, fronts.profiles),
    Drawing("profile-family", "profile", "The same by family", "", fronts.member_profiles, folded=True),
)  # fmt: skip


def draw_all(study: Study, folder: Path) -> Iterator[Drawn]:
    """Draw and save every figure that has data; the others come back with the reason."""
    folder.mkdir(parents=True, exist_ok=True)
    for drawing in DRAWINGS:
        with theme():
            made = drawing.draw(study)
            if isinstance(made, str):
                yield Drawn(drawing.section, drawing.title, drawing.caption, missing=made)
            else:
                yield _saved(drawing, made, folder)


def _saved(drawing: Drawing, figure: Figure, folder: Path) -> Drawn:
    png, svg = folder / f"{drawing.name}.png", folder / f"{drawing.name}.svg"
    # Dates and version strings out: the same table gives the same bytes.
    figure.savefig(png, dpi=130, metadata={"Software": None})
    figure.set_layout_engine("none")  # laid out by now; once more would double the time
    figure.savefig(svg, metadata={"Date": None, "Creator": None})
    uri = "data:image/svg+xml;base64," + base64.b64encode(svg.read_bytes()).decode()
    return Drawn(drawing.section, drawing.title, drawing.caption, f"{folder.name}/{png.name}", uri, folded=drawing.folded)
