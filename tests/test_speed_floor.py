"""The table of where the time of an exact gradient goes: the floor computes the gradient, and the whole on a small size."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from harness.experiments import speed_floor
from methods._exact import dual, floor
from methods._exact.batch import Team, Tiled, shared_products
from methods._exact.singles import Signals
from methods._exact.work import sizes
from problems import AnalysisL1


@pytest.mark.parametrize("operator", ["identity", "tv", "random"])
def test_the_floor_of_one_signal_is_a_gradient(operator: str) -> None:
    problem = AnalysisL1.draw(n=16, seed=1, operator=operator, beta=0.1)
    ws, y = np.array(problem.theta)[None], np.array(problem.y)
    k, n = ws.shape[1:]
    a, b = sizes(k, n)
    floats, integers, status = np.empty((1, a)), np.empty((1, b), np.int64), np.empty(1, np.int64)
    floor.minimise_each(ws, y, problem.beta, floats, integers, status)
    assert (status != dual.FAILED).all()
    x, z = floats[0, :n].copy(), floats[0, n : n + k].copy()
    floats[0, n : n + k][np.abs(z) < problem.beta] = np.nan  # the pattern alone is given away
    floats[0, :n] = np.nan
    grad = np.empty((k, n))
    floor.least_gradient(ws[0], y, x - problem.target, status[0], floats[0], integers[0], grad)
    np.testing.assert_allclose(floats[0, n : n + k], z, atol=1e-12)  # one unrefined factor of at most 16 rows
    truth = problem.reference().grad
    assert truth is not None
    np.testing.assert_allclose(grad, truth, atol=1e-12 * float(np.abs(truth).max()))


@pytest.mark.parametrize(("operator", "beta"), [("identity", 0.1), ("tv", 0.1), ("random", 0.1), ("random", 1.0)])
def test_the_floor_of_a_batch_is_a_gradient(operator: str, beta: float) -> None:
    problem = AnalysisL1.draw(n=16, seed=1, operator=operator, beta=beta, batch=20)
    w, y = np.array(problem.theta), np.array(problem.y)
    shared = shared_products(w, len(y))
    assert shared is not None
    found = Tiled(Signals(y, beta), shared, None, Team(len(y), 1))
    kept = np.setdiff1d(np.arange(20), found.left_open)
    assert len(kept) >= 19
    (x, v), (z, h) = np.full((2, 20, 16), np.nan), np.full((2, 20, len(w)), np.nan)
    found.tiles.u[:] = np.nan  # the pattern alone is given away
    floor.tile_factors(shared, found.tiles)
    assert floor.tile_checks(shared, y, found.z, beta, found.tiles) == (len(kept) == 20)
    found.tiles.u[:] = np.nan
    g = found.x - problem.target
    floor.tile_least(shared, y, y @ w.T, g, beta, found.tiles, x, z, h, v)
    for mine, other in zip((x, z, h, v), (found.x, found.z, *found.adjoint(g)), strict=True):
        np.testing.assert_allclose(mine[kept], other[kept], atol=1e-12)


def test_the_whole_on_a_small_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed_floor, "CASES", (("tv", 8, 1), ("random", 8, 18)))
    page = speed_floor.reproduce(tmp_path / "table", quick=True)
    with (tmp_path / "table" / "speed-floor.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["operator"], row["signals"]) for row in rows] == [("tv", "1"), ("random", "18")]
    for row in rows:
        parts = sum(float(row[part]) for part in speed_floor.PARTS)
        assert parts == pytest.approx(float(row["call"]))  # they are a partition
        assert 0.0 < float(row["floor_low"]) <= float(row["floor"]) <= float(row["floor_high"])
    assert "random, n = 8, 18 signals: the floor is" in page.read_text()
    one, batch = ({name: float(row[name]) for name in (*speed_floor.STARTS, "warm_share", "given_share")} for row in rows)
    assert all(np.isnan(value) for value in one.values())  # not measured
    assert all(value > 0 for value in batch.values())
    assert f"| random | 8 | 18 | {batch['cold']:.3g} | {batch['warm']:.3g} | {batch['given']:.3g} |" in page.read_text()
    with pytest.raises(ValueError, match="exists already; give another --out"):
        speed_floor.reproduce(tmp_path / "table", quick=True)
