"""First-order algorithms, one file each; ALGORITHMS is the tuple of all, `algorithm` makes one for a problem.

Begin in `base.py`, then read `ista.py`.
May import: problems.arrays, problems.forms, problems.penalties.
"""

from problems.algorithms.admm import ADMM, StiffADMM
from problems.algorithms.base import Algorithm
from problems.algorithms.bpd import BregmanPrimalDual
from problems.algorithms.bpg import BregmanGradient
from problems.algorithms.fista import FISTA
from problems.algorithms.fista_sc import StrongFISTA
from problems.algorithms.hqs import HQS
from problems.algorithms.ista import ISTA
from problems.algorithms.ladmm import LinearisedADMM
from problems.algorithms.pdhg import PDHG
from problems.forms import Splitting

ALGORITHMS: tuple[type[Algorithm], ...] = (
    ISTA,
    FISTA,
    ADMM,
    StiffADMM,
    StrongFISTA,
    LinearisedADMM,
    HQS,
    PDHG,
    BregmanGradient,
    BregmanPrimalDual,
)


def algorithm(name: str, problem: Splitting) -> Algorithm:
    """The algorithm of that name on the first form of the problem that it solves.

    ValueError: there is none of that name; TypeError: it solves no form of the problem, with the reason.
    """
    found = next((kind for kind in ALGORITHMS if kind.name == name), None)
    if found is None:
        raise ValueError(f"algorithm must be one of {', '.join(kind.name for kind in ALGORITHMS)}, got {name!r}")
    form = next((form for form in problem.forms() if found.accepts(form)), None)
    if form is None:
        raise TypeError(f"{name} needs {found.needs}")
    return found(form)


__all__ = [
    "ADMM",
    "ALGORITHMS",
    "FISTA",
    "HQS",
    "ISTA",
    "PDHG",
    "Algorithm",
    "BregmanGradient",
    "BregmanPrimalDual",
    "LinearisedADMM",
    "StiffADMM",
    "StrongFISTA",
    "algorithm",
]
