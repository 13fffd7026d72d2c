"""What the run itself cost: seconds by phase and by method, start-ups of workers, and what the timer adds to a call."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from reports import text
from reports.select import Study, family_rank
from reports.text import Cell, Table
from results import Run, statistics

TITLE = "What the run cost"
MEANING = {
    "references": "the references of the blocks, proved or taken from the cache",
    "instances and thetas": "drawing the instances, and the thetas that timed calls go through",
    "set-up": "the methods' own: prepare, with what is compiled ahead",
    "first calls": "the methods' own: with what is compiled at the first call",
    "sampling": "the methods' own: untimed and timed calls",
    "memory pass": "the methods' own: one call under each meter of memory",
    "memory meter": "its floor",
    "failed calls": "the methods' own: until a limit was met or the worker died",
    "judging": "errors against the reference",
    "canaries and collections": "the fixed kernel beside each cell, and the garbage collection before its samples",
    "worker start-ups": "the first one starts the server that imports the frameworks",
    "pipes": "requests and answers between the processes",
    "storage": "writing the rows, each block to the disk, and the tables at the end",
    "rest": "statistics of the samples, choosing the order, progress",
}


def sections(study: Study, runs: Sequence[Run]) -> list[tuple[Table, ...]]:
    """The tables of every run that kept its costs; a run that was gone on with adds up."""
    return [(phases(run.name, lines), methods(study, lines)) for run in runs if (lines := run.costs)]


def phases(name: str, lines: Sequence[Mapping[str, Any]]) -> Table:
    """Seconds and share of every phase; they add up to the wall."""
    sums = _sums(line["phases"] for line in lines)
    wall = math.fsum(line["wall_s"] for line in lines)
    harness = wall - math.fsum(line["own_s"] for line in lines)
    rows = sorted(sums.items(), key=lambda item: -item[1])
    shown = [_phase(phase, seconds, wall, MEANING.get(phase, "")) for phase, seconds in rows]
    shown.append(_phase("all", wall, wall, "the wall, from the plan to the tables"))
    shown.append(_phase("not the methods' own", harness, wall, "all but set-up, first calls, sampling, memory pass, failures"))
    return text.table(f"Seconds by phase of {name}", ("phase", "s", "share", "what it is"), shown, _note(lines))


def _phase(phase: str, seconds: float, wall: float, meaning: str) -> list[Cell | str]:
    share = seconds / wall if wall else math.nan
    return [phase, text.number(seconds), Cell(f"{share:.1%}", share), meaning]


def _note(lines: Sequence[Mapping[str, Any]]) -> str:
    added = [line["overhead_s"] for line in lines if "overhead_s" in line]
    starts = [start for line in lines for entry in line["methods"].values() for start in entry["starts_s"]]
    said = [f"{text.plural(len(starts), 'worker')} started"]
    if starts:
        rest = sorted(starts)[:-1] or starts
        said[0] += f", the slowest in {max(starts):.2g} s, the others in {sum(rest) / len(rest):.2g} s on average"
    for kind, words in (("plain", "a call"), ("split", "a call in two phases")):
        if added:
            seconds = statistics.median_interval([one[kind] for one in added]).value
            said.append(f"the timer adds {1e6 * seconds:.2g} us to {words}")
    return "; ".join(said) + ". The timer's share is that of an empty call under the same code; no time is corrected for it."


def methods(study: Study, lines: Sequence[Mapping[str, Any]]) -> Table:
    """What each method took of the run, and the workers it needed."""
    families = dict(zip(study.frame.method, study.frame.family, strict=True))
    entries: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for line in lines:
        for method, entry in line["methods"].items():
            entries[method].append(entry)
    rows = []
    for method in sorted(entries, key=lambda method: (family_rank(families.get(method, "harness")), method)):
        wall, own = (math.fsum(entry[key] for entry in entries[method]) for key in ("wall_s", "own_s"))
        starts = [start for entry in entries[method] for start in entry["starts_s"]]
        mean = sum(starts) / len(starts) if starts else math.nan
        counted = Cell(str(len(starts)), len(starts))
        rows.append([families.get(method, "harness"), method, text.number(wall), text.number(own), counted, text.number(mean)])
    columns = ("family", "method", "wall s", "its own s", "workers started", "s a start")
    note = "All settings of a method together. Wall: with the start-ups of its workers, canaries and judging; its own: without."
    return text.table("Seconds by method", columns, rows, note)


def _sums(parts: Any) -> dict[str, float]:
    found: defaultdict[str, float] = defaultdict(float)
    for part in parts:
        for name, seconds in part.items():
            found[name] += seconds
    return dict(found)
