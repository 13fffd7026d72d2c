"""`dargmin list`: methods by family, their knobs, and what each can differentiate."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.catalogue import entries
from harness.worker import missing
from methods import GradientMethod
from problems import FIXED_OPERATORS, IMAGE_THETAS, OPERATORS, PROBLEMS, SIGNALS, Problem

MARK = 4  # of a column of marks


def instances() -> Iterator[tuple[str, Problem]]:
    """A name and a small instance of every problem for every kind of theta."""
    for problem in PROBLEMS:
        for theta in problem.thetas:
            yield f"{problem.name}, theta = {theta}", problem.small_instance(theta)


def show(sources: tuple[str, ...]) -> None:
    """Print the methods by family with a mark for every instance, then what the marks and the columns stand for."""
    console = Console()
    drawn = list(instances())
    reasons: list[str] = []
    letters = [_letters(place) for place in range(len(drawn))]
    methods = sorted(entries(sources), key=lambda method: method.family)
    marks = {method.label: list(_marks(method, [problem for _, problem in drawn], reasons)) for method in methods}
    for title, places in _blocks(len(drawn), console.width, max(map(len, marks))):
        console.print(_matrix(methods, marks, [letters[place] for place in places], places, title))
    for letter, (name, _) in zip(letters, drawn, strict=True):
        console.print(f"{letter:>3}  {name}", markup=False, highlight=False)
    console.print("  y  yes; a number: no, because", highlight=False)
    for number, reason in enumerate(reasons, 1):
        console.print(f"({number}) {reason}", markup=False)
    console.print("\n[bold]knobs[/bold]")
    for method in methods:
        console.print(f"  {method.label}: {'; '.join(_facts(method))}", markup=False, highlight=False)
    console.print(f"operators: {', '.join(OPERATORS | FIXED_OPERATORS)}")
    images = [f"{name} (theta {', '.join(kinds)})" for name, kinds in IMAGE_THETAS.items()]
    console.print(f"operators on images: {', '.join(images)}")
    console.print(f"signals: {', '.join(SIGNALS)}")


def _letters(place: int) -> str:
    """a, b, ..., z, aa, ab, ...: short names of columns, explained below."""
    tail = chr(ord("a") + place % 26)
    return tail if place < 26 else _letters(place // 26 - 1) + tail


def _blocks(count: int, width: int, name: int) -> Iterator[tuple[str, list[int]]]:
    """As many columns beside each other as the terminal holds."""
    fits = max(1, (width - name - 2) // MARK)
    for start in range(0, count, fits):
        places = list(range(start, min(start + fits, count)))
        yield ("methods x problems" if start == 0 else "methods x problems, continued"), places


def _matrix(
    methods: list[GradientMethod], marks: dict[str, list[str]], letters: list[str], places: list[int], title: str
) -> Table:
    table = Table(title=title, title_justify="left", box=None, padding=(0, 0), pad_edge=False)
    table.add_column("method", no_wrap=True)
    for letter in letters:
        table.add_column(letter, justify="right", width=MARK, no_wrap=True)
    family = ""
    for method in methods:
        if method.family != family:
            family = method.family
            table.add_row(f"[bold]{escape(family)}[/bold]")
        table.add_row(f"  {escape(method.label)}", *(marks[method.label][place] for place in places))
    return table


def _marks(method: GradientMethod, problems: list[Problem], reasons: list[str]) -> Iterator[str]:
    absent = missing(method)
    for problem in problems:
        reason = f"{absent} is not installed" if absent else _reason(method, problem)
        if reason and reason not in reasons:
            reasons.append(reason)
        yield str(reasons.index(reason) + 1) if reason else "y"


def _reason(method: GradientMethod, problem: Problem) -> str:
    try:
        return method.unsupported(problem) or ""
    except Exception as error:  # a user's own code; a run records the same as status error
        return f"unsupported() raised {type(error).__name__}: {error}"


def _facts(method: GradientMethod) -> list[str]:
    """The range of the swept knob and how it takes batches; whether it can use a GPU; the knobs that stay."""
    swept = [f"{method.knob} {_range(method)}"] if method.knob else []
    others = [f"{name} {_shown(value)}" for name, value in method.knobs.items() if name != method.knob]
    batches = "batches natively" if method.batching == "native" else "loops over a batch"
    places = ["runs on cuda too"] if method.on("cuda") is not None else []
    return [*swept, batches, *places, *([f"fixed: {', '.join(others)}"] if others else [])]


def _range(method: GradientMethod) -> str:
    values = [_shown(rung.knobs[method.knob]) for rung in method.ladder()]
    return f"{values[0]} to {values[-1]}"


def _shown(value: object) -> str:
    if value is None:
        return "default"
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)
