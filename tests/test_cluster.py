"""Blocks on the workers of a dask cluster: the same rows as on this machine, and failures in one line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from harness import cluster, commands
from results import Run, RunError

ROOT = Path(__file__).resolve().parent.parent
AXES = {"n": "9,16", "operators": ["tv"]}

needs_dask = pytest.mark.skipif(find_spec("distributed") is None, reason="distributed is not installed: the extra `cluster`")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    from distributed import LocalCluster

    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    with LocalCluster(n_workers=1, threads_per_worker=2, processes=True, dashboard_address=None) as local:
        yield local.scheduler_address


def request(address: str | None, executor: str = "dask") -> commands.Request:
    return commands.Request(None, AXES, ("blorc-daqp", "fd-directional"), 1, "cpu", 0.05, None, 300.0, 8.0, executor, address)


@needs_dask
def test_a_cluster_gives_a_row_for_every_cell_and_resumes(address: str, tmp_path: Path) -> None:
    path = commands.run(request(address), tmp_path / "run", dry_run=False)
    assert path is not None
    frame = Run.open(path).frame()
    assert set(frame["status"]) == {"ok"} and len(frame) == 4
    assert (
        (frame["host"] != "").all() and (frame["total_s"] > 0).all() and (frame["error_rel"] < 1e-6).all()
    )  # of the differences
    lines = (path / "records.jsonl").read_text().splitlines(keepends=True)
    (path / "records.jsonl").write_text("".join(lines[:2]))  # one block of two
    commands.resume(path, "dask", address)
    assert (path / "records.jsonl").read_text().splitlines(keepends=True)[:2] == lines[:2]
    assert set(Run.open(path).rows()) == set(Run.open(path).cells)


@needs_dask
def test_a_failing_worker_is_named_and_finished_blocks_are_kept(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(members: Any, options: Any) -> Any:
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr(cluster, "_block", broken)
    with pytest.raises(RunError, match="a dask worker failed: broken on purpose; dargmin run --resume"):
        commands.run(request(address), tmp_path / "run", dry_run=False)
    assert Run.open(tmp_path / "run").rows() == {}


@needs_dask
def test_a_worker_of_other_versions_is_refused(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster.environment, "commit", lambda: "another")
    with pytest.raises(ValueError, match="must have the versions of this machine, differs in commit"):
        commands.run(request(address), tmp_path / "run", dry_run=False)
    assert list(tmp_path.iterdir()) == []


@needs_dask
@pytest.mark.parametrize("scheduler", [None, "tcp://127.0.0.1:1", "nonsense://x"])
def test_no_scheduler_is_one_line(scheduler: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CONNECT_S", 0.5)
    with pytest.raises(ValueError, match="--scheduler"):
        commands.run(request(scheduler), tmp_path / "run", dry_run=False)
    assert list(tmp_path.iterdir()) == []


def test_without_dask_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"needs distributed, which is not installed; pip install -e '.\[cluster\]'"):
        commands.run(request("tcp://x:1"), tmp_path / "run", dry_run=False)
    assert list(tmp_path.iterdir()) == []
