"""The page: gathers tables, figures and findings of the runs into index.html and report.md."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from reports import costs, failures, hard, large, laws, operators, speed, tables
from reports.figures import Drawn, draw_all
from reports.findings import findings, summary
from reports.select import Study, load
from reports.text import Table
from results import STATUSES, Run


@dataclass(frozen=True)
class Section:
    """A chapter of the page; `name` is the place its figures ask for."""

    name: str
    title: str
    text: str = ""
    tables: tuple[Table, ...] = ()
    figures: tuple[Drawn, ...] = field(default=())


def write(runs: Sequence[Run], folder: Path) -> Path:
    """Write index.html, report.md and figures/ into the folder; the path of index.html."""
    if not runs:
        raise ValueError("a report needs at least one run, got none; give a run folder")
    study = load(runs)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        drawn = tuple(draw_all(study, folder / "figures"))
        return _pages(study, drawn, runs, folder)
    except OSError as error:
        raise ValueError(f"cannot write the report to {folder}: {error.strerror}; give another --out") from error


def _pages(study: Study, drawn: Sequence[Drawn], runs: Sequence[Run], folder: Path) -> Path:
    content = {
        "title": f"dargmin: {', '.join(run.name for run in runs)}",
        "summary": summary(study),
        "findings": findings(study),
        "facts": [(run.name, facts(run.environment)) for run in runs],
        "sections": sections(study, drawn, runs),
        "reading": reading(),
        "infinity": math.inf,
        "runs": [(run.name, _json(run.settings), _json(run.environment)) for run in runs],
    }
    _render("page.md", content, folder / "report.md")
    return _render("page.html", content | bundle(), folder / "index.html")


def sections(study: Study, drawn: Sequence[Drawn], runs: Sequence[Run] = ()) -> list[Section]:
    """The chapters in order, each with its tables and figures."""
    chapters = (
        Section("headline", "Headline", "", (tables.headline(study),)),
        *((Section("operators", "By problem and operator", "", found),) if (found := operators.by_operator(study)) else ()),
        Section("front", "Work and precision", "", (tables.reach(study),)),
        Section("scaling", "Cost laws", "", laws.tables(study)),
        Section("level", "Noise level"),
        Section("grid", "n and sigma"),
        Section("profile", "Performance profiles"),
        Section("ratios", "Ratios", "", (tables.ratios(study),)),
        *(Section("speed", speed.TITLE, "", found) for found in speed.sections(study)),
        *(Section("large", large.TITLE, "", found) for found in large.sections(study)),
        *(Section("hard", hard.TITLE, "", found) for found in hard.sections(runs)),
        Section("failures", "Failures", "", (failures.statuses(study), failures.reasons(study), failures.unjudged(study))),
        Section("noise", "Noise of the machine", "", (failures.noise(study),)),
        *(Section("cost", costs.TITLE, "", found) for found in costs.sections(study, runs)),
        Section("methods", "Methods", "", (failures.catalogue(study),)),
    )
    return [
        Section(one.name, one.title, one.text, one.tables, tuple(fig for fig in drawn if fig.section == one.name))
        for one in chapters
    ]


def facts(environment: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The environment in short lines: what is nested (the versions) stands on one."""
    return [(key, _line(value)) for key, value in environment.items()]


def _line(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_line(inner)}" for key, inner in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def reading() -> list[str]:
    """The sentences of reading.md, one a line of it."""
    lines = (Path(__file__).parent / "reading.md").read_text(encoding="utf-8").splitlines()
    return [line.removeprefix("- ").replace("{{ statuses }}", ", ".join(STATUSES)) for line in lines if line]


def bundle() -> dict[str, str]:
    """DataTables as itables ships it: the page sorts and filters its tables without a network."""
    import itables.options

    script = Path(itables.options.dt_bundle)
    return {
        "datatables_css": script.with_suffix(".css").read_text(encoding="utf-8"),
        "datatables_js": base64.b64encode(script.read_bytes()).decode(),
    }


def _render(template: str, content: Mapping[str, Any], path: Path) -> Path:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=template.endswith("html"), undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    path.write_text(environment.get_template(template).render(content), encoding="utf-8")
    return path


def _json(content: Any) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False)
