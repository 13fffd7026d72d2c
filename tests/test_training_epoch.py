"""reproduce training-epoch: its page and its figures, on a few signals."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from harness.environment import cores
from harness.experiments import training_epoch


def test_every_operator_has_a_line_for_one_thread_and_for_all_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_epoch, "PAIRS", 2000)
    monkeypatch.setattr(training_epoch, "EPOCHS", 2)
    page = training_epoch.reproduce(tmp_path / "epoch", quick=True)
    assert "200 signals, n = 64, in batches of 100" in page.read_text()
    with (tmp_path / "epoch" / "training-epoch.csv").open() as file:
        rows = list(csv.DictReader(file))
    threads = sorted({1, len(cores())})
    assert [(row["operator"], int(row["threads"])) for row in rows] == [
        (operator, count) for operator in ("identity", "tv", "random", "trained") for count in threads
    ]
    assert all(0 < float(row["least"]) <= float(row["median"]) <= float(row["most"]) for row in rows)
    with pytest.raises(ValueError, match="exists already"):
        training_epoch.reproduce(tmp_path / "epoch", quick=True)
