"""What is differentiated: one lower-level problem a file. PROBLEMS is the tuple of their ensembles, which
harness and tests go through. `references.py` makes the reference of a problem of your own.

    penalties/   algorithms/  operators/  what problems are made of, one a file
    data/        drawing, signals, photographs
    families/    bases that several problem files share
    solvers/     exact lower-level solutions, and kernels/ with their C
    proofs/      what makes a reference certain

Begin in `base.py`, then read `lasso.py`; `forms.py` is the structure that methods ask for.
May import: nothing else of ours.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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
from problems.data.drawing import IMAGE_THETAS, SPARSE_THETAS, THETAS
from problems.data.signals import SIGNALS
from problems.ensembles import Ensemble
from problems.forms import Form, Splitting, Term
from problems.operators.matrices import FIXED_OPERATORS, IMAGE_OPERATORS, OPERATORS
from problems.operators.parametrisations import Dense, Filters, Parametrisation, Sparse, Weighted
from problems.smoothing import smoothed

# The modules of the ensembles. They are imported when PROBLEMS is first asked for: a problem's module can then be the first
# that is imported, and may itself import from dargmin.
MODULES = (
    "analysis_l1",
    "lasso",
    "scalar",
    "orthogonal",
    "elastic_net",
    "box_dual_tv",
    "lp_tuning",
    "learned_potentials",
    "nnls",
    "simplex_least_squares",
    "image_denoising",
    "deblurring",
    "mri",
    "matrix_game",
    "quadratic",
    "smooth_tv",
    "ridge",
    "logistic",
    "tv_value",
)

if TYPE_CHECKING:
    PROBLEMS: tuple[Ensemble, ...]

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


def __getattr__(name: str) -> Any:
    """PROBLEMS, made once."""
    if name != "PROBLEMS":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    made = globals()["PROBLEMS"] = tuple(import_module(f"{__name__}.{module}").ENSEMBLE for module in MODULES)
    return made


def __dir__() -> list[str]:
    return [*__all__, "MODULES"]
