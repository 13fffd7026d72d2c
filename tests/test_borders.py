"""What a user's method returns, raises or holds crosses into ours in one place: a bad value costs its cell and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import _borders
import numpy as np
import pytest

from harness.answers import BadAnswer, received, told
from harness.checks.conformance import verdict
from harness.checks.verdicts import Verdict
from harness.commands.checking import line
from harness.commands.checking import run as run_checks
from harness.plan.catalogue import select
from harness.plan.userfiles import NamingError
from methods import Gradient, GradientMethod
from results import Measured, Planned, Run

HERE = Path(__file__).parent
BORDERS = HERE / "_borders.py"


def dargmin(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "harness.cli", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent), **options.pop("env", {})}
    return subprocess.run(command, capture_output=True, text=True, timeout=280, check=False, env=environment, **options)


def answer(**fields: Any) -> Gradient:
    return Gradient(**{"value": 1.0, "solution": np.zeros(2), "grad": np.ones(2)} | fields)


def scalars(value: Any) -> list[Any]:
    """A value as Python, NumPy, torch and JAX have it."""
    import jax
    import torch

    with jax.enable_x64(True):
        return [value, np.asarray(value)[()], np.asarray([value]), torch.tensor(value), jax.numpy.asarray(value)]


def test_scalars_of_every_library_become_those_of_python() -> None:
    for field, value in {"converged": True, "iterations": 3, "bound": 0.5, "value": 0.25}.items():
        for given in scalars(value):
            found = getattr(received(answer(**{field: given})), field)
            assert type(found) is type(value) and found == value


def test_arrays_of_every_library_become_those_of_numpy_and_keep_their_dtype() -> None:
    for given in scalars(np.ones(2)):
        assert received(answer(grad=given, solution=given)).grad.dtype == np.float64
    assert received(answer(grad=np.ones(2, dtype=np.float32))).grad.dtype == np.float32


def test_a_note_may_be_an_exception_a_long_text_or_no_text_that_can_be_written() -> None:
    assert received(answer(note=ValueError("two\nlines"))).note == "ValueError: two"
    assert received(answer(note=None)).note == ""
    assert received(answer(note="a\ud800b")).note == "a?b"
    assert len(received(answer(note="x" * 10**7)).note) == 300


BAD = {
    "a converged str": ({"converged": "yes"}, "converged must be True, False or None, got str"),
    "a converged status code": ({"converged": 2}, "converged must be True, False or None, got 2"),
    "several flags": (
        {"converged": np.array([True, False])},
        "converged must be True, False or None, got bool ndarray of shape (2,)",
    ),
    "half an iteration": ({"iterations": 1.5}, "iterations must be a whole number, got 1.5"),
    "a bound that is no number": ({"bound": float("nan")}, "bound must be at least 0, got nan"),
    "a note of numbers": ({"note": 3}, "note must be a str, got int"),
    "a complex grad": (
        {"grad": np.ones(2) * 1j},
        "grad must be an array of real numbers, got complex128 ndarray",
    ),
    "a masked grad": ({"grad": np.ma.ones(2)}, "grad must be an array of real numbers, got a masked array; fill it"),
    "no solution": ({"solution": None}, "solution must be an array of real numbers, got None"),
    "a ragged list": ({"grad": [[1.0], [1.0, 2.0]]}, "grad must be an array of real numbers, got list"),
    "a value for each entry": ({"value": np.ones(2)}, "value must be a real number, got float64 ndarray of shape (2,)"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_value_is_named(case: str) -> None:
    fields, said = BAD[case]
    with pytest.raises(BadAnswer) as caught:
        received(answer(**fields))
    assert str(caught.value).startswith(said)


def test_what_is_no_gradient_is_named() -> None:
    for given, said in ((None, "None"), ((1, 2), "tuple"), (np.ones(2), "float64 ndarray of shape (2,)")):
        with pytest.raises(BadAnswer, match="a call must return a Gradient") as caught:
            received(given)
        assert str(caught.value).endswith(said)


def test_an_exception_is_told_whatever_its_message() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert told(Broken()) == "Broken: its message cannot be read"
    assert told(ValueError("a\ud800")) == "ValueError: a?"
    assert len(told(ValueError("x" * 10**7))) < 400


def test_a_row_can_be_written_and_read_whatever_it_says(tmp_path: Path) -> None:
    import _runs

    made = _runs.build(tmp_path / "run", pairs=[])
    planned: Planned = _runs.planned(_runs.KINDS[0])
    made.append([("key", planned, Measured("error", reason="\udcff" * 10**5, note="\ud800", stderr="\udc80"))])
    row = made.rows()["key"]
    assert (row["note"], row["stderr"], set(row["reason"]), len(row["reason"])) == ("?", "?", {"?"}, 4000)
    Run.open(made.path).compact()


# A run and a check of methods with odd knobs, neighbours and answers


@pytest.fixture(scope="module")
def bordering(tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("runs") / "borders"
    done = dargmin("run", "--n", 8, "--budget", 0.02, "--method", f"{BORDERS}:ALL", "--out", out)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    return Run.open(out)


EXPECTED = {
    "flagged-by-numpy": ("ok", ""),
    "ruled": ("ok", ""),
    "ruled(rule=quadratic)": ("ok", ""),
    "promises-in-numpy": ("ok", ""),
    "raises-surrogates": ("error", "ValueError: ?"),
    "raises-ten-megabytes": ("error", "ValueError: " + "x" * 300),
    "exits": ("error", "SystemExit: 0"),
    "interrupts": ("error", "KeyboardInterrupt"),
    "promises-text": ("error", "BadAnswer: promise must be a real number, got str"),
    "returns-none": ("error", "BadAnswer: a call must return a Gradient, got None"),
    "supports-a-flag": ("error", "BadAnswer: unsupported must be a str, got bool"),
}


@pytest.mark.parametrize("label", EXPECTED)
def test_a_bad_answer_is_the_error_of_its_cell(bordering: Run, label: str) -> None:
    row = bordering.frame().set_index("label").loc[label]
    assert (row.status, row.reason) == EXPECTED[label]


def test_check_runs_what_run_runs() -> None:
    done = dargmin("check", f"{BORDERS}:RULED")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ruled(rule=quadratic)" in done.stdout


def test_a_name_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "odd.py"
    file.write_text(
        f"import sys; sys.path.append({str(HERE)!r})\nfrom _borders import Ruled\nclass M(Ruled):\n    name = 'a\\ud800'\n"
    )
    with pytest.raises(NamingError, match="name must be a str of valid text"):
        select([f"{file}:M"])


# `check` judges every claim

CLAIMS = ("value", "solution", "converged", "bound", "pattern", "note")
LIES = {
    _borders.Scaled: set(CLAIMS),
    _borders.ValueAlone: {"value"},
    _borders.SolutionAlone: {"solution"},
    _borders.BoundAlone: {"bound"},
    _borders.PatternAlone: {"pattern"},
    _borders.NoteAlone: {"note"},
    _borders.Ruled: set(),
}


@pytest.mark.parametrize("method", LIES, ids=lambda method: method.name)
def test_a_wrong_claim_fails_its_check(method: type[GradientMethod]) -> None:
    found = {check: verdict(method(), check, "tv", lambda what: None) for check in CLAIMS}
    assert {check for check, one in found.items() if not one.passed} == LIES[method]


def test_ok_does_not_stand_beside_a_wrong_answer() -> None:
    assert line(Verdict("trap", "x", True, "silent", 0.99)).split()[0] == "silent"
    assert line(Verdict("trap", "x", True, "biased", 0.99)).split()[0] == "biased"
    assert line(Verdict("trap", "x", True, "right", 1e-16)).split()[0] == "ok"


def test_check_counts_what_was_silent() -> None:
    shown: list[str] = []
    assert run_checks(f"{HERE / '_checked.py'}:Modest", shown.append, 60.0, 300.0)
    assert shown[-1].endswith("of the answers are wrong, and nothing promised or said otherwise")
    assert int(shown[-1].split(";")[1].split()[0]) == sum(text.split()[0] == "silent" for text in shown) > 0
