"""The command line: dargmin run, report, compare, list, check, prove, reproduce, tune-beta, doctor."""

from __future__ import annotations

import os
import sys
import traceback
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    help="Error, time and memory of every way to differentiate through an optimisation problem.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

RUNS = Path(__file__).parent.parent / "results" / "runs"

Names = list[str] | None
_METHOD = "name, name(knob=value), path/to/file.py:Class or all; repeat for several"
_PROBLEM = "name or path/to/file.py:ENSEMBLE; repeat for several"
_EXPERIMENT = (
    "all, or blorc-table4, bregman, identification, inexact-ift, memory, rates-convex, rates-strongly-convex, lp-tuning, "
    "robustness, smoothing-bias or training-epoch"
)
_ON = "the checks are made on it; without METHOD by finite differences"
_THETA = (
    "what is differentiated, of analysis-l1 dense, row-weights, weight, sparse, sparse-row-weights, sparse-weight or taps; of "
    "others weight, row-weights, dense, weights, bound-and-data, steps, weights-and-filters, data, matrix, weight-and-kernel, "
    "payoffs, shift, logs, class-weights or weight-and-data; dargmin list says which"
)
_PREPARATION = "seconds that set-up with the first call, which may compile, may take; never less than a call"


FAULT = 70  # a fault of ours; 1 means that a check failed, a run got worse, or no cell of it succeeded


class BadInput(typer.TyperException):
    """One line: the thing, what was expected, what was got, the remedy."""


def main() -> None:
    """Entry point: the process is prepared, `answer` does the rest."""
    from harness import streams

    streams.prepare()
    os.environ["PYTHONSAFEPATH"] = "1"  # of every process that is started: the folder of the call lends no modules
    sys.exit(answer())


def answer() -> int:
    """The exit code of the command in sys.argv: bad input is one line and 2, a fault of ours a traceback and FAULT."""
    try:
        return int(app(standalone_mode=False) or 0)
    except typer.TyperException as error:
        line = " ".join(error.format_message().split())
        print(f"dargmin: {line}", file=sys.stderr)
        return 2
    except (typer.Abort, KeyboardInterrupt):
        print("dargmin: interrupted", file=sys.stderr)
        return 130
    except Exception:
        traceback.print_exc()
        return FAULT


def _version(asked: bool) -> None:
    """dargmin X.Y (commit), whether or not it lies in a checkout."""
    if asked:
        from harness.environment import commit, release

        made_of = commit()
        print(f"dargmin {release()}" + (f" ({made_of})" if made_of else ""))
        raise typer.Exit


@app.callback()
def dargmin(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version and stop")
    ] = False,
) -> None:
    """Error, time and memory of every way to differentiate through an optimisation problem."""


@app.command()
def run(
    preset: Annotated[
        str | None, typer.Option(help="smoke, default, paper, families, full, speed, scaling, device, peers, problems")
    ] = None,
    problem: Annotated[Names, typer.Option(help=f"{_PROBLEM}; analysis-l1 by default")] = None,
    operator: Annotated[Names, typer.Option(help="analysis operator; repeat for several")] = None,
    signal: Annotated[Names, typer.Option(help="clean signal; repeat for several")] = None,
    theta: Annotated[str | None, typer.Option(help=_THETA)] = None,
    method: Annotated[Names, typer.Option(help=_METHOD)] = None,
    n: Annotated[str | None, typer.Option(help="signal lengths, such as 16,36,64")] = None,
    sigma: Annotated[str | None, typer.Option(help="noise levels, such as 0.02,0.1")] = None,
    seeds: Annotated[str | None, typer.Option(help="seeds, such as 0:5 or 1,3")] = None,
    batch: Annotated[str | None, typer.Option(help="batch sizes, such as 1,100; 0: one signal, no batch axis")] = None,
    knobs: Annotated[str | None, typer.Option(help="default, or all rungs of the work-precision ladders")] = None,
    threads: Annotated[int, typer.Option(help="threads of a worker, pinned to as many cores")] = 1,
    device: Annotated[str, typer.Option(help="cpu or cuda: where the methods do their work")] = "cpu",
    budget: Annotated[float | None, typer.Option(help="seconds of sampling a cell")] = None,
    timeout: Annotated[float | None, typer.Option(help="seconds a call may take; 60, scaling: 10, device: 20")] = None,
    preparation_timeout: Annotated[float, typer.Option(help=_PREPARATION)] = 300.0,
    memory_limit: Annotated[float, typer.Option(help="GiB a worker may hold; 0: no limit")] = 8.0,
    executor: Annotated[str, typer.Option(help="local, or dask: blocks on the workers of a cluster")] = "local",
    scheduler: Annotated[str | None, typer.Option(help="address of the dask scheduler, such as tcp://host:8786")] = None,
    out: Annotated[Path | None, typer.Option(help="run folder to make")] = None,
    resume: Annotated[Path | None, typer.Option(help="run folder to go on with")] = None,
    report: Annotated[bool, typer.Option(help="write the report at the end")] = True,
    dry_run: Annotated[bool, typer.Option(help="print the plan and stop")] = False,
) -> None:
    """Measure a plan of cells and write one row for each.

    Example: dargmin run --operator tv --n 16,36,64 --method blorc --method cvxpylayers-torch
    """
    from harness.commands import running

    axes = {
        "problems": problem, "operators": operator, "signals": signal, "theta": theta, "n": n, "sigma": sigma,
        "seeds": seeds, "batch": batch, "knobs": knobs,
    }  # fmt: skip
    given = {name: value for name, value in axes.items() if value is not None and value != []}
    with _one_line():
        if resume is not None:
            if given or preset or method or out:
                raise ValueError("--resume goes on with the plan of the run; give no preset, method, axis or --out with it")
            finished: Path | None = running.resume(resume, executor, scheduler)
        else:
            target = out or RUNS / f"{preset or ('custom' if given else 'default')}-{datetime.now():%Y%m%d-%H%M%S}"
            limits = threads, device, budget, timeout, preparation_timeout, memory_limit
            request = running.Request(preset, given, tuple(method or ()), *limits, executor, scheduler)
            finished = running.run(request, target, dry_run)
        if finished is None:
            return
        _show(finished)
        if report:
            _report([finished], finished / "report")
    if running.interrupted(finished):
        raise typer.Abort
    if said := running.in_vain(finished):
        print(f"dargmin: {said}", file=sys.stderr)
        raise typer.Exit(1)


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(help="run folders")],
    out: Annotated[Path | None, typer.Option(help="folder of the report; default: RUN/report of the first")] = None,
) -> None:
    """Write index.html, report.md and the figures of one or more runs.

    Example: dargmin report results/runs/default-20260101-120000
    """
    with _one_line():
        _report(runs, out or runs[0] / "report")


@app.command()
def compare(
    base: Annotated[Path, typer.Argument(help="run folder of the base")],
    head: Annotated[Path, typer.Argument(help="run folder of the head")],
    time_ratio: Annotated[float, typer.Option(help="slow-down that counts as a regression")] = 1.5,
) -> None:
    """Compare two runs; exit code 1 on a regression.

    Example: dargmin compare results/runs/base results/runs/head
    """
    with _one_line():
        from reports import compare as compare_runs
        from results import Run

        if not time_ratio > 1:
            raise ValueError(f"--time-ratio must be above 1, got {time_ratio}")
        comparison = compare_runs(Run.open(base), Run.open(head), time_ratio)
        _console().print(comparison.table())
    for line in comparison.regressions:
        print(f"regression: {line}")
    raise typer.Exit(0 if comparison.ok else 1)


@app.command("list")
def list_(
    problem: Annotated[Names, typer.Option(help=f"{_PROBLEM}: what it is, and which methods differentiate it")] = None,
    method: Annotated[Names, typer.Option(help=f"{_METHOD}: its knobs, and which problems it differentiates")] = None,
    why: Annotated[bool, typer.Option("--why", help="why a pair of them is not supported")] = False,
) -> None:
    """List methods, problems, operators and signals; of those named which go together.

    Example: dargmin list --problem lasso --method blorc --why
    """
    with _one_line():
        from harness.commands.listing import show

        show(tuple(method or ()), tuple(problem or ()), why)


@app.command()
def check(
    method: Annotated[str | None, typer.Argument(help="name, name(knob=value) or path/to/file.py:Class")] = None,
    problem: Annotated[str | None, typer.Option(help=f"name or path/to/file.py:ENSEMBLE: {_ON}")] = None,
    all_: Annotated[bool, typer.Option("--all", help="the table of what each method returns on each trap")] = False,
    into: Annotated[Path | None, typer.Option(help="with --all: run folder whose report is to show the table")] = None,
    timeout: Annotated[float, typer.Option(help="seconds a call may take")] = 60.0,
    preparation_timeout: Annotated[float, typer.Option(help=_PREPARATION)] = 300.0,
) -> None:
    """Conformance and trap instances for one method, a problem, or the table for all; exit code 1 when a check fails.

    Example: dargmin check blorc
    """
    with _one_line():
        if bool(method or problem) == all_:
            raise ValueError("give a METHOD, a --problem or both, or --all alone")
        if into is not None and not all_:
            raise ValueError("--into goes with --all; the checks of one method are printed")
        limits = timeout, preparation_timeout
        passed = _check_all(into, limits) if all_ else _check_one(method or "", limits, problem or "")
    raise typer.Exit(0 if passed else 1)


@app.command()
def prove(
    problem: Annotated[Names, typer.Option(help=f"{_PROBLEM}; analysis-l1 by default")] = None,
    operator: Annotated[Names, typer.Option(help="analysis operator; repeat for several; all by default")] = None,
    signal: Annotated[Names, typer.Option(help="clean signal; repeat for several")] = None,
    theta: Annotated[str | None, typer.Option(help=_THETA)] = None,
    n: Annotated[str | None, typer.Option(help="sizes; 8,16,64,144,256 by default, of other problems a small one")] = None,
    sigma: Annotated[str | None, typer.Option(help="noise levels, such as 0.02,0.1")] = None,
    seeds: Annotated[str | None, typer.Option(help="seeds; 0:5 by default")] = None,
) -> None:
    """Prove reference gradients afresh: counts of each status and seconds a proof; exit code 1 where one is undecided.

    Example: dargmin prove --operator tv --operator filters --n 64,256 --seeds 0:5
    """
    axes = {
        "problems": problem, "operators": operator, "signals": signal, "theta": theta, "n": n, "sigma": sigma, "seeds": seeds,
    }  # fmt: skip
    with _one_line():
        from harness.commands import proving

        decided = proving.run({name: value for name, value in axes.items() if value})
    raise typer.Exit(0 if decided else 1)


@app.command()
def reproduce(
    name: Annotated[str, typer.Argument(help=_EXPERIMENT)],
    quick: Annotated[bool, typer.Option(help="a tenth of the work")] = False,
    out: Annotated[Path | None, typer.Option(help="folder for the page and the table")] = None,
) -> None:
    """Re-make a table or a figure of a paper beside ours, or one that backs a claim of ours.

    Example: dargmin reproduce blorc-table4 --quick
    """
    with _one_line():
        from harness.experiments import EXPERIMENTS
        from harness.plan.nearest import require
        from results import require_place

        require("NAME", name, ("all", *EXPERIMENTS), "an experiment", "dargmin reproduce --help shows all")
        for chosen in EXPERIMENTS if name == "all" else (name,):
            folder = out or RUNS / f"{chosen}-{datetime.now():%Y%m%d-%H%M%S}"
            if out and name == "all":
                folder = out / chosen
            require_place(folder, "--out")
            made = EXPERIMENTS[chosen](folder, quick)
            print(f"written: {_claim(folder) if made.name == 'claim.json' else made}")


@app.command("tune-beta")
def tune_beta() -> None:
    """Print the table c(operator, signal) of default beta = c * sigma (minutes).

    Example: dargmin tune-beta
    """
    from problems.data.tuning import table

    for operator, signal, c, rule, share in table():
        print(f'    ("{operator}", "{signal}"): ({c}, "{rule}"),  # zero rows {share:.2f}')


@app.command("train-operator")
def train_operator() -> None:
    """Train the operator "trained" afresh and write it into problems/data (minutes).

    Example: dargmin train-operator
    """
    from harness.training import train

    print(f"written: {train(lambda line: print(line, flush=True))}")


@app.command()
def doctor() -> None:
    """Tell what was found: libraries, C compiler, cores, memory meter.

    Example: dargmin doctor
    """
    from harness.commands.doctor import show

    if not show():
        raise typer.Exit(1)


def _check_one(method: str, limits: tuple[float, float], problem: str) -> bool:
    from harness.commands import checking as checks

    return checks.run(method, lambda line: print(line, flush=True), *limits, problem)


def _check_all(into: Path | None, limits: tuple[float, float]) -> bool:
    from harness.commands import checking as checks
    from reports import checks_table
    from results import Run

    run = Run.open(into) if into is not None else None  # a wrong folder is told before the work
    found = checks.table(lambda label: print(f"checking {label}", file=sys.stderr, flush=True), *limits)
    if run is not None:
        run.write_checks(found)
        print(f"written: {run.path / 'checks.json'}; dargmin report {run.path} shows it")
    else:
        print(checks_table(found))
    failed = checks.failures(found)
    for line in failed:
        print(f"failed: {line}")
    return not failed


def _console() -> Any:
    """A terminal as wide as it is; a log, which has no width of its own, gets one that the tables fit in."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=120)


def _show(path: Path) -> None:
    from reports import terminal_table
    from results import Run

    _console().print(terminal_table(Run.open(path)))


def _report(paths: list[Path], folder: Path) -> None:
    from reports import write_report
    from results import Run

    runs = [Run.open(path) for path in paths]
    print(f"report: {write_report(runs, folder)}")


def _claim(folder: Path) -> Path:
    from reports import write_claim

    return write_claim(folder)


class _one_line:
    """Turns what we raise about bad input or a missing compiler into one line."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None:
            return
        from problems.kernels import BuildError
        from results import RunError

        if isinstance(error, MemoryError):
            raise BadInput(f"memory does not suffice: {error}; give a smaller --n or --batch") from error
        if isinstance(error, (ValueError, BuildError, RunError, OSError)) and not isinstance(error, UnicodeError):
            raise BadInput(str(error)) from error


if __name__ == "__main__":
    main()
