"""How a problem is differentiated: one strategy a file. METHODS is the tuple that harness and tests go through."""

from methods._frameworks import synchronise, to_numpy
from methods.base import Gradient, GradientMethod, Prepared, Split
from methods.blorc import Blorc
from methods.blorc_paper import BlorcPaper
from methods.closed_form import ClosedForm
from methods.finite_differences import DirectionalDifferences, EntrywiseDifferences
from methods.smoothed import SmoothedIFT
from methods.unrolled import Unrolled

_SCHEMES = ("ista", "fista", "admm")
_FRAMEWORKS = ("torch", "jax")

METHODS: tuple[GradientMethod, ...] = (
    Blorc(),
    BlorcPaper(),
    *(ClosedForm(framework) for framework in _FRAMEWORKS),
    *(Unrolled(scheme, framework) for scheme in _SCHEMES for framework in _FRAMEWORKS),
    *(SmoothedIFT(framework) for framework in _FRAMEWORKS),
    EntrywiseDifferences(),
    DirectionalDifferences(),
)

__all__ = ["METHODS", "Gradient", "GradientMethod", "Prepared", "Split", "synchronise", "to_numpy"]
