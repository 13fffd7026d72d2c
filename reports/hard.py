"""What each method returns where it is hard: the table of `dargmin check --all`, from checks.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reports import text
from reports.text import Cell, Table
from results import Run

TITLE = "What each method returns where it is hard"
WIDTH = 11  # methods a table
_ORDER = {"right": 0.0, "refused": 1.0, "biased": 1.5, "flagged": 2.0, "silent": 3.0}
NOTE = (
    "gradient, zero: the relative (zero: absolute) error; right: within the method's own promise, or within 1e-2 where it "
    "promises nothing. kink: no gradient exists, and right is who says so; |g|, the norm of what was returned, stands in "
    "bars. flagged: wrong, but the method raised, set a note or reported that it did not converge; silent: wrong without a "
    "word; biased: the same of a method that promises nothing and is off by design; refused: it does not take the instance. "
    "*: a known fault of a library, listed below. !: the check failed."
)


def sections(runs: Sequence[Run]) -> list[tuple[Table, ...]]:
    """The tables of every run that has been checked."""
    return [tables(checks) for run in runs if (checks := run.checks) is not None]


def tables(checks: Mapping[str, Any]) -> tuple[Table, ...]:
    return *(outcomes(checks, labels) for labels in _parts(checks)), reasons(checks), faults(checks)


def _parts(checks: Mapping[str, Any]) -> list[list[str]]:
    """The methods, a table's width at a time."""
    return [checks["methods"][start : start + WIDTH] for start in range(0, len(checks["methods"]), WIDTH)]


def outcomes(checks: Mapping[str, Any], labels: Sequence[str]) -> Table:
    """Traps by methods."""
    lines = [[row["trap"], row["expectation"], *(_cell(row["cells"][label]) for label in labels)] for row in checks["rows"]]
    return text.table("Traps", ("trap", "right answer", *labels), lines, f"{NOTE} {_versions(checks)}")


def _cell(cell: Mapping[str, Any]) -> Cell:
    figure, norm = cell["figure"], cell["norm"]
    shown = cell["outcome"] if figure is None else f"{cell['outcome']} {figure:.0e}"
    shown += "" if norm is None else f" |{norm:.2g}|"
    mark = ("*" if cell["fault"] else "") + ("" if cell["passed"] else "!")
    return Cell(shown + mark, _ORDER[cell["outcome"]] + min(figure or 0.0, 1.0) / 2)


def reasons(checks: Mapping[str, Any]) -> Table:
    """What is right on each trap, and why."""
    lines = [[row["trap"], row["expectation"], row["why"]] for row in checks["rows"]]
    return text.table("What the right answer is", ("trap", "right answer", "why"), lines)


def faults(checks: Mapping[str, Any]) -> Table:
    """The known faults, with the checks that show them; their scripts stand in harness/checks/known_faults.py."""
    lines = [
        [
            fault["reference"],
            f"{fault['library']} {fault['version']}",
            fault["what"],
            ", ".join(fault["methods"]) or text.ABSENT,
        ]
        for fault in checks["known_faults"]
    ]
    note = "Each has a script of a few lines, none of it ours, in harness/checks/known_faults.py; a fault that goes away fails."
    return text.table("Known faults of libraries", ("fault", "version", "what", "seen in"), lines, note)


def plain(checks: Mapping[str, Any]) -> str:
    """The tables of outcomes in columns, a number for each method, so that they fit a terminal."""
    return "\n\n".join(
        [TITLE, *(_columns(outcomes(checks, labels), labels) for labels in _parts(checks)), f"{NOTE} {_versions(checks)}"]
    )


def _columns(table: Table, labels: Sequence[str]) -> str:
    names = [*table.columns[:2], *(f"({number})" for number in range(1, len(labels) + 1))]
    lines = [names, *([cell.text for cell in row] for row in table.rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(names))]
    body = ["  ".join(value.ljust(width) for value, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    legend = [f"({number}) {label}" for number, label in enumerate(labels, 1)]
    return "\n".join([*body, "", *legend])


def _versions(checks: Mapping[str, Any]) -> str:
    shown = (
        *("numpy", "torch", "jax", "cvxpy", "cvxpylayers", "diffcp", "scs", "clarabel", "moreau", "daqp"),
        *("optimistix", "jaxopt", "qpax", "proxsuite", "osqp", "torchopt"),
    )
    return "Versions: " + ", ".join(f"{name} {checks['versions'].get(name, 'absent')}" for name in shown) + "."
