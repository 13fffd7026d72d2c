"""The README's examples, run as printed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import _runs
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
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources, to put the examples into as the README says."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("problems", "methods", "harness", "results", "reports"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "runs", "*.png"))
    shutil.copy(ROOT / "dargmin.py", folder)
    return folder


def _add(path: Path, behind: str, line: str) -> None:
    """Put a line behind another, which is there once."""
    text = path.read_text()
    assert text.count(behind) == 1
    path.write_text(text.replace(behind, behind + line))


def _with(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def with_ridge(checkout: Path) -> Path:
    (checkout / "problems" / "my_ridge.py").write_text(_block("class Ridge"))
    assert '"my_ridge"' in README
    _add(checkout / "problems" / "__init__.py", '    "mri",\n', '    "my_ridge",\n')
    return checkout


def test_the_problem_of_the_readme_is_run_as_it_says(with_ridge: Path) -> None:
    (command,) = re.findall(r"dargmin (run --problem my-ridge .*)", README)
    program = "from harness.cli import main; main()"
    _with(with_ridge, sys.executable, "-c", program, *command.split(), "--budget", "0.1", "--no-report", "--out", "run")
    frame = Run.open(with_ridge / "run").frame()
    assert list(frame["problem"]) == ["my-ridge"] * 6 and set(frame["status"]) == {"ok"}
    assert set(frame["reference_status"]) == {"proven"} and (frame["reference_radius"] < 1e-15).all()
    errors = frame.groupby("method")["error_rel"].max()
    assert errors["ift-torch"] < 1e-12 and errors["fd-entrywise"] < 1e-7  # one is exact, the other has steps of 1e-5
    assert errors["fixed-point-ista-jax"] < 1e-3  # its tolerance 1e-6 over the gap of the contraction


def test_the_problem_of_the_readme_works_wherever_it_is_imported_first(with_ridge: Path, tmp_path: Path) -> None:
    file = tmp_path / "my_ridge.py"
    file.write_text(_block("class Ridge") + "\nprint(ENSEMBLE.small_instance('weight').reference().status)\n")
    assert _with(with_ridge, sys.executable, str(file)).stdout == "proven\n"
    _with(with_ridge, sys.executable, "problems/my_ridge.py")
    for first in ("problems.my_ridge", "problems.lasso", "dargmin", "methods.base"):
        asked = f"import {first}, dargmin; print([one.name for one in dargmin.PROBLEMS].count('my-ridge'))"
        assert _with(with_ridge, sys.executable, "-c", asked).stdout == "1\n"


def test_the_problem_of_the_readme_is_run_from_a_file_that_lies_anywhere(tmp_path: Path) -> None:
    (tmp_path / "my_ridge.py").write_text(_block("class Ridge"))
    (command,) = re.findall(r"dargmin (run --problem path/to/my_ridge.py:ENSEMBLE [^#]*)", README)
    dargmin = str(Path(sys.executable).with_name("dargmin"))
    given = [*command.replace("path/to/", "").split(), "--budget", "0.02", "--no-report", "--out", "run"]
    done = _with(tmp_path, dargmin, *given)
    assert done.returncode == 0, done.stderr
    frame = Run.open(tmp_path / "run").frame()
    assert list(frame["problem"]) == ["my-ridge"] * 2 and set(frame["status"]) == {"ok"}


REFUSALS = """
from dargmin import METHODS, PROBLEMS
(ensemble,) = (problem for problem in PROBLEMS if problem.name == "my-ridge")
problem = ensemble.small_instance("weight")
reasons = {method.label: method.unsupported(problem) for method in METHODS}
print(*(name for name, reason in reasons.items() if reason is None))
print(*(reason for reason in reasons.values() if reason is not None), sep="\\n")
"""


def test_what_the_problem_of_the_readme_does_not_have_is_named(with_ridge: Path) -> None:
    able, *reasons = _with(with_ridge, sys.executable, "-c", REFUSALS).stdout.splitlines()
    (count,) = re.findall(r"bring (\d+) of the methods", README)
    assert len(able.split()) == int(count)
    assert {"ift-torch", "unrolled-fista-jax", "partial-smoothness-torch", "fd-entrywise"} <= set(able.split())
    assert reasons and all(re.search(r"\b(needs|has no)\b", reason) for reason in reasons)
    assert not {"needs the structure Splitting", "needs the structure Energy"} & set(reasons)


def test_a_method_of_the_readme_stays_in_the_suite(checkout: Path) -> None:
    (checkout / "methods" / "my_method.py").write_text(_block("class ForwardDifferences"))
    init = checkout / "methods" / "__init__.py"
    _add(init, "from methods.linear_solve_vjp import LinearSolveVJP\n", "from methods.my_method import ForwardDifferences\n")
    _add(init, "    ValueDuality(),\n", "    ForwardDifferences(),\n")
    for first in ("methods", "methods.my_method", "dargmin"):
        asked = (
            f"import {first}; from dargmin import METHODS; print([one.name for one in METHODS].count('forward-differences'))"
        )
        assert _with(checkout, sys.executable, "-c", asked).stdout == "1\n"


def test_the_penalty_of_the_readme_passes_the_tests_of_penalties(checkout: Path) -> None:
    folder = checkout / "problems" / "penalties"
    (folder / "elastic.py").write_text(_block("class Elastic"))
    _add(folder / "__init__.py", "import Box\n", "from problems.penalties.elastic import Elastic\n")
    _add(folder / "__init__.py", "    Nonnegative(),\n", "    Elastic(),\n")
    (checkout / "tests").mkdir()
    for name in ("test_penalties.py", "conftest.py"):
        shutil.copy(ROOT / "tests" / name, checkout / "tests")
    done = _with(checkout, sys.executable, "-m", "pytest", "tests/test_penalties.py", "-k", "elastic or says", "-q")
    (passed,) = re.findall(r"(\d+) passed", done.stdout)
    assert int(passed) > 8  # laws of the prox, the value, the manifold and array libraries


REPORT = """
import sys
from pathlib import Path
from dargmin import Run, write_report
from reports import figures
figures.DRAWINGS = figures.DRAWINGS[:1]  # the one put in front: all of them take half a minute
write_report([Run.open(Path(sys.argv[1]))], Path(sys.argv[1]) / "report")
"""


def test_the_figure_of_the_readme_stands_in_the_report(checkout: Path, tmp_path: Path) -> None:
    (checkout / "reports" / "errors.py").write_text(_block("def histogram"))
    figures = checkout / "reports" / "figures.py"
    text = figures.read_text()
    assert text.count("from reports import fronts, sweeps\n") == 1
    figures.write_text(text.replace("from reports import fronts, sweeps\n", "from reports import errors, fronts, sweeps\n"))
    (line,) = re.findall(r"`(Drawing\(.*\),)`", README)
    _add(figures, "DRAWINGS = (\n", f"    {line}\n")
    run = _runs.build(tmp_path / "run")
    _with(checkout, sys.executable, "-c", REPORT, str(run.path))
    assert (run.path / "report" / "figures" / "errors.png").stat().st_size > 1000
    assert "All answers of the headline." in (run.path / "report" / "index.html").read_text()


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
