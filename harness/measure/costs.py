"""What a run costs: seconds by phase and by method, kept as one line a block and added up by whoever reads them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter
from typing import Any

OWN = ("set-up", "first calls", "sampling", "memory pass", "failed calls")  # phases that are the methods' own work
START, PIPES, REST = "worker start-ups", "pipes", "rest"


class Stopwatch:
    """Seconds by phase."""

    def __init__(self) -> None:
        self.phases: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        start = perf_counter()
        try:
            yield
        finally:
            self.phases[phase] += perf_counter() - start

    def read(self) -> dict[str, float]:
        """The seconds since the last reading."""
        found, self.phases = dict(self.phases), defaultdict(float)
        return found


class Ledger(Stopwatch):
    """The costs since the last line: the wall, its phases, what each method took, and the start-ups of its workers."""

    def __init__(self) -> None:
        super().__init__()
        self._since = perf_counter()
        self._methods: dict[str, dict[str, Any]] = {}

    def asked(self, method: str, wall_s: float, phases: Mapping[str, float], starts: list[float]) -> None:
        """One request to a worker: its wall, the phases the worker told, and the start-ups it waited for."""
        told = {**phases, START: sum(starts)}
        told[PIPES] = max(wall_s - sum(told.values()), 0.0)
        for phase, seconds in told.items():
            self.phases[phase] += seconds
        entry = self._methods.setdefault(method, {"wall_s": 0.0, "own_s": 0.0, "starts_s": []})
        entry["wall_s"] += wall_s
        entry["own_s"] += sum(seconds for phase, seconds in phases.items() if phase in OWN)
        entry["starts_s"] += starts

    def line(self, block: str = "", **more: Any) -> dict[str, Any]:
        """The line of a block; what no phase accounts for is the rest, so that the phases add up to the wall."""
        now = perf_counter()
        wall = now - self._since
        phases, methods = self.read(), self._methods
        phases[REST] = max(wall - sum(phases.values()), 0.0)
        self._since, self._methods = now, {}
        own = sum(seconds for phase, seconds in phases.items() if phase in OWN)
        return {"block": block, "wall_s": wall, "own_s": own, "phases": phases, "methods": methods, **more}
