"""What a plan will take, about: a measured law of one call for every kind of method, and how a cell is sampled."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from harness.runner import Options
from harness.timing import SAMPLE_S
from harness.worker import SAMPLES
from problems import _large
from results import Planned

START_S = 5.0  # the server that imports the frameworks, and the end
LARGE, LINEAR_S = 2048, 1e-5  # beyond, W is sparse or matrix-free: seconds a pixel, read off images of 64^2 to 512^2
CELL_S = 0.02  # messages, canary, collection, judging


@dataclass(frozen=True)
class Law:
    """Seconds of one call: floor + signal max(batch, 1) (n/64)^power; of its set-up likewise; and once an instance: compile.

    `knob`: the default of a knob that multiplies the cost. `cone`: its set-up asks for 16 bytes k n^2 at once.
    """

    floor: float
    signal: float
    power: float
    setup: float = 0.0  # at n = 64, growing with the cube of n
    compile: float = 0.0
    knob: float = 0.0
    cone: bool = False


# Read off runs of the presets default and scaling, a core each; the first prefix that a label begins with counts.
LAWS = (
    ("blorc-paper", Law(0.04, 1.8e-3, 2.5, knob=3000)),
    ("blorc-daqp", Law(1e-4, 1.8e-4, 2.6)),
    ("blorc-jax", Law(2e-4, 2.5e-5, 2.5, compile=0.13)),
    ("blorc", Law(1e-4, 2e-5, 2.4)),
    ("closed-form-jax", Law(5e-4, 6.5e-4, 2.6, compile=0.5)),
    ("closed-form", Law(5e-4, 7e-4, 2.6)),
    ("unrolled-admm-jax", Law(1e-3, 6e-4, 2.5, compile=0.9, knob=300)),
    ("unrolled-admm", Law(0.03, 7e-4, 2.75, knob=300)),
    ("unrolled-fista-jax", Law(1e-3, 5e-4, 2.5, compile=0.6, knob=300)),
    ("unrolled-ista-jax", Law(1e-3, 5e-4, 2.4, compile=0.6, knob=300)),
    ("unrolled", Law(0.03, 5e-4, 2.75, knob=300)),
    ("smoothed-ift-jax", Law(8e-3, 2e-3, 2.6, compile=0.5)),
    ("smoothed-ift", Law(0.03, 4e-3, 2.6)),
    ("cvxpylayers-jax(", Law(0.02, 0.012, 2.9, setup=0.01, cone=True)),
    ("cvxpylayers-jax", Law(0.02, 5e-3, 2.2, setup=0.01, cone=True, compile=1.4)),
    ("cvxpylayers-torch(", Law(2e-3, 0.012, 2.9, setup=0.01, cone=True)),
    ("diffcp-dense", Law(2e-3, 0.012, 2.9, setup=0.01, cone=True)),
    ("diffcp", Law(3e-3, 5e-3, 2.3, setup=0.01, cone=True)),
    ("cvxpylayers", Law(3e-3, 5e-3, 2.2, setup=0.01, cone=True)),
    ("fd-entrywise", Law(0.01, 1.7, 3.1)),
    ("fd-directional", Law(1e-4, 5e-4, 2.6)),
    ("", Law(1e-3, 2e-3, 2.5, compile=0.2)),  # a method that is not known
)
PROOF = Law(0.01, 0.03, 2.5)  # of a reference, where it is not in the cache yet


def seconds(cells: Iterable[Planned], options: Options) -> float:
    """The wall of a plan in its order: beyond a limit that a method met nothing is run."""
    total, blocks, ended = START_S, set[str](), set[tuple[object, ...]]()
    for cell in cells:
        if cell.block() not in blocks:
            blocks.add(cell.block())
            total += _proof(cell) if cell.measure == "time" else 0.0
        series = (cell.label, cell.problem, cell.operator, cell.signal, cell.theta, cell.batch, cell.measure)
        if series in ended:
            continue
        law = next(law for prefix, law in LAWS if cell.label.startswith(prefix))
        if law.cone and 16.0 * cell.k * cell.n**2 > options.memory_limit_gib * 2**30 > 0:
            ended.add(series)
            continue
        if _call(law, cell) > options.timeout_s:
            ended.add(series)
        total += CELL_S + _cell(law, cell, options)
    return total


def _proof(cell: Planned) -> float:
    if cell.batch > 1:
        return 0.0 if _large.too_long(cell.batch, cell.n) else _large.foreseen(cell.batch, cell.n)
    return _call(PROOF, cell)


def _call(law: Law, cell: Planned) -> float:
    if cell.n > LARGE:
        return LINEAR_S * cell.n
    repeats = cell.knob_value / law.knob if law.knob and cell.knob_value > 0 else 1.0
    return repeats * (law.floor + law.signal * max(cell.batch, 1) * (max(cell.n, 1) / 64) ** law.power)


def _cell(law: Law, cell: Planned, options: Options) -> float:
    call = _call(law, cell)
    first = min(law.setup * (max(cell.n, 1) / 64) ** 3 + law.compile + call, max(options.preparation_s, options.timeout_s))
    if call >= options.timeout_s:
        return first + options.timeout_s  # of the second call; the first has the limit of a preparation
    if cell.measure == "memory":
        return first + 2 * call
    share = options.budget_s / options.rounds
    round_s = call + min(SAMPLES * max(call, SAMPLE_S), max(share, call))
    return first + call + (round_s if round_s > options.budget_s else options.rounds * round_s)
