"""How far what was found lies from the truth, in Euclidean (Frobenius) norm."""

from __future__ import annotations

import math

import numpy as np

from problems.base import Array


def absolute(found: Array, truth: Array) -> float:
    """|found - truth|."""
    return float(np.linalg.norm(found - truth))


def relative(found: Array, truth: Array) -> float:
    """|found - truth| / |truth|; NaN where truth = 0, of which there is no share."""
    norm = float(np.linalg.norm(truth))
    return absolute(found, truth) / norm if norm > 0 else math.nan


def relative_or_absolute(found: Array, truth: Array) -> float:
    """|found - truth| / |truth|, or |found| where truth = 0."""
    return relative(found, truth) if truth.any() else absolute(found, truth)
