"""Every gate of the comparison is triggered once by the change it is for, and by nothing in an identical pair."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from pathlib import Path

import _runs
import pytest
from rich.console import Console

from reports import compare
from results import Measured, Planned, Run


@pytest.fixture
def base(tmp_path: Path) -> Run:
    return _runs.build(tmp_path / "base", pairs=_runs.small())


def head(base: Run, edit: _runs.Edit | None = None, pairs: list[tuple[_runs.Kind, Planned]] | None = None) -> Run:
    return _runs.build(base.path.parent / "head", edit, pairs or _runs.small(), version="2")


def slower(factor: float, only: str = "blorc") -> _runs.Edit:
    def edit(cell: Planned, result: Measured) -> Measured:
        if cell.label != only or cell.measure != "time":
            return result
        return replace(result, total_s=factor * result.total_s, samples_s=[factor * s for s in result.samples_s])

    return edit


def printed(found: object) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(found)
    return console.export_text()


def test_an_identical_pair_passes_though_its_keys_differ(base: Run) -> None:
    other = head(base)
    assert not set(base.cells) & set(other.cells)
    found = compare(base, other)
    assert found.regressions == []
    assert found.ok
    assert len(found.changes.rows) == 2


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"status": "crash", "reason": "signal 11"}, "blorc: status ok -> crash (signal 11) in 5 cells"),
        ({"status": "inaccurate"}, "blorc: status ok -> inaccurate"),
        ({"verified": False}, "blorc: verified cells 5 -> 0"),
        ({"error_rel": 2e-12}, "blorc: error_rel grew from"),
        ({"iterations": 41.0}, "blorc: iterations grew from 40 to 41 in 5 cells"),
        ({"allocated_bytes": 8.0 * 256**2 * 1.2}, "blorc: allocated_bytes grew from 5.243e+05 to 6.291e+05"),
        ({"error_rel": math.nan}, "blorc: error_rel no longer measured in 5 cells"),
        ({"total_s": math.nan}, "blorc: total_s no longer measured in 4 cells"),
    ],
)  # fmt: skip
def test_each_gate(base: Run, changes: dict[str, object], line: str) -> None:
    found = compare(base, head(base, _runs.edited(**changes)))
    assert not found.ok
    assert any(line in regression for regression in found.regressions), found.regressions
    assert all(regression.startswith("blorc:") and "\n" not in regression for regression in found.regressions)


@pytest.mark.parametrize(
    "changes",
    [
        {"error_rel": 9e-13},  # a hundred times more, but round-off
        {"iterations": 39.0},
        {"allocated_bytes": 8.0 * 256**2 * 1.05},
        {"error_rel": 1e-16, "verified": True},
    ],
)
def test_what_is_within_the_limits_passes(base: Run, changes: dict[str, object]) -> None:
    assert compare(base, head(base, _runs.edited(**changes))).regressions == []


def test_error_gate_needs_more_than_ten_times(base: Run) -> None:
    def grown(factor: float) -> _runs.Edit:
        return lambda cell, result: replace(result, error_rel=factor * result.error_rel)

    assert compare(base, head(base, grown(9.0))).ok
    again = _runs.build(base.path.parent / "worse", grown(11.0), _runs.small())
    assert ["cvxpylayers-torch: error_rel grew" in line for line in compare(base, again).regressions] == [True]


def test_absolute_error_is_gated_where_the_relative_one_is_undefined(tmp_path: Path) -> None:
    pairs = [(kind, replace(cell, operator="random", seed=2)) for kind, cell in _runs.small(("blorc",))[:1]]
    runs = [
        _runs.build(tmp_path / str(error), lambda cell, result, error=error: replace(result, error_abs=error), pairs)
        for error in (1e-13, 1e-3)
    ]
    assert any("error_abs grew" in line for line in compare(*runs).regressions)


def test_a_cell_missing_in_head_is_a_regression(base: Run) -> None:
    found = compare(base, head(base, pairs=_runs.small()[:-1]))
    assert len(found.regressions) == 1
    assert found.regressions[0].startswith("cvxpylayers-torch: 1 cell of base missing in head, first measure=memory")


def test_another_beta_is_another_cell(base: Run) -> None:
    pairs = [(kind, replace(cell, beta=2 * cell.beta)) for kind, cell in _runs.small()]
    lines = compare(base, head(base, pairs=pairs)).regressions
    assert sum("missing in head" in line for line in lines) == 2


def test_an_interrupted_head_is_a_regression(base: Run) -> None:
    found = compare(base, head(base, lambda cell, result: None))
    assert any("nothing was measured in common" in line for line in found.regressions)
    assert any("blorc: status ok -> interrupted" in line for line in found.regressions)


def test_two_empty_runs_are_red(tmp_path: Path) -> None:
    runs = [_runs.build(tmp_path / name, pairs=[]) for name in ("base", "head")]
    assert compare(*runs).regressions == ["nothing was measured in common: no cell has a result in both runs"]


def test_time_is_gated_on_the_whole_interval(base: Run) -> None:
    found = compare(base, head(base, slower(2.0)))
    assert len(found.regressions) == 1
    assert found.regressions[0].startswith("blorc: time ratio 2 [")
    assert compare(base, Run.open(base.path.parent / "head"), time_ratio=2.5).ok


def test_a_ratio_that_straddles_the_limit_passes(base: Run) -> None:
    assert compare(base, head(base, slower(1.5))).ok


def test_the_table_names_every_label_the_canary_and_the_verdict(base: Run) -> None:
    shown = printed(compare(base, head(base, slower(3.0))).table())
    assert "blorc" in shown and "cvxpylayers-torch" in shown
    assert "canary, median (shown, not divided out): 1" in shown
    assert "base -> head: 1 regression" in shown


def test_another_processor_is_told(base: Run, tmp_path: Path) -> None:
    other = _runs.build(tmp_path / "other", pairs=_runs.small())
    path = other.path / "environment.json"
    path.write_text(path.read_text().replace("Synthetic CPU", "Another CPU"))
    assert "environments differ in processor" in printed(compare(base, Run.open(other.path)).table())
    assert "environments differ" not in printed(compare(base, base).table())


def test_a_ratio_limit_must_be_positive(base: Run) -> None:
    with pytest.raises(ValueError, match="time_ratio must be positive, got 0"):
        compare(base, base, time_ratio=0)
