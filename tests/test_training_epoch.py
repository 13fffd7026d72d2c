"""reproduce training-epoch: its page, its figures from epochs of known length, and one epoch for real."""

from __future__ import annotations

import csv
from itertools import count, pairwise, product
from pathlib import Path

import numpy as np
import pytest
from _exact import relative

from harness.experiments import training_epoch
from problems import AnalysisL1

SECONDS = (100.0, 5.0, 2.0, 4.0, 3.0)  # of the first epochs, which compile, and of the four that count


def test_every_operator_has_a_line_for_one_thread_and_for_all_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: dict[tuple[bytes, int], count[int]] = {}

    def known(drawn: AnalysisL1, threads: int) -> tuple[float, int]:
        place = next(calls.setdefault((drawn.theta.tobytes(), threads), count()))
        return threads * SECONDS[place], place

    monkeypatch.setattr(training_epoch, "cores", lambda: [0, 1, 2])
    monkeypatch.setattr(training_epoch, "PAIRS", 100)
    monkeypatch.setattr(training_epoch, "EPOCHS", len(SECONDS) - 1)
    monkeypatch.setattr(training_epoch, "_epoch", known)
    page = training_epoch.reproduce(tmp_path / "epoch", quick=True)
    assert "10 signals, n = 64, in batches of 100" in page.read_text()
    with (tmp_path / "epoch" / "training-epoch.csv").open() as file:
        rows = list(csv.DictReader(file))
    expected = product(("identity", "tv", "random", "trained"), (1, 3))
    assert [(row["operator"], int(row["threads"])) for row in rows] == list(expected)
    for row in rows:
        found = [float(row[name]) / int(row["threads"]) for name in ("median", "least", "most")]
        assert found == [3.5, 2.0, 5.0] and row["noted"] == "4"
    assert "| tv | 3 | 10.500 [6.000, 15.000] | 4 |" in page.read_text()
    with pytest.raises(ValueError, match="exists already"):
        training_epoch.reproduce(tmp_path / "epoch", quick=True)


def test_an_epoch_meets_every_signal_once_and_steps_along_each_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    met: list[AnalysisL1] = []

    def kept(*parts: object) -> AnalysisL1:
        met.append(AnalysisL1(*parts))  # type: ignore[arg-type]
        return met[-1]

    drawn = AnalysisL1.draw(n=16, seed=1, operator="random", batch=5)
    monkeypatch.setattr(training_epoch, "BATCH", 2)
    monkeypatch.setattr(training_epoch, "AnalysisL1", kept)
    seconds, noted = training_epoch._epoch(drawn, 1)
    assert seconds > 0 and noted == 0
    assert np.array_equal(np.concatenate([batch.y for batch in met]), drawn.y)
    assert np.array_equal(np.concatenate([batch.target for batch in met]), drawn.target)
    assert np.array_equal(met[0].theta, drawn.theta)
    for batch, after in pairwise(met):
        step = (batch.theta - after.theta) / training_epoch.RATE
        assert relative(step, batch.reference().grad) < 1e-10  # rounding of W over the rate of 1e-2
