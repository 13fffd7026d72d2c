"""Rates of the derivative under strong convexity: unrolled, at the optimum and by a fixed point, plain and accelerated."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from harness.experiments import _rates
from harness.experiments._iterations import Pass, constant, falling, plain, steps
from problems import Problem
from problems.elastic_net import ElasticNet
from problems.ridge import Ridge
from problems.smooth_tv import SmoothTV
from results.claims import Claim, Curve

POINTS = 45


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
        curves += _panel(f"{instance.name}: plain", made, f"<= {1 - made.ratio:.4f} = 1 - mu/L", 0)
        curves += _panel(f"{instance.name}: accelerated", fast, f"<= {1 - root:.4f} = 1 - sqrt(mu/L)", 1)
        notes.append(
            f"{instance.name}: mu/L = {made.ratio:.4f}; the spectral radius of the iteration linearised at x* is "
            f"{made.radius:.4f}, accelerated {fast.radius:.4f}."
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
            "Over a finite range the fitted q of K q^K stands slightly above q. Acceleration is constant momentum, the same "
            "for the iterates and for the series of derivatives; at the curvature mu it has a double root, which gives even x "
            "a factor K where mu is the least curvature of the instance (smooth TV, ridge).",
            "Smooth TV: the slowest direction is the constant signal, along which the map is affine; so the unrolled "
            "derivative is without the factor K, and the fixed point starts as far off.",
            "Elastic net: the bound takes mu = exp(theta_2) alone; the held support has more curvature. The spectral radius "
            "counts directions in which the start and the loss have little, so fitted rates may lie below it.",
        ),
    )


def _panel(name: str, made: Pass, bound: str, power: int) -> list[Curve]:
    """The curves, fitted where they fall from 1e-3 to rounding; `power`: that of K which multiplies the error of x."""
    counts, rate = steps(made.count, POINTS, logarithmic=False), f"q {bound}, at x* {made.radius:.4f}"
    less, more = (f"{'K ' if n == 1 else f'K^{n} ' if n else ''}q^K, {rate}" for n in (power, power + 1))
    found = _rates.errors(made, counts).items()
    return [
        _rates.curve(name, label, counts, error, falling(counts, error, 1e-3), more if label == _rates.UNROLLED else less)
        for label, error in found
    ]
