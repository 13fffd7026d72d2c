"""Instances with structure: operators with dependent, repeated and zero rows, signals with ties, and every exact entry."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from methods import Blorc, BlorcBatched, BlorcDaqp, BlorcFactors, BlorcLayer, BlorcWarm, Chained, Gradient, GradientMethod
from problems import AnalysisL1, Dense
from problems.base import Array
from problems.operators.matrices import circular_tv, identity, second_differences, tv, tv_2d
from problems.operators.parametrisations import Filters, Parametrisation, Sparse, Weighted

Drawn = Callable[[int, np.random.Generator], Array]
Signal = Callable[[Array, float, np.random.Generator], Array]

SIDES = (2, 3, 4, 5)  # n = side^2, so that each instance can be an image
BETAS = (0.125, 0.25, 0.5, 1.0, 2.0, 8.0)  # sums of integers meet them exactly
COPIES = 8  # of a signal in a batch, y and -y in turn, from which on W W' is used
DIGITS = 16  # binary ones behind the point
NEAR = 1e-3  # how far away by share of W a warm start comes from


def _rescaled(w: Array, rng: np.random.Generator) -> Array:
    """Rows and multiples of them, each by a power of two."""
    multiples = rng.choice([-3.0, 0.5, 2.0], size=(len(w), 1)) * w
    return np.concatenate([w, multiples])[rng.permutation(2 * len(w))] * 2.0 ** rng.integers(-10, 11, (2 * len(w), 1))


def _with_zeros(w: Array, rng: np.random.Generator) -> Array:
    w = w.copy()
    w[rng.choice(len(w), size=max(1, len(w) // 3), replace=False)] = 0.0
    return w


def _dyadic(a: Array) -> Array:
    """Rounded, so that what is made of a few of the numbers is exact."""
    return np.round(a * 2**DIGITS) / 2**DIGITS


def _repeated(n: int, rng: np.random.Generator) -> Array:
    w = rng.integers(-2, 3, (n, n)).astype(float)
    return w[rng.integers(n, size=n)]


OPERATORS: dict[str, Drawn] = {
    "I": identity,
    "TV": tv,
    "circular TV": circular_tv,
    "2-D TV": lambda n, rng: tv_2d(n).toarray(),
    "[I; I]": lambda n, rng: np.concatenate([np.eye(n)] * 2),
    "[I; D]": lambda n, rng: np.concatenate([np.eye(n), tv(n, rng)]),
    "repeated rows": _repeated,
    "second differences": second_differences,
    "fourth differences": lambda n, rng: np.diff(np.eye(n), n=min(4, n - 1), axis=0),
    "scaled rows": lambda n, rng: _rescaled(tv(n, rng), rng),
    "zero rows": lambda n, rng: _with_zeros(circular_tv(n, rng), rng),
    "integers": lambda n, rng: rng.integers(-2, 3, (int(rng.integers(1, 2 * n)), n)).astype(float),
    "random": lambda n, rng: _dyadic(rng.standard_normal((n, n))),
}

_POINT, _ACROSS, _DOWN = ([[1.0, 0], [0, 0]], [[-1.0, 1], [0, 0]], [[-1.0, 0], [1, 0]])
TAPS: dict[str, Callable[[np.random.Generator], Array]] = {
    "I": lambda rng: np.array([_POINT]),
    "circular TV": lambda rng: np.array([_ACROSS]),
    "2-D TV": lambda rng: np.array([_ACROSS, _DOWN]),
    "[I; I]": lambda rng: np.array([_POINT, _POINT]),
    "[I; D]": lambda rng: np.array([_POINT, _ACROSS]),
    "scaled rows": lambda rng: np.array([_ACROSS, _ACROSS]) * [[[1.0]], [[-3.0]]],
    "zero rows": lambda rng: np.array([_ACROSS, np.zeros((2, 2))]),
    "integers": lambda rng: rng.integers(-2, 3, (2, 2, 2)).astype(float),
    "random": lambda rng: _dyadic(rng.standard_normal((2, 2, 2))),
}

NOISE = "noise"  # the one kind of signal without structure


def _at_the_bound(w: Array, beta: float, rng: np.random.Generator) -> Array:
    """y = x + W^T z exactly, for an x of few levels and a dual z that is at its bound on some of the zero rows."""
    n = w.shape[1]
    x = np.repeat(rng.integers(-1, 2, n), rng.integers(1, n + 1, n))[:n].astype(float)
    signs = np.sign(w @ x)
    z = np.where(signs == 0, rng.choice([-1.0, -0.5, 0.0, 0.25, 1.0], len(w), p=[0.05, 0.3, 0.3, 0.3, 0.05]), signs)
    return x + beta * z @ w


SIGNALS: dict[str, Signal] = {  # of (W, beta)
    "constant": lambda w, beta, rng: np.full(w.shape[1], float(rng.choice([0.1, 0.5, 1.0]))),
    "padded": lambda w, beta, rng: np.where(np.arange(w.shape[1]) < rng.integers(1, w.shape[1]), _noise(w, rng), 0.0),
    "periodic": lambda w, beta, rng: np.tile(_noise(w, rng)[: math.isqrt(w.shape[1])], math.isqrt(w.shape[1])),
    "one-hot": lambda w, beta, rng: np.where(np.arange(w.shape[1]) == rng.integers(w.shape[1]), float(rng.integers(1, 4)), 0.0),
    "integer": lambda w, beta, rng: rng.integers(-3, 4, w.shape[1]).astype(float),
    "at the bound": _at_the_bound,
    NOISE: lambda w, beta, rng: _noise(w, rng),
}


def _noise(w: Array, rng: np.random.Generator) -> Array:
    return np.asarray(rng.standard_normal(w.shape[1]))


@dataclass(frozen=True)
class Entry:
    """One way to the gradient: a parametrisation of a dense W, and the method that is asked."""

    method: GradientMethod
    parametrise: Callable[[Array], tuple[Array, Parametrisation]] = lambda w: (w, Dense())
    batch: bool = False

    def gradient(self, problem: AnalysisL1, rng: np.random.Generator) -> Gradient:
        """At theta; along a path that ends there, where the method starts from the solution before."""
        if self.batch:
            turns = np.where(np.arange(COPIES) % 2, -1.0, 1.0)[:, None]
            y, target = turns * problem.y, turns * problem.target
            problem = AnalysisL1(problem.theta, y, target, problem.beta, parametrisation=problem.parametrisation)
        prepared, theta = self.method.prepare(problem), np.array(problem.theta)
        if not isinstance(prepared, Chained):
            return prepared(theta)
        moved = theta * (1 + NEAR * rng.standard_normal(theta.shape))
        state = prepared.step(moved if rng.random() < 0.5 else theta, None)[1]
        return prepared.step(theta, state)[0]


def _sparse(w: Array) -> Sparse:
    from scipy.sparse import csr_array

    return Sparse(csr_array(w))


def _of_values(w: Array) -> tuple[Array, Parametrisation]:
    sparse = _sparse(w)
    return sparse.w.data, sparse


def _taps_only(w: Array) -> tuple[Array, Parametrisation]:
    raise TypeError("taps are drawn, not made of a matrix")


TAPS_ENTRY = "taps"
ENTRIES: dict[str, Entry] = {
    "single": Entry(Blorc()),
    "batch": Entry(Blorc(), batch=True),
    "factors": Entry(BlorcFactors()),
    "warm": Entry(BlorcWarm()),
    "warm batch": Entry(BlorcWarm(), batch=True),
    "daqp": Entry(BlorcDaqp()),
    "batched": Entry(BlorcBatched(), batch=True),
    "sparse": Entry(Blorc(), _of_values),
    TAPS_ENTRY: Entry(Blorc(), _taps_only),
    "row-weights": Entry(Blorc(), lambda w: (np.zeros(len(w)), Weighted(w))),
    "weight": Entry(Blorc(), lambda w: (np.zeros(()), Weighted(w))),
    "sparse row-weights": Entry(Blorc(), lambda w: (np.zeros(len(w)), Weighted(_sparse(w).w))),
    "sparse weight": Entry(Blorc(), lambda w: (np.zeros(()), Weighted(_sparse(w).w))),
    "torch": Entry(BlorcLayer("torch")),
    "JAX": Entry(BlorcLayer("jax")),
}


def draw(operator: str, signal: str, entry: str, seed: int) -> AnalysisL1 | None:
    """The instance of an entry; None where it has no such operator."""
    names = [list(table).index(name) for table, name in ((OPERATORS, operator), (SIGNALS, signal), (ENTRIES, entry))]
    rng = np.random.default_rng([seed, *names])
    side = int(rng.choice(SIDES))
    theta: Array
    parametrisation: Parametrisation
    if entry == TAPS_ENTRY:
        if operator not in TAPS:
            return None
        theta, parametrisation = TAPS[operator](rng), Filters(side)
    else:
        theta, parametrisation = ENTRIES[entry].parametrise(OPERATORS[operator](side**2, rng))
    beta = float(rng.choice(BETAS)) if signal != NOISE else float(np.exp(rng.uniform(-3, 2)))
    y = SIGNALS[signal](parametrisation.matrix(theta), beta, rng)
    return AnalysisL1(theta, y, rng.standard_normal(side**2), beta, parametrisation=parametrisation)
