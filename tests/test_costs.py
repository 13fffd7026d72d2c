"""What a run costs: the ledger, what the timer adds, the table of the report, and what is known of a plan before it starts."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, replace
from pathlib import Path

import _runs
import pytest

from harness import environment
from harness.commands import estimate, running
from harness.commands.request import Request
from harness.measure import timing
from harness.measure.costs import Ledger
from harness.measure.runner import Options
from harness.plan.sweeps import Sweep, plan
from methods.blorc import Blorc
from reports import costs
from reports.select import load
from results import Run


def test_sampling_takes_its_budget_a_timed_cell_at_most() -> None:
    cells = plan((Sweep(n=(8, 16)), Sweep(n=(8,), measure="memory")), (Blorc(),))
    assert estimate.sampling(cells, Options(budget_s=0.3)) == pytest.approx(0.6)


def test_what_the_same_plan_took_here_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    request = Request(None, {"n": "8", "seeds": "0:2"}, ("blorc", "fd-directional"), 1, "cpu", 0.1, None, 300.0, 8.0)
    path = running.run(request, tmp_path / "first", dry_run=False)
    assert path is not None and "here before" not in capsys.readouterr().err
    run = Run.open(path)
    cells, options = tuple(run.cells.values()), Options(budget_s=0.1)
    spent = sum(line["wall_s"] for line in run.costs)
    assert estimate.earlier(cells, options, tmp_path) == pytest.approx(spent) and 0 < spent < 60
    assert estimate.earlier(cells[1:], options, tmp_path) is None
    assert estimate.earlier(cells, replace(options, budget_s=0.2), tmp_path) is None
    assert estimate.earlier(cells, options, tmp_path / "first") is None
    running.run(request, tmp_path / "second", dry_run=True)
    assert f"the same plan took {spent:.0f} s here before" in capsys.readouterr().err


def test_a_run_that_is_not_whole_or_of_another_processor_tells_nothing(tmp_path: Path) -> None:
    run = _runs.build(tmp_path / "run", pairs=_runs.small())
    cells, options = tuple(run.cells.values()), Options()
    (run.path / "plan.json").write_text(
        json.dumps(json.loads((run.path / "plan.json").read_text()) | {"settings": asdict(options)})
    )
    run.append_costs({"block": "", "wall_s": 7.0})
    assert estimate.earlier(cells, options, tmp_path) is None  # of the synthetic processor
    (run.path / "environment.json").write_text(json.dumps({"processor": environment.processor()}))
    assert estimate.earlier(cells, options, tmp_path) == 7.0
    lines = (run.path / "records.jsonl").read_text().splitlines(keepends=True)
    (run.path / "records.jsonl").write_text("".join(lines[1:]))
    assert estimate.earlier(cells, options, tmp_path) is None
    (run.path / "environment.json").write_text("{")
    assert estimate.earlier(cells, options, tmp_path) is None


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
