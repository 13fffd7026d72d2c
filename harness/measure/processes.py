"""The parent's side of a worker: start, ask with a time limit, watch its memory, kill its whole group."""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any, Concatenate, ParamSpec, TypeVar

from harness.measure import worker
from harness.measure.worker import Refused, Settings, Worker

P = ParamSpec("P")
R = TypeVar("R")

STDERR_TAIL = 2000
STDERR_CAP = 1 << 20
START_TIMEOUT_S = 120.0
POLL_S = 0.05
FULL = 0.9  # share of the limit from which memory is what a worker waits for

# A process that ends the groups it was told of once the pipe from this one closes, whatever ended this one.
_WATCH = """
import os, signal, sys
groups = set()
for line in sys.stdin:
    (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
for group in groups:
    try:
        os.killpg(group, signal.SIGKILL)
    except OSError:
        pass
"""


class Lost(Exception):
    """The worker ended or was ended during a request; carries the status and reason of the cell it cost."""

    def __init__(self, status: str, reason: str, during: str = "") -> None:
        super().__init__(status, reason)
        self.status, self.reason = status, reason
        self.during = during  # of a timeout: what met its limit, "start", "preparation" or "call"


@dataclass(frozen=True)
class Limits:
    """Seconds a call and a preparation may take, and bytes a worker may hold (0: no limit).

    A preparation is set-up with the first call, for either may compile; it is never given less than a call.
    """

    call_s: float
    preparation_s: float
    memory_bytes: int

    def of(self, what: str) -> tuple[float, str]:
        """(seconds, what is said where they do not suffice)."""
        seconds, said = {
            "start": (START_TIMEOUT_S, "the start of a worker took longer than {:g} s"),
            "preparation": (
                max(self.preparation_s, self.call_s),
                "preparation took longer than {:g} s; raise --preparation-timeout",
            ),
            "call": (self.call_s, "a call took longer than {:g} s; raise --timeout"),
        }[what]
        return seconds, said.format(seconds)


def thread_environment(threads: int) -> dict[str, str]:
    """Variables that hold every library to this many threads; they must stand before a framework is imported."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "RAYON_NUM_THREADS")
    flags = "" if threads > 1 else "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    return {**dict.fromkeys(names, str(threads)), "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "PYTHONWARNINGS": "ignore"}


def safe_path() -> dict[str, str]:
    """Variables that give a new interpreter our modules, and none of the folder that it starts in."""
    root = str(Path(__file__).resolve().parents[2])
    others = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part not in ("", root)]
    return {"PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join([root, *others])}


def context(threads: int, preload: Iterable[str] = ()) -> Any:
    """A forkserver whose server starts with the thread variables set and these modules imported (absent ones are left out).

    Imported once there, they cost a worker nothing; importing starts no backend and no thread, so forking is safe.
    """
    os.environ.update(thread_environment(threads) | safe_path())
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(["harness.measure.worker", "harness.cli", *preload])
    return found


@cache
def _watch() -> subprocess.Popen[str]:
    command = [sys.executable, "-I", "-S", "-c", _WATCH]
    quiet = subprocess.DEVNULL
    watch = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, cwd="/", text=True, start_new_session=True
    )
    atexit.register(watch.communicate)
    return watch


def _tell(line: str) -> None:
    stream = _watch().stdin
    assert stream is not None
    with contextlib.suppress(BrokenPipeError):
        stream.write(line + "\n")
        stream.flush()


class Handle:
    """One living worker; started when first asked, and again after it was lost.

    `generation` counts the losses; `phases` are the seconds that the worker told with its last answer, and `starts` those
    of every start-up.
    """

    def __init__(self, spawn: Any, settings: Settings, limits: Limits) -> None:
        self._spawn = spawn
        self._stderr = Path(tempfile.mkstemp(prefix="dargmin-", suffix=".log")[1])
        self._settings = replace(settings, stderr=str(self._stderr))
        self._limits = limits
        self._process: Any = None
        self._connection: Any = None
        self._mark = 0
        self.generation = 0
        self.phases: dict[str, float] = {}
        self.starts: list[float] = []

    def ask(self, request: Callable[Concatenate[Worker, P], R], *arguments: P.args, **none: P.kwargs) -> R:
        """The worker's answer to a method of Worker; Refused where it gives none, Lost where a call outlasts its limit,
        memory runs out or the process ends.
        """
        self.phases = {}
        if self._process is None:
            self._start()
        self._mark = self._stderr.stat().st_size
        try:
            self._connection.send((request, arguments))
            answer, self.phases = self._await("done", "call")
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise self._ended() from None
        if isinstance(answer, Refused):
            raise answer
        return answer

    def stderr(self) -> str:
        """The end of what the worker wrote since the last request."""
        with self._stderr.open("rb") as file:
            file.seek(self._mark)
            text = file.read(STDERR_CAP)[-STDERR_TAIL:].decode(errors="replace")
        if self._stderr.stat().st_size > STDERR_CAP:
            os.truncate(self._stderr, 0)
        return text

    def forget(self) -> None:
        """Let a living worker drop the cells of its block; one in which a method left threads or children is ended."""
        if self._process is not None:
            with contextlib.suppress(Lost, Refused):
                if self.ask(Worker.drop):
                    self.stop()

    def stop(self) -> None:
        """Kill the worker's group and wait for it."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._process.join()
        _tell(f"-{self._process.pid}")
        self._connection.close()
        self._process = None
        self.generation += 1

    def close(self) -> None:
        """Stop for good."""
        self.stop()
        self._stderr.unlink(missing_ok=True)

    def _start(self) -> None:
        start = perf_counter()
        self._connection, other = self._spawn.Pipe()
        self._process = self._spawn.Process(target=worker.main, args=(other, self._settings), daemon=True)
        self._process.start()
        _tell(f"+{self._process.pid}")
        other.close()
        try:
            self._await("ready", "start")
        except EOFError:
            raise self._ended() from None
        finally:
            self.starts.append(perf_counter() - start)

    def _await(self, wanted: str, what: str) -> Any:
        """The content of the next message of that kind; any other tells what begins, which has a limit of its own."""
        while True:
            kind, content = self._within(what)
            if kind == wanted:
                return content
            what = kind

    def _within(self, what: str) -> tuple[str, Any]:
        """The next message; Lost where `what` outlasts its limit or memory runs out."""
        limit_s, said = self._limits.of(what)
        deadline = monotonic() + limit_s
        while not self._connection.poll(POLL_S):
            if monotonic() > deadline:
                full = self._full()
                self.stop()
                raise Lost("oom", full, what) if full else Lost("timeout", said, what)
            if self._limits.memory_bytes and self._resident() > self._limits.memory_bytes:
                self.stop()
                raise Lost("oom", f"resident memory rose above {self._limits.memory_bytes / 2**30:g} GiB")
        return self._connection.recv()

    def _resident(self) -> int:
        with contextlib.suppress(OSError, ValueError, IndexError):
            return int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return 0

    def _full(self) -> str:
        """What is said where the worker's data have come to their limit, however it goes on; empty where they have not."""
        limit = self._limits.memory_bytes
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{self._process.pid}/status").read_text()
            held = next((1024 * int(line.split()[1]) for line in status.splitlines() if line.startswith("VmData:")), 0)
            if limit and held > FULL * limit:
                return f"memory had come to its limit of {limit / 2**30:g} GiB; raise --memory-limit"
        return ""

    def _ended(self) -> Lost:
        self._process.join(5)
        code = self._process.exitcode
        self.stop()
        if "bad_alloc" in self.stderr() or "MemoryError" in self.stderr():
            return Lost("oom", "the worker ran out of memory and ended")
        reason = signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"
        return Lost("crash", f"the worker ended with {reason}")
