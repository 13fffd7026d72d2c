"""First-order algorithms; ALGORITHMS maps a name to the class that makes it for a problem."""

from problems.algorithms.admm import ADMM
from problems.algorithms.base import Algorithm
from problems.algorithms.dual_fista import DualFISTA
from problems.algorithms.dual_ista import DualISTA

ALGORITHMS: dict[str, type[DualISTA] | type[DualFISTA] | type[ADMM]] = {
    algorithm.name: algorithm for algorithm in (DualISTA, DualFISTA, ADMM)
}

__all__ = ["ADMM", "ALGORITHMS", "Algorithm", "DualFISTA", "DualISTA"]
