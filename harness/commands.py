"""What `dargmin run` does: read the request, plan, print the plan, measure with a progress bar."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from harness import cluster, environment, estimate
from harness.catalogue import absolute, is_source, select, with_ladders
from harness.presets import BUDGET_S, PRESETS, TIMEOUT_S
from harness.runner import Options, Runner, method_facts, unfinished
from harness.sweeps import Sweep, ensemble, plan
from methods import DEVICES, METHODS, SETTINGS, YARDSTICKS
from problems import Ensemble
from problems._sources import beside
from results import Planned, Run, RunError

SUCCEEDED = ("ok", "inaccurate")  # statuses of a cell that has its figures


@dataclass(frozen=True)
class Request:
    """What the user asked for, unread."""

    preset: str | None
    axes: dict[str, Any]
    methods: tuple[str, ...]
    threads: int
    device: str
    budget_s: float | None
    timeout_s: float | None
    preparation_s: float
    memory_limit_gib: float
    executor: str = "local"
    scheduler: str | None = None


def run(request: Request, target: Path, dry_run: bool) -> Path | None:
    """Plan and measure into the folder `target`; ValueError or RunError, and nothing written, where the request is wrong."""
    methods = select(request.methods) if request.methods else None
    options = _options(request)
    sweeps = _sweeps(request)
    require_device(request.device)
    cells = plan(sweeps, methods, request.device, options.threads)
    if not cells:
        raise ValueError("the plan has no cells; give other methods or axes")
    if dry_run:
        _print_plan(cells, options)
        return None
    _among("--executor", request.executor, cluster.EXECUTORS)
    client = cluster.connect(request.executor, request.scheduler)
    versions = _versions(options.sources)
    labels = {cell.label for cell in cells}
    known = [*(methods or METHODS), *SETTINGS]
    catalogue = {label: method for label, method in with_ladders([*known, *YARDSTICKS]).items() if label in labels}
    made = Run.create(
        target,
        {cell.key(versions): cell for cell in cells},
        environment.snapshot(options.threads, request.device),
        method_facts(catalogue, [method.label for method in known]),
        asdict(options),
    )
    _print_plan(cells, options)
    return _measure(made, options, client)


def resume(path: Path, executor: str = "local", scheduler: str | None = None) -> Path:
    """Go on with a run; RunError where versions or code differ from those it began with."""
    made = Run.open(path)
    versions = _versions(made.settings["sources"])
    stale = [key for key, cell in made.cells.items() if cell.key(versions) != key]
    if stale:
        raise RunError(
            f"{path} was measured with other code or library versions; its rows would not be comparable: start a new run"
        )
    for device in {cell.device for cell in made.cells.values()}:
        require_device(device)
    settings = made.settings
    _among("--executor", executor, cluster.EXECUTORS)
    client = cluster.connect(executor, scheduler)
    return _measure(made, Options(**{**settings, "sources": tuple(settings["sources"])}), client)


def require_device(device: str) -> None:
    """ValueError where there is no such device."""
    _among("--device", device, DEVICES)
    if device == "cuda" and not environment.gpu():
        raise ValueError("--device cuda needs a GPU that torch can use, got none; see dargmin doctor, or give --device cpu")


def _versions(sources: Iterable[str]) -> dict[str, str]:
    """What a row depends on beside its inputs: libraries, code, and the content of the users' files and their neighbours."""
    files = dict.fromkeys(Path(source.rpartition(":")[0]) for source in sources)
    contents = {  # by place in the list: where a file lies does not matter, what it says does
        f"{file.name} {number}": _content(file) if file.is_file() else "absent" for number, file in enumerate(files)
    }
    return {**environment.versions(), "commit": environment.commit(), **contents}


def _content(file: Path) -> str:
    """A hash of the file and of what it imports from beside it."""
    digest, folder = hashlib.sha256(), file.resolve().parent
    for path in beside(file):
        digest.update(f"{path.relative_to(folder)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def interrupted(path: Path) -> bool:
    """Whether cells are left to measure."""
    made = Run.open(path)
    return len(made.rows()) < len(made.cells)


def in_vain(path: Path) -> str:
    """What is said where no cell of a finished run succeeded; empty where one did."""
    made = Run.open(path)
    rows = [row for key, row in made.rows().items() if key in made.cells]
    if any(row["status"] in SUCCEEDED for row in rows) or not rows:
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


def _options(request: Request) -> Options:
    seconds = {"timeout": request.timeout_s, "preparation-timeout": request.preparation_s, "budget": request.budget_s}
    for name, value in seconds.items():
        if value is not None and not 0 < value < math.inf:
            raise ValueError(f"--{name} must be above 0 seconds and finite, got {value}")
    if not 0 <= request.memory_limit_gib < math.inf:
        raise ValueError(f"--memory-limit must be at least 0 GiB and finite, got {request.memory_limit_gib}; 0 means no limit")
    cores = len(environment.cores())
    if not 1 <= request.threads <= cores:
        raise ValueError(f"--threads must be between 1 and the {cores} cores found, got {request.threads}")
    return Options(
        sources=tuple(dict.fromkeys(absolute(name) for name in request.methods if is_source(name))),
        threads=request.threads,
        budget_s=request.budget_s or BUDGET_S.get(request.preset or "default", 1.0),
        timeout_s=request.timeout_s or TIMEOUT_S.get(request.preset or "", 60.0),
        preparation_s=request.preparation_s,
        memory_limit_gib=request.memory_limit_gib,
    )


def _sweeps(request: Request) -> tuple[Sweep, ...]:
    """The preset with the given axes in place of its own; without a preset, one sweep of the given axes."""
    if request.preset is not None and request.preset not in PRESETS:
        raise ValueError(f"--preset must be one of {', '.join(PRESETS)}, got {request.preset!r}")
    names = request.axes.get("problems") or ()
    chosen = [ensemble(name) for name in names]
    if request.preset or not request.axes:
        base = PRESETS[request.preset or "default"]
        if not (kept := tuple(sweep for sweep in base if not names or sweep.problem in names)):
            raise ValueError(f"preset {request.preset} has no {' or '.join(names)}; leave --preset out")
        base = kept
    else:
        base = tuple(Sweep(one.name) for one in chosen) or (Sweep(),)
    return tuple(replace(sweep, **read_axes(request.axes, ensemble(sweep.problem))) for sweep in base)


def read_axes(axes: dict[str, Any], problem: Ensemble) -> dict[str, Any]:
    """The axes of a Sweep of one problem from the text of the options; ValueError names the option."""
    _among("--theta", str(axes.get("theta", problem.thetas[0])), problem.thetas)
    _among("--knobs", axes.get("knobs", "default"), ("default", "all"))
    for name in axes.get("operators", ()):
        _among("--operator", name, problem.operators or _absent("--operator", problem))
    for name in axes.get("signals", ()):
        _among("--signal", name, problem.signals or _absent("--signal", problem))
    for option, has in (("sigma", problem.noise), ("batch", problem.batches)):
        if option in axes and not has:
            _absent(f"--{option}", problem)
    readers: dict[str, Callable[[str, str], Any]] = {"n": _integers, "sigma": _levels, "seeds": _seeds, "batch": _integers}
    lists = {name: tuple(value) if isinstance(value, list) else value for name, value in axes.items() if name != "problems"}
    return {name: readers[name](name, str(value)) if name in readers else value for name, value in lists.items()}


def _absent(option: str, problem: Ensemble) -> NoReturn:
    raise ValueError(f"{option} does not exist for {problem.name}; leave it out")


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
    settings = f"{_count(len({c.label for c in cells}), 'setting')} of {_count(len({c.method for c in cells}), 'method')}"
    console.print(f"plan: {_count(len(cells), 'cell')} in {_count(blocks, 'block')}, {settings}")
    counts = Counter((cell.measure, _where(cell), cell.n) for cell in cells)
    for (measure, where, n), count in sorted(counts.items()):
        console.print(f"  {measure:6} {where:24} n = {n:<5} {_count(count, 'cell')}")
    about = _about(estimate.seconds(cells, options))
    console.print(f"estimate: about {about} on an idle machine with one call at most {options.timeout_s:g} s")


def _about(seconds: float) -> str:
    """No digit that an estimate within a factor of two does not have."""
    return f"{max(10, round(seconds, -1)):.0f} s" if seconds < 90 else f"{round(seconds / 60)} min"


def _where(cell: Planned) -> str:
    """The operator; of another problem than the usual one its name, too."""
    return " ".join(name for name in (cell.problem if cell.problem != Sweep.problem else "", cell.operator) if name)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
