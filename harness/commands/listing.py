"""`dargmin list`: what there is, and for chosen problems and methods which pairs are supported, and why one is not."""

from __future__ import annotations

import shutil
import textwrap
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from harness.answers import told
from harness.measure.worker import missing
from harness.plan.catalogue import OURS, ensembles, select, small_instance
from methods import GradientMethod
from problems import FIXED_OPERATORS, IMAGE_THETAS, OPERATORS, PROBLEMS, SIGNALS, Ensemble, Problem

HINT = """
more: --problem lasso     what it is, and which methods differentiate it
      --method blorc      its knobs, and which problems it differentiates
      --why               why a pair is not supported"""


def show(methods: tuple[str, ...] = (), problems: tuple[str, ...] = (), why: bool = False) -> None:
    """Print the overview; where methods, problems or reasons are asked for, every pair of those."""
    width = shutil.get_terminal_size().columns
    if methods or problems or why:
        chosen = select(methods) if methods else OURS
        found = pairs(chosen, tuple(ensembles(problems).values()) or PROBLEMS, bool(methods), bool(problems), why)
        lines = list(found)  # a problem that cannot be drawn is refused before anything is printed
    else:
        lines = list(overview())
    for indent, text in lines:
        print(textwrap.fill(text, width, initial_indent="", subsequent_indent=" " * indent, **_WHOLE) if text.strip() else "")


_WHOLE: dict[str, Any] = {"break_on_hyphens": False, "break_long_words": False, "replace_whitespace": False}

Line = tuple[int, str]  # by how much what does not fit into one line is indented, and the text


def overview() -> Iterator[Line]:
    """Methods by family, problems with what can be differentiated, operators and signals."""
    names = {method.name: method for method in OURS}
    yield 0, f"METHODS: {len(names)}, in {len({method.label for method in OURS})} settings"
    for family, members in groupby(sorted(names.values(), key=lambda method: method.family), lambda method: method.family):
        yield 4, f"  {family}: {', '.join(method.name for method in members)}"
    yield 0, f"\nPROBLEMS: {len(PROBLEMS)}, and the theta of each"
    for of in PROBLEMS:
        yield 4, f"  {of.name}: {', '.join(of.thetas)}"
    yield 0, "\nof analysis-l1"
    yield 4, f"  operators: {', '.join(OPERATORS | FIXED_OPERATORS)}"
    yield 4, f"  on images: {'; '.join(f'{name} (theta {either})' for name, either in _images())}"
    yield 4, f"  signals: {', '.join(SIGNALS)}"
    for line in HINT.splitlines():
        yield 6, line


def _images() -> Iterator[tuple[str, str]]:
    return ((name, ", ".join(kinds)) for name, kinds in IMAGE_THETAS.items())


def pairs(
    methods: tuple[GradientMethod, ...], problems: tuple[Ensemble, ...], about_methods: bool, about_problems: bool, why: bool
) -> Iterator[Line]:
    """What was asked about by name is described; then of each problem what each method can differentiate."""
    if about_methods:
        for method in methods:
            yield 4, f"{method.label}: {method.family}; {'; '.join(facts(method))}"
            if method.formula:
                yield 4, f"    {method.formula}"
    for of in problems:
        yield 4, ("\n" if about_methods or of != problems[0] else "") + f"{of.name}: {of.formula} ({of.citation})"
        if about_problems:
            yield 4, f"    {'; '.join(_axes(of))}"
        yield from _support(methods, of, why)


def _support(methods: tuple[GradientMethod, ...], of: Ensemble, why: bool) -> Iterator[Line]:
    """The methods that can differentiate the problem, by theta, and the others; with reasons, by reason."""
    instances = {theta: small_instance(of, theta) for theta in of.thetas}
    able: dict[str, list[GradientMethod]] = {}
    refused: dict[tuple[str, str], list[GradientMethod]] = {}
    for method in methods:
        reasons = {theta: refusal(method, problem) for theta, problem in instances.items()}
        able.setdefault(", ".join(theta for theta in reasons if not reasons[theta]), []).append(method)
        for reason in dict.fromkeys(filter(None, reasons.values())):
            kinds = [theta for theta in reasons if reasons[theta] == reason]
            part = "" if len(kinds) == len(reasons) else f"theta {', '.join(kinds)}: "
            refused.setdefault((part, reason), []).append(method)
    never = able.pop("", [])
    for thetas, those in able.items():
        yield 7, f"  yes  theta {thetas}: {_named(those, methods)}"
    if never and not why:
        yield 7, f"  no   {_named(never, methods)}"
    for (part, reason), those in refused.items() if why else ():
        yield 7, f"  no   {part}{_named(those, methods)}"
        yield 9, f"       why: {reason}"


def _named(those: list[GradientMethod], among: tuple[GradientMethod, ...]) -> str:
    """Labels; in place of those of all settings of a method its name."""
    settings = Counter(method.name for method in among)
    found = Counter(method.name for method in those)
    whole = {name for name, count in found.items() if count == settings[name] > 1}
    return ", ".join(dict.fromkeys(method.name if method.name in whole else method.label for method in those))


def refusal(method: GradientMethod, problem: Problem) -> str:
    """Why the method does not differentiate the problem here; empty: it does."""
    if absent := missing(method):
        return f"{absent} is not installed"
    try:
        return method.unsupported(problem) or ""
    except Exception as error:  # a user's own code; a run records the same as status error
        return f"unsupported() raised {told(error)}"


def _axes(of: Ensemble) -> Iterator[str]:
    yield f"theta {', '.join(of.thetas)}"
    for name, values in (("operators", of.operators), ("signals", of.signals)):
        if values:
            yield f"{name} {', '.join(values)}"
    yield f"n = {of.n} {'alone' if of.fixed_n else 'by default'}"
    beyond = [name for name, has in (("noise (sigma)", of.noise), ("batches", of.batches)) if has]
    if beyond:
        yield " and ".join(beyond)


def facts(method: GradientMethod) -> list[str]:
    """The range of the swept knob and how it takes batches; whether it can use a GPU; the knobs that stay."""
    swept = [f"{method.knob} {_range(method)}"] if method.knob else []
    others = [f"{name} {_shown(value)}" for name, value in method.knobs.items() if name != method.knob]
    batches = "batches natively" if method.batching == "native" else "loops over a batch"
    places = ["runs on cuda too"] if method.on("cuda") is not None else []
    return [*swept, batches, *places, *([f"knobs: {', '.join(others)}"] if others else [])]


def _range(method: GradientMethod) -> str:
    values = [_shown(rung.knobs[method.knob]) for rung in method.ladder()]
    return f"{values[0]} to {values[-1]}"


def _shown(value: object) -> str:
    if value is None:
        return "default"
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)
