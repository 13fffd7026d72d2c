"""What is measured: a preset is a tuple of small sweeps, a sweep expands to planned cells."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

from harness.plan.catalogue import drawn, problem_named
from methods import CORE, LIMITS, METHODS, SETTINGS, GradientMethod
from problems import PROBLEMS, BoxDual, Ensemble, Problem
from results import Planned
from results.sweeps import described, joined


class Point(NamedTuple):
    """The axes of one instance."""

    theta: str
    n: int
    operator: str
    signal: str
    sigma: float
    seed: int
    batch: int


@dataclass(frozen=True)
class Sweep:
    """A product of short axes over one kind of instance. `knobs`: "default", or "all" rungs of the methods' ladders.

    An axis that is left empty has the problem's default; one that the problem lacks is not multiplied.
    """

    problem: Ensemble = PROBLEMS[0]
    operators: tuple[str, ...] = ()
    signals: tuple[str, ...] = ()
    theta: str = ""
    n: tuple[int, ...] = ()
    sigma: tuple[float, ...] = (0.1,)
    seeds: tuple[int, ...] = (1,)
    batch: tuple[int, ...] = (0,)
    knobs: str = "default"
    measure: str = "time"
    methods: tuple[str, ...] = ()  # labels, that of a default setting being its name; empty: all
    without: tuple[str, ...] = ()  # names left out
    name: str = "sweep"  # what the table calls it

    def cells(self, methods: tuple[GradientMethod, ...] | None, device: str, threads: int) -> list[Planned]:
        """One Planned a method, knob and instance, small n first."""
        usual = self._usual() if methods is None else methods
        names = {method.name for method in usual}
        settings = [m for m in SETTINGS if m.label in self.methods and m.name in names]
        limits = [m for m in LIMITS if m.name in self.methods]  # they come with a preset that names them
        chosen = [m for m in dict.fromkeys([*usual, *settings, *limits]) if self._chooses(m, methods is not None)]
        return [
            _planned(variant, self, point, device, threads)
            for point in self.points()
            for method in chosen
            for variant in self._variants(method)
        ]

    def _usual(self) -> tuple[GradientMethod, ...]:
        """What is measured where nobody names methods: those that the sweep names, the core, on other problems all."""
        if self.methods or self.problem != Sweep.problem:
            return METHODS
        return CORE

    def points(self) -> list[Point]:
        """Every instance."""
        of = self.problem
        axes = itertools.product(
            (self.theta or of.thetas[0],),
            self.n or (of.n,),
            self.operators or of.operators[:1] or ("",),
            self.signals or of.signals[:1] or ("",),
            self.sigma if of.noise else (math.nan,),
            self.seeds,
            self.batch if of.batches else (0,),
        )
        return [Point(*values) for values in axes]

    def _chooses(self, method: GradientMethod, given: bool) -> bool:
        """By its label; a method that the user gave by its name too, whatever its setting is."""
        named = {method.label, method.name} if given else {method.label}
        return not (self.methods and named.isdisjoint(self.methods)) and method.name not in self.without

    def _variants(self, method: GradientMethod) -> tuple[GradientMethod, ...]:
        rungs = method.ladder() if self.knobs == "all" else ()
        return tuple(dict.fromkeys((method, *rungs)))


def plan(
    sweeps: Iterable[Sweep], methods: Iterable[GradientMethod] | None = None, device: str = "cpu", threads: int = 1
) -> tuple[Planned, ...]:
    """The cells of all sweeps, each once, grouped by block, small n first, the memory pass last."""
    methods = None if methods is None else tuple(methods)
    found: dict[Planned, list[str]] = {}
    for sweep in sweeps:
        cells = sweep.cells(methods, device, threads)
        name = described(sweep.name, cells)
        for cell in cells:
            found.setdefault(cell, []).append(name)
    named = (replace(cell, sweep=joined(names)) for cell, names in found.items())
    return tuple(sorted(named, key=lambda cell: (cell.measure != "time", max(cell.n, 1) * max(cell.batch, 1), cell.block())))


def instance(cell: Planned, sources: Iterable[str] = ()) -> Problem:
    """The problem a cell is measured on; `sources` name the problems that are not ours."""
    of = problem_named(cell.problem, sources)
    return drawn(of, cell.n, cell.seed, cell.theta, cell.operator, cell.signal, cell.sigma, cell.batch)


@cache
def _rows_and_beta(problem: Ensemble, theta: str, n: int, operator: str, signal: str, sigma: float) -> tuple[int, float]:
    """(k, beta), from an instance that is drawn once, so that a plan no instance can be drawn for is refused."""
    found = drawn(problem, n, 0, theta, operator, signal, sigma)
    return (found.parametrisation.rows_of(found.theta), found.beta) if isinstance(found, BoxDual) else (0, math.nan)


def _planned(method: GradientMethod, sweep: Sweep, point: Point, device: str, threads: int) -> Planned:
    k, beta = _rows_and_beta(sweep.problem, point.theta, point.n, point.operator, point.signal, point.sigma)
    return Planned(
        measure=sweep.measure,
        sweep="",
        method=method.name,
        label=method.label,
        family=method.family,
        knobs=json.dumps(method.knobs, default=str),
        knob=method.knob,
        knob_value=_number(method.knobs.get(method.knob)),
        batching=method.batching,
        problem=sweep.problem.name,
        k=k,
        beta=beta,
        device=device,
        threads=threads,
        **point._asdict(),
    )


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else math.nan
