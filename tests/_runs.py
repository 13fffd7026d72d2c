"""Synthetic runs: every sweep, status and oddity a real run has, with times and errors that are known in advance."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from results import Measured, Planned, Run
from results.sweeps import described, joined

VERSIONS = {"numpy": "2.4.6", "torch": "2.13.0", "commit": "0123456789abcdef"}


class Kind(NamedTuple):
    """A synthetic method: time = cost * n ** power seconds and a relative error."""

    label: str
    family: str
    cost: float
    power: float
    error: float
    knob: str = ""
    value: float = math.nan
    ladder: tuple[float, ...] = ()
    status: str = "ok"

    @property
    def method(self) -> str:
        return self.label.split("(")[0]


KINDS = (
    Kind("blorc", "closed form", 1e-7, 1.5, 1e-14),
    Kind("blorc-paper", "closed form", 2e-7, 2.0, 1e-12),
    Kind("blorc-factors", "closed form", 0.8e-7, 1.5, 1e-14),
    Kind("blorc-warm", "closed form", 0.7e-7, 1.5, 1e-13),
    Kind("blorc-sparse", "closed form", 1.1e-7, 1.4, 1e-14),
    Kind("closed-form-torch", "autodiff of the closed form", 3e-7, 1.6, 1e-13),
    Kind("closed-form-jax", "autodiff of the closed form", 2.5e-7, 1.6, 1e-13),
    Kind("unrolled-fista-torch", "unrolling", 5e-6, 1.2, 1e-3, "iterations", 500, (10, 30, 100, 300, 1000, 3000, 10000)),
    Kind("unrolled-fista-jax", "unrolling", 3e-6, 1.2, 1e-3, "iterations", 500, (10, 30, 100, 300, 1000, 3000, 10000)),
    Kind("unrolled-admm-torch", "unrolling", 6e-6, 1.3, 1e-4, "iterations", 500, (10, 100, 1000, 10000)),
    Kind("unrolled-cp-torch", "unrolling", 6e-6, 1.25, 1e-4, "iterations", 500, (10, 100, 1000, 10000)),
    Kind("smoothed-ift-torch", "smoothing + implicit differentiation", 4e-7, 2.0, 1e-2, "eps", 1e-3, (1e-1, 1e-2, 1e-4, 1e-5)),
    Kind("smoothed-ift-jax", "smoothing + implicit differentiation", 3e-7, 2.0, 1e-2, "eps", 1e-3, (1e-1, 1e-2, 1e-4, 1e-5)),
    Kind("cvxpylayers-torch", "cone program", 3e-5, 1.6, 1e-5, "tolerance", 1e-4, (1e-2, 1e-6, 1e-8)),
    Kind("cvxpylayers-torch(tolerance=1e-10)", "cone program", 6e-5, 1.6, 1e-9, "tolerance", 1e-10),
    Kind("cvxpylayers-jax", "cone program", 3.4e-5, 1.6, 1e-5, "tolerance", 1e-4, (1e-2, 1e-6, 1e-8)),
    Kind("diffcp-dense", "cone program", 2e-5, 2.2, 1e-6, "tolerance", 1e-6, (1e-2, 1e-4, 1e-8)),
    Kind("diffcp-lsqr", "cone program", 2e-5, 1.8, 1e-4, "tolerance", 1e-6, (1e-2, 1e-4, 1e-8)),
    Kind("moreau", "cone program", 1e-5, 1.8, 1e-4, status="not-installed"),
    Kind("qp-layer", "cone program", 1e-5, 1.8, 1e-4, status="unsupported"),
    Kind("fd-entrywise", "finite differences", 1e-6, 3.0, 1e-7, "h", 1e-5, (1e-1, 1e-2, 1e-3, 1e-4, 1e-7)),
    Kind("fd-directional", "finite differences", 1e-7, 1.5, 1e-7, "h", 1e-5, (1e-1, 1e-3, 1e-7)),
    Kind("mine", "user", 1e-7, 1.5, 0.5),
)
HEADLINE = tuple(kind.label for kind in KINDS)


def steps(kind: Kind) -> Iterator[Kind]:
    """The method at the other values of its knob: cost and error follow it."""
    for value in kind.ladder:
        ratio = value / kind.value
        factor, error = (ratio, kind.error / ratio**2) if kind.knob == "iterations" else (ratio**-0.1, kind.error * ratio)
        label = f"{kind.method}({kind.knob}={value:g})"
        yield kind._replace(label=label, cost=kind.cost * factor, error=min(max(error, 1e-15), 1.0), value=value)


def planned(kind: Kind, measure: str = "time", n: int = 64, sigma: float = 0.1, seed: int = 0, operator: str = "tv") -> Planned:
    knobs = {kind.knob: kind.value} if kind.knob else {}
    return Planned(
        measure=measure, sweep="", method=kind.method, label=kind.label, family=kind.family, knobs=json.dumps(knobs),
        knob=kind.knob,
        knob_value=kind.value, batching="native", problem="analysis-l1", operator=operator, signal="piecewise-constant",
        theta="dense", k=n - 1, n=n, batch=0, sigma=sigma, beta=0.5 * sigma, seed=seed, device="cpu", threads=1,
    )  # fmt: skip


def measured(kind: Kind, cell: Planned, index: int = 0) -> Measured:
    """What the synthetic method returns on a cell: 3 % of noise from a seed of its own."""
    if kind.status != "ok":
        return Measured(status=kind.status, reason=f"{kind.method} is {kind.status} here", host="bench")
    if cell.method == "fd-entrywise" and cell.n >= 128:
        return Measured(
            status="timeout", reason="a call took more than 60 s", reference_status="proven", reference_radius=1e-15
        )
    generator = np.random.default_rng([cell.n, cell.seed, index])
    common = {"reference_radius": 1e-15, "rho": 0.02, "kink_distance": 0.01, "zero_rows": 0.6, "rank": 20.0}
    common |= {"canary": 1 + 0.01 * generator.random(), "host": "bench", "noisy": index % 97 == 0}
    common |= costs(kind, cell, generator)
    if cell.operator == "random" and cell.seed == 1:
        doubt = "two signs are possible"
        return Measured(status="ok", reference_status="kink", reference_reason="a tie", note=doubt, **common)
    if cell.operator == "random" and cell.seed == 2:
        return Measured(status="ok", reference_status="zero", error_abs=1e-13, **common)
    error = kind.error * (1 + cell.sigma) * float(np.exp(generator.normal(0, 0.3)))
    wrong = kind.method == "cvxpylayers-torch" and error > 1.2e-5
    common |= {"reference_status": "proven", "error_rel": error, "error_abs": 2 * error, "error_max": 3 * error}
    common |= {"cosine": 1 - error**2 / 2, "error_x": error / 10, "sign_agreement": 1.0, "iterations": 40.0}
    if kind.method == "blorc-paper":
        common["misread_rows"] = float(cell.seed)
    common |= {"converged": kind.knob == "tolerance" or None, "verified": not wrong, "promise": 1e-4}
    return Measured(status="inaccurate" if wrong else "ok", **common)


def costs(kind: Kind, cell: Planned, generator: np.random.Generator) -> dict[str, Any]:
    """The columns of the memory pass or those of the time pass."""
    if cell.measure == "memory":
        peak = 8.0 * cell.n**2 * (5 if kind.family == "unrolling" else 1)
        return {"peak_bytes": peak, "floor_bytes": 65536.0, "allocated_bytes": peak}
    samples = list(kind.cost * cell.n**kind.power * np.exp(generator.normal(0, 0.03, size=8)))
    total = float(np.median(samples))
    phases = {"setup_s": 2 * total, "first_call_s": 5 * total, "forward_s": 0.6 * total, "backward_s": 0.4 * total}
    spread = {"total_low_s": 0.98 * total, "total_high_s": 1.02 * total, "total_mad_s": 0.02 * total}
    return {"total_s": total, "samples_s": samples, "samples_order": list(range(8)), **phases, **spread}


def plan() -> list[tuple[Kind, Planned]]:
    """Headline, sweeps in n and sigma, grid, ladders and memory pass."""
    groups: defaultdict[str, list[tuple[Kind, Planned]]] = defaultdict(list)
    for kind in KINDS:
        for operator in ("identity", "tv", "dct", "random"):
            groups["headline"] += [(kind, planned(kind, operator=operator, seed=seed)) for seed in range(3)]
        groups["growth"] += [(kind, planned(kind, n=n, seed=seed)) for n in (16, 32, 64, 128, 256) for seed in range(2)]
        sigmas = (0.01, 0.03, 0.1, 0.3, 1.0)
        groups["noise"] += [(kind, planned(kind, sigma=sigma, seed=seed)) for sigma in sigmas for seed in range(2)]
        groups["grid"] += [(kind, planned(kind, n=n, sigma=sigma)) for n in (16, 64, 256) for sigma in (0.01, 0.1, 1.0)]
        groups["memory"] += [(kind, planned(kind, "memory", n=n)) for n in (64, 256, 1024)]
        for step in (kind, *steps(kind)):
            rungs = [(step, planned(step, operator=operator, seed=seed)) for operator in ("tv", "dct") for seed in range(2)]
            groups["ladders"] += rungs
    return swept(groups)


def swept(groups: dict[str, list[tuple[Kind, Planned]]]) -> list[tuple[Kind, Planned]]:
    """Every cell once, with the sweeps that it belongs to."""
    found: defaultdict[tuple[Kind, Planned], list[str]] = defaultdict(list)
    for name, pairs in groups.items():
        column = described(name, [cell for _, cell in pairs])
        for pair in pairs:
            found[pair].append(column)
    return [(kind, replace(cell, sweep=joined(names))) for (kind, cell), names in found.items()]


def about(kinds: list[Kind]) -> dict[str, dict[str, object]]:
    return {
        kind.label: {
            "name": kind.method, "family": kind.family, "citation": "Somebody, 2020", "formula": "dL/dW = ...",
            "knob": kind.knob,
            "batching": "native", "tolerance": 1e-4, "headline": kind.label in HEADLINE, "doc": "A synthetic method.",
        }
        for kind in kinds
    }  # fmt: skip


ENVIRONMENT = {
    "processor": "Synthetic CPU @ 2 GHz",
    "threads": 1,
    "versions": VERSIONS,
    "commit": "0123456789abcdef",
    "platform": "Linux",
}
Edit = Callable[[Planned, Measured], Measured | None]


def build(path: Path, edit: Edit | None = None, pairs: list[tuple[Kind, Planned]] | None = None, version: str = "1") -> Run:
    """A run folder with the whole plan; `edit` changes a result, or leaves its cell out of the records (None)."""
    pairs = plan() if pairs is None else swept({"run": pairs})
    versions = VERSIONS | {"dargmin": version}
    keyed = [(cell.key(versions), kind, cell) for kind, cell in pairs]
    cells = {key: cell for key, _, cell in keyed}
    run = Run.create(path, cells, ENVIRONMENT, about([kind for kind, _ in pairs]), {"preset": "synthetic", "seeds": [0, 1, 2]})
    lines = []
    for index, (key, kind, cell) in enumerate(keyed):
        result = measured(kind, cell, index)
        changed = edit(cell, result) if edit else result
        if changed is not None:
            lines.append((key, cell, changed))
    run.append(lines)
    return run


def small(labels: tuple[str, ...] = ("blorc", "cvxpylayers-torch")) -> list[tuple[Kind, Planned]]:
    """A plan of a few cells: two methods, two operators, two seeds, and the memory pass."""
    kinds = [kind for kind in KINDS if kind.label in labels]
    pairs = [(kind, planned(kind, operator=op, seed=seed)) for kind in kinds for op in ("tv", "dct") for seed in range(2)]
    return pairs + [(kind, planned(kind, "memory", n=256)) for kind in kinds]


def edited(**changes: object) -> Edit:
    """An edit that changes every blorc row."""
    return lambda cell, result: replace(result, **changes) if cell.label == "blorc" else result
