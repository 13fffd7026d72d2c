"""`dargmin list`: a short overview, and of what is named every pair, explained, in any width."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from harness.commands import listing
from methods import LIMITS, METHODS, GradientMethod
from problems import FIXED_OPERATORS, OPERATORS, PROBLEMS, SIGNALS, Ensemble, logistic
from problems.data import signals
from problems.families import regression


def lines(text: str) -> list[str]:
    """The lines of an output, put together again where they were wrapped."""
    return re.sub(r"\n {3,}(?! *why)", " ", text).splitlines()


def names(method: GradientMethod) -> set[str]:
    """What stands for a method: its label, or its name where all its settings are alike."""
    return {method.label, method.name}


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_every_pair_is_told_and_every_refusal_has_its_reason(problem: Ensemble) -> None:
    """Read line by line: what is able of which theta, and why the others are not."""
    told = list(listing.pairs(listing.OURS, (problem,), False, True, True))
    texts = [text for _, text in told]
    able = [re.fullmatch(r"  yes  theta (.*): (.*)", text) for text in texts]
    supported = {(label, theta) for found in able if found for theta in found[1].split(", ") for label in split(found[2])}
    for theta in problem.thetas:
        drawn = problem.small_instance(theta)
        for method in listing.OURS:
            reason = method.unsupported(drawn)
            assert any((name, theta) in supported for name in names(method)) == (reason is None)
            assert reason is None or f"       why: {reason}" in texts


def split(text: str) -> list[str]:
    """Names between commas that stand in no bracket."""
    return re.split(r", (?![^(]*\))", text)


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize(
    "asked", [(), ((), ("analysis-l1",)), (("blorc",),), (("blorc", "ift-torch"), ("lasso",), True), ((), (), True)], ids=str
)
def test_it_fits_in_any_width(
    asked: tuple[Any, ...], width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    listing.show(*asked)
    printed = capsys.readouterr().out.splitlines()
    assert printed and max(map(len, printed)) <= width


def test_the_overview_is_short_and_names_everything(capsys: pytest.CaptureFixture[str]) -> None:
    listing.show()
    text = capsys.readouterr().out
    assert len(text.splitlines()) < 100
    words = set(re.split(r"[\s,;:()]+", text))
    assert {method.name for method in METHODS + LIMITS} | {problem.name for problem in PROBLEMS} <= words
    assert {theta for problem in PROBLEMS for theta in problem.thetas} | {*OPERATORS, *FIXED_OPERATORS, *SIGNALS} <= words


def test_a_pair_has_its_facts_and_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    listing.show(("blorc-paper", "osqp-dual(tolerance=1e-7)"), ("lasso", "analysis-l1"), why=True)
    said = lines(capsys.readouterr().out)
    assert "blorc-paper: closed form; iterations 30 to 10000; loops over a batch; knobs: gamma 0.001" in " ".join(said)
    assert "  no   osqp-dual(tolerance=1e-07)" in said and "       why: needs the structure BoxDual" in said
    assert any(line.startswith("  no   theta row-weights, weight,") and line.endswith(": blorc-paper") for line in said)
    assert "  yes  theta dense: blorc-paper" in said
    listing.show(("blorc", "lapack-limit"), ("lasso",))
    assert capsys.readouterr().out.endswith("  no   blorc, lapack-limit\n")


def test_the_list_loads_no_library_that_is_slow_to_import() -> None:
    code = "import sys\nfrom harness.commands.listing import show\nshow((), (), True)\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert not {"sklearn", "pandas", "torch", "jax", "cvxpy"} & set(done.stdout.splitlines()[-1].split())


def test_the_data_are_those_that_scikit_learn_gives() -> None:
    from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_sample_image

    for name in ("china", "flower"):
        assert np.array_equal(signals._photo(name), load_sample_image(f"{name}.jpg"))
    tumours, labels = regression._breast_cancer(30)
    assert np.array_equal(tumours, load_breast_cancer().data) and np.array_equal(labels > 0, load_breast_cancer().target)
    patients, progression = regression._diabetes(10)
    np.testing.assert_allclose(patients, load_diabetes().data, atol=1e-15)  # centred, of length 1: entries below 0.2
    assert np.array_equal(progression, load_diabetes().target)
    blocks, digits = logistic._digits()
    assert blocks.shape == (1797, 12) and np.array_equal(digits, load_digits().target)
    assert np.array_equal(blocks[:, 0], load_digits().images[:, :2, 2:4].mean(axis=(1, 2)))
