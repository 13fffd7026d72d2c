"""The presets: tuples of small sweeps, frozen."""

from __future__ import annotations

from typing import Any

from harness.sweeps import Sweep
from methods import PEERS as LIBRARIES
from problems import OPERATORS

_PC, _DCT, _PATCHES = ("piecewise-constant",), ("dct-sparse",), ("image-patches",)
_SLOW = ("fd-entrywise",)  # two solves an entry: measured on a part of the instances
UNROLLED = tuple(f"unrolled-{scheme}-{framework}" for scheme in ("ista", "fista", "admm") for framework in ("torch", "jax"))
# Left out of the default ladder, which would say the same again: the solver and derivative of cvxpylayers-torch, and
# what JAX compiles anew for every rung.
_SAME_LADDER = ("cvxpylayers-jax", "diffcp-dense", "unrolled-ista-jax", "unrolled-admm-jax")


def _headline(seeds: tuple[int, ...], n: int = 64, **axes: Any) -> tuple[Sweep, ...]:
    """identity, tv, dct and random, each with a signal on which beta leaves 30-80 % of the rows zero."""
    return (
        Sweep(operators=("tv", "random"), signals=_PC, n=(n,), seeds=seeds, **axes),
        Sweep(operators=("identity", "dct"), signals=_DCT, n=(n,), seeds=seeds, **axes),
    )


SMOKE = (
    Sweep(operators=("tv",), n=(16,)),
    Sweep(operators=("random",), n=(16,), without=_SLOW),
    Sweep(n=(16,), measure="memory", methods=("blorc", "unrolled-fista-torch", "cvxpylayers-torch")),
)

DEFAULT = (
    *_headline((1, 2), without=_SLOW),
    Sweep(n=(16, 36, 100), without=_SLOW),
    Sweep(n=(16, 36, 64), methods=_SLOW),
    Sweep(n=(16, 36), sigma=(0.02, 0.5)),
    Sweep(operators=("dct",), signals=_PATCHES, n=(64,), without=_SLOW),
    Sweep(n=(36,), knobs="all", without=_SAME_LADDER),
    Sweep(n=(64, 144), measure="memory", without=_SLOW),
    Sweep(n=(16, 36), measure="memory", methods=_SLOW),
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
    Sweep(operators=("scaled-identity", "random-2n", "filters"), seeds=(1, 2, 3), without=_SLOW),
    Sweep(operators=("tv", "random"), n=(16, 36, 64, 144, 256), seeds=(1, 2, 3), without=_SLOW),
    Sweep(n=(16, 36, 64, 144), sigma=(0.02, 0.05, 0.1, 0.2, 0.5), without=_SLOW),
    Sweep(n=(16, 36), sigma=(0.02, 0.05, 0.1, 0.2, 0.5), methods=_SLOW),
    Sweep(operators=("dct", "tv"), signals=_PATCHES, n=(16, 36, 64, 144), seeds=(1, 2), without=_SLOW),
    Sweep(theta="row-weights", operators=("tv", "random"), seeds=(1, 2)),
    Sweep(theta="weight", operators=("tv", "random"), seeds=(1, 2)),
    Sweep(batch=(1, 10, 100), without=_SLOW),
    *_headline((1,), knobs="all", without=_SLOW),
    Sweep(n=(36,), knobs="all"),
    Sweep(n=(64, 256, 1024), measure="memory", without=_SLOW),
    Sweep(n=(64,), knobs="all", measure="memory", without=_SLOW),
)

# Up in n, in the batch and in the iterations until a limit is met; what lies beyond is not run.
SCALING = (
    Sweep(operators=("tv", "random"), n=(16, 32, 64, 128, 256, 512, 1024)),
    Sweep(batch=(1, 10, 100, 1000), without=_SLOW),
    Sweep(n=(64, 256, 1024), measure="memory"),
    Sweep(n=(256,), knobs="all", measure="memory", methods=UNROLLED),
    Sweep(batch=(1, 10, 100), measure="memory", without=_SLOW),
)

_EXACT = ("blorc", "blorc-factors", "blorc-warm", "blorc-daqp", "blorc-torch", "blorc-jax", "lapack-limit")
_CONES = ("cvxpylayers-torch", "cvxpylayers-torch-clarabel", "cvxpylayers-torch(adjoint=dense)")
_PEERS = (*_CONES, "diffcp-dense", "diffcp-lsqr", "closed-form-torch", "closed-form-jax", "blorc-paper")
_DENSE, _FEW = ("tv", "circular-tv", "random", "random-2n", "trained"), (*_EXACT, "cvxpylayers-torch", "closed-form-torch")
_BATCH = (*_EXACT, "blorc-batched-torch", *_CONES, "closed-form-torch", "closed-form-jax")
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

SPEED = (
    Sweep(operators=("identity", "dct"), signals=_DCT, seeds=(1, 2, 3), methods=(*_EXACT, *_PEERS)),
    Sweep(operators=_DENSE, seeds=(1, 2, 3), methods=(*_EXACT, *_PEERS)),
    Sweep(operators=("identity",), signals=_DCT, n=(256,), seeds=(1, 2), methods=_FEW),
    Sweep(operators=("tv", "random"), n=(256,), seeds=(1, 2), methods=_FEW),
    Sweep(operators=("identity",), signals=_DCT, batch=(100,), methods=_BATCH),
    Sweep(operators=("tv", "random", "trained"), batch=(100,), methods=_BATCH),
    Sweep(operators=("identity",), signals=_DCT, batch=(100,), methods=("blorc-warm",), knobs="all"),
    Sweep(operators=("tv", "random", "trained"), batch=(100,), methods=("blorc-warm",), knobs="all"),
    *IMAGES,
)

# Every library at its defaults and at a tight setting; a batch for those that take one as a whole, but for the slowest.
_OURS = ("blorc", "blorc-torch", "cvxpylayers-torch", "diffcp-dense")
_ASKED = (*_OURS, *dict.fromkeys(method.name for method in LIBRARIES))
_SLOWEST = ("jaxopt-box-osqp-primal",)
_NATIVE = (method.name for method in LIBRARIES if method.batching == "native" and method.name not in _SLOWEST)
_WHOLE = (*_OURS[:3], *dict.fromkeys(_NATIVE))
PEERS = (
    Sweep(operators=("tv", "random-2n"), n=(16, 64), methods=_ASKED),
    Sweep(operators=("random",), methods=_ASKED),
    Sweep(operators=("identity",), signals=_DCT, methods=_ASKED),
    Sweep(operators=("tv", "random", "random-2n"), batch=(100,), methods=_WHOLE),
    Sweep(operators=("identity",), signals=_DCT, batch=(100,), methods=_WHOLE),
)

PRESETS: dict[str, tuple[Sweep, ...]] = {
    "smoke": SMOKE,
    "default": DEFAULT,
    "paper": PAPER,
    "families": FAMILIES,
    "full": FULL,
    "speed": SPEED,
    "scaling": SCALING,
    "peers": PEERS,
}
BUDGET_S = {
    "smoke": 0.1,
    "default": 0.12,
    "paper": 1.0,
    "families": 0.05,
    "full": 1.0,
    "speed": 0.3,
    "scaling": 0.2,
    "peers": 0.1,
}
TIMEOUT_S = {"scaling": 10.0}  # a call; 60 elsewhere
