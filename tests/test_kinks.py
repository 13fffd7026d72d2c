"""No silent kink: a share of `dargmin reproduce kinks`, what counts as what there, and kinks that rounding hides."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.experiments import kinks, robustness
from harness.experiments._structured import ENTRIES, SIGNALS, draw
from harness.experiments.kinks import FALSE, GOOD, NOTICED, TRUE, UNDECIDED, UNNOTICED, WRONG
from methods import Blorc, Gradient
from methods.blorc.solver import HANDED
from problems import AnalysisL1, Reference
from problems.operators.parametrisations import Sparse
from problems.solvers.box_dual import DEPENDENT, dual_inside

SHARE = 5  # every fifth instance of one seed
COMPILED = ("JAX", "batched")  # entries that take longer to load or to compile than to run

GRADIENT = Gradient(0.0, np.zeros(2), np.array([1.0, 2.0]))
PROVED = Reference("proven", np.array([1.0, 2.0]), np.zeros(2), 0.0)
KINK = Reference("kink", None, np.zeros(2), 0.0)
OPEN = Reference("undecided", None, np.zeros(2), 0.0, reason=f"dependent; {kinks.OPEN_IN_VALUES}")


def test_no_entry_passes_a_kink_over_in_silence() -> None:
    chosen = [key for key in kinks.instances(range(1)) if key[2] not in COMPILED][::SHARE]
    found = {key: one for key in chosen if (one := kinks.judge(key))}
    total = kinks.rows_of(found)[-1]
    named = {key: one for key, one in found.items() if one in (UNNOTICED, WRONG, FALSE)}
    assert total.instances > 200 and total.kinks > 50 and total.proved_structured > 50
    assert total.unnoticed == 0 and total.wrong == 0, named
    assert total.false_doubts_generic <= kinks.GENERIC * total.proved_generic, named
    assert total.false_doubts_structured <= kinks.STRUCTURED * total.proved_structured, named


@pytest.mark.parametrize(
    ("note", "reference", "expected"),
    [
        ("", PROVED, GOOD),
        (HANDED, PROVED, GOOD),
        (DEPENDENT, PROVED, FALSE),
        ("", KINK, UNNOTICED),
        (HANDED, KINK, UNNOTICED),
        (DEPENDENT, KINK, NOTICED),
        (DEPENDENT, OPEN, NOTICED),
        ("", OPEN, UNNOTICED),
        ("", replace(OPEN, reason="no pattern"), UNDECIDED),
        ("", replace(PROVED, grad=np.array([1.0, 2.1])), WRONG),
        (DEPENDENT, replace(PROVED, grad=np.array([1.0, 2.1])), TRUE),
        (f"{HANDED.replace(':', ' in 2 of 3 signals:')}; {DEPENDENT}", KINK, NOTICED),
    ],
)
def test_what_counts_as_what(note: str, reference: Reference, expected: str) -> None:
    assert kinks.outcome(replace(GRADIENT, note=note), reference) == expected


def test_the_sentences_say_failures_and_pass_only_without_any() -> None:
    keys = [("I", "noise", "single", seed) for seed in range(5)]
    good = kinks.rows_of(dict(zip(keys, [GOOD, NOTICED, NOTICED, TRUE, UNDECIDED], strict=True)))[-1]
    assert (good.kinks, good.proved_generic, good.undecided) == (2, 2, 1)
    assert kinks.verdicts(good)[0].startswith("- Passed: none of 2 kinks is unnoticed and none of 5 answers")
    bad = kinks.rows_of(dict(zip(keys, [UNNOTICED, WRONG, FALSE, GOOD, GOOD], strict=True)))[-1]
    said = kinks.verdicts(bad)
    assert said[0] == "- FAILED: 1 of 1 kinks are unnoticed."
    assert said[1] == "- FAILED: 1 of 5 answers are wrong without a note."
    assert said[2] == "- FAILED: 1 of 4 generic gradients are doubted although proved, above 0.001."


def test_the_whole_on_a_few_instances(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for table, kept in (("OPERATORS", ("I", "[I; I]")), ("ENTRIES", ("single", "taps"))):
        monkeypatch.setattr(kinks, table, {name: getattr(kinks, table)[name] for name in kept})
    page = kinks.reproduce(tmp_path / "kinks", quick=True)
    with (tmp_path / "kinks" / "kinks.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert Counter(row["of"] for row in rows) == {"operator": 2, "signal": len(kinks.SIGNALS), "entry": 2, "all": 1}
    assert rows[-1]["instances"] == str(4 * len(kinks.SIGNALS))
    assert "- Passed: " in page.read_text()


@pytest.mark.parametrize("entry", ["single", "warm", "batch", "sparse", "daqp", "torch"])
def test_a_kink_that_ill_conditioned_zero_rows_hide_is_noticed(entry: str) -> None:
    """Duals at their bound exactly, which rounding moves inside by far more than its own size."""
    found = Counter(kinks.judge(("fourth differences", "at the bound", entry, seed)) for seed in range(30))
    assert found[NOTICED] > 5 and not found[UNNOTICED] and not found[WRONG], found


def test_an_ill_conditioned_sparse_operator_gives_no_wrong_gradient_in_silence() -> None:
    from scipy.sparse import csr_array

    rows = csr_array(np.vander(np.arange(1, 26) / 8, 8, increasing=True).T)
    for seed in (6, 68, 95, 109):  # where rounding moves the adjoint by 1e-8 of it and more
        rng = np.random.default_rng(seed)
        y = SIGNALS["at the bound"](rows.toarray(), 8.0, rng)
        problem = AnalysisL1(rows.data, y, rng.standard_normal(25), 8.0, parametrisation=Sparse(rows))
        assert kinks.outcome(Blorc().prepare(problem)(problem.theta), problem.reference()) != WRONG, seed


NARROW = np.array(
    [[-2.0, -2, -1], [2, 0, 1], [-1, -1, 1], [2, -2, -2], [1, -1, 0], [-2, 2, 0]]
)  # which clipping does not enter


@pytest.mark.parametrize("depth", [0.9, 0.99, 0.999, 0.99999])
def test_x_is_zero_around_w_however_narrow_the_room(depth: float) -> None:
    """y = depth W^T s with signs s, whose dual depth s is the deepest."""
    s = np.array([1.0, 1, 1, -1, 1, -1])
    y = depth * s @ NARROW
    problem = AnalysisL1(NARROW, y, np.ones(3), 1.0)
    assert problem.reference().status == "zero"
    assert not robustness.is_doubt(Blorc().prepare(problem)(problem.theta).note)
    z = dual_inside(NARROW, y, 1.0, s)
    assert z is not None and np.abs(z).max() < 1 and np.abs(z @ NARROW - y).max() < 1e-12


def test_x_is_zero_at_a_kink_where_there_is_no_room() -> None:
    w, y = np.concatenate([np.eye(4)] * 2), np.array([2.0, -1.0, 0.5, 0.0])
    problem = AnalysisL1(w, y, np.ones(4), 1.0)
    assert problem.reference().status == "kink"
    assert kinks.outcome(Blorc().prepare(problem)(problem.theta), problem.reference()) == NOTICED
    assert dual_inside(w, y, 1.0, np.zeros(8)) is None


def test_every_entry_has_instances() -> None:
    assert all(draw("I", "noise", entry, 0) is not None for entry in ENTRIES)
