"""Penalties of the canonical structure, one file each; PENALTIES is the tuple that tests go through, on vectors of length 6."""

from problems.penalties.base import Manifold, Penalty
from problems.penalties.box import Box
from problems.penalties.l1 import L1

PENALTIES: tuple[Penalty, ...] = (
    L1(),
    Box(),
)

__all__ = [
    "L1",
    "PENALTIES",
    "Box",
    "Manifold",
    "Penalty",
]
