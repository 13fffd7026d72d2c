"""What is differentiated: one lower-level problem a file. PROBLEMS is the tuple that harness and tests go through."""

from problems.analysis_l1 import AnalysisL1
from problems.base import (
    BoxDual,
    ConicModel,
    ConicProgram,
    Energy,
    PartlySmooth,
    Problem,
    Reference,
    Smoothable,
    SolveError,
    Splitting,
)
from problems.drawing import IMAGE_THETAS, SPARSE_THETAS, THETAS
from problems.operators import FIXED_OPERATORS, IMAGE_OPERATORS, OPERATORS
from problems.parametrisations import Dense, Filters, Parametrisation, Sparse, Weighted
from problems.signals import SIGNALS

PROBLEMS: tuple[type[AnalysisL1], ...] = (AnalysisL1,)

__all__ = [
    "FIXED_OPERATORS",
    "IMAGE_OPERATORS",
    "IMAGE_THETAS",
    "OPERATORS",
    "PROBLEMS",
    "SIGNALS",
    "SPARSE_THETAS",
    "THETAS",
    "AnalysisL1",
    "BoxDual",
    "ConicModel",
    "ConicProgram",
    "Dense",
    "Energy",
    "Filters",
    "Parametrisation",
    "PartlySmooth",
    "Problem",
    "Reference",
    "Smoothable",
    "SolveError",
    "Sparse",
    "Splitting",
    "Weighted",
]
