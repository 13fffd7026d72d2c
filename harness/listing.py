"""`dargmin list`: methods, their knobs, and what each can differentiate."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.catalogue import entries
from harness.worker import missing
from methods import GradientMethod
from problems import OPERATORS, PROBLEMS, SIGNALS, THETAS, AnalysisL1


def show(sources: tuple[str, ...]) -> None:
    """Print the methods by family, with a mark for every kind of theta, and the reasons of every refusal."""
    console = Console()
    instances = [AnalysisL1.draw(n=16, theta=theta) for theta in THETAS]
    reasons: list[str] = []
    problems = ", ".join(problem.__name__ for problem in PROBLEMS)
    table = Table("method", *THETAS, title=f"gradients of {problems} in theta =", box=None, padding=(0, 1))
    table.columns[0].no_wrap = True
    family = ""
    for method in sorted(entries(sources), key=lambda method: method.family):
        if method.family != family:
            family = method.family
            table.add_row(f"[bold]{escape(family)}[/bold]")
        marks = [_mark(method, instance, reasons) for instance in instances]
        table.add_row(f"  {escape(method.label)}", *marks)
        table.add_row(f"    [dim]{_facts(method)}[/dim]")
    console.print(table)
    for number, reason in enumerate(reasons, 1):
        console.print(f"({number}) {reason}", markup=False)
    console.print(f"operators: {', '.join(OPERATORS)}")
    console.print(f"signals: {', '.join(SIGNALS)}")


def _mark(method: GradientMethod, instance: AnalysisL1, reasons: list[str]) -> str:
    name = missing(method)
    reason = f"{name} is not installed" if name else method.unsupported(instance) or ""
    if not reason:
        return "yes"
    if reason not in reasons:
        reasons.append(reason)
    return f"no ({reasons.index(reason) + 1})"


def _facts(method: GradientMethod) -> str:
    batches = "batches natively" if method.batching == "native" else "loops over a batch"
    if not method.knob:
        return batches
    values = [rung.knobs[method.knob] for rung in method.ladder()]
    texts = ["default" if value is None else f"{value:g}" for value in values]
    return f"{method.knob} from {texts[0]} to {texts[-1]}; {batches}"
