"""What `dargmin run` does: read the request, plan, print the plan, measure with a progress bar."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from harness import environment
from harness.catalogue import is_source, select, with_ladders
from harness.presets import BUDGET_S, PRESETS, TIMEOUT_S
from harness.runner import Options, Runner, method_facts
from harness.sweeps import Sweep, plan
from methods import YARDSTICKS
from problems import FIXED_OPERATORS, IMAGE_OPERATORS, OPERATORS, PROBLEMS, SIGNALS, SPARSE_THETAS, THETAS
from results import Planned, Run, RunError


@dataclass(frozen=True)
class Request:
    """What the user asked for, unread."""

    preset: str | None
    axes: dict[str, Any]
    methods: tuple[str, ...]
    threads: int
    budget_s: float | None
    timeout_s: float | None
    memory_limit_gib: float


def run(request: Request, target: Path, dry_run: bool) -> Path | None:
    """Plan and measure into the folder `target`; ValueError or RunError, and nothing written, where the request is wrong."""
    methods = select(request.methods)
    options = _options(request)
    sweeps = _sweeps(request)
    cells = plan(sweeps, methods, threads=options.threads)
    if not cells:
        raise ValueError("the plan has no cells; give other methods or axes")
    if dry_run:
        _print_plan(cells, options)
        return None
    versions = _versions(options.sources)
    labels = {cell.label for cell in cells}
    catalogue = {label: method for label, method in with_ladders([*methods, *YARDSTICKS]).items() if label in labels}
    made = Run.create(
        target,
        {cell.key(versions): cell for cell in cells},
        environment.snapshot(options.threads),
        method_facts(catalogue, [method.label for method in methods]),
        asdict(options),
    )
    _print_plan(cells, options)
    return _measure(made, options)


def resume(path: Path) -> Path:
    """Go on with a run; RunError where versions or code differ from those it began with."""
    made = Run.open(path)
    versions = _versions(made.settings["sources"])
    stale = [key for key, cell in made.cells.items() if cell.key(versions) != key]
    if stale:
        raise RunError(
            f"{path} was measured with other code or library versions; its rows would not be comparable: start a new run"
        )
    settings = made.settings
    return _measure(made, Options(**{**settings, "sources": tuple(settings["sources"])}))


def _versions(sources: Iterable[str]) -> dict[str, str]:
    """What a row depends on beside its inputs: libraries, code, and the content of the users' files."""
    files = {Path(source.rpartition(":")[0]) for source in sources}
    contents = {str(file): hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "absent" for file in files}
    return {**environment.versions(), "commit": environment.commit(), **contents}


def interrupted(path: Path) -> bool:
    """Whether cells are left to measure."""
    made = Run.open(path)
    return len(made.rows()) < len(made.cells)


def _measure(made: Run, options: Options) -> Path:
    console = Console(stderr=True)
    done = made.rows()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("measuring", total=len(made.cells), completed=0)

        def on_cell(cell: Planned) -> None:
            progress.update(task, advance=1, description=f"{cell.operator} n={cell.n}")

        with Runner(made, options, on_cell) as runner:
            progress.update(task, completed=runner.finished_cells())
            try:
                runner.measure()
            except KeyboardInterrupt:
                console.print(f"interrupted; finished blocks are kept: dargmin run --resume {made.path}")
    made.compact()
    if len(made.rows()) > len(done):
        console.print(f"run: {made.path}")
    return made.path


def _options(request: Request) -> Options:
    for name, value in (("timeout", request.timeout_s), ("budget", request.budget_s)):
        if value is not None and not 0 < value < math.inf:
            raise ValueError(f"--{name} must be above 0 seconds and finite, got {value}")
    if not 0 <= request.memory_limit_gib < math.inf:
        raise ValueError(f"--memory-limit must be at least 0 GiB and finite, got {request.memory_limit_gib}; 0 means no limit")
    cores = len(environment.cores())
    if not 1 <= request.threads <= cores:
        raise ValueError(f"--threads must be between 1 and the {cores} cores found, got {request.threads}")
    return Options(
        sources=tuple(dict.fromkeys(name for name in request.methods if is_source(name))),
        threads=request.threads,
        budget_s=request.budget_s or BUDGET_S.get(request.preset or "default", 1.0),
        timeout_s=request.timeout_s or TIMEOUT_S.get(request.preset or "", 60.0),
        memory_limit_gib=request.memory_limit_gib,
    )


def _sweeps(request: Request) -> tuple[Sweep, ...]:
    """The preset with the given axes in place of its own; without a preset, one sweep of the given axes."""
    if request.preset is not None and request.preset not in PRESETS:
        raise ValueError(f"--preset must be one of {', '.join(PRESETS)}, got {request.preset!r}")
    axes = read_axes(request.axes)
    base = PRESETS[request.preset or "default"] if request.preset or not request.axes else (Sweep(),)
    return tuple(replace(sweep, **axes) for sweep in base)


def read_axes(axes: dict[str, Any]) -> dict[str, Any]:
    """The axes of a Sweep from the text of the options; ValueError names the option."""
    problems = [problem.__name__ for problem in PROBLEMS]
    _among("--problem", axes.get("problem", problems[0]), problems)
    _among("--theta", str(axes.get("theta", "dense")), (*THETAS, *SPARSE_THETAS, "taps"))
    _among("--knobs", axes.get("knobs", "default"), ("default", "all"))
    for name in axes.get("operators", ()):
        _among("--operator", name, OPERATORS | FIXED_OPERATORS | IMAGE_OPERATORS)
    for name in axes.get("signals", ()):
        _among("--signal", name, SIGNALS)
    readers: dict[str, Callable[[str, str], Any]] = {"n": _integers, "sigma": _levels, "seeds": _seeds, "batch": _integers}
    lists = {name: tuple(value) if isinstance(value, list) else value for name, value in axes.items() if name != "problem"}
    return {name: readers[name](name, str(value)) if name in readers else value for name, value in lists.items()}


def _among(option: str, value: str, known: Any) -> None:
    if value not in known:
        raise ValueError(f"{option} must be one of {', '.join(known)}, got {value!r}")


def _integers(name: str, text: str) -> tuple[int, ...]:
    try:
        values = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"--{name} must be whole numbers such as 16,36,64, got {text!r}") from None
    if min(values) < 0:
        raise ValueError(f"--{name} must not be negative, got {text!r}")
    return values


def _levels(name: str, text: str) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"--{name} must be numbers such as 0.02,0.1, got {text!r}") from None
    if not all(0 < value < math.inf for value in values):
        raise ValueError(f"--{name} must be finite numbers above 0 (the default beta is a multiple of it), got {text!r}")
    return values


def _seeds(name: str, text: str) -> tuple[int, ...]:
    first, colon, last = text.partition(":")
    try:
        seeds = range(int(first or "0"), int(last)) if colon else tuple(map(int, text.split(",")))
    except ValueError:
        seeds = ()
    if not seeds or min(seeds) < 0:
        raise ValueError(f"--{name} must be a range such as 0:5, or whole numbers such as 1,3, got {text!r}")
    return tuple(seeds)


def _print_plan(cells: tuple[Planned, ...], options: Options) -> None:
    console = Console(stderr=True)
    blocks = len({cell.block() for cell in cells})
    estimate = sum(map(_seconds(options), cells)) + 15
    settings = f"{_count(len({c.label for c in cells}), 'setting')} of {_count(len({c.method for c in cells}), 'method')}"
    console.print(f"plan: {_count(len(cells), 'cell')} in {_count(blocks, 'block')}, {settings}")
    counts = Counter((cell.measure, cell.operator, cell.n) for cell in cells)
    for (measure, operator, n), count in sorted(counts.items()):
        console.print(f"  {measure:6} {operator:15} n = {n:<5} {_count(count, 'cell')}")
    console.print(
        f"estimate: about {max(1, round(estimate / 60))} min on an idle machine with one call at most {options.timeout_s:g} s"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _seconds(options: Options) -> Any:
    """Rough seconds a cell: its sampling, and the compilation that JAX pays for every new shape, spread over the cells."""

    def seconds(cell: Planned) -> float:
        compilation = 0.6 if "jax" in cell.method and "cvxpylayers" not in cell.method else 0.1
        return compilation + (0.5 if cell.measure == "memory" else 0.8 * options.budget_s)

    return seconds
