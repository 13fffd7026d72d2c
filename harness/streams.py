"""Standard streams that no reader, encoding or caller can turn into a failure of the work."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import Any


class _Deaf(io.FileIO):
    """A file that takes what nobody reads any more: a pipe into `head` ends no run."""

    def write(self, data: object) -> int:
        try:
            return super().write(data)  # type: ignore[arg-type]
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
            return memoryview(data).nbytes  # type: ignore[arg-type]


def prepare() -> None:
    """Open what was handed over closed, outlive a reader, and write "?" for what the encoding does not know."""
    for number in range(3):
        _open(number)
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 - it lives as long as the process
    sys.stdout, sys.stderr = _tolerant(1, sys.stdout), _tolerant(2, sys.stderr)


def _open(number: int) -> None:
    """/dev/null where the descriptor is closed; otherwise the next file that is opened would take its place."""
    try:
        os.fstat(number)
    except OSError:
        made = os.open(os.devnull, os.O_RDWR)
        if made != number:
            os.dup2(made, number)
            os.close(made)
        os.set_inheritable(number, True)  # by what is started


def _tolerant(number: int, stream: Any) -> io.TextIOWrapper:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    with suppress(OSError, ValueError, AttributeError):
        stream.flush()
    at_once = number == 2
    buffered = io.BufferedWriter(_Deaf(number, "w", closefd=False))
    return io.TextIOWrapper(buffered, encoding, "replace", line_buffering=at_once or os.isatty(number), write_through=at_once)
