"""What a torch layer costs around the exact gradient: autograd alone, the gradient alone, both, and the cone layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from harness.experiments import _pages
from harness.timing import median_interval, without_gc
from methods.blorc import Blorc
from methods.cone_layers import ConeLayer
from problems import AnalysisL1

OPERATORS = ("identity", "tv", "random")
ROUNDS, ROUND_S = 25, 0.01


@dataclass(frozen=True)
class Row:
    """Microseconds of one signal, n = 64, loss and backward included: medians, and the interval of the layer's."""

    operator: str
    layer: float
    layer_low: float
    layer_high: float
    gradient: float
    autograd: float
    peer: float


def reproduce(folder: Path, quick: bool) -> Path:
    """Write layer-floor.md and .csv into the folder; a fifth of the rounds when quick."""
    _pages.fresh(folder)
    rows = [_measured(operator, ROUNDS // 5 if quick else ROUNDS) for operator in OPERATORS]
    folder.mkdir(parents=True)
    _pages.write_csv(rows, folder / "layer-floor.csv")
    page = folder / "layer-floor.md"
    page.write_text("\n".join(_lines(rows)) + "\n")
    _pages.show(_table(rows))
    return page


def _measured(operator: str, rounds: int) -> Row:
    signal = "dct-sparse" if operator == "identity" else "piecewise-constant"
    problem = AnalysisL1.draw(n=64, seed=1, operator=operator, signal=signal)
    blorc, peer = Blorc().prepare(problem), ConeLayer().prepare(problem)
    parts: dict[str, Callable[[], object]] = {
        "layer": _layer(problem),
        "gradient": lambda: blorc(problem.theta),
        "autograd": _empty(problem),
        "peer": lambda: peer(problem.theta).grad,
    }
    times: dict[str, list[float]] = {name: [] for name in parts}
    for part in parts.values():
        part()
    for _ in range(rounds):
        for name, part in parts.items():
            times[name].append(_seconds(part))
    median, low, high, _ = median_interval(times["layer"])
    others = {name: 1e6 * float(np.median(times[name])) for name in ("gradient", "autograd", "peer")}
    return Row(operator, 1e6 * median, 1e6 * low, 1e6 * high, **others)


def _seconds(part: Callable[[], object]) -> float:
    """Seconds a call, over calls of ROUND_S in all."""
    with without_gc():
        start, count = perf_counter(), 0
        while count == 0 or perf_counter() - start < ROUND_S:
            part()
            count += 1
        return (perf_counter() - start) / count


def _layer(problem: AnalysisL1) -> Callable[[], object]:
    import torch

    from methods.layers import AnalysisL1Layer

    return _step(problem, AnalysisL1Layer(problem.beta), torch)


def _empty(problem: AnalysisL1) -> Callable[[], object]:
    """The same loss and backward around a function that computes nothing."""
    import torch

    x, slope = torch.tensor(problem.y), torch.tensor(problem.theta)

    class Nothing(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, w: Any, y: Any) -> Any:
            ctx.save_for_backward(w, y)
            return x.clone()

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return slope, None

    return _step(problem, Nothing.apply, torch)


def _step(problem: AnalysisL1, solution: Callable[[Any, Any], Any], torch: Any) -> Callable[[], object]:
    w, y, target = torch.tensor(problem.theta, requires_grad=True), torch.tensor(problem.y), torch.tensor(problem.target)

    def step() -> object:
        return torch.autograd.grad(0.5 * ((solution(w, y) - target) ** 2).sum(), w)[0]

    return step


def _table(rows: list[Row]) -> str:
    columns = (
        "W",
        "layer, us [95 %]",
        "gradient in NumPy",
        "autograd alone",
        "cvxpylayers / layer",
        "cvxpylayers / (gradient + autograd)",
    )
    lines = [
        (
            row.operator,
            f"{row.layer:.3g} [{row.layer_low:.3g}, {row.layer_high:.3g}]",
            f"{row.gradient:.3g}",
            f"{row.autograd:.3g}",
            f"{row.peer / row.layer:.3g}",
            f"{row.peer / (row.gradient + row.autograd):.3g}",
        )
        for row in rows
    ]
    return _pages.table(columns, lines)


def _lines(rows: list[Row]) -> list[str]:
    return [
        "# What a torch layer costs",
        "",
        "One signal, n = 64, forward, loss and backward; all parts alternate in one process on one thread. Autograd: the same",
        "loss and backward around a function that returns what it was made with. The last column is what the layer would reach",
        "if it added nothing to the gradient and to autograd.",
        "",
        _table(rows),
    ]
