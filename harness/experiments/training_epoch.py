"""What an epoch of training takes: the gradients of 4000 signals in batches of 100, W moving with every batch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from harness.environment import cores
from harness.experiments import _pages
from harness.measure.timing import without_gc
from harness.training import BATCH, PAIRS, RATE, SIGMA, N
from methods import to_numpy
from methods.blorc import Blorc
from problems import AnalysisL1

CASES = (("identity", "dct-sparse"), *((operator, "piecewise-constant") for operator in ("tv", "random", "trained")))
EPOCHS = 7


@dataclass(frozen=True)
class Row:
    """Seconds of an epoch, all gradients and steps: median, least and most; batches in which a signal has a note."""

    operator: str
    threads: int
    median: float
    least: float
    most: float
    noted: int


def reproduce(folder: Path, quick: bool) -> Path:
    """Write training-epoch.md and .csv into the folder; a tenth of the signals when quick."""
    _pages.fresh(folder)
    threads = sorted({1, len(cores())})
    rows = [row for case in CASES for row in _measured(*case, threads, PAIRS // 10 if quick else PAIRS)]
    folder.mkdir(parents=True)
    _pages.write_csv(rows, folder / "training-epoch.csv")
    page = folder / "training-epoch.md"
    page.write_text("\n".join(_lines(rows, PAIRS // 10 if quick else PAIRS)) + "\n")
    _pages.show(_table(rows))
    return page


def _measured(operator: str, signal: str, threads: list[int], pairs: int) -> list[Row]:
    drawn = AnalysisL1.draw(n=N, sigma=SIGMA, seed=1, operator=operator, signal=signal, batch=pairs)
    found: dict[int, list[tuple[float, int]]] = {count: [] for count in threads}
    for count in threads:
        _epoch(drawn, count)  # compiles
    for _ in range(EPOCHS):
        for count in threads:
            with without_gc():
                found[count].append(_epoch(drawn, count))
    rows = []
    for count, epochs in found.items():
        seconds = [taken for taken, _ in epochs]
        rows.append(
            Row(operator, count, float(np.median(seconds)), min(seconds), max(seconds), max(noted for _, noted in epochs))
        )
    return rows


def _epoch(drawn: AnalysisL1, threads: int) -> tuple[float, int]:
    """Seconds, and the number of batches with a note."""
    method, w, noted = Blorc(threads), np.array(drawn.theta), 0
    start = perf_counter()
    for first in range(0, len(drawn.y), BATCH):
        part = slice(first, first + BATCH)
        found = method.prepare(AnalysisL1(w, drawn.y[part], drawn.target[part], drawn.beta))(w)
        w = w - RATE * to_numpy(found.grad)
        noted += bool(found.note)
    return perf_counter() - start, noted


def _table(rows: list[Row]) -> str:
    columns = ("W at the start", "threads", "seconds an epoch, median [least, most]", "batches with a note")
    lines = [
        (row.operator, str(row.threads), f"{row.median:.3f} [{row.least:.3f}, {row.most:.3f}]", str(row.noted)) for row in rows
    ]
    return _pages.table(columns, lines)


def _lines(rows: list[Row], pairs: int) -> list[str]:
    return [
        "# An epoch of training",
        "",
        f"The exact gradients of {pairs} signals, n = {N}, in batches of {BATCH}, and a step of {RATE:g} along each: W moves,",
        "every signal is met once, nothing is known of it before. Numbers of threads alternate over",
        f"{EPOCHS} epochs after one that compiles. A note: the compiled solver left a signal open, or it may be at a kink.",
        "",
        _table(rows),
    ]
