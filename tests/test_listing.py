"""`dargmin list`: every pair of a method and a problem is marked and explained, in any width."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from rich.console import Console

from harness import listing
from methods import METHODS, YARDSTICKS
from problems import AnalysisL1

COUNT = 30  # more instances than a terminal has columns for


def printed(monkeypatch: pytest.MonkeyPatch, width: int) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    monkeypatch.setattr(listing, "Console", lambda: console)
    listing.show(())
    return console.export_text()


@pytest.mark.parametrize("width", [80, 120])
def test_many_problems_stand_in_blocks_and_no_pair_is_unexplained(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    thetas = ("dense", "row-weights")
    drawn: list[tuple[str, Any]] = [(f"problem {i}", AnalysisL1.draw(n=8, theta=thetas[i % 2])) for i in range(COUNT)]
    monkeypatch.setattr(listing, "instances", lambda: iter(drawn))
    text = printed(monkeypatch, width)
    assert max(map(len, text.splitlines())) <= width
    for method in METHODS + YARDSTICKS:
        lines = re.findall(rf"^  {re.escape(method.label)} +((?:y|\d+)(?: +(?:y|\d+))*) *$", text, re.MULTILINE)
        marks = [mark for line in lines for mark in line.split()]
        assert len(marks) == COUNT, method.label
        for (_, problem), mark in zip(drawn, marks, strict=True):
            reason = method.unsupported(problem)
            assert (mark == "y") == (reason is None)
            assert reason is None or f"({mark}) {reason}" in text
    assert all(f"problem {i}" in text for i in range(COUNT))
    assert re.search(r"^ ad  problem 29", text, re.MULTILINE)


def test_every_problem_is_listed_and_one_with_several_kinds_of_theta_for_each() -> None:
    names = [name for name, _ in listing.instances()]
    assert [name for name in names if "AnalysisL1" in name or "analysis" in name.lower()]
    assert len(names) == len(set(names)) >= 3


def test_letters_go_on_after_z() -> None:
    assert [listing._letters(place) for place in (0, 25, 26, 51, 52)] == ["a", "z", "aa", "az", "ba"]
