"""`dargmin prove`: fresh proofs, a line an operator, and exit code 1 where one stays undecided."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.table import Table

from harness.commands import proving
from problems import OPERATORS
from problems.proofs import pattern_proof, proof_cache


def shown(monkeypatch: pytest.MonkeyPatch, **axes: object) -> tuple[bool, dict[str, list[str]]]:
    """(all decided, the cells of the table by operator)."""
    tables: list[Table] = []
    made = proving._table

    def keep(found: list[proving.Proved]) -> Table:
        tables.append(made(found))
        return tables[0]

    monkeypatch.setattr(proving, "_table", keep)
    decided = proving.run(axes)
    columns = [list(column.cells) for column in tables[0].columns]
    return decided, {line[0]: list(line[1:]) for line in zip(*columns, strict=True)}


def test_every_operator_has_a_line_and_all_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    decided, lines = shown(monkeypatch, n="8", seeds="0:2")
    assert decided
    assert list(lines) == [*OPERATORS, "all"]
    assert lines["all"][:5] == ["24", "24", "0", "0", "0"]


def test_a_line_counts_statuses_and_has_the_median_of_each_size_and_the_longest() -> None:
    times = {8: (3.0, 1.0, 2.0), 16: (4.0, 9.0)}
    found = [proving.Proved("tv", n, "", "proven", "", seconds) for n, all_ in times.items() for seconds in all_]
    found[1] = replace(found[1], status="kink")
    assert proving._cells(found, [8, 16]) == ["5", "4", "0", "1", "0", "2.000", "6.500", "9.000"]


def test_proofs_are_not_taken_from_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof_cache, "certified", lambda problem: pytest.fail("the cache was asked"))
    assert shown(monkeypatch, operators=["tv"], n="8", seeds="0:1")[0]


def test_an_undecided_instance_is_named_and_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(pattern_proof, "attempt", lambda *_: None)
    monkeypatch.setattr(pattern_proof, "_on_the_edge", lambda *_: None)
    decided, lines = shown(monkeypatch, operators=["tv"], n="8", seeds="3")
    assert not decided
    assert lines["tv"][4] == "1"
    assert "undecided: tv n=8 piecewise-constant sigma=0.1 seed=3: no sign pattern" in capsys.readouterr().out
