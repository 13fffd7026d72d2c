"""The public names of the suite in one import; each is loaded when it is first used.

Five lines that prove the gradient of an instance and measure a method against it::

    from dargmin import METHODS, AnalysisL1
    problem = AnalysisL1.draw(n=36, operator="tv", seed=1)
    truth = problem.reference()                      # status "proven", and the radius of its relative error
    gradient = METHODS[0].prepare(problem)(problem.theta)
    print(truth.status, abs(gradient.grad - truth.grad).max())

For training: `AnalysisL1Layer` (torch), `analysis_l1` (JAX). The table of a run: `Run.open(Path("results/runs/NAME")).frame()`.
A method or a problem of your own: README.md. Raises ImportError where another module has the name of one of our packages.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from methods import METHODS
    from methods.base import Chained, Gradient, GradientMethod, Prepared, Split
    from methods.layers import AnalysisL1Layer, analysis_l1
    from methods.layers.inputs import KinkWarning
    from problems import PROBLEMS
    from problems.analysis_l1 import AnalysisL1
    from problems.arrays import Array, local
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
    from problems.forms import (
        Computation,
        Distance,
        Dual,
        Form,
        LeastSquares,
        Quadratic,
        Smooth,
        Splitting,
        Term,
        fixed,
    )
    from problems.operators.parametrisations import Dense, Filters, Parametrisation, Sparse, Weighted
    from problems.penalties import (
        L1,
        L21,
        Box,
        Huber,
        LInf,
        Maximum,
        Nonnegative,
        Nuclear,
        QuadraticPotential,
        Simplex,
        SquaredL2,
        Zero,
    )
    from problems.penalties.base import Manifold, Penalty
    from problems.references import (
        TwiceDifferentiable,
        ball_solve,
        bounded_minimiser,
        proven_formula,
        proven_minimiser,
    )
    from problems.smoothing import smoothed
    from reports import write_report
    from results.record import COLUMNS
    from results.store import Run, RunError

# The same names at run time, by the module that DEFINES them: problems/ and methods/ may then use them while they are imported.
NAMES = {
    "methods": "METHODS",
    "methods.base": "Chained Gradient GradientMethod Prepared Split",
    "methods.layers": "AnalysisL1Layer analysis_l1",
    "methods.layers.inputs": "KinkWarning",
    "problems": "PROBLEMS",
    "problems.arrays": "Array local",
    "problems.analysis_l1": "AnalysisL1",
    "problems.base": "BoxDual Conditioned ConicModel ConicProgram Constants Energy LinearSystem PartlySmooth Problem "
    "Reference SolveError ValueFunction",
    "problems.ensembles": "Ensemble",
    "problems.forms": "Computation Distance Dual Form LeastSquares Quadratic Smooth Splitting Term fixed",
    "problems.operators.parametrisations": "Dense Filters Parametrisation Sparse Weighted",
    "problems.penalties": "L1 L21 Box Huber LInf Maximum Nonnegative Nuclear QuadraticPotential Simplex SquaredL2 Zero",
    "problems.penalties.base": "Manifold Penalty",
    "problems.references": "TwiceDifferentiable ball_solve bounded_minimiser proven_formula proven_minimiser",
    "problems.smoothing": "smoothed",
    "reports": "write_report",
    "results.record": "COLUMNS",
    "results.store": "Run RunError",
}
_HOMES = {name: module for module, names in NAMES.items() for name in names.split()}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    """The public object of that name, loaded now and kept."""
    if name not in _HOMES:
        raise AttributeError(f"module 'dargmin' has no attribute {name!r}; dir(dargmin) lists its names")
    _require(_HOMES[name].split(".")[0])
    found = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return found


def __dir__() -> list[str]:
    return __all__


def _require(package: str) -> None:
    """ImportError where `package` is not the one beside this file."""
    ours, found = Path(__file__).resolve().with_name(package), _places(package)
    if not found:
        raise ImportError(f"dargmin needs its package {package} beside {__file__}; install the checkout again with make")
    if ours not in (path.parent if path.name == "__init__.py" else path for path in found):
        raise ImportError(
            f"{found[0]} shadows the package {package} of dargmin, which is {ours}; rename yours, "
            f"or take its folder from the front of sys.path (where Python was started, the script's folder, PYTHONPATH)"
        )


def _places(package: str) -> list[Path]:
    """The file that Python imports under that name, or the folders of a package without __init__.py; none: there is none."""
    spec = find_spec(package)
    if spec is None:
        return []
    places = [spec.origin] if spec.has_location else list(spec.submodule_search_locations or ())
    return [Path(str(place)).resolve() for place in places]


_require("problems")
_require("methods")
