"""The knobs at which every strategy is compared with a reference, and the relative error that is argued beside them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from methods import METHODS, PEERS, GradientMethod


@dataclass(frozen=True)
class Sharp:
    """The knobs at which a strategy is compared with the reference, and the relative error that is argued beside them."""

    error: float
    knobs: dict[str, Any] = field(default_factory=dict)
    error_x: float = 1e-9  # of the solution; exact solvers and converged iterations are far below


SHARP = {
    "blorc": Sharp(1e-13, error_x=1e-14),  # rounding times a condition number of W0 below 4
    "blorc-paper": Sharp(1e-12, {"gamma": 1e-6}),  # likewise, since no row of W x* lies in 0..1e-5 and is misread
    "closed-form": Sharp(1e-12, error_x=1e-14),  # rounding of a pseudo-inverse
    "unrolled-ista": Sharp(1e-9, {"iterations": 2000}),  # geometric: the spectral gaps are above 1/80, and e^-25 = 1e-11
    "unrolled-fista": Sharp(1e-6, {"iterations": 1000}, error_x=1e-8),  # momentum near 1 leaves ripples: geometric, but slower
    "unrolled-admm": Sharp(1e-9, {"iterations": 1000}),  # geometric, measured 1e-13
    "unrolled-ladmm": Sharp(1e-9, {"iterations": 3000}),  # geometric, measured 1e-15
    "unrolled-pdhg": Sharp(1e-9, {"iterations": 3000}),  # likewise
    # Mirror steps shrink with the distance of a dual entry to its bound: geometric at a rate that tends to 1 with the margins.
    "unrolled-bpg": Sharp(0.1, {"iterations": 3000}, error_x=1e-2),
    "unrolled-bpd": Sharp(0.1, {"iterations": 3000}, error_x=1e-2),
    "unrolled-hqs": Sharp(10.0, {"iterations": 1000}, error_x=1.0),  # biased by design: only of the right size, measured 0.1-2
    "truncated": Sharp(1e-6, {"iterations": 2000, "last": 1500}),  # lost: the contraction factor 1 - 1/80 to the 1500th power
    "unrolled-forward-ista": Sharp(1e-9, {"iterations": 2000}),  # the same number as in reverse mode
    "unrolled-forward-admm": Sharp(1e-9, {"iterations": 1000}),
    # Steps of 1e-12 over a spectral gap of 1/80.
    "fixed-point": Sharp(1e-9, {"tolerance": 1e-12, "limit": 100_000}),
    "neumann": Sharp(1e-9, {"terms": 2000}, error_x=1e-12),  # the certified solution; geometric in the terms
    "one-step": Sharp(1.0, error_x=1e-12),  # a direction: (I - dT/dv)^-1 is replaced by I
    "partial-smoothness": Sharp(1e-12, error_x=1e-12),  # rounding times a condition number of W0 W0^T below 100
    "weak": Sharp(1e-9, {"iterations": 2000}),  # that of unrolled-ista
    "smoothed-ift": Sharp(1e-3, {"eps": 1e-6}, error_x=1e-4),  # bias: eps over margins of about 1e-3
    "ift": Sharp(1e-12),  # rounding times the condition numbers of the Hessians, at most 1e3 on small instances
    "ift-cg": Sharp(1e-5, {"eps": 1e-10}),  # eps times the constants of the bound, of which the largest is M_H = 7e3
    "linear-solve-vjp": Sharp(1e-10),  # residual 1e-12 times condition numbers below 100
    "value-duality": Sharp(1e-8, {"iterations": 3000}),  # as unrolled FISTA, whose x converges geometrically
    "bregman-fixed-point": Sharp(1e-6, {"iterations": 3000}, error_x=1e-8),  # geometric: the slowest measured 2e-8
    "cvxpylayers": Sharp(1e-6, {"tolerance": 1e-10, "adjoint": "dense"}, error_x=1e-8),  # its promise; SCS's eps
    "diffcp-dense": Sharp(1e-6, {"tolerance": 1e-10}, error_x=1e-8),  # its promise; SCS's eps
    "diffcp-lsqr": Sharp(1e-5, {"tolerance": 1e-10}, error_x=1e-8),  # LSQR stops at 1e-8 times a condition number
    "fd": Sharp(1e-7, error_x=1e-14),  # curvature (h / kink distance)^2 = 1e-6 at worst, measured 1e-10; rounding 1e-10
}


def sharp(method: GradientMethod) -> tuple[GradientMethod, Sharp]:
    """The method at its sharp knobs; a strategy without an entry is held to its promise."""
    found = [value for name, value in SHARP.items() if method.name == name or method.name.startswith(f"{name}-")]
    if found:
        return replace(method, **found[-1].knobs), found[-1]
    return method, Sharp(1e-8)  # the promise every method makes unless it says otherwise


OURS = tuple(method for method in METHODS if method not in PEERS)
STRATEGIES = tuple({method.name: sharp(method)[0] for method in OURS}.values())
DEFAULTS = PEERS[:-1:2]
TIGHT = (*PEERS[1::2], PEERS[-1])

# The relative error of the gradient at the tight settings, here with kinks 1e-2 away and condition numbers below 1e2.
PEER_ERRORS = {
    "optimistix": 1e-9,  # a last step of 1e-13 over 1 - rate, which is above 1e-2, over the margin
    "jaxopt-box-cdqp": 1e-7,  # tol 1e-10 over the margin
    "jaxopt-box-osqp": 1e-7,
    "jaxopt-box-osqp-primal": 1e-7,
    "qpax-dual": 1e-5,  # bias of s z = 1e-12 over margins of s and z of 1e-2 each, and rounding at that ill-conditioning
    "qpax-primal": 1e-5,
    "proxsuite-dual": 1e-7,  # eps, rho and mu of 1e-10 times condition numbers
    "proxsuite-primal": 1e-5,  # likewise, of a KKT matrix with twice the rows
    "osqp-dual": 1e-5,  # eps 1e-8 over the margin
    "osqp-primal": 1e-5,
    "torchopt": 1e-11,  # rounding
    "cvxpylayers-torch-clarabel": 1e-4,  # x good to the square root of 1e-12: the quadratic is a second-order cone
    "cvxpylayers-torch-moreau": 1e-5,  # tol 1e-12 on the gap is 1e-6 on x
    "cvxpylayers-torch-blorc": 1e-12,  # rounding
}


def in_jax(method: GradientMethod) -> bool:
    """Whether JAX compiles it, which takes a second a shape."""
    return any(name.split(".")[0] in ("jax", "jaxopt", "optimistix", "qpax") for name in method.requires)


# Those that take a second an instance without JAX: thousands of steps, each of several operations, or a derivative beside each.
LOOPS = ("weak", "unrolled-forward", "bregman-fixed-point", "unrolled-ladmm", "unrolled-pdhg", "unrolled-bpg", "unrolled-bpd")


def slow(method: GradientMethod) -> bool:
    """Whether `make test` has the method on a few instances alone."""
    return in_jax(method) or method.name.startswith(LOOPS)


def case(*values: object, long: bool) -> object:
    """One line of a parametrisation, left to `make test-all` where it is long."""
    return pytest.param(*values, marks=pytest.mark.long) if long else values


def label(part: object) -> str:
    return str(getattr(part, "name", part))
