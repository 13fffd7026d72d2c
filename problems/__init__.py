"""What is differentiated: one lower-level problem a file. PROBLEMS is the tuple that harness and tests go through."""

from problems.analysis_l1 import SPARSE_THETAS, THETAS, AnalysisL1
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
)
from problems.forms import Form, Splitting, Term
from problems.operators import FIXED_OPERATORS, OPERATORS
from problems.parametrisations import Dense, Parametrisation, Sparse, Weighted
from problems.signals import SIGNALS

PROBLEMS: tuple[type[AnalysisL1], ...] = (AnalysisL1,)

__all__ = [
    "FIXED_OPERATORS",
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
    "Form",
    "Parametrisation",
    "PartlySmooth",
    "Problem",
    "Reference",
    "Smoothable",
    "SolveError",
    "Sparse",
    "Splitting",
    "Term",
    "Weighted",
]
