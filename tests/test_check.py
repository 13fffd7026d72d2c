"""`dargmin check`: what passes, what fails and why, known faults and their scripts, the command and its table."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import _checked
import _runs
import pytest
from _command import dargmin, within

from harness.checks.conformance import CHECKS, regular, verdict
from harness.checks.known_faults import KNOWN_FAULTS, KnownFault
from harness.checks.verdicts import OUTCOMES, Verdict, by_design
from harness.commands import checking as checks
from harness.commands.checking import Checker, line, settled
from methods import GradientMethod
from methods.blorc import Blorc
from methods.closed_form import ClosedForm
from methods.smoothed import SmoothedIFT
from problems.traps import TRAPS
from reports import checks_table, write_report
from results import Run

HERE = Path(__file__).parent


def run(method: GradientMethod, check: str, instance: str = "") -> Verdict:
    return verdict(method, check, instance or CHECKS[check][1][0], lambda what: None)


def everything(method: GradientMethod) -> list[Verdict]:
    return [run(method, check, instance) for check, (_, instances) in CHECKS.items() for instance in instances]


def failing(method: GradientMethod) -> set[str]:
    found = everything(method)
    assert {v.outcome for v in found} <= set(OUTCOMES)
    return {v.check for v in found if not v.passed}


@pytest.mark.parametrize("instance", CHECKS["gradient"][1])
def test_regular_instances_have_a_gradient(instance: str) -> None:
    assert regular(instance).reference().status in ("proven", "bounded", "unproven")


@pytest.mark.parametrize("method", [Blorc(), ClosedForm(), _checked.Right(), _checked.RaisesAtKinks()], ids=lambda m: m.label)
def test_a_right_method_passes(method: GradientMethod) -> None:
    assert failing(method) == set()


FAULTY = {
    _checked.Scaled(): {"gradient", "converged", "trap"},
    _checked.Mute(): {"trap"},
    _checked.Remembers(): {"purity"},
    _checked.Single(): {"gradient", "converged", "float64", "trap", "batch", "homogeneity"},
    _checked.Overwrites(): {"inputs"},
    _checked.Rounds(): {"homogeneity", "trap"},
    _checked.Sums(): {"batch"},
    _checked.TakesAnything(): {"shapes", "finite"},
    _checked.Warns(): {"gradient"},
    _checked.Modest(): set(),
    _checked.Biased(): set(),
}


@pytest.mark.parametrize("method", FAULTY, ids=lambda method: method.label)
def test_a_faulty_method_fails_where_it_is_faulty(method: GradientMethod) -> None:
    assert failing(method) <= FAULTY[method]
    assert bool(failing(method)) == bool(FAULTY[method])
    if method.name != "single":
        assert failing(method) == FAULTY[method]


def test_a_silent_error_of_a_tenth_of_a_percent_is_named_with_its_figure() -> None:
    found = run(_checked.Scaled(), "gradient")
    assert (found.passed, found.outcome) == (False, "silent")
    assert found.figure == pytest.approx(1e-3, rel=1e-6)
    assert "FAIL" in line(found)
    assert "1.0e-03" in line(found)


def test_an_error_without_a_promise_is_silent_and_passes() -> None:
    found = run(_checked.Modest(), "gradient")
    assert (found.passed, found.outcome) == (True, "silent")


def test_who_is_off_by_design_is_biased_and_not_silent_but_only_in_accuracy() -> None:
    for check in ("gradient", "trap", "loose"):
        found = run(_checked.Biased(), check, "duplicated active row" if check == "trap" else "")
        assert (found.passed, found.outcome) == (True, "biased")
        assert found.message.endswith(": a tenth too long")
    assert run(_checked.Biased(), "trap", KINKS[0]).outcome == "biased"
    broken = Verdict("finite", "tv", False, "silent")
    assert by_design(_checked.Biased(), broken) == broken  # a law holds for all
    assert by_design(_checked.Modest(), replace(broken, check="trap", passed=True)).outcome == "silent"


def test_smoothing_is_off_by_design_where_it_is_off() -> None:
    found = run(SmoothedIFT(), "gradient")
    assert (found.passed, found.outcome) == (True, "biased") and found.figure > 1e-2


def test_a_flagged_error_passes_on_a_trap_and_fails_on_a_regular_instance() -> None:
    assert not run(_checked.Warns(), "gradient").passed
    found = run(_checked.Warns(), "trap", "duplicated active row")
    assert (found.passed, found.outcome) == (True, "flagged")


KINKS = [trap.name for trap in TRAPS if trap.expectation == "kink"]


@pytest.mark.parametrize("kink", KINKS)
def test_at_a_kink_who_raises_or_notes_is_right_and_silence_fails_an_exact_method(kink: str) -> None:
    for method in (Blorc(), ClosedForm(), _checked.RaisesAtKinks()):
        assert (run(method, "trap", kink).passed, run(method, "trap", kink).outcome) == (True, "right")
    assert (run(_checked.Mute(), "trap", kink).passed, run(_checked.Mute(), "trap", kink).outcome) == (False, "silent")
    assert (run(_checked.Modest(), "trap", kink).passed, run(_checked.Modest(), "trap", kink).outcome) == (True, "silent")


def test_regular_instances_raise_no_doubt() -> None:
    for instance in CHECKS["gradient"][1]:
        problem = regular(instance)
        for method in (Blorc(), ClosedForm()):
            assert method.prepare(problem)(problem.theta).note == ""


# Known faults

SCRIPTS = {fault.reference: fault for fault in KNOWN_FAULTS}


@pytest.mark.long
@pytest.mark.parametrize("reference", SCRIPTS)
def test_the_script_of_a_known_fault_shows_it(reference: str, tmp_path: Path) -> None:
    script = SCRIPTS[reference].script
    assert not any(f"import {name}" in script or f"from {name}" in script for name in ("problems", "methods", "harness"))
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout


FAULT = KnownFault("a fault", "numpy", "", "what", "", ("m",), "trap", ("x",))
SILENT = Verdict("trap", "x", False, "silent", 1.0)


def test_a_known_fault_passes_one_that_is_gone_fails() -> None:
    import numpy as np

    here, elsewhere = replace(FAULT, version=np.__version__), replace(FAULT, version="0.0.1")
    assert settled("m", SILENT, (here,)).passed
    assert settled("m", SILENT, (here,)).fault == "a fault"
    assert settled("m", replace(SILENT, outcome="flagged"), (here,)).passed  # it raised where a gradient exists
    gone = settled("m", replace(SILENT, passed=True, outcome="right", figure=0.0), (here,))
    assert not gone.passed
    assert "known fault gone: a fault" in gone.message
    assert settled("m", SILENT, (elsewhere,)) == SILENT
    assert settled("other", SILENT, (here,)) == SILENT
    assert settled("m", replace(SILENT, instance="y"), (here,)) == replace(SILENT, instance="y")


def test_known_faults_name_checks_and_instances_that_exist() -> None:
    for fault in KNOWN_FAULTS:
        assert fault.check in ("", *CHECKS)
        assert set(fault.instances) <= set(CHECKS[fault.check][1] if fault.check else ())
        for label in fault.methods:
            assert [method.label for method in checks.chosen(label)] == [label]


# The command


def test_a_crash_and_a_timeout_cost_one_check() -> None:
    source = str(HERE / "_methods.py") + ":ALL"
    named = {method.name: method for method in checks.chosen(source)}
    crashes, sleeps = named["crashes"], named["sleeps"]
    with Checker((), (source,), timeout_s=2.0) as checker:
        crash, slow, fine = (checker.verdict(m, "purity", "tv") for m in (crashes, sleeps, Blorc()))
    assert (crash.passed, crash.outcome) == (False, "flagged")
    assert "SIGSEGV" in crash.message
    assert "timeout" in slow.message
    assert fine.passed


def test_the_command_passes_an_exact_method_and_fails_a_wrong_one() -> None:
    good = dargmin("check", "blorc")
    assert good.returncode == 0, good.stdout + good.stderr
    assert "checks passed" in good.stdout
    bad = within("check", f"{HERE / '_checked.py'}:Scaled")
    assert bad.returncode == 1
    assert "FAIL   gradient     tv" in bad.stdout
    assert "1.0e-03" in bad.stdout
    assert "checks failed" in bad.stdout


def test_known_faults_leave_the_command_green() -> None:
    done = dargmin("check", "cvxpylayers-torch(tolerance=1e-10, adjoint=dense)")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "known  homogeneity" in done.stdout


WRONG = {
    ("nope",): "METHOD must name a method, got 'nope'",
    ("nope.py:M",): "nope.py, which does not exist",
    (): "give a METHOD, a --problem or both, or --all alone",
    ("blorc", "--all"): "give a METHOD, a --problem or both, or --all alone",
    ("blorc", "--into", "x"): "--into goes with --all",
    ("--all", "--into", "/nonexistent"): "/nonexistent is not a run folder",
    ("blorc", "--timeout", "0"): "--timeout must be a finite number of seconds above 0",
    ("blorc", "--preparation-timeout", "nan"): "--preparation-timeout must be a finite number of seconds above 0, got nan",
}


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_wrong_input_is_one_line(arguments: tuple[str, ...]) -> None:
    done = within("check", *arguments)
    assert done.returncode == 2
    assert WRONG[arguments] in done.stderr
    assert len(done.stderr.splitlines()) == 1


# The table


@pytest.fixture(scope="module")
def two_columns() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checks, "COLUMNS", (Blorc(), ClosedForm()))
        yield


@pytest.fixture(scope="module")
def table(two_columns: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What `dargmin check --all --into` writes into a run."""
    made = _runs.build(tmp_path_factory.mktemp("table") / "run", pairs=[])
    done = within("check", "--all", "--into", str(made.path))
    assert done.returncode == 0, done.stderr
    assert f"written: {made.path / 'checks.json'}" in done.stdout
    assert done.stderr.splitlines() == ["checking blorc", "checking closed-form-torch"]
    found = Run.open(made.path).checks
    assert found is not None
    return found


def test_the_table_has_a_row_for_every_trap(table: dict[str, object]) -> None:
    assert [row["trap"] for row in table["rows"]] == [*(trap.name for trap in TRAPS), "loosest setting"]  # type: ignore[attr-defined]
    assert checks.failures(table) == []
    assert json.loads(json.dumps(table, allow_nan=False)) == table
    assert all(label in checks_table(table) for label in ("blorc", "closed-form-torch", "2-D TV, W"))


def test_the_report_shows_the_table(table: dict[str, object], tmp_path: Path) -> None:
    made = _runs.build(tmp_path / "run", pairs=[])  # without cells: no figure to draw
    page = write_report([made], tmp_path / "without")
    assert checks.TITLE not in page.read_text()
    assert made.checks is None
    made.write_checks(table)
    assert Run.open(made.path).checks == table
    assert not list(made.path.glob(".checks*"))
    page = write_report([made], tmp_path / "with")
    for text in (page.read_text(), (page.parent / "report.md").read_text()):
        assert checks.TITLE in text
        assert "near rank kink, e = 1e-06" in text
        assert "diffcp: small cotangents" in text


def test_a_missing_library_is_refused_not_failed() -> None:
    source = str(HERE / "_methods.py") + ":ALL"
    (absent,) = [m for m in checks.chosen(source) if m.name == "absent"]
    with Checker((), (source,)) as checker:
        found = checker.verdict(absent, "gradient", "tv")
    assert (found.passed, found.outcome, math.isnan(found.figure)) == (True, "refused", True)
