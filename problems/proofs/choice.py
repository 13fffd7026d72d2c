"""Which proof an instance gets that is too large for dense algebra."""

from __future__ import annotations

from types import ModuleType

from problems.arrays import Array
from problems.operators.parametrisations import Filters, Weighted
from problems.proofs.instance import Instance

LONGEST_S = 150.0  # of the proof of a batch, half of what the harness lets a reference take


def foreseen(batch: int, n: int) -> float:
    """Seconds that dense algebra takes to prove a batch: 6 ms a signal at n = 64, 3 s at n = 1024."""
    return batch * 6e-3 * (n / 64) ** 2.2


def too_long(batch: int, n: int) -> str:
    """Why a batch is not proven; empty: it is, and so is a single signal, however long it takes."""
    seconds = foreseen(batch, n)
    if batch == 1 or seconds <= LONGEST_S:
        return ""
    return f"the proof of {batch} signals would take about {seconds:.0f} s, above the limit of {LONGEST_S:.0f} s"


def prover(problem: Instance, theta: Array, largest: int) -> ModuleType | None:
    """The module whose `certify(problem)` and `solve(problem, theta)` serve K(theta); None up to `largest` entries of it."""
    parametrisation = problem.parametrisation
    if isinstance(parametrisation, Filters):
        from problems.proofs import filter_proof

        return filter_proof if len(theta) * parametrisation.side**4 > largest else None
    w = parametrisation.sparse(theta)
    if w is None or w.shape[0] * w.shape[1] <= largest:
        return None
    from problems.proofs import chain_proof, graph_proof
    from problems.solvers import chain

    on_graph = isinstance(parametrisation, Weighted) and chain.edges(w) is None
    return graph_proof if on_graph else chain_proof
