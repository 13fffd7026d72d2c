"""What is differentiated: one lower-level problem a file. PROBLEMS is the tuple of their ensembles, which
harness and tests go through."""

from problems import (
    analysis_l1,
    box_dual_tv,
    deblurring,
    elastic_net,
    lasso,
    learned_potentials,
    lp_tuning,
    matrix_game,
    mri,
    nnls,
    orthogonal,
    scalar,
    simplex_least_squares,
    tv_2d,
)
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
from problems.ensembles import Ensemble
from problems.forms import Form, Splitting, Term
from problems.operators import FIXED_OPERATORS, OPERATORS
from problems.parametrisations import Dense, Parametrisation, Sparse, Weighted
from problems.signals import SIGNALS

PROBLEMS: tuple[Ensemble, ...] = (
    analysis_l1.ENSEMBLE,
    lasso.ENSEMBLE,
    scalar.ENSEMBLE,
    orthogonal.ENSEMBLE,
    elastic_net.ENSEMBLE,
    box_dual_tv.ENSEMBLE,
    lp_tuning.ENSEMBLE,
    learned_potentials.ENSEMBLE,
    nnls.ENSEMBLE,
    simplex_least_squares.ENSEMBLE,
    tv_2d.ENSEMBLE,
    deblurring.ENSEMBLE,
    mri.ENSEMBLE,
    matrix_game.ENSEMBLE,
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
    "ConicModel",
    "ConicProgram",
    "Dense",
    "Energy",
    "Ensemble",
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
