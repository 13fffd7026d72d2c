"""The table of where the time of an exact gradient goes: the floor computes the gradient, and the whole on a small size."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from harness.experiments import speed_floor
from methods._exact import batch, dual, floor
from methods._exact.work import sizes
from problems import AnalysisL1


@pytest.mark.parametrize("operator", ["identity", "tv", "random"])
@pytest.mark.parametrize("several", [False, True])
def test_the_floor_is_a_gradient(operator: str, several: bool) -> None:
    problem = AnalysisL1.draw(n=16, seed=1, operator=operator, beta=0.1, batch=6)
    w, ys = np.array(problem.theta), np.array(problem.y)
    (k, n), count = w.shape, len(ys)
    a, b = sizes(k, n)
    floats, integers, status = np.empty((count, a)), np.empty((count, b), np.int64), np.empty(count, np.int64)
    shared = batch.shared_products(w, count if several else 1)
    batch.minimise_all(w, ys, problem.beta, False, shared, floats, integers, status)
    assert (status != dual.FAILED).all()
    x, z = floats[:, :n].copy(), floats[:, n : n + k].copy()
    free = np.abs(z) < problem.beta
    floats[:, n : n + k][free] = np.nan  # the pattern alone is given away
    floats[:, :n] = np.nan
    grad, total = np.empty((k, n)), np.zeros((k, n))
    for t in range(count):
        g = (x[t] - problem.target[t]) / count
        floor.least_gradient(w, ys[t], g, shared, status[t], floats[t], integers[t], grad)
        total += grad
    np.testing.assert_allclose(floats[:, n : n + k], z, atol=1e-12)  # one unrefined factor of at most 16 rows
    truth = problem.reference().grad
    assert truth is not None
    np.testing.assert_allclose(total, truth, atol=1e-12 * float(np.abs(truth).max()))


def test_the_whole_on_a_small_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed_floor, "CASES", (("tv", 8, 1), ("random", 8, 5)))
    page = speed_floor.reproduce(tmp_path / "table", quick=True)
    with (tmp_path / "table" / "speed-floor.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["operator"], row["signals"]) for row in rows] == [("tv", "1"), ("random", "5")]
    for row in rows:
        parts = sum(float(row[part]) for part in speed_floor.PARTS)
        assert parts == pytest.approx(float(row["call"]))  # they are a partition
        assert 0.0 < float(row["floor_low"]) <= float(row["floor"]) <= float(row["floor_high"])
    assert "random, n = 8, 5 signals: the floor is" in page.read_text()
    with pytest.raises(ValueError, match="exists already; give another --out"):
        speed_floor.reproduce(tmp_path / "table", quick=True)
