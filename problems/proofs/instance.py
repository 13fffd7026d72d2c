"""What the proofs read of an instance of analysis l1: its data, not its class, which rests on them."""

from __future__ import annotations

from typing import Protocol

from problems.arrays import Array
from problems.operators.parametrisations import Parametrisation


class Instance(Protocol):
    """The fields of AnalysisL1, as problems/analysis_l1.py describes them."""

    @property
    def theta(self) -> Array: ...

    @property
    def y(self) -> Array: ...

    @property
    def target(self) -> Array: ...

    @property
    def beta(self) -> float: ...

    @property
    def loss_scale(self) -> float: ...

    @property
    def parametrisation(self) -> Parametrisation: ...
