"""The robustness table: how one instance ends, what the sentences say, and the whole on a few seeds."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from harness.experiments import robustness
from harness.experiments.robustness import Outcome, outcome, row, verdicts
from methods import Gradient, Prepared
from methods.blorc import Blorc
from methods.blorc.solver import HANDED
from problems import AnalysisL1, Problem, Reference
from problems.traps import TRAPS


@dataclass(frozen=True)
class Skewed(Blorc):
    """blorc with its gradient and its note changed."""

    factor: float = 1.0
    note: str = ""

    def prepare(self, problem: Problem) -> Prepared:
        prepared = Blorc().prepare(problem)

        def call(theta: np.ndarray) -> Gradient:
            if not math.isfinite(self.factor):
                raise RuntimeError("no pattern")
            found = prepared(theta)
            return replace(found, grad=self.factor * found.grad, note=self.note)

        return call


PROBLEM = AnalysisL1.draw(n=16, operator="tv")
CASES = {
    "verified": Skewed(),
    "handed over": Skewed(note=HANDED),
    "doubted": Skewed(note="W0 is near a loss of rank"),
    "wrong": Skewed(factor=1 + 1e-9),  # the promise is 1e-10
}


@pytest.mark.parametrize("name", CASES)
def test_how_an_instance_with_a_gradient_ends(name: str) -> None:
    found = outcome(CASES[name], PROBLEM, PROBLEM.reference())
    assert found.name == name
    assert not found.kink
    assert bool(found.why) == (name == "wrong")


def test_a_hand_over_excuses_no_error_and_a_doubt_does() -> None:
    reference = PROBLEM.reference()
    assert outcome(Skewed(factor=2.0, note=HANDED), PROBLEM, reference).name == "wrong"
    assert outcome(Skewed(factor=2.0, note="a doubt"), PROBLEM, reference).name == "doubted"
    assert outcome(Skewed(factor=math.nan), PROBLEM, reference).why == "raised RuntimeError: no pattern"


def test_at_a_kink_only_a_doubt_is_right() -> None:
    problem = next(trap for trap in TRAPS if trap.name == "duplicated zero row").make()
    assert isinstance(problem, AnalysisL1)
    reference = problem.reference()
    assert outcome(Blorc(), problem, reference).name == "doubted"
    assert outcome(Skewed(), problem, reference).name == "wrong"
    assert outcome(Skewed(), problem, reference).kink


def test_an_undecided_reference_judges_nothing() -> None:
    unknown = Reference("undecided", None, PROBLEM.y, math.nan, reason="cancelled")
    assert outcome(Skewed(factor=2.0), PROBLEM, unknown).name == "undecided"


def test_the_sentences_say_failures_and_pass_only_without_any() -> None:
    good = [Outcome("verified", 1e-15, 1e-4), Outcome("doubted", 0.5, 2e-4, kink=True)]
    passed = row("tv", 36, good)
    assert (passed.verified, passed.doubted, passed.kinks, passed.error) == (1, 1, 1, 1e-15)
    assert passed.worst_ms == pytest.approx(0.2)
    assert verdicts([passed]) == ["- Passed: none of 2 gradients is wrong without a word, and no call took more than 0.2 ms."]
    bad = row("tv", 64, [*good, Outcome("wrong", 0.1, 0.2), Outcome("undecided", seconds=1e-4)])
    said = verdicts([passed, bad])
    assert said[0] == "- FAILED: 1 of 6 gradients are wrong without a word."
    assert said[1] == "- FAILED: a call took 200 ms, above 100 ms."
    assert "1 of 6 references are undecided" in said[2]
    assert not any("Passed" in line for line in said)


def test_the_whole_on_a_few_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(robustness, "SEEDS", 30)
    monkeypatch.setattr(robustness, "SIZES", (16,))
    page = robustness.reproduce(tmp_path / "table", quick=True)
    with (tmp_path / "table" / "robustness.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [one["operator"] for one in rows] == list(robustness.OPERATORS)
    assert all(one["instances"] == "3" and one["wrong"] == one["undecided"] == "0" for one in rows)
    assert "Passed: none of 27 gradients" in page.read_text()
    with pytest.raises(ValueError, match="exists already; give another --out"):
        robustness.reproduce(tmp_path / "table", quick=True)
