"""`dargmin check`: every check of a method in a worker of its own, judged against the known faults, printed or stored."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from typing import Any

from harness import environment
from harness.checks.conformance import CHECKS, GENERAL, trap_named
from harness.checks.known_faults import KNOWN_FAULTS, KnownFault, known
from harness.checks.verdicts import Verdict
from harness.measure.processes import Handle, Limits, Lost, context
from harness.measure.worker import Refused, Settings, Worker
from harness.plan.catalogue import CHECKED, ensembles, select, small_instance, sources
from harness.plan.userfiles import absolute
from methods import METHODS, GradientMethod
from problems import AnalysisL1

MARKS = {"silent": "silent", "biased": "biased"}  # of what passed and is no "ok": wrong, without a promise broken
TITLE = "What each method returns where it is hard"
MEMORY = 8 << 30
DIFFERENCES = "fd-entrywise"  # the method that checks a problem where none is named

# Every method that takes analysis l1, once for both frameworks.
_ALIKE = ("jaxopt-box-osqp", "jaxopt-box-osqp-primal", "qpax-primal")  # left out: JAX compiles anew for every trap
COLUMNS: tuple[GradientMethod, ...] = (
    *(
        method
        for method in METHODS
        if not method.name.endswith("-jax") and method.name not in _ALIKE and method.unsupported(AnalysisL1.draw(n=16)) is None
    ),
    *CHECKED,
)
HARD = tuple((check, instance) for check in ("trap", "loose") for instance in CHECKS[check][1])
EVERY = tuple((check, instance) for check, (_, instances) in CHECKS.items() for instance in instances)


def chosen(name: str) -> tuple[GradientMethod, ...]:
    """A method by name, label or path/to/file.py:Class, the columns of the table included."""
    return tuple(method for method in COLUMNS if method.label == name) or select([name], "METHOD")


class Checker:
    """One worker that answers checks; it is replaced when a check ends it, so that a crash costs one check."""

    def __init__(
        self,
        methods: Iterable[GradientMethod],
        sources: tuple[str, ...] = (),
        timeout_s: float = 60.0,
        preparation_s: float = 300.0,
    ) -> None:
        for option, seconds in (("--timeout", timeout_s), ("--preparation-timeout", preparation_s)):
            if not (math.isfinite(seconds) and seconds > 0):
                raise ValueError(f"{option} must be a finite number of seconds above 0, got {seconds}")
        spawn = context(1, sorted({name for method in methods for name in method.requires}))
        settings = Settings(sources, environment.cores()[:1], MEMORY, "", False)
        self._handle = Handle(spawn, settings, Limits(timeout_s, preparation_s, MEMORY))

    def __enter__(self) -> Checker:
        return self

    def __exit__(self, *exception: object) -> None:
        self._handle.close()

    def verdict(self, method: GradientMethod, check: str, instance: str) -> Verdict:
        """The verdict with the known faults applied."""
        try:
            return settled(method.label, self._handle.ask(Worker.check, method.label, check, instance))
        except Lost as lost:
            return settled(method.label, Verdict(check, instance, False, "flagged", message=f"{lost.status}: {lost.reason}"))
        except Refused as refusal:
            absent = refusal.status == "not-installed"
            return Verdict(check, instance, absent, "refused" if absent else "flagged", message=refusal.reason)


def settled(label: str, verdict: Verdict, faults: tuple[KnownFault, ...] = KNOWN_FAULTS) -> Verdict:
    """A failure or silent error that is a known fault passes; a known fault that is gone fails, so that the list stays true."""
    fault = known(faults, label, verdict.check, verdict.instance)
    if fault is None or verdict.outcome == "refused":
        return verdict
    if verdict.outcome == "silent" or not verdict.passed:
        return replace(verdict, passed=True, fault=fault.reference)
    gone = f"known fault gone: {fault.reference}; take it off harness/checks/known_faults.py"
    return replace(verdict, passed=False, fault=fault.reference, message=gone)


def run(name: str, show: Callable[[str], None], timeout_s: float, preparation_s: float, problem: str = "") -> bool:
    """Every check of one method (or of all that the name stands for), or those that a problem allows; whether all passed."""
    methods = chosen(name or DIFFERENCES)
    asked = _on(problem) if problem else {pair: pair[1] for pair in EVERY}
    failed = silent = 0
    with Checker(methods, sources((name,), (problem,)), timeout_s, preparation_s) as checker:
        for method in methods:
            show(method.label)
            for (check, instance), shown in asked.items():
                verdict = replace(checker.verdict(method, check, instance), instance=shown)
                if not name and verdict.outcome == "silent":  # what differs from differences is the problem's fault
                    verdict = replace(verdict, passed=False)
                failed += not verdict.passed
                silent += verdict.passed and not verdict.fault and verdict.outcome == "silent"
                show(line(verdict))
    count = len(methods) * len(asked)
    said = f"{failed} of {count} checks failed" if failed else f"all {count} checks passed"
    show(f"{said}; {silent} of the answers are wrong, and nothing promised or said otherwise" if silent else said)
    return not failed


def _on(problem: str) -> dict[tuple[str, str], str]:
    """(check, instance) of the small instances of a problem, and how the instance is shown."""
    (of,) = ensembles((problem,)).values()
    for theta in of.thetas:
        small_instance(of, theta)  # one that cannot be drawn is refused before the work
    return {(check, f"{absolute(problem)}|{theta}"): f"{of.name}, {theta}" for check in GENERAL for theta in of.thetas}


def line(verdict: Verdict) -> str:
    """ok     gradient     tv                right    1.9e-15  why."""
    mark = ("known" if verdict.fault else MARKS.get(verdict.outcome, "ok")) if verdict.passed else "FAIL"
    figure = "" if math.isnan(verdict.figure) else f"{verdict.figure:.1e}"
    text = f"{verdict.fault}: {verdict.message}" if mark == "known" else verdict.message
    return f"  {mark:6} {verdict.check:12} {verdict.instance:31} {verdict.outcome:8} {figure:8} {text}".rstrip()


def table(step: Callable[[str], None], timeout_s: float, preparation_s: float) -> dict[str, Any]:
    """The content of checks.json: every column on every trap."""
    cells: dict[tuple[str, str], dict[str, Verdict]] = {key: {} for key in HARD}
    with Checker(COLUMNS, (), timeout_s, preparation_s) as checker:
        for method in COLUMNS:
            step(method.label)
            for check, instance in HARD:
                cells[check, instance][method.label] = checker.verdict(method, check, instance)
    return {
        "title": TITLE,
        "versions": environment.versions(),
        "commit": environment.commit(),
        "methods": [method.label for method in COLUMNS],
        "rows": [row(check, instance, verdicts) for (check, instance), verdicts in cells.items()],
        "known_faults": [
            asdict(fault) | {"methods": list(fault.methods), "instances": list(fault.instances)} for fault in KNOWN_FAULTS
        ],
    }


def row(check: str, instance: str, verdicts: dict[str, Verdict]) -> dict[str, Any]:
    """One trap with what was expected and what each method returned; a number that was not measured is null."""
    expectation, why = "gradient", "the two loosest settings of the ladder, the worse of them, on 1-D TV"
    if check == "trap":
        trap = trap_named(instance)
        expectation, why = trap.expectation, trap.why
    found = {label: asdict(verdict) for label, verdict in verdicts.items()}
    for cell in found.values():
        cell |= {key: None for key in ("figure", "norm") if not math.isfinite(cell[key])}
    name = instance if check == "trap" else "loosest setting"
    return {"trap": name, "expectation": expectation, "why": why, "cells": found}


def failures(checks: dict[str, Any]) -> list[str]:
    """One line for every check of the table that failed."""
    return [
        f"{row['trap']}: {label}: {cell['outcome']}: {cell['message']}"
        for row in checks["rows"]
        for label, cell in row["cells"].items()
        if not cell["passed"]
    ]
