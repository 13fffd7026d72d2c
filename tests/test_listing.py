"""`dargmin list`: every pair of a method and a problem is marked and explained, in any width."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from harness import listing
from methods import METHODS, YARDSTICKS
from problems import PROBLEMS, AnalysisL1, _regression, logistic, signals

COUNT = 30  # more instances than a terminal has columns for


def printed(monkeypatch: pytest.MonkeyPatch, width: int) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    monkeypatch.setattr(listing, "Console", lambda: console)
    listing.show(())
    return console.export_text()


@pytest.mark.parametrize("width", [80, 120])
def test_many_problems_stand_in_blocks_and_no_pair_is_unexplained(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    thetas = ("dense", "row-weights")
    drawn: list[tuple[str, Any]] = [(f"problem {i}", AnalysisL1.draw(n=8, theta=thetas[i % 2])) for i in range(COUNT)]
    monkeypatch.setattr(listing, "instances", lambda: iter(drawn))
    text = printed(monkeypatch, width)
    assert max(map(len, text.splitlines())) <= width
    for method in METHODS + YARDSTICKS:
        lines = re.findall(rf"^  {re.escape(method.label)} +((?:y|\d+)(?: +(?:y|\d+))*) *$", text, re.MULTILINE)
        marks = [mark for line in lines for mark in line.split()]
        assert len(marks) == COUNT, method.label
        for (_, problem), mark in zip(drawn, marks, strict=True):
            reason = method.unsupported(problem)
            assert (mark == "y") == (reason is None)
            assert reason is None or f"({mark}) {reason}" in text
    assert all(f"problem {i}" in text for i in range(COUNT))
    assert re.search(r"^ ad  problem 29", text, re.MULTILINE)


def test_every_problem_is_listed_and_one_with_several_kinds_of_theta_for_each() -> None:
    names = [name for name, _ in listing.instances()]
    assert len(names) == len(set(names)) == sum(len(problem.thetas) for problem in PROBLEMS)
    assert {"analysis-l1, theta = taps", "lasso, theta = row-weights"} <= set(names)


def test_the_list_loads_no_library_that_is_slow_to_import() -> None:
    code = "import sys\nfrom harness.listing import instances\nlist(instances())\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert not {"sklearn", "pandas", "torch", "jax", "cvxpy"} & set(done.stdout.split())


def test_the_data_are_those_that_scikit_learn_gives() -> None:
    from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_sample_image

    for name in ("china", "flower"):
        assert np.array_equal(signals._photo(name), load_sample_image(f"{name}.jpg"))
    tumours, labels = _regression._breast_cancer(30)
    assert np.array_equal(tumours, load_breast_cancer().data) and np.array_equal(labels > 0, load_breast_cancer().target)
    patients, progression = _regression._diabetes(10)
    np.testing.assert_allclose(patients, load_diabetes().data, atol=1e-15)  # centred, of length 1: entries below 0.2
    assert np.array_equal(progression, load_diabetes().target)
    blocks, digits = logistic._digits()
    assert blocks.shape == (1797, 12) and np.array_equal(digits, load_digits().target)
    assert np.array_equal(blocks[:, 0], load_digits().images[:, :2, 2:4].mean(axis=(1, 2)))


def test_letters_go_on_after_z() -> None:
    assert [listing._letters(place) for place in (0, 25, 26, 51, 52)] == ["a", "z", "aa", "az", "ba"]
