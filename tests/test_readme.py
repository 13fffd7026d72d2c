"""The README's examples, run as printed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from problems import AnalysisL1
from problems.base import Array
from results import Run

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


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
    assert "report: run/report/index.html" in done.stdout
    frame = Run.open(tmp_path / "run").frame()
    mine = frame[frame["label"] == "forward-differences"]
    assert list(mine["status"]) == ["ok", "ok"]
    assert (mine["error_rel"] < 1e-3).all()  # h = 1e-6 times second derivatives of order 1e2, plus 1e-16 / h
    assert "forward-differences" in (tmp_path / "run" / "report" / "index.html").read_text()
    assert "forward-differences" in (tmp_path / "run" / "report" / "report.md").read_text()


@pytest.fixture(scope="module")
def with_ridge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of problems/, into which the problem of the README is put as it says."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "problems", folder / "problems", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "problems" / "my_ridge.py").write_text(_block("class Ridge"))
    init = folder / "problems" / "__init__.py"
    joined = init.read_text().replace("    mri,\n", "    mri,\n    my_ridge,\n")
    init.write_text(joined.replace("    mri.ENSEMBLE,\n", "    mri.ENSEMBLE,\n    my_ridge.ENSEMBLE,\n"))
    assert init.read_text().count("my_ridge") == 2
    return folder


def _with(folder: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=280, check=False)


def test_the_problem_of_the_readme_is_run_as_it_says(with_ridge: Path) -> None:
    (command,) = re.findall(r"dargmin (run --problem my-ridge .*)", README)
    dargmin = str(Path(sys.executable).with_name("dargmin"))
    done = _with(with_ridge, [dargmin, *command.split(), "--budget", "0.1", "--no-report", "--out", "run"])
    assert done.returncode == 0, done.stderr
    frame = Run.open(with_ridge / "run").frame()
    assert list(frame["problem"]) == ["my-ridge"] * 6 and set(frame["status"]) == {"ok"}
    errors = dict(zip(frame["label"], frame["error_rel"], strict=True))
    assert len(errors) == 3 and all(error < 1e-7 for error in errors.values())  # of the differences; the others are exact


def test_the_problem_of_the_readme_is_run_from_a_file_that_lies_anywhere(tmp_path: Path) -> None:
    (tmp_path / "my_ridge.py").write_text(_block("class Ridge"))
    (command,) = re.findall(r"dargmin (run --problem path/to/my_ridge.py:ENSEMBLE [^#]*)", README)
    dargmin = str(Path(sys.executable).with_name("dargmin"))
    given = [*command.replace("path/to/", "").split(), "--budget", "0.02", "--no-report", "--out", "run"]
    done = _with(tmp_path, [dargmin, *given])
    assert done.returncode == 0, done.stderr
    frame = Run.open(tmp_path / "run").frame()
    assert list(frame["problem"]) == ["my-ridge"] * 2 and set(frame["status"]) == {"ok"}


REFUSALS = """
from methods import METHODS
from problems import PROBLEMS
(ensemble,) = (problem for problem in PROBLEMS if problem.name == "my-ridge")
problem = ensemble.small_instance("weight")
reasons = {method.name: method.unsupported(problem) for method in METHODS}
print(*(name for name, reason in reasons.items() if reason is None))
print(*(reason for reason in reasons.values() if reason is not None), sep="\\n")
"""


def test_what_the_problem_of_the_readme_does_not_have_is_named(with_ridge: Path) -> None:
    done = _with(with_ridge, [sys.executable, "-c", REFUSALS])
    assert done.returncode == 0, done.stderr
    able, *reasons = done.stdout.splitlines()
    assert set(able.split()) == {"linear-solve-vjp-torch", "linear-solve-vjp-jax", "fd-entrywise", "fd-directional"}
    assert reasons and all(reason.startswith(("needs the structure ", "needs the structures ")) for reason in reasons)
    assert not any("LinearSystem" in reason for reason in reasons)


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
