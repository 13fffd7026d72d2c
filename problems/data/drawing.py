"""Drawing an AnalysisL1 instance: clean signals, noise, an operator, and beta = c(operator, signal) * sigma."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from problems.arrays import Array
from problems.data.signals import SIGNALS
from problems.operators.matrices import FIXED_OPERATORS, IMAGE_OPERATORS, OPERATORS, SPARSE_OPERATORS

THETAS = ("dense", "row-weights", "weight")
LARGEST = 2**28  # entries of a square W that is written out, 2 GiB
SPARSE_THETAS = ("sparse", "sparse-row-weights", "sparse-weight")
# On images the kinds of theta under which dependent zero rows are no kink; W is sparse there, or never a matrix at all.
IMAGE_THETAS = {"tv-2d": ("weight", "row-weights"), "dct-filters": ("taps",)}

# c(operator, signal), printed by `dargmin tune-beta` (n = 64, sigma = 0.1, 20 signals). "denoising": the c of best PSNR,
# where it leaves 30-80 % of the rows zero; "half": the c that makes half of the rows that can be zero zero.
BETA_RULES: dict[tuple[str, str], tuple[float, str]] = {
    ("identity", "piecewise-constant"): (3.2, "half"),
    ("identity", "dct-sparse"): (3.8, "half"),
    ("identity", "image-patches"): (7.6, "half"),
    ("scaled-identity", "piecewise-constant"): (32.0, "half"),
    ("scaled-identity", "dct-sparse"): (38.0, "half"),
    ("scaled-identity", "image-patches"): (76.0, "half"),
    ("tv", "piecewise-constant"): (1.5, "denoising"),
    ("tv", "dct-sparse"): (2.3, "half"),
    ("tv", "image-patches"): (0.8, "denoising"),
    ("dct", "piecewise-constant"): (1.6, "half"),
    ("dct", "dct-sparse"): (0.75, "half"),
    ("dct", "image-patches"): (0.93, "denoising"),
    ("random", "piecewise-constant"): (4.5, "half"),
    ("random", "dct-sparse"): (3.9, "half"),
    ("random", "image-patches"): (5.6, "half"),
    ("random-2n", "piecewise-constant"): (3.0, "half"),
    ("random-2n", "dct-sparse"): (2.7, "half"),
    ("random-2n", "image-patches"): (3.8, "half"),
    ("filters", "piecewise-constant"): (1.1, "half"),
    ("filters", "dct-sparse"): (1.6, "half"),
    ("filters", "image-patches"): (3.2, "half"),
    ("circular-tv", "piecewise-constant"): (1.3, "denoising"),
    ("circular-tv", "dct-sparse"): (2.3, "half"),
    ("circular-tv", "image-patches"): (0.8, "denoising"),
    ("second-differences", "piecewise-constant"): (0.43, "denoising"),
    ("second-differences", "dct-sparse"): (0.8, "denoising"),
    ("second-differences", "image-patches"): (0.5, "denoising"),
    ("orthogonal", "piecewise-constant"): (3.6, "half"),
    ("orthogonal", "dct-sparse"): (3.2, "half"),
    ("orthogonal", "image-patches"): (5.0, "half"),
    ("dct-tv", "piecewise-constant"): (1.1, "half"),
    ("dct-tv", "dct-sparse"): (0.92, "half"),
    ("dct-tv", "image-patches"): (0.65, "half"),
    ("random-half", "piecewise-constant"): (3.8, "half"),
    ("random-half", "dct-sparse"): (3.6, "half"),
    ("random-half", "image-patches"): (4.3, "half"),
}

FIXED_BETA_RULES = {("trained", "piecewise-constant"): (1.0, "training")}  # the beta it was trained at
# tv-2d: of best PSNR at 64 x 64 and at 512 x 512. dct-filters: zero rows half as many as pixels, 2 % of the rows; a larger
# beta denoises better, and makes patches flat, whose zero rows are dependent: no gradient in the taps.
IMAGE_BETA_RULES = {
    ("tv-2d", "image-patches"): (0.6, "denoising"),
    ("dct-filters", "image-patches"): (0.03, "independent"),
}


def draw(
    n: int, sigma: float, seed: int, operator: str, signal: str, batch: int | None, beta: float | None, theta: str = "dense"
) -> tuple[Any, Array, Array, float]:
    """(W, y, target, beta) from independent streams for operator, signals and noise, so that sigma moves nothing else.

    W is dense, or a scipy.sparse array of the same values where theta asks for one or the operator acts on images.
    """
    _check(n, sigma, operator, signal, batch)
    operators = _operators(operator, theta)
    if theta in THETAS and operator not in IMAGE_THETAS and n * n > LARGEST:
        size = f"a matrix of {8e-9 * n * n:.3g} GB or more"
        raise ValueError(f"operator {operator!r} at n = {n} is {size}; give a smaller n, or take a sparse theta")
    if beta is None:
        beta = default_beta(operator, signal, sigma)
    operator_rng, signal_rng, noise_rng = np.random.default_rng([seed, n]).spawn(3)
    w = operators[operator](n, operator_rng)
    target = SIGNALS[signal](batch or 1, n, signal_rng)
    y = target + sigma * noise_rng.standard_normal(target.shape)
    return (w, y, target, beta) if batch else (w, y[0], target[0], beta)


def default_beta(operator: str, signal: str, sigma: float) -> float:
    """c(operator, signal) * sigma; ValueError where there is no such default."""
    if sigma == 0:
        raise ValueError("sigma = 0 has no default beta; give beta")
    rules = BETA_RULES | FIXED_BETA_RULES | IMAGE_BETA_RULES
    if (operator, signal) not in rules:
        known = ", ".join(one for of, one in rules if of == operator)
        raise ValueError(f"operator {operator!r} has a default beta with signal {known}, got {signal!r}; in Python, give beta")
    return rules[operator, signal][0] * sigma


def _operators(operator: str, theta: str) -> dict[str, Callable[[int, np.random.Generator], Any]]:
    """Those of this kind of theta; ValueError where the operator is none of them."""
    kinds = THETAS + SPARSE_THETAS + ("taps",)
    if theta not in kinds:
        raise ValueError(f"theta must be one of {', '.join(kinds)}, got {theta!r}")
    if operator in IMAGE_THETAS:
        if theta not in IMAGE_THETAS[operator]:
            raise ValueError(f"operator {operator!r} needs theta one of {', '.join(IMAGE_THETAS[operator])}, got {theta!r}")
        return dict(IMAGE_OPERATORS)
    if theta == "taps":
        raise ValueError(f"theta 'taps' needs operator 'dct-filters', got {operator!r}")
    if theta not in SPARSE_THETAS:
        return OPERATORS | FIXED_OPERATORS
    if operator not in SPARSE_OPERATORS:
        raise ValueError(
            f"a sparse W needs operator one of {', '.join(SPARSE_OPERATORS)}, got {operator!r}; take a dense theta"
        )
    return dict(SPARSE_OPERATORS)


def _check(n: int, sigma: float, operator: str, signal: str, batch: int | None) -> None:
    for name, value, known in (
        ("operator", operator, OPERATORS | FIXED_OPERATORS | IMAGE_OPERATORS),
        ("signal", signal, SIGNALS),
    ):
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
    if n < 4:
        raise ValueError(f"n must be at least 4, got {n}")
    if not (math.isfinite(sigma) and sigma >= 0):
        raise ValueError(f"sigma must be a finite number >= 0, got {sigma!r}")
    if batch is not None and batch < 1:
        raise ValueError(f"batch must be None or at least 1, got {batch}")
