"""What a run costs: the ledger, what the timer adds, the table of the report, and the estimate of a plan."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import _runs
import pytest

from harness import commands, timing
from harness.costs import Ledger
from harness.estimate import CELL_S, LAWS, PROOF, START_S, Law, seconds
from harness.presets import BUDGET_S, PRESETS, TIMEOUT_S
from harness.runner import Options
from harness.sweeps import plan
from harness.timing import SAMPLE_S
from harness.worker import SAMPLES
from methods import METHODS
from reports import costs
from reports.select import load
from results import Run


def test_the_estimate_is_that_of_a_run_within_a_factor_of_three(tmp_path: Path) -> None:
    """Of what samples, since the starts of the workers and the imports depend on what else the machine does."""
    axes = {"n": "16,36", "seeds": "0:3", "operators": ["tv", "random"]}
    request = commands.Request(None, axes, ("blorc", "closed-form-torch", "fd-directional"), 1, "cpu", 0.3, None, 300.0, 8.0)
    path = commands.run(request, tmp_path / "run", dry_run=False)
    assert path is not None
    run = Run.open(path)
    spent = sum(line["own_s"] for line in run.costs)
    found = seconds(run.cells.values(), Options(budget_s=0.3)) - START_S
    assert len(run.cells) == 36
    assert spent / 3 < found < 3 * spent


def test_the_estimate_of_a_cell_is_its_rounds_and_what_comes_before() -> None:
    cell = _cell("blorc", 64)
    law = Law(1e-4, 2e-5, 2.4)
    assert dict(LAWS)["blorc"] == law
    call, proof = law.floor + law.signal, PROOF.floor + PROOF.signal
    options = [Options(budget_s=budget) for budget in (0.02, 0.04, 1.0)]
    first, second, third = (seconds([cell], one) - START_S - CELL_S - proof - 2 * call for one in options)
    assert first == pytest.approx(0.02 + options[0].rounds * call)
    assert second == pytest.approx(0.04 + options[1].rounds * call)
    most = SAMPLES * SAMPLE_S  # the samples of a round are counted: a cell of short calls is done before its budget is
    assert third == pytest.approx(options[2].rounds * (call + most)) and third < 1.0
    doubled = seconds([cell, replace(cell, seed=1)], options[0]) - START_S
    assert doubled == pytest.approx(2 * (seconds([cell], options[0]) - START_S))
    again = seconds([cell, replace(cell, label="blorc-x")], options[0]) - START_S
    assert again == pytest.approx(doubled - proof)  # a block is proven once


@pytest.mark.parametrize("preset", PRESETS)
def test_the_estimate_of_every_preset_grows_with_its_budget_and_with_its_cells(preset: str) -> None:
    options = Options(budget_s=BUDGET_S.get(preset, 1.0), timeout_s=TIMEOUT_S.get(preset, 60.0))
    cells = plan(PRESETS[preset])
    assert START_S < seconds(cells[: len(cells) // 2], options) < seconds(cells, options)
    assert seconds(cells, replace(options, budget_s=options.budget_s / 2)) < seconds(cells, options)


def test_beyond_a_limit_nothing_is_estimated() -> None:
    (entrywise,) = (method for method in METHODS if method.name == "fd-entrywise")
    cells = [_cell(entrywise.name, n) for n in (64, 128, 256, 512)]
    options = Options(budget_s=0.2, timeout_s=10.0)
    through = [seconds(cells[:count], options) for count in (1, 2, 3, 4)]
    assert through[1] - through[0] > options.timeout_s
    assert through[3] - through[2] < 10  # the proof of a reference, and no call


def _cell(label: str, n: int):  # type: ignore[no-untyped-def]
    return _runs.planned(_runs.Kind(label, "any", 0.0, 0.0, 0.0), n=n)


def test_the_phases_of_a_line_add_up_to_its_wall() -> None:
    ledger = Ledger()
    with ledger.timed("storage"):
        time.sleep(0.01)
    ledger.asked("blorc", 0.0, {"sampling": 0.0}, [])
    time.sleep(0.01)
    line = ledger.line("a block")
    assert line["phases"]["storage"] >= 0.01 and line["phases"]["rest"] >= 0.01
    assert sum(line["phases"].values()) == pytest.approx(line["wall_s"])
    assert ledger.line()["wall_s"] < 0.01  # a line starts anew


def test_a_request_is_split_into_what_the_worker_told_its_start_and_the_pipe() -> None:
    ledger = Ledger()
    ledger.asked("blorc", 5.0, {"set-up": 1.0, "judging": 0.5}, [2.0])
    ledger.asked("blorc", 1.0, {"failed calls": 1.0}, [])
    line = ledger.line()
    assert {name: line["phases"][name] for name in ("set-up", "judging", "worker start-ups", "pipes", "failed calls")} == {
        "set-up": 1.0,
        "judging": 0.5,
        "worker start-ups": 2.0,
        "pipes": 1.5,
        "failed calls": 1.0,
    }
    assert line["own_s"] == 2.0
    assert line["methods"] == {"blorc": {"wall_s": 6.0, "own_s": 2.0, "starts_s": [2.0]}}


def test_the_timer_adds_little_to_a_call() -> None:
    added = timing.overhead()
    assert 0 < added["plain"] < added["split"] * 1.5
    assert added["split"] < 2e-6  # about 0.2 us; an exact gradient at n = 16 takes 14 us


def test_the_report_adds_up_the_lines_of_all_sessions(tmp_path: Path) -> None:
    run = _runs.build(tmp_path / "run", pairs=_runs.small())
    assert costs.sections(load([run]), [run]) == []
    entry = {"wall_s": 3.0, "own_s": 2.0, "starts_s": [1.0]}
    line = {"block": "", "wall_s": 4.0, "own_s": 2.0, "phases": {"sampling": 2.0, "rest": 2.0}, "methods": {"blorc": entry}}
    run.append_costs(line)
    run.append_costs({**line, "overhead_s": {"plain": 1e-7, "split": 2e-7}})
    phases, methods = costs.sections(load([run]), [run])[0]
    found = {row[0].text: (row[1].order, row[2].text) for row in phases.rows}
    assert found == {
        "sampling": (4.0, "50.0%"),
        "rest": (4.0, "50.0%"),
        "all": (8.0, "100.0%"),
        "not the methods' own": (4.0, "50.0%"),
    }
    assert "the timer adds 0.1 us to a call; the timer adds 0.2 us to a call in two phases" in phases.note
    assert [cell.text for cell in methods.rows[0]] == ["closed form", "blorc", "6", "4", "2", "1"]
