"""What a run costs: the ledger, what the timer adds, the table of the report, and the estimate of a plan."""

from __future__ import annotations

import time
from pathlib import Path

import _runs
import pytest

from harness import timing
from harness.costs import Ledger
from harness.estimate import seconds
from harness.presets import BUDGET_S, PRESETS, TIMEOUT_S
from harness.runner import Options
from harness.sweeps import plan
from methods import METHODS
from reports import costs
from reports.select import load

# Seconds on two cores, nothing beside them; default took 127 where instances are drawn once a block.
# scaling is not among them since it goes up to 10^6 unknowns: it was not measured afresh.
WALLS = {"smoke": 23.0, "default": 196.0, "speed": 327.0}


@pytest.mark.parametrize("preset", WALLS)
def test_the_estimate_is_right_within_a_factor_of_two(preset: str) -> None:
    options = Options(budget_s=BUDGET_S[preset], timeout_s=TIMEOUT_S.get(preset, 60.0))
    found = seconds(plan(PRESETS[preset]), options)
    assert WALLS[preset] / 2 < found < 2 * WALLS[preset]


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
