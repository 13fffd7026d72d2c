"""The experiment on the torch layer: its parts are what they are called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from _exact import relative

from harness.experiments import layer_floor
from methods import to_numpy
from problems import AnalysisL1


def test_the_layer_computes_the_gradient_and_autograd_alone_nothing() -> None:
    problem = AnalysisL1.draw(n=16, operator="random", seed=1)
    assert relative(to_numpy(layer_floor._layer(problem)()), problem.reference().grad) < 1e-12  # rounding
    assert np.array_equal(to_numpy(layer_floor._empty(problem)()), problem.theta)


def test_the_page_has_a_row_an_operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer_floor, "OPERATORS", ("tv",))
    monkeypatch.setattr(layer_floor, "ROUND_S", 1e-4)
    page = layer_floor.reproduce(tmp_path / "floor", quick=True)
    assert "| tv | " in page.read_text()
    assert len((tmp_path / "floor" / "layer-floor.csv").read_text().splitlines()) == 2
    with pytest.raises(ValueError, match="exists already"):
        layer_floor.reproduce(tmp_path / "floor", quick=True)
