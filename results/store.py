"""Bytes on disk: a run is a folder with its plan, environment and methods, a JSON line a finished cell, and what it cost."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from errno import ENOLCK, ENOTDIR, ENOTSUP
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from results import upgrade
from results.record import COLUMNS, SCHEMA, Measured, Planned, row

if TYPE_CHECKING:
    import pandas as pd


class RunError(ValueError):
    """A run folder that cannot be made or read; the message is one line with the remedy."""


@dataclass(frozen=True)
class Run:
    """A run folder: plan.json (cells, settings), environment.json, methods.json, records.jsonl, its compaction, costs.jsonl."""

    path: Path

    @classmethod
    def create(
        cls,
        path: Path,
        cells: dict[str, Planned],
        environment: dict[str, Any],
        methods: dict[str, dict[str, Any]],
        settings: dict[str, Any],
    ) -> Run:
        """Make the folder; it appears under its name only with its plan in it."""
        if path.exists():
            raise RunError(f"run folder {path} exists already; give another --out, or go on with --resume {path}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            staging = path.parent / f".{path.name}-{uuid4().hex[:8]}"
            staging.mkdir()  # as the umask has it
        except OSError as error:
            raise RunError(f"cannot write to {path.parent}: {error.strerror}; give another --out") from None
        try:
            plan = {"schema": SCHEMA, "settings": settings, "cells": {key: asdict(cell) for key, cell in cells.items()}}
            for name, content in (("plan", plan), ("environment", environment), ("methods", methods)):
                (staging / f"{name}.json").write_text(json.dumps(content, indent=1))
            (staging / "records.jsonl").touch()
            staging.rename(path)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> Run:
        """An existing run; RunError where the folder is not one, or of another schema."""
        run = cls(path)
        if not (path / "plan.json").is_file():
            raise RunError(f"{path} is not a run folder: it has no plan.json; give a folder that `dargmin run` made")
        if (schema := run._json("plan").get("schema")) not in (SCHEMA, *upgrade.OLDER):
            raise RunError(f"{path} has schema {schema}, expected {SCHEMA}; measure it again with this version")
        return run

    @property
    def name(self) -> str:
        return self.path.resolve().name

    @cached_property
    def _plan(self) -> dict[str, Any]:
        return self._json("plan")

    @property
    def _older(self) -> bool:
        return self._plan["schema"] in upgrade.OLDER

    @cached_property
    def cells(self) -> dict[str, Planned]:
        """The planned cells by key, in the order of the plan."""
        cells = self._plan["cells"]
        return upgrade.cells(cells) if self._older else {key: Planned(**cell) for key, cell in cells.items()}

    @property
    def settings(self) -> dict[str, Any]:
        return self._plan["settings"]

    @property
    def environment(self) -> dict[str, Any]:
        return self._json("environment")

    @property
    def methods(self) -> dict[str, dict[str, Any]]:
        """By label: name, family, citation, formula, knob, batching and promise of every method of the run."""
        return self._json("methods")

    @property
    def checks(self) -> dict[str, Any] | None:
        """What `dargmin check --all --into` wrote: versions, methods, rows and known faults; None where it did not."""
        return self._json("checks") if (self.path / "checks.json").is_file() else None

    def write_checks(self, checks: dict[str, Any]) -> None:
        """checks.json, whole or not at all."""
        staging = self.path / ".checks.json"
        try:
            staging.write_text(json.dumps(checks, indent=1))
            staging.replace(self.path / "checks.json")
        except OSError as error:
            raise RunError(f"cannot write to {self.path}: {error.strerror}; give another --into") from None

    @contextlib.contextmanager
    def measured(self) -> Iterator[None]:
        """For this process alone, until it ends: RunError where another one measures the run."""
        import fcntl

        with (self.path / "records.jsonl").open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunError(f"{self.path} is being measured by another process; wait for its end, or stop it") from None
            except OSError as error:
                if error.errno not in (ENOLCK, ENOTSUP):  # a file system without locks
                    raise
            yield

    def append(self, results: Iterable[tuple[str, Planned, Measured]]) -> None:
        """Write the lines of one finished block together and wait until they are on the disk."""
        _append(self.path / "records.jsonl", [row(self.name, key, planned, measured) for key, planned, measured in results])

    def rows(self) -> dict[str, dict[str, Any]]:
        """The finished cells by key; of a cell measured twice the later counts."""
        found = {line["key"]: line for line in _lines(self.path / "records.jsonl")}
        return {key: upgrade.line(line, self.cells.get(key)) for key, line in found.items()} if self._older else found

    def append_costs(self, line: dict[str, Any]) -> None:
        """What a block, or the end of a session, took; a run that is gone on with adds its own."""
        _append(self.path / "costs.jsonl", [line])

    @property
    def costs(self) -> list[dict[str, Any]]:
        """The lines of costs.jsonl: block, wall_s, own_s, phases, methods; empty where none were kept."""
        return _lines(self.path / "costs.jsonl")

    def frame(self) -> pd.DataFrame:
        """The table: one row for every planned cell; one that was not reached has status interrupted."""
        import pandas as pd

        done = self.rows()
        missing = Measured(status="interrupted", reason="the run ended before this cell was measured")
        lines = [done.get(key) or row(self.name, key, cell, missing) for key, cell in self.cells.items()]
        frame = pd.DataFrame(lines, columns=list(COLUMNS))
        for flag in ("converged", "verified"):
            frame[flag] = frame[flag].astype("boolean")
        return frame

    def compact(self) -> None:
        """Write records.parquet and records.csv from the lines."""
        frame = self.frame()
        frame.to_parquet(self.path / "records.parquet", index=False)
        frame.to_csv(self.path / "records.csv", index=False)

    def _json(self, name: str) -> dict[str, Any]:
        with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
            return json.loads((self.path / f"{name}.json").read_text())
        raise RunError(f"{self.path / name}.json is missing or not JSON; the run folder is damaged, measure it again")


def require_place(folder: Path, option: str) -> None:
    """RunError where nothing can be written there; told before the work, not after it."""
    place = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    try:
        if not place.is_dir():
            raise NotADirectoryError(ENOTDIR, f"{place} is no folder")
        with tempfile.TemporaryFile(dir=place):
            return
    except OSError as error:
        raise RunError(f"cannot write to {folder}: {error.strerror}; give another {option}") from None


def _append(path: Path, lines: list[dict[str, Any]]) -> None:
    path.touch()
    with path.open("r+b") as file:
        file.seek(_whole_lines(path))  # a line cut off by a crash is overwritten
        file.truncate()
        file.write("".join(json.dumps(line) + "\n" for line in lines).encode())
        file.flush()
        os.fsync(file.fileno())


def _lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a file; none where there is no file."""
    text = path.read_bytes()[: _whole_lines(path)].decode() if path.is_file() else ""
    return [json.loads(line) for line in text.splitlines()]


def _whole_lines(path: Path) -> int:
    """Bytes of the file up to and with its last newline."""
    return path.read_bytes().rfind(b"\n") + 1
