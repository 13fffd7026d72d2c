"""What the suite keeps and can make again, on a small size: the table of default betas, and the trained operator."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness import training
from problems import AnalysisL1
from problems.data import tuning


def test_a_default_beta_denoises_best_or_makes_half_of_the_rows_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "N", 16)
    monkeypatch.setattr(tuning, "COUNT", 4)
    monkeypatch.setattr(tuning, "GRID", np.geomspace(0.1, 20.0, 12))
    monkeypatch.setattr(tuning, "OPERATORS", ("tv", "random-2n"))
    monkeypatch.setattr(tuning, "SIGNALS", {"piecewise-constant": None})
    found = {operator: (c, rule, share) for operator, _, c, rule, share in tuning.table()}
    c, rule, share = found["tv"]
    assert rule == "denoising" and 0.3 <= share <= 0.8
    w, y, target, _ = tuning.draw(16, 0.1, 12345, "tv", "piecewise-constant", 4, beta=1.0)
    errors = [tuning._outcome(w, y, target, 0.1 * one)[0] for one in (c / 4, c, 4 * c)]
    assert min(errors) == errors[1]
    c, rule, share = found["random-2n"]  # 16 of 32 rows at most, or x* = 0
    assert rule == "half" and share == pytest.approx(0.35, abs=0.1)


def test_training_lowers_the_loss_and_keeps_the_operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"N": 16, "PAIRS": 40, "BATCH": 10, "EPOCHS": 6, "RATE": 1e-2, "FILE": tmp_path / "trained.npy"}.items():
        monkeypatch.setattr(training, name, value)
    said: list[str] = []
    assert training.train(said.append) == tmp_path / "trained.npy"
    losses = [float(line.rsplit(" ", 1)[1]) for line in said]
    assert [line.split(":")[0] for line in said] == [f"epoch {i}" for i in range(1, 7)]
    assert losses[-1] < 0.9 * losses[0]
    w = np.load(tmp_path / "trained.npy")
    assert w.shape == (16, 16) and 0.01 < np.abs(w - np.eye(16)).max() < 0.5


def test_a_step_of_the_training_is_along_the_proven_gradient() -> None:
    problem = AnalysisL1.draw(n=16, operator="random", batch=3, seed=1, beta=training.BETA)
    value, grad = training._gradient(problem.theta, problem.y, problem.target)
    truth = problem.reference()
    assert value == pytest.approx(truth.value, rel=1e-12)
    np.testing.assert_allclose(grad, truth.grad, atol=1e-12 * np.abs(truth.grad).max())
