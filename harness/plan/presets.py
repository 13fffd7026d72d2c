"""The presets: tuples of small sweeps, frozen."""

from __future__ import annotations

from typing import Any

from harness.plan.sweeps import Sweep
from methods import PEERS as LIBRARIES
from problems import OPERATORS, PROBLEMS

_PC, _DCT, _PATCHES = ("piecewise-constant",), ("dct-sparse",), ("image-patches",)
_SLOW = ("fd-entrywise",)  # two solves an entry: measured on a part of the instances
UNROLLED = tuple(f"unrolled-{scheme}-{framework}" for scheme in ("ista", "fista", "admm") for framework in ("torch", "jax"))
# Left out of the default ladder, which would say the same again: the solver and derivative of cvxpylayers-torch, and
# what JAX compiles anew for every rung.
_SAME_LADDER = ("cvxpylayers-jax", "diffcp-dense", "unrolled-ista-jax", "unrolled-admm-jax")


def _headline(seeds: tuple[int, ...], n: int = 64, **axes: Any) -> tuple[Sweep, ...]:
    """identity, tv, dct and random, each with a signal on which beta leaves 30-80 % of the rows zero."""
    return (
        Sweep(name="headline", operators=("tv", "random"), signals=_PC, n=(n,), seeds=seeds, **axes),
        Sweep(name="headline", operators=("identity", "dct"), signals=_DCT, n=(n,), seeds=seeds, **axes),
    )


SMOKE = (
    Sweep(operators=("tv",), n=(16,)),
    Sweep(operators=("random",), n=(16,), without=_SLOW),
    Sweep(n=(16,), measure="memory", methods=("blorc", "unrolled-fista-torch", "cvxpylayers-torch")),
)

DEFAULT = (
    *_headline((1, 2), without=_SLOW),
    Sweep(name="growth", n=(16, 36, 64, 100), without=_SLOW),
    Sweep(name="growth", n=(16, 36, 64), methods=_SLOW),
    Sweep(name="noise", n=(16, 36), sigma=(0.02, 0.1, 0.5)),
    Sweep(name="patches", operators=("dct",), signals=_PATCHES, n=(64,), without=_SLOW),
    Sweep(name="work and precision", n=(36,), knobs="all", without=_SAME_LADDER),
    Sweep(name="growth", n=(64, 144), measure="memory", without=_SLOW),
    Sweep(name="growth", n=(16, 36), measure="memory", methods=_SLOW),
)

PAPER = (
    Sweep(operators=("identity",), signals=_PC, n=(36, 64), seeds=tuple(range(10))),
    Sweep(operators=("identity",), signals=_PC, n=(36, 64), measure="memory"),
)

FAMILIES = (
    Sweep(operators=tuple(OPERATORS), n=(16, 64, 144), seeds=(0, 1, 2, 3, 4), without=_SLOW),
    Sweep(operators=tuple(OPERATORS), n=(16,), methods=_SLOW),
)

FULL = (
    *_headline((1, 2, 3, 4, 5), without=_SLOW),
    *_headline((1, 2), methods=_SLOW),
    Sweep(name="operators", operators=("scaled-identity", "random-2n", "filters"), seeds=(1, 2, 3), without=_SLOW),
    Sweep(name="growth", operators=("tv", "random"), n=(16, 36, 64, 144, 256), seeds=(1, 2, 3), without=_SLOW),
    Sweep(name="noise", n=(16, 36, 64, 144), sigma=(0.02, 0.05, 0.1, 0.2, 0.5), without=_SLOW),
    Sweep(name="noise", n=(16, 36), sigma=(0.02, 0.05, 0.1, 0.2, 0.5), methods=_SLOW),
    Sweep(name="patches", operators=("dct", "tv"), signals=_PATCHES, n=(16, 36, 64, 144), seeds=(1, 2), without=_SLOW),
    Sweep(name="weights", theta="row-weights", operators=("tv", "random"), seeds=(1, 2)),
    Sweep(name="weights", theta="weight", operators=("tv", "random"), seeds=(1, 2)),
    Sweep(name="batches", batch=(0, 1, 10, 100), without=_SLOW),
    *_headline((1,), knobs="all", without=_SLOW),
    Sweep(name="work and precision", n=(36,), knobs="all"),
    Sweep(name="growth", n=(64, 256, 1024), measure="memory", without=_SLOW),
    Sweep(name="work and precision", n=(64,), knobs="all", measure="memory", without=_SLOW),
)

# Up in n, in the batch and in the iterations until a limit is met; what lies beyond is not run.
SCALING = (
    Sweep(name="growth", operators=("tv", "random"), n=(16, 32, 64, 128, 256, 512, 1024, 2048)),
    Sweep(name="sparse", theta="sparse", n=(100, 300, 1000, 10_000, 100_000, 1_000_000), without=_SLOW),
    Sweep(name="sparse", theta="sparse", n=(1000, 100_000, 1_000_000), measure="memory", without=_SLOW),
    Sweep(name="batches", batch=(1, 10, 100, 1000), without=_SLOW),
    Sweep(name="growth", n=(64, 256, 1024), measure="memory"),
    Sweep(name="iterations", n=(256,), knobs="all", measure="memory", methods=UNROLLED),
    Sweep(name="batches", batch=(1, 10, 100), measure="memory", without=_SLOW),
)

_EXACT = ("blorc", "blorc-factors", "blorc-warm", "blorc-daqp", "blorc-torch", "blorc-jax", "lapack-limit")
_CONES = ("cvxpylayers-torch", "cvxpylayers-torch-clarabel", "cvxpylayers-torch(adjoint=dense)")
_FIXED_POINT = "optimistix(tolerance=1e-13)"  # at its default it is no faster by much, and right to 1e-6 alone
_TIGHT_CONE = "cvxpylayers-torch(tolerance=1e-10, adjoint=dense)"
_PEERS = (
    *_CONES,
    _TIGHT_CONE,
    "diffcp-dense",
    "diffcp-lsqr",
    _FIXED_POINT,
    "closed-form-torch",
    "closed-form-jax",
    "blorc-paper",
)
_DENSE = ("tv", "circular-tv", "random", "random-2n", "trained")
_FEW = (*_EXACT, "cvxpylayers-torch", _FIXED_POINT, "closed-form-torch")
_FEWER_ZEROS: dict[str, Any] = {"operators": ("random",), "sigma": (0.07,)}  # two fifths of the rows in place of half
_BATCH = (*_EXACT, "blorc-batched-torch", *_CONES, _FIXED_POINT, "closed-form-torch", "closed-form-jax")
# Unrolling 300 iterations of 2-D total variation at 512 x 512 needs more than 8 GiB, so it stands beside the small images.
_SMALL, _BLORC = ("blorc", "fd-directional", "unrolled-fista-torch"), ("blorc",)
_ON_TV: dict[str, Any] = {"operators": ("tv-2d",), "signals": _PATCHES}
_ON_FILTERS: dict[str, Any] = {"operators": ("dct-filters",), "signals": _PATCHES}

IMAGES = (
    *(Sweep(**_ON_TV, theta=theta, n=(64**2,), methods=_SMALL) for theta in ("weight", "row-weights")),
    *(Sweep(**_ON_TV, theta=theta, n=(512**2,), methods=_SMALL[:2]) for theta in ("weight", "row-weights")),
    *(Sweep(**_ON_TV, theta=theta, n=(512**2,), measure="memory", methods=_BLORC) for theta in ("weight", "row-weights")),
    Sweep(**_ON_FILTERS, theta="taps", n=(64**2,), methods=_SMALL),
    Sweep(**_ON_FILTERS, theta="taps", n=(256**2,), methods=_BLORC),
    Sweep(**_ON_FILTERS, theta="taps", n=(256**2,), measure="memory", methods=_BLORC),
)

_ON_CHAIN: dict[str, Any] = {"operators": ("tv",), "n": (10**6,)}
LONG = tuple(
    Sweep(**_ON_CHAIN, theta=theta, measure=measure, methods=methods)
    for theta, methods in (("sparse", ("blorc", "blorc-factors")), ("sparse-weight", ("blorc",)))
    for measure in ("time", "memory")
)

SPEED = (
    Sweep(operators=("identity", "dct"), signals=_DCT, seeds=(1, 2, 3), methods=(*_EXACT, *_PEERS)),
    Sweep(operators=_DENSE, seeds=(1, 2, 3), methods=(*_EXACT, *_PEERS)),
    Sweep(operators=("identity",), signals=_DCT, n=(256,), seeds=(1, 2), methods=_FEW),
    Sweep(operators=("tv", "random"), n=(256,), seeds=(1, 2), methods=_FEW),
    Sweep(**_FEWER_ZEROS, seeds=(1, 2, 3), methods=(*_EXACT, *_PEERS)),
    Sweep(**_FEWER_ZEROS, n=(256,), seeds=(1, 2), methods=_FEW),
    Sweep(**_FEWER_ZEROS, batch=(100,), methods=_BATCH),
    Sweep(operators=("identity",), signals=_DCT, batch=(100,), methods=_BATCH),
    Sweep(operators=("tv", "random", "trained"), batch=(100,), methods=_BATCH),
    Sweep(operators=("identity",), signals=_DCT, batch=(100,), methods=("blorc-warm",), knobs="all"),
    Sweep(operators=("tv", "random", "trained"), batch=(100,), methods=("blorc-warm",), knobs="all"),
    *LONG,
    *IMAGES,
)

# What a GPU does for batches: with --device cuda, and on the CPU of the same machine to compare with.
_PLACED = ("blorc", "blorc-batched-torch", "unrolled-fista-torch")
_BATCHES: dict[str, Any] = {"batch": (1, 10, 100, 1000, 10_000), "methods": _PLACED}
DEVICE = (
    Sweep(operators=("identity",), signals=_DCT, n=(64, 256, 1024), **_BATCHES),
    Sweep(operators=("tv", "random"), n=(64, 256, 1024), **_BATCHES),
    Sweep(operators=("trained",), **_BATCHES),
    Sweep(operators=("tv",), n=(64, 256, 1024), batch=(1, 1000), measure="memory", methods=_PLACED),
)

# Every library at its defaults and at a tight setting; a batch for those that take one as a whole, but for the slowest.
_OURS = ("blorc", "blorc-torch", "cvxpylayers-torch", "cvxpylayers-torch(tolerance=1e-10, adjoint=dense)")
_ASKED = (*_OURS, "diffcp-dense", "diffcp-dense(tolerance=1e-10)", *(method.label for method in LIBRARIES))
_SLOWEST = ("jaxopt-box-osqp-primal",)
_NATIVE = (method.label for method in LIBRARIES if method.batching == "native" and method.name not in _SLOWEST)
_WHOLE = (*_OURS, *_NATIVE)
PEERS = (
    Sweep(operators=("tv", "random-2n"), n=(16, 64), methods=_ASKED),
    Sweep(operators=("random",), methods=_ASKED),
    Sweep(operators=("identity",), signals=_DCT, methods=_ASKED),
    Sweep(operators=("tv", "random", "random-2n"), batch=(100,), methods=_WHOLE),
    Sweep(operators=("identity",), signals=_DCT, batch=(100,), methods=_WHOLE),
)

# Every method on every other problem, each kind of theta, at a size at which all methods answer soon.
PROBLEM_SWEEPS = tuple(
    Sweep(problem=drawn, theta=theta, n=(drawn.n if drawn.fixed_n else drawn.small,))
    for drawn in PROBLEMS
    if drawn != Sweep.problem
    for theta in drawn.thetas
)

PRESETS: dict[str, tuple[Sweep, ...]] = {
    "smoke": SMOKE,
    "default": DEFAULT,
    "paper": PAPER,
    "families": FAMILIES,
    "full": FULL,
    "speed": SPEED,
    "scaling": SCALING,
    "device": DEVICE,
    "peers": PEERS,
    "problems": PROBLEM_SWEEPS,
}
BUDGET_S = {
    "smoke": 0.1,
    "default": 0.12,
    "paper": 1.0,
    "families": 0.05,
    "full": 1.0,
    "speed": 0.3,
    "scaling": 0.2,
    "device": 0.2,
    "peers": 0.1,
    "problems": 0.05,
}
TIMEOUT_S = {"scaling": 10.0, "device": 20.0}  # a call; 60 elsewhere
