"""Penalties of the canonical structure, one file each; PENALTIES is the tuple that tests go through."""

from problems.penalties.base import Manifold, Penalty
from problems.penalties.box import Box
from problems.penalties.l1 import L1
from problems.penalties.zero import Zero

PENALTIES: tuple[Penalty, ...] = (L1(), Box(), Zero())

__all__ = ["L1", "PENALTIES", "Box", "Manifold", "Penalty", "Zero"]
