"""Rates of the derivative under strong convexity: unrolled, at the optimum and by a fixed point, plain and accelerated."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from harness.experiments import _rates
from harness.experiments._iterations import Pass, constant, plain
from problems import Problem
from problems.elastic_net import ElasticNet
from problems.ridge import Ridge
from problems.smooth_tv import SmoothTV
from results.claims import Claim


class Instance(NamedTuple):
    """`plain`, `accelerated`: iterations after which all errors are at rounding."""

    name: str
    draw: Callable[[], Problem]
    plain: int
    accelerated: int


INSTANCES = (
    Instance("smooth TV", lambda: SmoothTV.draw(n=32, seed=1, theta="logs", sigma=0.1), 2400, 320),
    Instance("ridge, diabetes", lambda: Ridge.draw(n=10, seed=1, theta="row-weights", signal="diabetes"), 1300, 220),
    Instance("elastic net", lambda: ElasticNet.draw(n=32, seed=1, theta="weights", signal="gaussian"), 190, 140),
)


def measure(quick: bool) -> Claim:
    """All instances; quick: without the slowest."""
    chosen, curves, notes = INSTANCES[1:] if quick else INSTANCES, [], []
    for instance in chosen:
        problem = instance.draw()
        made = Pass(problem, instance.plain, plain)
        fast = Pass(problem, instance.accelerated, constant(made.ratio))
        root = made.ratio**0.5
        curves += _panel(f"{instance.name}: plain", made, f"<= {1 - made.ratio:.4f} = 1 - mu/L")
        curves += _panel(f"{instance.name}: accelerated", fast, f"<= {1 - root:.4f} = 1 - sqrt(mu/L)")
        notes.append(
            f"{instance.name}: mu/L = {made.ratio:.4f}; the spectral radius of the iteration linearised at x* is {made.radius:.4f}, "
            f"accelerated {fast.radius:.4f}."
        )
    ordered = sorted(curves, key=lambda curve: curve.panel.endswith("accelerated"))
    return Claim(
        name="rates-strongly-convex",
        title="Error of the derivative against iterations under strong convexity",
        statement="Where f is mu-strongly convex with an L-Lipschitz gradient, the iterates of (proximal) gradient descent "
        "converge like q^K with q <= 1 - mu/L, with constant momentum q <= 1 - sqrt(mu/L). Unrolled derivatives follow like "
        "K q^K: they differentiate the iteration at points that still move. At the optimum the factor K goes, and only x* is "
        "stored; K terms at x_K, the fixed-point form that needs no x*, start at the error of x_K. Acceleration "
        "carries over to all of them.",
        source="Mehmood and Ochs (2020); Gilbert (1992) for the unrolled iterates",
        x_label="iterations K",
        y_label="relative error",
        curves=tuple(ordered),
        fit="geometric",
        notes=(
            *notes,
            "The fitted q of an unrolled curve stands slightly above the spectral radius, as K q^K does over a finite range.",
            "Acceleration is constant momentum, the same for the iterates and for the series of derivatives.",
        ),
    )


def _panel(name: str, made: Pass, bound: str) -> tuple[_rates.Curve, ...]:
    at = f", at x* {made.radius:.4f}"
    expected = {
        _rates.X: bound + at,
        _rates.UNROLLED: f"K q^K, q {bound}{at}",
        _rates.OPTIMUM: bound + at,
        _rates.FIXED: bound + at,
    }
    return _rates.curves(name, made, expected, logarithmic=False, top=1e-3)
