"""Blocks on the workers of a dask cluster: the same rows as on this machine, and failures in one line."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import psutil
import pytest
from distributed import LocalCluster

from harness.commands import running
from harness.measure import cluster
from results import Run, RunError

ROOT = Path(__file__).resolve().parent.parent
AXES = {"n": "9,16", "operators": ["tv"]}


@pytest.fixture(scope="module", autouse=True)
def importable() -> Iterator[None]:
    """The workers import the packages of this checkout."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]))
        yield


@pytest.fixture(scope="module")
def local(importable: None) -> Iterator[LocalCluster]:
    with LocalCluster(n_workers=2, threads_per_worker=2, processes=True, dashboard_address=":0") as made:
        yield made


@pytest.fixture(scope="module")
def address(local: LocalCluster) -> str:
    return local.scheduler_address


def request(address: str | None, executor: str = "dask") -> running.Request:
    return running.Request(None, AXES, ("blorc-daqp", "fd-directional"), 1, "cpu", 0.05, None, 300.0, 8.0, executor, address)


def test_a_cluster_gives_a_row_for_every_cell_and_resumes(address: str, tmp_path: Path) -> None:
    path = running.run(request(address), tmp_path / "run", dry_run=False)
    assert path is not None
    frame = Run.open(path).frame()
    assert set(frame["status"]) == {"ok"} and len(frame) == 4
    assert (
        (frame["host"] != "").all() and (frame["total_s"] > 0).all() and (frame["error_rel"] < 1e-6).all()
    )  # of the differences
    lines = (path / "records.jsonl").read_text().splitlines(keepends=True)
    (path / "records.jsonl").write_text("".join(lines[:2]))  # one block of two
    running.resume(path, "dask", address)
    assert (path / "records.jsonl").read_text().splitlines(keepends=True)[:2] == lines[:2]
    assert set(Run.open(path).rows()) == set(Run.open(path).cells)


def test_what_a_user_names_is_found_on_a_cluster(address: str, tmp_path: Path) -> None:
    mine = f"{Path(__file__).with_name('_my_ridge.py')}:ENSEMBLE"
    asked = replace(
        request(address),
        axes={"problems": [mine], "n": "8"},
        methods=("linear-solve-vjp-torch(tolerance=1e-6)", "fd-directional"),
    )
    path = running.run(asked, tmp_path / "run", dry_run=False)
    assert path is not None
    frame = Run.open(path).frame()
    assert set(frame["label"]) == {"linear-solve-vjp-torch(tolerance=1e-06)", "fd-directional"}
    assert set(frame["problem"]) == {"my-ridge"} and set(frame["status"]) == {"ok"}, list(frame["reason"])


def test_a_worker_that_is_killed_costs_no_cell_and_doubles_none(local: LocalCluster, tmp_path: Path) -> None:
    asked = replace(request(local.scheduler_address), axes={"n": "9,16", "operators": ["tv"], "seeds": "0:6"})
    paths: list[Path | None] = []
    thread = Thread(target=lambda: paths.append(running.run(asked, tmp_path / "run", dry_run=False)))
    thread.start()
    kept = wait_for_a_row(tmp_path / "run" / "records.jsonl", thread)
    victim = local.workers[0].pid
    assert blocks_of(victim)  # in the middle of one
    os.kill(victim, signal.SIGKILL)
    thread.join(240)
    assert not psutil.pid_exists(victim)
    assert paths == [tmp_path / "run"]
    run = Run.open(tmp_path / "run")
    lines = (run.path / "records.jsonl").read_text().splitlines()
    assert lines[: len(kept)] == kept and len(kept) < len(lines)
    assert Counter(json.loads(line)["key"] for line in lines) == Counter(list(run.cells))
    assert len(run.cells) == 24 and set(run.frame()["status"]) == {"ok"}


def wait_for_a_row(records: Path, thread: Thread) -> list[str]:
    """The first lines of the records, as soon as there are any."""
    end = time.monotonic() + 120
    while time.monotonic() < end and thread.is_alive():
        if records.is_file() and (lines := records.read_text().splitlines()):
            return lines
        time.sleep(0.02)
    raise AssertionError("no row was written")


def blocks_of(worker: int) -> list[psutil.Process]:
    """The interpreters that run blocks for a worker; waited for, since between two blocks there is none."""
    end = time.monotonic() + 30
    while not (found := psutil.Process(worker).children()) and time.monotonic() < end:
        time.sleep(0.005)
    return found


def test_a_failing_worker_is_named_and_finished_blocks_are_kept(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(members: Any, options: Any) -> Any:
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr(cluster, "_block", broken)
    with pytest.raises(RunError, match="a dask worker failed: broken on purpose; dargmin run --resume"):
        running.run(request(address), tmp_path / "run", dry_run=False)
    assert Run.open(tmp_path / "run").rows() == {}


def test_a_worker_of_other_versions_is_refused(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster.environment, "commit", lambda: "another")
    with pytest.raises(ValueError, match="must have the versions of this machine, differs in commit"):
        running.run(request(address), tmp_path / "run", dry_run=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("scheduler", [None, "tcp://127.0.0.1:1", "nonsense://x"])
def test_no_scheduler_is_one_line(scheduler: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CONNECT_S", 0.5)
    with pytest.raises(ValueError, match="--scheduler"):
        running.run(request(scheduler), tmp_path / "run", dry_run=False)
    assert list(tmp_path.iterdir()) == []


def test_without_dask_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"needs distributed, which is not installed; pip install -e '.\[cluster\]'"):
        running.run(request("tcp://x:1"), tmp_path / "run", dry_run=False)
    assert list(tmp_path.iterdir()) == []
