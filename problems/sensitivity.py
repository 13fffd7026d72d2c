"""How much of a gradient hangs on the digits of x*."""

from __future__ import annotations

import numpy as np

from problems.base import Problem, Reference


def sensitivity(problem: Problem, reference: Reference) -> float:
    """What a relative error of x* changes of the gradient, by share of that error, for numbers of theta of size 1.

    |dL/dx| |x*| + |d(dL/dx)| |x*| + |d(dL/dtheta)|, with d the slope as x* grows in its own direction.
    """
    x, step = reference.solution, 2.0**-30
    slope, direct = problem.loss_grad(x, problem.theta)
    moved_slope, moved_direct = problem.loss_grad(x * (1 + step), problem.theta)
    moved = np.linalg.norm(moved_slope - slope) * np.linalg.norm(x) + np.linalg.norm(moved_direct - direct)
    return float(np.linalg.norm(slope) * np.linalg.norm(x) + moved / step)
