"""What `dargmin run` does: read the request, plan, print the plan, measure with a progress bar."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from harness import environment
from harness.commands import estimate
from harness.commands.request import Request, read, require_device
from harness.measure import cluster
from harness.measure.runner import Options, Runner, method_facts, unfinished
from harness.plan.catalogue import OURS, with_ladders
from harness.plan.nearest import require
from harness.plan.sweeps import Sweep, plan
from harness.plan.userfiles import contents
from methods import METHODS, SETTINGS
from results import ANSWERED, Planned, Run, RunError


def run(request: Request, target: Path, dry_run: bool) -> Path | None:
    """Plan and measure into the folder `target`; ValueError or RunError, and nothing written, where the request is wrong."""
    asked = read(request)
    options, methods = asked.options, asked.methods or METHODS
    cells = plan(asked.sweeps, asked.methods, asked.device, options.threads)
    if not cells:
        raise ValueError("the plan has no cells; give other methods or axes")
    if dry_run:
        _print_plan(cells, options, target.parent)
        return None
    client = cluster.connect(asked.executor, asked.scheduler)
    versions = _versions(options.sources)
    labels = {cell.label for cell in cells}
    planned = {label: method for label, method in with_ladders((*OURS, *methods)).items() if label in labels}
    made = Run.create(
        target,
        {cell.key(versions): cell for cell in cells},
        environment.snapshot(options.threads, asked.device),
        method_facts(planned, [method.label for method in (*methods, *SETTINGS)]),
        asdict(options),
    )
    _print_plan(cells, options, target.parent)
    return _measure(made, options, client)


def resume(path: Path, executor: str = "local", scheduler: str | None = None) -> Path:
    """Go on with a run; RunError where versions or code differ from those it began with."""
    made = Run.open(path)
    versions = _versions(made.settings["sources"])
    stale = [key for key, cell in made.cells.items() if cell.key(versions) != key]
    if stale:
        raise RunError(
            f"{path} was measured with other code or library versions, or with other files of yours; "
            "its rows would not be comparable: start a new run"
        )
    for device in {cell.device for cell in made.cells.values()}:
        require_device(device)
    settings = made.settings
    require("--executor", executor, cluster.EXECUTORS)
    client = cluster.connect(executor, scheduler)
    return _measure(made, Options(**{**settings, "sources": tuple(settings["sources"])}), client)


def _versions(named: Iterable[str]) -> dict[str, str]:
    """What a row depends on beside its inputs: libraries, code, the users' files and what they import from beside them."""
    return {**environment.versions(), "commit": environment.commit(), **contents(tuple(named))}


def interrupted(path: Path) -> bool:
    """Whether cells are left to measure."""
    made = Run.open(path)
    return len(made.rows()) < len(made.cells)


def in_vain(path: Path) -> str:
    """What is said where no cell of a finished run succeeded; empty where one did."""
    made = Run.open(path)
    rows = [row for key, row in made.rows().items() if key in made.cells]
    if any(row["status"] in ANSWERED for row in rows) or not rows:
        return ""
    counts = ", ".join(f"{count} {status}" for status, count in Counter(row["status"] for row in rows).items())
    return f"none of {_count(len(rows), 'cell')} succeeded ({counts}); the first: {rows[0]['label']}: {rows[0]['reason']}"


def _measure(made: Run, options: Options, client: Any) -> Path:
    with made.measured():
        return _measure_alone(made, options, client)


def _measure_alone(made: Run, options: Options, client: Any) -> Path:
    console = Console(stderr=True)
    done = made.rows()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("measuring", total=len(made.cells), completed=0)

        def on_cell(cell: Planned) -> None:
            progress.update(task, advance=1, description=f"{_where(cell)} n={cell.n}")

        progress.update(task, completed=len(made.cells) - sum(map(len, unfinished(made))))
        try:
            if client is not None:
                with client:
                    cluster.measure(made, options, client, on_cell)
                made.compact()
            else:
                with Runner(made.cells.values(), options, on_cell) as runner:
                    if runner.shares_cores:
                        console.print("other runs measure on every core: times are disturbed; wait for their end")
                    runner.timer(made)
                    runner.measure(made)
        except KeyboardInterrupt:
            console.print(f"interrupted; finished blocks are kept: dargmin run --resume {made.path}")
    if len(made.rows()) > len(done):
        console.print(f"run: {made.path}")
    return made.path


def _print_plan(cells: tuple[Planned, ...], options: Options, folder: Path) -> None:
    """What is measured, and what is known of its time from the runs in the folder."""
    console = Console(stderr=True)
    blocks = len({cell.block() for cell in cells})
    settings = f"{_count(len({c.label for c in cells}), 'setting')} of {_count(len({c.method for c in cells}), 'method')}"
    console.print(f"plan: {_count(len(cells), 'cell')} in {_count(blocks, 'block')}, {settings}")
    counts = Counter((cell.measure, _where(cell), cell.n) for cell in cells)
    for (measure, where, n), count in sorted(counts.items()):
        console.print(f"  {measure:6} {where:24} n = {n:<5} {_count(count, 'cell')}")
    most = _duration(estimate.sampling(cells, options))
    console.print(f"sampling: at most {most} ({options.budget_s:g} s a cell), and set-up, first calls and proofs before it")
    if (before := estimate.earlier(cells, options, folder)) is not None:
        console.print(f"the same plan took {_duration(before)} here before")


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{round(seconds / 60)} min"


def _where(cell: Planned) -> str:
    """The operator; of another problem than the usual one its name, too."""
    return " ".join(name for name in (cell.problem if cell.problem != Sweep.problem.name else "", cell.operator) if name)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
