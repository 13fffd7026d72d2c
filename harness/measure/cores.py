"""Cores that no other run measures on: an advisory lock a core, which ends with the process that holds it."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from harness import environment


class Cores:
    """The last `count` free cores; where there are not that many, the last ones of all, and `shared` is true."""

    def __init__(self, count: int, folder: Path | None = None) -> None:
        cores, self._locks = environment.cores(), dict[int, IO[bytes] | None]()
        for core in reversed(cores):
            if len(self._locks) < count:
                with suppress(BlockingIOError):
                    self._locks[core] = _lock((folder or _folder()) / f"core-{core}.lock")
        self.shared = len(self._locks) < count
        self.numbers = cores[-count:] if self.shared else tuple(sorted(self._locks))

    def release(self) -> None:
        """Leave them to others."""
        for file in self._locks.values():
            if file is not None:
                file.close()
        self._locks.clear()


def pin(numbers: tuple[int, ...]) -> None:
    """This process runs on these cores alone, where the platform can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, numbers)


@contextmanager
def on_one_core() -> Iterator[None]:
    """This process on a core that no run measures on."""
    before, own = environment.cores(), Cores(1)
    pin(own.numbers)
    try:
        yield
    finally:
        pin(before)
        own.release()


def _folder() -> Path:
    """Of the user, and gone when the machine starts again."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return Path(runtime, "dargmin") if runtime else Path(tempfile.gettempdir(), f"dargmin-{os.getuid()}")


def _lock(path: Path) -> IO[bytes] | None:
    """The locked file; BlockingIOError where another holds it; None where no lock can be kept, so that all cores read free."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = path.open("ab")
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise
    except OSError:
        file.close()
        return None
    return file
