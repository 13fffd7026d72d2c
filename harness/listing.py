"""`dargmin list`: methods, their knobs, and what each can differentiate."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.catalogue import entries
from harness.worker import missing
from methods import GradientMethod
from problems import FIXED_OPERATORS, IMAGE_THETAS, OPERATORS, PROBLEMS, SIGNALS, THETAS, AnalysisL1


def show(sources: tuple[str, ...]) -> None:
    """Print the methods by family, with a mark for every kind of theta, and the reasons of every refusal."""
    console = Console()
    instances = [AnalysisL1.draw(n=16, theta=theta) for theta in THETAS]
    reasons: list[str] = []
    problems = ", ".join(problem.__name__ for problem in PROBLEMS)
    table = Table("method", *THETAS, title=f"gradients of {problems} in theta =", box=None, padding=(0, 1), pad_edge=False)
    table.columns[0].no_wrap = True
    family = ""
    for method in sorted(entries(sources), key=lambda method: method.family):
        if method.family != family:
            family = method.family
            table.add_row(f"[bold]{escape(family)}[/bold]")
        marks = [_mark(method, instance, reasons) for instance in instances]
        table.add_row(f"  {escape(method.label)}", *marks)
        for line in _facts(method):
            table.add_row(f"    [dim]{escape(line)}[/dim]")
    console.print(table)
    for number, reason in enumerate(reasons, 1):
        console.print(f"({number}) {reason}", markup=False)
    console.print(f"operators: {', '.join(OPERATORS | FIXED_OPERATORS)}")
    images = [f"{name} (theta {', '.join(kinds)})" for name, kinds in IMAGE_THETAS.items()]
    console.print(f"operators on images: {', '.join(images)}")
    console.print(f"signals: {', '.join(SIGNALS)}")


def _mark(method: GradientMethod, instance: AnalysisL1, reasons: list[str]) -> str:
    reason = _reason(method, instance)
    if not reason:
        return "yes"
    if reason not in reasons:
        reasons.append(reason)
    return f"no ({reasons.index(reason) + 1})"


def _reason(method: GradientMethod, instance: AnalysisL1) -> str:
    if name := missing(method):
        return f"{name} is not installed"
    try:
        return method.unsupported(instance) or ""
    except Exception as error:  # a user's own code; a run records the same as status error
        return f"unsupported() raised {type(error).__name__}: {error}"


def _facts(method: GradientMethod) -> list[str]:
    """The range of the swept knob and how it takes batches; the knobs that stay."""
    swept = f"{method.knob} {_range(method)}; " if method.knob else ""
    others = [f"{name} {_shown(value)}" for name, value in method.knobs.items() if name != method.knob]
    batches = "batches natively" if method.batching == "native" else "loops over a batch"
    return [swept + batches, *([f"fixed: {', '.join(others)}"] if others else [])]


def _range(method: GradientMethod) -> str:
    values = [_shown(rung.knobs[method.knob]) for rung in method.ladder()]
    return f"{values[0]} to {values[-1]}"


def _shown(value: object) -> str:
    if value is None:
        return "default"
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)
