"""The README's examples, run as printed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from methods import METHODS
from problems import AnalysisL1
from problems.base import Array
from results import Run

README = (Path(__file__).parent.parent / "README.md").read_text()


def _block(containing: str) -> str:
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (found,) = (block for block in blocks if containing in block)
    return found


def test_the_method_of_the_readme_stands_in_the_report(tmp_path: Path) -> None:
    (tmp_path / "my_method.py").write_text(_block("class ForwardDifferences"))
    (command,) = re.findall(r"dargmin (run .*my_method\.py:ForwardDifferences.*)", README)
    arguments = [str(Path(sys.executable).with_name("dargmin")), *command.split(), "--budget", "0.1", "--out", "run"]
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    frame = Run.open(tmp_path / "run").frame()
    mine = frame[frame["label"] == "forward-differences"]
    assert list(mine["status"]) == ["ok", "ok"]
    assert (mine["error_rel"] < 1e-3).all()  # h = 1e-6 times second derivatives of order 1e2, plus 1e-16 / h
    assert "forward-differences" in (tmp_path / "run" / "report" / "index.html").read_text()
    assert "forward-differences" in (tmp_path / "run" / "report" / "report.md").read_text()


def test_the_problem_of_the_readme_is_differentiated(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("readme")
    monkeypatch.setitem(sys.modules, "readme", module)  # dataclasses look their module up
    exec(_block("class Ridge"), module.__dict__)
    rng = np.random.default_rng(0)
    a = rng.standard_normal((8, 4))
    problem = module.Ridge(np.asarray(0.5), a, rng.standard_normal(8), rng.standard_normal(4))
    assert module.ENSEMBLE.small_instance("weight").reference().grad.shape == ()
    differences = next(method for method in METHODS if method.name == "fd-entrywise")
    grad = differences.prepare(problem)(problem.theta).grad
    np.testing.assert_allclose(
        grad, problem.reference().grad, atol=1e-8
    )  # h^2 = 1e-12, and round-off 1e-16 / h times L, which is of order 1
    refusals = [method.unsupported(problem) for method in METHODS if "differences" not in method.family]
    assert all(refusals)


def _pairs(count: int) -> list[tuple[Array, Array]]:
    """Noisy and clean steps, (20, 64) in float32: what the identity as W denoises badly."""
    rng = np.random.default_rng(0)
    clean = [np.repeat(rng.standard_normal((20, 8)), 8, axis=1) for _ in range(count)]
    return [((x + 0.1 * rng.standard_normal(x.shape)).astype(np.float32), x.astype(np.float32)) for x in clean]


def _error(w: Array, pairs: list[tuple[Array, Array]]) -> float:
    """The mean squared error of x*(W, noisy), by the solver of the problems."""
    solutions = [AnalysisL1(w, noisy, clean, 0.1).solve(w) for noisy, clean in pairs]
    return float(np.mean([((x - clean) ** 2).mean() for x, (_, clean) in zip(solutions, pairs, strict=True)]))


def test_the_torch_layer_of_the_readme_learns() -> None:
    names = {"batches": [tuple(map(torch.from_numpy, pair)) for pair in _pairs(12)]}
    exec(_block("AnalysisL1Layer"), names)
    w = names["W"].detach().double().numpy()
    assert _error(w, _pairs(2)) < 0.9 * _error(np.eye(64), _pairs(2))


def test_the_jax_layer_of_the_readme_learns() -> None:
    names: dict[str, Any] = {}
    exec(_block("analysis_l1"), names)
    w = np.eye(64, dtype=np.float32)
    for noisy, clean in _pairs(12):
        w = names["step"](w, noisy, clean)
    w = np.asarray(w, np.float64)
    assert _error(w, _pairs(2)) < 0.95 * _error(np.eye(64), _pairs(2))


def test_every_make_target_of_the_readme_exists() -> None:
    makefile = (Path(__file__).parent.parent / "Makefile").read_text()
    targets = set(re.findall(r"make ([a-z-]+)", README))
    assert {"bench", "test", "pytest-benchmark"} <= targets
    assert all(f"\n{target}:" in makefile for target in targets)
