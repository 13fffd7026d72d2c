"""How a problem is differentiated: one strategy a file. METHODS is the tuple that harness and tests go through."""

from methods._frameworks import synchronise, to_numpy
from methods.base import DEVICES, Chained, Gradient, GradientMethod, Prepared, Split
from methods.blorc import Blorc
from methods.blorc_batched import BlorcBatched
from methods.blorc_daqp import BlorcDaqp
from methods.blorc_factors import BlorcFactors
from methods.blorc_layers import BlorcLayer
from methods.blorc_paper import BlorcPaper
from methods.blorc_warm import BlorcWarm
from methods.closed_form import ClosedForm
from methods.computation import ThroughComputation
from methods.cone_diffcp import Diffcp
from methods.cone_layers import ConeLayer
from methods.finite_differences import DirectionalDifferences, EntrywiseDifferences
from methods.lapack_limit import LapackLimit
from methods.smoothed import SmoothedIFT
from methods.unrolled import Unrolled

_SCHEMES = ("ista", "fista", "admm")
_FRAMEWORKS = ("torch", "jax")
_TIGHT = 1e-10  # below it SCS stalls on 1-D TV; see the ladder in a report

METHODS: tuple[GradientMethod, ...] = (
    Blorc(),
    BlorcFactors(),
    BlorcWarm(),
    BlorcBatched(),
    BlorcDaqp(),
    *(BlorcLayer(framework) for framework in _FRAMEWORKS),
    BlorcPaper(),
    *(ClosedForm(framework) for framework in _FRAMEWORKS),
    *(Unrolled(scheme, framework) for scheme in _SCHEMES for framework in _FRAMEWORKS),
    *(SmoothedIFT(framework) for framework in _FRAMEWORKS),
    *(ConeLayer(framework) for framework in _FRAMEWORKS),
    *(ConeLayer(framework, tolerance=_TIGHT, adjoint="dense") for framework in _FRAMEWORKS),
    *(Diffcp(adjoint) for adjoint in ("lsqr", "dense")),
    *(Diffcp(adjoint, tolerance=_TIGHT) for adjoint in ("lsqr", "dense")),
    *(ThroughComputation(framework) for framework in _FRAMEWORKS),
    EntrywiseDifferences(),
    DirectionalDifferences(),
)

# Other settings of a peer, run where a sweep of the method or a user names their label.
SETTINGS: tuple[GradientMethod, ...] = (ConeLayer(solver="Clarabel"), ConeLayer(adjoint="dense"))

# What a run measures that names no methods: a family's many variants are run by name.
CORE: tuple[str, ...] = (
    *("blorc", "blorc-factors", "blorc-warm", "blorc-daqp", "blorc-torch", "blorc-jax", "blorc-paper"),
    *("closed-form-torch", "closed-form-jax"),
    *(f"unrolled-{scheme}-{framework}" for scheme in _SCHEMES for framework in _FRAMEWORKS),
    *("smoothed-ift-torch", "smoothed-ift-jax", "cvxpylayers-torch", "cvxpylayers-jax", "diffcp-lsqr", "diffcp-dense"),
    *("fd-entrywise", "fd-directional"),
)

# What is timed beside the methods and is none: run by name alone.
YARDSTICKS: tuple[GradientMethod, ...] = (LapackLimit(),)

__all__ = [
    "CORE",
    "DEVICES",
    "METHODS",
    "SETTINGS",
    "YARDSTICKS",
    "Chained",
    "Gradient",
    "GradientMethod",
    "Prepared",
    "Split",
    "synchronise",
    "to_numpy",
]
