"""Blocks measured by the workers of a dask cluster, each with the local runner in a process of its own."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from harness import environment
from harness.measure.processes import safe_path
from harness.measure.runner import Options, Runner, unfinished
from results import Measured, Planned, Run, RunError

EXECUTORS = ("local", "dask")
CONNECT_S = 10
ROOT = Path(__file__).parents[2]

Members = list[tuple[str, Planned]]
Rows = list[tuple[str, Planned, Measured]]

_one_at_a_time = threading.Lock()  # on a worker of several threads: blocks beside each other would disturb their times


def connect(executor: str, scheduler: str | None) -> Any:
    """A client of the dask scheduler, None for the local executor; ValueError or OSError where there is none to be had."""
    if executor == "local":
        if scheduler is not None:
            raise ValueError(f"--scheduler goes with --executor dask, got --executor local and {scheduler!r}")
        return None
    if find_spec("distributed") is None:
        raise ValueError("--executor dask needs distributed, which is not installed; pip install -e '.[cluster]'")
    if scheduler is None:
        raise ValueError("--executor dask needs --scheduler ADDRESS, such as tcp://host:8786, got none")
    from distributed import Client

    try:
        client = Client(scheduler, timeout=CONNECT_S)
    except (OSError, ValueError) as error:
        raise ValueError(f"--scheduler must be the address of a running dask scheduler, got {scheduler!r}: {error}") from None
    try:
        _check_versions(client)
    except ValueError:
        client.close()
        raise
    return client


def _check_versions(client: Any) -> None:
    """ValueError where a worker would measure other code or libraries than the plan says."""
    ours = _versions()
    for address, theirs in client.run(_versions).items():
        if odd := sorted(name for name in ours if ours[name] != theirs.get(name)):
            raise ValueError(f"dask worker {address} must have the versions of this machine, differs in {', '.join(odd)}")


def _versions() -> dict[str, str]:
    return environment.versions() | {"commit": environment.commit()}


def measure(run: Run, options: Options, client: Any, on_cell: Callable[[Planned], None]) -> None:
    """All unfinished blocks of the run, appended as they come in; RunError where a worker fails, what is finished is kept."""
    from distributed import as_completed

    futures = [client.submit(_block, members, options, pure=False) for members in unfinished(run)]
    try:
        for future in as_completed(futures):
            if (error := future.exception()) is not None:
                raise RunError(f"a dask worker failed: {error}; dargmin run --resume {run.path} goes on")
            rows = future.result()
            run.append(rows)
            for _, planned, _ in rows:
                on_cell(planned)
    finally:
        client.cancel(futures)


def _block(members: Members, options: Options) -> Rows:
    """On a worker: a new interpreter runs the block, for dask's own processes may have no children."""
    with _one_at_a_time:
        command = [sys.executable, "-m", "harness.measure.cluster"]
        environ = {**os.environ, **safe_path()}
        done = subprocess.run(
            command, input=pickle.dumps((members, options)), capture_output=True, cwd=ROOT, env=environ, check=False
        )
    if done.returncode:
        lines: Iterable[str] = done.stderr.decode(errors="replace").strip().splitlines()
        raise RuntimeError([*lines, f"exit code {done.returncode}"][-2 if lines else -1])
    return pickle.loads(done.stdout)


def main() -> None:
    """Read (members, options) from stdin, write the rows of the block to stdout."""
    members, options = pickle.loads(sys.stdin.buffer.read())
    with Runner((planned for _, planned in members), options) as runner:
        rows = runner.block(members)
    sys.stdout.buffer.write(pickle.dumps(rows))


if __name__ == "__main__":
    main()
