"""The reproduction of the papers' timing table: its rows, its sentences, and the whole on a small size."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest

from harness.experiments import blorc_table4
from harness.experiments.blorc_table4 import Row, _Answer, _row, _sentences
from methods.blorc.paper import BlorcPaper
from problems import AnalysisL1, Reference


def row(method: str, n: int, **changes: object) -> Row:
    known = {"pairs": 100, "judged": 100, "total_ms": 1.0, "total_low_ms": 0.9, "total_high_ms": 1.1, "without_solve_ms": 0.5}
    known |= {"error_differences": 5e-10, "error_reference": 5e-17, "error_reference_max": 1e-16, "misread": 0}
    known |= {"error_right": 5e-10, "paper_ms": math.nan, "paper_error": math.nan}
    return Row(n=n, method=method, **(known | changes))  # type: ignore[arg-type]


def test_errors_of_misread_patterns_stand_apart() -> None:
    problem = AnalysisL1.draw(n=8, operator="identity", beta=0.5)
    truth = problem.reference()
    assert truth.grad is not None
    references = [truth] * 3 + [Reference("kink", None, problem.y, 0.0)]
    answers = [_Answer(1e-3, 5e-4, truth.grad * factor) for factor in (1.0, 1.1, 1.0, 7.0)]
    found = _row(8, BlorcPaper(), answers, [truth.grad * (1 + 1e-9)] * 4, references)
    assert (found.pairs, found.judged, found.misread) == (4, 3, 1)
    assert found.error_reference_max == pytest.approx(0.1)
    assert found.error_right == pytest.approx(1e-9, rel=1e-5)
    assert found.error_differences == pytest.approx(0.1 / 3, rel=1e-5)


def test_the_sentences_say_on_which_pairs_a_ranking_reproduces() -> None:
    layer = {"error_differences": 1e-4, "error_reference": 1e-4, "misread": 100, "error_right": math.nan}
    rows = [row("blorc-paper", 36), row("blorc-paper", 64, misread=3, error_differences=4e-3, error_reference_max=0.26)]
    rows += [row("closed-form-torch", n) for n in (36, 64)] + [row("cvxpylayers-torch", n, **layer) for n in (36, 64)]
    first, _, second, *_ = _sentences(rows)
    assert first.startswith("- n = 36: the ranking of errors reproduces: there BLORC")
    assert "reproduces on the 97 of 100 pairs whose sign pattern the printed threshold reads right" in second
    assert "On the other 3 BLORC as printed is wrong by up to 3e-01 (mean over all pairs 4e-03)" in second
    rows[0] = row("blorc-paper", 36, error_right=1e-3)
    assert "the ranking of errors does not reproduce" in _sentences(rows)[0]


def test_the_whole_on_a_small_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blorc_table4, "SIZES", (8,))
    page = blorc_table4.reproduce(tmp_path / "table", quick=True)
    with (tmp_path / "table" / "blorc-table4.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [one["method"] for one in rows] == [method.label for method in blorc_table4.METHODS]
    exact = next(one for one in rows if one["method"] == "blorc")
    assert float(exact["error_reference_max"]) < 1e-14  # W = I: rounding alone
    assert float(exact["error_differences"]) < 1e-7  # that of the differences, h = 1e-6
    assert all(np.isfinite(float(one["total_ms"])) for one in rows)
    assert "| 8 | blorc |" in page.read_text()
    with pytest.raises(ValueError, match="exists already; give another --out"):
        blorc_table4.reproduce(tmp_path / "table", quick=True)
