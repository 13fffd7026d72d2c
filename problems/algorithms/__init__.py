"""First-order algorithms; ALGORITHMS maps a name to what makes it for a problem."""

from collections.abc import Callable
from functools import partial

from problems.algorithms.admm import ADMM
from problems.algorithms.base import Algorithm
from problems.algorithms.dual_fista import DualFISTA
from problems.algorithms.dual_ista import DualISTA
from problems.base import BoxDual

STIFF = 100.0  # the penalty of "admm-stiff": ten times that of "admm"

ALGORITHMS: dict[str, Callable[[BoxDual], Algorithm]] = {
    DualISTA.name: DualISTA,
    DualFISTA.name: DualFISTA,
    ADMM.name: ADMM,
    "admm-stiff": partial(ADMM, penalty=STIFF),
}

__all__ = ["ADMM", "ALGORITHMS", "Algorithm", "DualFISTA", "DualISTA"]
