"""What is differentiated: one lower-level problem a file. PROBLEMS is the tuple of their ensembles, which
harness and tests go through."""

from problems import analysis_l1, lasso, logistic, quadratic, ridge, smooth_tv, tv_value
from problems.analysis_l1 import SPARSE_THETAS, THETAS, AnalysisL1
from problems.base import (
    BoxDual,
    Conditioned,
    ConicModel,
    ConicProgram,
    Constants,
    Energy,
    LinearSystem,
    PartlySmooth,
    Problem,
    Reference,
    SolveError,
    ValueFunction,
)
from problems.ensembles import Ensemble
from problems.forms import Form, Splitting, Term
from problems.operators import FIXED_OPERATORS, OPERATORS
from problems.parametrisations import Dense, Parametrisation, Sparse, Weighted
from problems.signals import SIGNALS
from problems.smoothing import smoothed

PROBLEMS: tuple[Ensemble, ...] = (
    analysis_l1.ENSEMBLE,
    lasso.ENSEMBLE,
    quadratic.ENSEMBLE,
    smooth_tv.ENSEMBLE,
    ridge.ENSEMBLE,
    logistic.ENSEMBLE,
    tv_value.ENSEMBLE,
)

__all__ = [
    "FIXED_OPERATORS",
    "OPERATORS",
    "PROBLEMS",
    "SIGNALS",
    "SPARSE_THETAS",
    "THETAS",
    "AnalysisL1",
    "BoxDual",
    "Conditioned",
    "ConicModel",
    "ConicProgram",
    "Constants",
    "Dense",
    "Energy",
    "Ensemble",
    "Form",
    "LinearSystem",
    "Parametrisation",
    "PartlySmooth",
    "Problem",
    "Reference",
    "SolveError",
    "Sparse",
    "Splitting",
    "Term",
    "ValueFunction",
    "Weighted",
    "smoothed",
]
