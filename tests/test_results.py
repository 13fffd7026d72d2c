"""The store: what is on the disk after a crash, a resume, a mistake."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import _runs
import pytest

from results import COLUMNS, Measured, Run, RunError
from results.sweeps import described, joined, varies


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return _runs.build(tmp_path / "run", pairs=_runs.small())


def test_one_row_a_planned_cell_in_the_order_of_the_plan(run: Run) -> None:
    frame = run.frame()
    assert list(frame.columns) == list(COLUMNS)
    assert list(frame.key) == list(run.cells)
    assert (frame.status == "ok").any()


def test_a_cell_that_was_not_reached_is_interrupted_and_has_no_numbers(tmp_path: Path) -> None:
    run = _runs.build(tmp_path / "run", lambda cell, result: None if cell.label == "blorc" else result, _runs.small())
    lost = run.frame().query("label == 'blorc'")
    assert len(lost) == 5
    assert set(lost.status) == {"interrupted"}
    assert lost.total_s.isna().all()
    assert lost.verified.isna().all()


def test_a_torn_last_line_is_ignored_and_then_overwritten(run: Run) -> None:
    key, cell = next(iter(run.cells.items()))
    path = run.path / "records.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"key": "' + key.encode() + b'", "status": "cra')
    assert run.rows()[key]["status"] == "ok"
    run.append([(key, cell, Measured(status="timeout"))])
    lines = path.read_text().splitlines()
    assert len(lines) == len(whole.splitlines()) + 1
    assert json.loads(lines[-1])["status"] == "timeout"


def test_of_a_cell_measured_twice_the_later_counts(run: Run) -> None:
    key, cell = next(iter(run.cells.items()))
    run.append([(key, cell, Measured(status="nan", reason="measured again"))])
    frame = run.frame()
    assert len(frame) == len(run.cells)
    assert frame.set_index("key").loc[key, "reason"] == "measured again"


def test_create_refuses_an_existing_folder_and_leaves_it_alone(run: Run) -> None:
    before = (run.path / "records.jsonl").read_bytes()
    with pytest.raises(RunError, match="exists already; give another --out"):
        Run.create(run.path, {}, {}, {}, {})
    assert (run.path / "records.jsonl").read_bytes() == before


def test_open_refuses_what_is_no_run_and_another_schema(run: Run, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"it has no plan\.json"):
        Run.open(tmp_path)
    plan = json.loads((run.path / "plan.json").read_text())
    (run.path / "plan.json").write_text(json.dumps(plan | {"schema": 0}))
    with pytest.raises(RunError, match="has schema 0, expected 2"):
        Run.open(run.path)


def test_a_column_that_an_older_run_lacks_was_not_measured(run: Run) -> None:
    lines = [json.loads(line) for line in (run.path / "records.jsonl").read_text().splitlines()]
    older = [{name: value for name, value in line.items() if name != "error_bound"} for line in lines]
    (run.path / "records.jsonl").write_text("".join(json.dumps(line) + "\n" for line in older))
    frame = Run.open(run.path).frame()
    assert list(frame.columns) == list(COLUMNS) and frame.error_bound.isna().all()
    assert frame.error_rel.notna().any()


def test_the_key_depends_on_every_input_and_on_the_versions() -> None:
    cell = _runs.planned(_runs.KINDS[0])
    keys = {cell.key(_runs.VERSIONS), replace(cell, seed=1).key(_runs.VERSIONS), cell.key({"numpy": "1"})}
    assert len(keys) == 3
    assert replace(cell, seed=0).key(_runs.VERSIONS) in keys


def test_compaction_keeps_the_rows(run: Run) -> None:
    import pandas as pd

    run.compact()
    table = pd.read_parquet(run.path / "records.parquet")
    assert list(table.key) == list(run.cells)
    assert table.error_rel.notna().sum() == run.frame().error_rel.notna().sum() > 0


def test_an_unknown_status_is_refused() -> None:
    with pytest.raises(ValueError, match="status must be one of"):
        Measured(status="fine")


@pytest.mark.parametrize("name", ["h200-batches", "h200-methods"])
def test_a_run_of_the_first_schema_is_read(name: str) -> None:
    path = Path(__file__).parent.parent / "results" / "gpu" / name
    assert json.loads((path / "plan.json").read_text())["schema"] == 1
    frame = Run.open(path).frame()
    assert list(frame.columns) == list(COLUMNS) and len(frame) == len(Run.open(path).cells)
    lines = [json.loads(line) for line in (path / "records.jsonl").read_text().splitlines()]
    assert frame.promise.notna().sum() == sum(not math.isnan(line["tolerance"]) for line in lines) > 0
    assert frame.sweep.nunique() == 1 and varies(frame.sweep.iloc[0], "batch", "operator")
    assert not varies(frame.sweep.iloc[0], "sigma")


def test_a_sweep_is_called_by_its_name_and_what_varies_in_it() -> None:
    kind = next(kind for kind in _runs.KINDS if kind.label == "unrolled-fista-torch")
    cells = [_runs.planned(kind, n=n, sigma=sigma) for n in (16, 32) for sigma in (0.1, 0.2)]
    assert described("noise", cells) == "noise(n, sigma)"
    assert described("point", cells[:1]) == "point()"
    rungs = [replace(cells[0], label=f"rung {value}", knob_value=value) for value in (10.0, 30.0, 100.0)]
    assert described("work", rungs) == "work(knobs)" and described("work", rungs[:2]) == "work()"
    both = joined(["noise(n, sigma)", "work(knobs)", "work(knobs)"])
    assert both == "noise(n, sigma); work(knobs)"
    assert varies(both, "n", "sigma") and varies(both, "knobs") and not varies(both, "n", "knobs")
