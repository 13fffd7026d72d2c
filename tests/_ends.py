"""The ends of every problem's domain, as instances."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from problems import Ensemble, Problem

# The least n that makes sense, where that is not the ensemble's own.
LEAST = {"analysis-l1": 4, "box-dual-tv": 4, "smooth-tv": 4, "tv-value": 4, "scalar": 1, "logistic": 26, "ridge": 10}
# Whose columns of A belong to unknowns.
REPEATED = ("lasso", "elastic-net", "nnls", "simplex-least-squares", "logistic")
IMAGES = ("image-denoising", "deblurring", "mri", "learned-potentials")
# The numbers of theta that are logarithms of weights; the rest of theta is data or a matrix.
LOGS: dict[str, slice] = {
    **dict.fromkeys(("lasso", "elastic-net", "ridge", "logistic", "smooth-tv"), slice(None)),
    **dict.fromkeys(("box-dual-tv", "tv-value", "image-denoising", "deblurring", "mri"), slice(0, 1)),
    "learned-potentials": slice(0, 4),
}


def ends(problem: Ensemble, seed: int) -> Iterator[tuple[str, Problem]]:
    """(what was done, the instance): the least n, weights 10^-12 to 10^12 of the drawn ones, y = 0 and y constant,
    a column given twice.
    """
    least = 9 if problem.name in IMAGES else LEAST.get(problem.name, max(2, problem.least))
    theta = problem.thetas[0]
    drawn: Any = problem.instance(least, seed, theta)
    yield "the least n", drawn
    if problem.name in LOGS:
        for power in (-12, -6, 6, 12):
            moved = np.array(drawn.theta)
            moved[LOGS[problem.name] if moved.ndim else ()] += power * np.log(10)
            yield f"weights times 1e{power}", replace(drawn, theta=moved)
    if hasattr(drawn, "y") and drawn.y is not None and problem.name != "logistic":  # whose y are labels
        for level in (0.0, 1.0):
            yield f"y = {level}", replace(drawn, y=np.full_like(drawn.y, level))
    if problem.name in REPEATED:
        twice = np.array(drawn.a)
        twice[:, 1] = twice[:, 0]
        yield "a column twice", replace(drawn, a=twice)
