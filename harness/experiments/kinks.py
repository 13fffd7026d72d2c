"""No silent kink: every exact entry on structured instances, each answer held against the proof."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from harness import environment
from harness.experiments._pages import fresh, show, table, write_csv
from harness.experiments._structured import ENTRIES, NOISE, OPERATORS, SIGNALS, draw
from harness.experiments.robustness import judged
from methods import Gradient
from problems import Reference
from problems.proofs.certificate import OPEN_IN_VALUES

SEEDS = 8
LARGEST_ERROR = 1e-8  # relative, of a gradient without a note
GENERIC, STRUCTURED = 1e-3, 1e-2  # the shares of false doubts allowed where a gradient is proved
GOOD, NOTICED, UNNOTICED, WRONG = "right", "noticed kink", "unnoticed kink", "wrong"
FALSE, TRUE, UNDECIDED = "false doubt", "right doubt", "undecided"

Key = tuple[str, str, str, int]


@dataclass(frozen=True)
class Row:
    """All instances of one operator, signal or entry; proved: those with a gradient; generic ones have signals of noise."""

    of: str
    name: str
    instances: int
    kinks: int
    noticed: int
    unnoticed: int
    wrong: int
    right_doubts: int
    undecided: int
    proved_generic: int
    false_doubts_generic: int
    proved_structured: int
    false_doubts_structured: int


def reproduce(folder: Path, quick: bool) -> Path:
    """Write kinks.md and .csv into the folder; one seed in eight when quick."""
    fresh(folder)
    console = Console(stderr=True)
    found = {}
    for key in track(instances(range(SEEDS // 8 if quick else SEEDS)), "judging", console=console):
        outcome = judge(key)
        if outcome:
            found[key] = outcome
    rows = rows_of(found)
    folder.mkdir(parents=True)
    write_csv(rows, folder / "kinks.csv")
    page = folder / "kinks.md"
    page.write_text(_page(rows, found))
    show("\n".join([_table(rows), "", *verdicts(rows[-1]), *_named(found)]))
    return page


def instances(seeds: Iterable[int]) -> list[Key]:
    return list(product(OPERATORS, SIGNALS, ENTRIES, seeds))


def judge(key: Key) -> str:
    """How an entry does on an instance; empty where the entry has no such operator."""
    problem = draw(*key)
    if problem is None:
        return ""
    reference = problem.reference()
    try:
        gradient = ENTRIES[key[2]].gradient(problem, np.random.default_rng(key[3]))
    except Exception:  # what a call raises is an outcome; it must not cost the other instances
        return WRONG
    return outcome(gradient, reference)


def outcome(gradient: Gradient, reference: Reference) -> str:
    """A kink in the entries of W is to be noticed also where it is open whether values on its pattern, or taps, have it."""
    if reference.status == "undecided" and OPEN_IN_VALUES in reference.reason:
        reference = replace(reference, status="kink")
    name, error, _ = judged(gradient, reference, LARGEST_ERROR)
    if reference.status == "kink":
        return NOTICED if name == "doubted" else UNNOTICED
    if name == "doubted":
        return FALSE if error <= LARGEST_ERROR else TRUE
    return name if name in (WRONG, UNDECIDED) else GOOD


def rows_of(found: dict[Key, str]) -> list[Row]:
    """One for each operator, signal and entry, and last one for all."""
    rows: list[Row] = []
    tables: dict[str, Iterable[str]] = {"operator": OPERATORS, "signal": SIGNALS, "entry": ENTRIES}
    for place, (of, names) in enumerate(tables.items()):
        for name in names:
            chosen = {key: one for key, one in found.items() if key[place] == name}
            rows += [_row(of, name, chosen)] if chosen else []
    return [*rows, _row("all", "", found)]


def _row(of: str, name: str, found: dict[Key, str]) -> Row:
    counts = Counter(found.values())
    proved, doubted = Counter[bool](), Counter[bool]()
    for (_, signal, _, _), one in found.items():
        proved[signal == NOISE] += one in (GOOD, FALSE, TRUE, WRONG)
        doubted[signal == NOISE] += one == FALSE
    return Row(
        of,
        name,
        instances=len(found),
        kinks=counts[NOTICED] + counts[UNNOTICED],
        noticed=counts[NOTICED],
        unnoticed=counts[UNNOTICED],
        wrong=counts[WRONG],
        right_doubts=counts[TRUE],
        undecided=counts[UNDECIDED],
        proved_generic=proved[True],
        false_doubts_generic=doubted[True],
        proved_structured=proved[False],
        false_doubts_structured=doubted[False],
    )


def verdicts(total: Row) -> list[str]:
    """The sentences under the table: what failed, and success only where nothing did."""
    failed = []
    if total.unnoticed:
        failed.append(f"- FAILED: {total.unnoticed} of {total.kinks} kinks are unnoticed.")
    if total.wrong:
        failed.append(f"- FAILED: {total.wrong} of {total.instances} answers are wrong without a note.")
    for name, limit in (("generic", GENERIC), ("structured", STRUCTURED)):
        doubts, proved = (getattr(total, f"{what}_{name}") for what in ("false_doubts", "proved"))
        if doubts > limit * proved:
            failed.append(f"- FAILED: {doubts} of {proved} {name} gradients are doubted although proved, above {limit:g}.")
    if failed:
        return failed
    return [
        f"- Passed: none of {total.kinks} kinks is unnoticed and none of {total.instances} answers wrong without a note;"
        f" doubted although proved: {total.false_doubts_generic} of {total.proved_generic} generic gradients,"
        f" {total.false_doubts_structured} of {total.proved_structured} structured ones."
    ]


def _table(rows: list[Row]) -> str:
    columns = (
        "of", "name", "instances", "kinks", "noticed", "unnoticed", "wrong", "right doubts", "undecided",
        "false doubts, generic", "false doubts, structured",
    )  # fmt: skip
    return table(columns, map(_line, rows))


def _line(one: Row) -> list[str]:
    counts = (one.instances, one.kinks, one.noticed, one.unnoticed, one.wrong, one.right_doubts, one.undecided)
    generic = f"{one.false_doubts_generic} of {one.proved_generic}"
    return [one.of, one.name, *map(str, counts), generic, f"{one.false_doubts_structured} of {one.proved_structured}"]


def _named(found: dict[Key, str]) -> list[str]:
    """The instances to look at."""
    asked = (UNNOTICED, WRONG, FALSE)
    return [f"- {one}: {', '.join(map(str, key))}" for key, one in found.items() if one in asked]


def _page(rows: list[Row], found: dict[Key, str]) -> str:
    facts = environment.snapshot(1)
    lines = [
        "# No silent kink", "", _table(rows), "", *verdicts(rows[-1]), *_named(found), "",
        f"Operators, signals and entries of harness/experiments/_structured.py, n = 4 to 25; generic: signals of {NOISE}.",
        "unnoticed: no gradient exists, and nothing is said; wrong: no note, and the error of the gradient is above"
        f" {LARGEST_ERROR:g}, or an exception; false doubts: a note where the",
        "gradient is proved and right, of how many; right doubts: a note, and the error is above.",
        f"{facts['processor']}, commit {facts['commit'] or 'unknown'}.",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"
