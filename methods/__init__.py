"""How a problem is differentiated: one strategy a file. METHODS is the tuple that harness and tests go through.

    calculus/  what strategies share: frameworks, fixed points, Newton's method, schemes
    blorc/     the exact closed form, its entries and its C
    layers/    the same as a layer for training loops of one's own
    peers/     other libraries

Begin in `base.py`, then read `ift.py`. No strategy imports another.
May import: problems. Never: problems.proofs, problems.traps.
"""

from methods.base import DEVICES, Chained, Gradient, GradientMethod, LibraryError, Prepared, Split
from methods.blorc.batched import BlorcBatched
from methods.blorc.cvxpylayers import BlorcCvxpylayers
from methods.blorc.daqp import BlorcDaqp
from methods.blorc.factors import BlorcFactors
from methods.blorc.lapack_limit import LapackLimit
from methods.blorc.method import Blorc
from methods.blorc.paper import BlorcPaper
from methods.blorc.warm import BlorcWarm
from methods.bregman_fixed_point import BregmanFixedPoint
from methods.calculus.frameworks import synchronise, to_numpy
from methods.closed_form import ClosedForm
from methods.computation import ThroughComputation
from methods.finite_differences import DirectionalDifferences, EntrywiseDifferences
from methods.fixed_point import FixedPoint
from methods.ift import IFT
from methods.ift_cg import InexactIFT
from methods.layers.method import BlorcLayer
from methods.linear_solve_vjp import LinearSolveVJP
from methods.neumann import Neumann
from methods.one_step import OneStep
from methods.partial_smoothness import PartialSmoothness
from methods.peers.cvxpylayers import ConeLayer
from methods.peers.diffcp import Diffcp
from methods.peers.jaxopt import Jaxopt
from methods.peers.optimistix import Optimistix
from methods.peers.osqp import Osqp
from methods.peers.proxsuite import Proxsuite
from methods.peers.qpax import Qpax
from methods.peers.torchopt import Torchopt
from methods.smoothed import SmoothedIFT
from methods.truncated import Truncated
from methods.unrolled import Unrolled
from methods.unrolled_forward import UnrolledForward
from methods.value_duality import ValueDuality
from methods.weak import Weak

_SCHEMES = ("ista", "fista", "admm")
_MORE_SCHEMES = ("ladmm", "hqs", "pdhg", "bpg", "bpd")
_FRAMEWORKS = ("torch", "jax")
_TIGHT = 1e-10  # below it SCS stalls on 1-D TV; see the ladder in a report

_FORMS = ("dual", "primal")

# What is compared where nobody names a method.
CORE: tuple[GradientMethod, ...] = (
    Blorc(),
    BlorcFactors(),
    BlorcWarm(),
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
    EntrywiseDifferences(),
    DirectionalDifferences(),
)

# Other libraries, each at its defaults and at a tight setting, and BLORC inside of one. A sweep must name them.
PEERS: tuple[GradientMethod, ...] = (
    Optimistix(),
    Optimistix(tolerance=1e-13),
    *(Jaxopt("box-cdqp", tolerance=tolerance) for tolerance in (None, _TIGHT)),
    *(Jaxopt("box-osqp", form, tolerance) for form in _FORMS for tolerance in (None, _TIGHT)),
    *(method for form in _FORMS for method in (Qpax(form), Qpax(form, 1e-12, "i"))),
    *(Proxsuite(form, tolerance) for form in _FORMS for tolerance in (None, _TIGHT)),
    *(Osqp(form, tolerance) for form in _FORMS for tolerance in (None, 1e-8)),
    Torchopt(),
    Torchopt("inv"),
    ConeLayer(solver="Clarabel"),
    ConeLayer(solver="Clarabel", tolerance=1e-12, adjoint="dense"),
    ConeLayer(solver="MOREAU"),
    ConeLayer(solver="MOREAU", tolerance=1e-12),
    BlorcCvxpylayers(),
)

METHODS: tuple[GradientMethod, ...] = (
    *CORE,
    BlorcBatched(),
    *(ThroughComputation(framework) for framework in _FRAMEWORKS),
    *(Unrolled(scheme, framework) for scheme in _MORE_SCHEMES for framework in _FRAMEWORKS),
    *(Truncated(scheme, framework) for scheme in ("ista", "admm") for framework in _FRAMEWORKS),
    *(UnrolledForward(scheme, framework) for scheme in ("ista", "admm") for framework in _FRAMEWORKS),
    *(FixedPoint(scheme, framework) for scheme in ("ista", "admm") for framework in _FRAMEWORKS),
    FixedPoint("admm", adjoint="anderson"),
    FixedPoint("admm", adjoint="gmres"),
    *(Neumann("ista", framework) for framework in _FRAMEWORKS),
    *(OneStep("ista", framework) for framework in _FRAMEWORKS),
    *(PartialSmoothness(framework) for framework in _FRAMEWORKS),
    *(Weak(framework) for framework in _FRAMEWORKS),
    *(IFT(framework) for framework in _FRAMEWORKS),
    *(InexactIFT(framework) for framework in _FRAMEWORKS),
    *(LinearSolveVJP(framework) for framework in _FRAMEWORKS),
    ValueDuality(),
    *(BregmanFixedPoint(framework) for framework in _FRAMEWORKS),
    *PEERS,
)

# Other settings, run where a sweep of the method or a user names their label.
SETTINGS: tuple[GradientMethod, ...] = (ConeLayer(adjoint="dense"), Blorc(threads=2))

# Limits of speed, which are timed beside the methods and are none: run by name alone.
LIMITS: tuple[GradientMethod, ...] = (LapackLimit(),)

__all__ = [
    "CORE",
    "DEVICES",
    "LIMITS",
    "METHODS",
    "PEERS",
    "SETTINGS",
    "Chained",
    "Gradient",
    "GradientMethod",
    "LibraryError",
    "Prepared",
    "Split",
    "synchronise",
    "to_numpy",
]
