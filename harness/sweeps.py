"""What is measured: a preset is a tuple of small sweeps, a sweep expands to planned cells."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from methods import PEERS, YARDSTICKS, GradientMethod
from problems import AnalysisL1
from results import Planned


@dataclass(frozen=True)
class Sweep:
    """A product of short axes over one kind of instance. `knobs`: "default", or "all" rungs of the methods' ladders."""

    operators: tuple[str, ...] = ("tv",)
    signals: tuple[str, ...] = ("piecewise-constant",)
    theta: str = "dense"
    n: tuple[int, ...] = (64,)
    sigma: tuple[float, ...] = (0.1,)
    seeds: tuple[int, ...] = (1,)
    batch: tuple[int, ...] = (0,)
    knobs: str = "default"
    measure: str = "time"
    methods: tuple[str, ...] = ()  # names; empty: all
    without: tuple[str, ...] = ()  # names left out

    def cells(self, methods: Iterable[GradientMethod], device: str, threads: int) -> list[Planned]:
        """One Planned a method, knob and instance, small n first."""
        guests = [m for m in PEERS + YARDSTICKS if m.name in self.methods]  # they come with a preset that names them
        chosen = [m for m in dict.fromkeys([*methods, *guests]) if self._chooses(m)]
        axes = itertools.product(self.n, self.operators, self.signals, self.sigma, self.seeds, self.batch)
        return [
            _planned(variant, self, *point, device, threads)
            for point in axes
            for method in chosen
            for variant in self._variants(method)
        ]

    def _chooses(self, method: GradientMethod) -> bool:
        return (not self.methods or method.name in self.methods) and method.name not in self.without

    def _variants(self, method: GradientMethod) -> tuple[GradientMethod, ...]:
        rungs = method.ladder() if self.knobs == "all" else ()
        return tuple(dict.fromkeys((method, *rungs)))


def plan(
    sweeps: Iterable[Sweep], methods: Iterable[GradientMethod], device: str = "cpu", threads: int = 1
) -> tuple[Planned, ...]:
    """The cells of all sweeps, each once, grouped by block, small n first, the memory pass last."""
    methods = tuple(methods)
    cells = dict.fromkeys(cell for sweep in sweeps for cell in sweep.cells(methods, device, threads))
    return tuple(sorted(cells, key=lambda cell: (cell.measure != "time", max(cell.n, 1) * max(cell.batch, 1), cell.block())))


def instance(cell: Planned) -> AnalysisL1:
    """The problem a cell is measured on."""
    return AnalysisL1.draw(
        n=cell.n,
        sigma=cell.sigma,
        seed=cell.seed,
        operator=cell.operator,
        signal=cell.signal,
        batch=cell.batch or None,
        beta=cell.beta,
        theta=cell.theta,
    )


@cache
def _rows_and_beta(operator: str, signal: str, n: int, sigma: float, theta: str) -> tuple[int, float]:
    """(k, beta), from an instance that is drawn once, so that a plan no instance can be drawn for is refused."""
    drawn = AnalysisL1.draw(n=n, sigma=sigma, operator=operator, signal=signal, theta=theta)
    return len(drawn.parametrisation.apply(drawn.theta, drawn.y)), drawn.beta


def _planned(
    method: GradientMethod,
    sweep: Sweep,
    n: int,
    operator: str,
    signal: str,
    sigma: float,
    seed: int,
    batch: int,
    device: str,
    threads: int,
) -> Planned:
    k, beta = _rows_and_beta(operator, signal, n, sigma, sweep.theta)
    return Planned(
        measure=sweep.measure,
        method=method.name,
        label=method.label,
        family=method.family,
        knobs=json.dumps(method.knobs, default=str),
        knob=method.knob,
        knob_value=_number(method.knobs.get(method.knob)),
        batching=method.batching,
        problem=AnalysisL1.__name__,
        operator=operator,
        signal=signal,
        theta=sweep.theta,
        k=k,
        n=n,
        batch=batch,
        sigma=sigma,
        beta=beta,
        seed=seed,
        device=device,
        threads=threads,
    )


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else math.nan
