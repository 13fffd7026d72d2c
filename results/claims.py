"""A claim of a paper as data: curves of a quantity over another, with what is said of their slopes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

FITS = ("power", "geometric", "")


@dataclass(frozen=True)
class Curve:
    """One line of one panel. `fit` is the range of x over which its slope is fitted, None: not fitted; `expected`: in words."""

    panel: str
    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    fit: tuple[float, float] | None = None
    expected: str = ""

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y):
            raise ValueError(f"curve {self.label!r} must have as many y as x, got {len(self.y)} and {len(self.x)}")


@dataclass(frozen=True)
class Mark:
    """A vertical line of a panel, such as the iteration at which a pattern settles."""

    panel: str
    x: float
    label: str


@dataclass(frozen=True)
class Claim:
    """What is claimed, by whom, and what was measured.

    fit: "power" (y ~ x^p, both axes logarithmic), "geometric" (y ~ q^x, y logarithmic) or "" (both logarithmic, no slopes).
    """

    name: str
    title: str
    statement: str
    source: str
    x_label: str
    y_label: str
    curves: tuple[Curve, ...]
    fit: str = "power"
    marks: tuple[Mark, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.fit not in FITS:
            raise ValueError(f"fit must be one of {', '.join(map(repr, FITS))}, got {self.fit!r}")

    def write(self, folder: Path) -> Path:
        """claim.json in a new folder; FileExistsError where there is one."""
        folder.mkdir(parents=True)
        path = folder / "claim.json"
        path.write_text(json.dumps(asdict(self), indent=1))
        return path

    @classmethod
    def read(cls, folder: Path) -> Claim:
        """What `write` wrote."""
        stored = json.loads((folder / "claim.json").read_text())
        curves = tuple(
            Curve(**{**one, "x": tuple(one["x"]), "y": tuple(one["y"]), "fit": tuple(one["fit"]) if one["fit"] else None})
            for one in stored["curves"]
        )
        marks = tuple(Mark(**one) for one in stored["marks"])
        return cls(**{**stored, "curves": curves, "marks": marks, "notes": tuple(stored["notes"])})
