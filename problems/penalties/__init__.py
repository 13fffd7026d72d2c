"""Penalties of the canonical structure, one file each; PENALTIES is the tuple that tests go through, on vectors of length 6.

Begin in `base.py`, then read `l1.py`.
May import: problems.arrays.
"""

import numpy as np

from problems.penalties.base import Manifold, Penalty
from problems.penalties.box import Box
from problems.penalties.huber import Huber
from problems.penalties.l1 import L1
from problems.penalties.l21 import L21
from problems.penalties.linf import LInf
from problems.penalties.maximum import Maximum
from problems.penalties.nonnegative import Nonnegative
from problems.penalties.nuclear import Nuclear
from problems.penalties.quadratic import QuadraticPotential
from problems.penalties.simplex import Simplex
from problems.penalties.squared_l2 import SquaredL2
from problems.penalties.zero import Zero

PENALTIES: tuple[Penalty, ...] = (
    L1(),
    Box(),
    SquaredL2(),
    QuadraticPotential(2 * np.eye(6) - np.eye(6, k=1) - np.eye(6, k=-1)),
    Huber(),
    L21(),
    LInf(),
    Maximum(),
    Nonnegative(),
    Simplex(),
    Nuclear((2, 3)),
    Zero(),
)

__all__ = [
    "L1",
    "L21",
    "PENALTIES",
    "Box",
    "Huber",
    "LInf",
    "Manifold",
    "Maximum",
    "Nonnegative",
    "Nuclear",
    "Penalty",
    "QuadraticPotential",
    "Simplex",
    "SquaredL2",
    "Zero",
]
