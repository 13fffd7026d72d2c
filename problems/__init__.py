"""What is differentiated: one lower-level problem a file. PROBLEMS is the tuple of their ensembles, which
harness and tests go through."""

from problems import (
    analysis_l1,
    box_dual_tv,
    deblurring,
    elastic_net,
    image_denoising,
    lasso,
    learned_potentials,
    logistic,
    lp_tuning,
    matrix_game,
    mri,
    nnls,
    orthogonal,
    quadratic,
    ridge,
    scalar,
    simplex_least_squares,
    smooth_tv,
    tv_value,
)
from problems.analysis_l1 import AnalysisL1
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
from problems.drawing import IMAGE_THETAS, SPARSE_THETAS, THETAS
from problems.ensembles import Ensemble
from problems.forms import Form, Splitting, Term
from problems.operators import FIXED_OPERATORS, IMAGE_OPERATORS, OPERATORS
from problems.parametrisations import Dense, Filters, Parametrisation, Sparse, Weighted
from problems.signals import SIGNALS
from problems.smoothing import smoothed

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
    image_denoising.ENSEMBLE,
    deblurring.ENSEMBLE,
    mri.ENSEMBLE,
    matrix_game.ENSEMBLE,
    quadratic.ENSEMBLE,
    smooth_tv.ENSEMBLE,
    ridge.ENSEMBLE,
    logistic.ENSEMBLE,
    tv_value.ENSEMBLE,
)

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
    "Conditioned",
    "ConicModel",
    "ConicProgram",
    "Constants",
    "Dense",
    "Energy",
    "Ensemble",
    "Filters",
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
