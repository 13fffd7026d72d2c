"""Medians, ratios, exponents, fronts and profiles; every interval is a bootstrap with an explicit seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
DRAWS = 2000  # the ends of a 95 % interval are then the 50th draw from either side


class Estimate(NamedTuple):
    """A number with its 95 % interval; the ends are NaN where the data cannot give one."""

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    blocks: int = 0

    @property
    def finite(self) -> bool:
        return math.isfinite(self.value)


def finite(values: Any) -> Floats:
    """The finite entries as a flat float array."""
    array = np.asarray(values, dtype=np.float64).ravel()
    return array[np.isfinite(array)]


def median_interval(values: Any, seed: int = 0, draws: int = DRAWS) -> Estimate:
    """Median and percentile bootstrap interval over the finite values; one value has no interval."""
    kept = finite(values)
    if kept.size == 0:
        return Estimate()
    if kept.size == 1:
        return Estimate(float(kept[0]), blocks=1)
    low, high = np.percentile(_resampled_medians(kept, np.random.default_rng(seed), draws), [2.5, 97.5])
    return Estimate(float(np.median(kept)), float(low), float(high), kept.size)


def spread(values: Any) -> float:
    """Median absolute deviation from the median of the finite values; NaN where there are none."""
    kept = finite(values)
    return float(np.median(np.abs(kept - np.median(kept)))) if kept.size else math.nan


def paired_ratio(base: Sequence[Any], head: Sequence[Any], seed: int = 0, draws: int = DRAWS) -> Estimate:
    """Median over blocks of median(head samples) / median(base samples).

    Entry i of both holds the samples of block i. Both levels are resampled, the blocks and the samples within a block:
    a single block with several samples has an interval too. One block with one sample a side has none.
    """
    pairs = [(finite(b), finite(h)) for b, h in zip(base, head, strict=True)]
    pairs = [(b, h) for b, h in pairs if b.size and h.size]
    if not pairs:
        return Estimate()
    ratios = np.array([np.median(h) / np.median(b) for b, h in pairs])
    if len(pairs) == 1 and max(pairs[0][0].size, pairs[0][1].size) == 1:
        return Estimate(float(ratios[0]), blocks=1)
    generator = np.random.default_rng(seed)
    within = np.stack([_resampled_medians(h, generator, draws) / _resampled_medians(b, generator, draws) for b, h in pairs])
    picked = generator.integers(len(pairs), size=(len(pairs), draws))
    low, high = np.percentile(np.median(np.take_along_axis(within, picked, axis=0), axis=0), [2.5, 97.5])
    return Estimate(float(np.median(ratios)), float(low), float(high), len(pairs))


def exponent(x: Any, y: Any, seed: int = 0, draws: int = DRAWS) -> Estimate:
    """The p of y = c x^p by least squares in log-log, with a residual bootstrap; needs three different x.

    The residuals carry the lack of fit (overheads bend the curve at small x): no power law, wide interval.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    kept = np.isfinite(x) & np.isfinite(y) & (x > 0) & (y > 0)
    return _line(np.log(x[kept]), np.log(y[kept]), seed, draws)


def rate(x: Any, y: Any, seed: int = 0, draws: int = DRAWS) -> Estimate:
    """The q of y = c q^x by least squares of log y on x, with a residual bootstrap; needs three different x."""
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    kept = np.isfinite(x) & np.isfinite(y) & (y > 0)
    found = _line(x[kept], np.log(y[kept]), seed, draws)
    return Estimate(math.exp(found.value), math.exp(found.low), math.exp(found.high), found.blocks)


def _line(u: Floats, v: Floats, seed: int, draws: int) -> Estimate:
    """The slope of v over u."""
    if np.unique(u).size < 3:
        return Estimate(blocks=u.size)
    centred = u - u.mean()
    weights = centred / (centred @ centred)
    slope = weights @ v
    residuals = v - v.mean() - slope * centred
    # A fitted point pulls the line towards itself; dividing by sqrt(1 - leverage) undoes the shrinking.
    leverage = 1 / u.size + centred * weights
    residuals = residuals / np.sqrt(np.maximum(1 - leverage, 1e-12))
    noise = np.random.default_rng(seed).choice(residuals - residuals.mean(), size=(draws, u.size))
    low, high = np.percentile(slope + noise @ weights, [2.5, 97.5])
    return Estimate(float(slope), float(low), float(high), u.size)


def pareto(cost: Any, error: Any) -> NDArray[np.bool_]:
    """Which points no other point beats: none is as small in both and smaller in one. NaN is never on the front."""
    cost, error = np.asarray(cost, dtype=np.float64), np.asarray(error, dtype=np.float64)
    no_worse = (cost[None, :] <= cost[:, None]) & (error[None, :] <= error[:, None])
    better = (cost[None, :] < cost[:, None]) | (error[None, :] < error[:, None])
    return np.isfinite(cost) & np.isfinite(error) & ~(no_worse & better).any(axis=1)


def profile(costs: Any) -> Floats:
    """Dolan-More ratios of costs (blocks x methods) to the best of the block; a failure (inf or NaN) is infinitely far.

    A block that nobody solved stays: it is a failure of everyone.
    """
    costs = np.where(np.isfinite(np.asarray(costs, dtype=np.float64)), costs, np.inf)
    best = costs.min(axis=1, keepdims=True)
    return np.divide(costs, best, out=np.full(costs.shape, np.inf), where=np.isfinite(costs))


def _resampled_medians(values: Floats, generator: np.random.Generator, draws: int) -> Floats:
    return np.median(values[generator.integers(values.size, size=(draws, values.size))], axis=1)
