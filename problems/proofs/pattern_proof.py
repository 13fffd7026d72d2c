"""Proof that a sign pattern of W x* is the true one, or that x* has no derivative: one signal.

x = y - W^T z is x* if and only if |z_i| <= b_i, and z_i = b_i sign(w_i x) where w_i x != 0 (bounds b: kkt.py). A
comparison of balls holds only if it holds for all numbers in them, so positive margins prove a pattern. For y != 0, x* is then
differentiable in theta = W if and only if W_Z has full row rank or ker W_Z = {0}; ranks are exact. In log-weights it always is:
they keep the row space of W_Z, so x* = P q is smooth, and a dual strictly inside the box can follow W_Z^T z = q - x*.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from flint import arb_mat

from problems.arrays import Array
from problems.base import SolveError
from problems.proofs import active, rational
from problems.proofs.kkt import Enclosure, Signal, System, enclose
from problems.solvers import box_dual

BITS = (128, 256, 512)  # working precisions

DEPENDENT = "the {} zero rows of W have rank {}: dependent, and theta can break the dependence"
NOT_STRICT = "the dual of a zero row is exactly on the edge of the box (strict complementarity fails)"
OPEN = "no sign pattern could be proven, and no kink could be shown in exact arithmetic"


@dataclass(frozen=True)
class Proof:
    """What is proven of one signal.

    proven: `signs` is the sign pattern of W x* around theta, so x* is differentiable. zero: moreover x* is constant there.
    kink: x* is proven, and not differentiable in theta; nor is the loss, unless its gradient in x happens to annul the
    jump. undecided: none of these was shown. x is an enclosure of x* (n, 1), None where x* is not proven.
    """

    status: str
    reason: str
    signal: Signal
    signs: Array
    rank: int = 0
    x: arb_mat | None = None
    system: System | None = None
    enclosure: Enclosure | None = None

    def at(self, bits: int) -> Proof:
        """The same proof enclosed at another precision; ZeroDivisionError where that is too low."""
        if self.system is None or self.enclosure is None or bits == self.enclosure.bits:
            return self
        enclosure = enclose(self.signal, self.system, bits)
        return replace(self, x=enclosure.x, enclosure=enclosure)


def prove(signal: Signal) -> Proof:
    """The proof of one signal: of the pattern found in float64, else of those of the multiprecision active set, else on a kink.

    Only the pattern comes from there; a wrong one is refused. Where margins are zero to all bits, exact rational arithmetic
    decides if the problem is small enough. y = 0 gives x* = 0 whatever W is, hence status zero at any rank.
    """
    nothing = np.zeros(len(signal.w), dtype=np.int8)
    if not signal.y.any():
        return Proof("zero", "y = 0, so x* = 0 for every theta", signal, nothing, x=arb_mat(len(signal.y), 1))
    with np.errstate(all="ignore"):
        signs, dual = _found(signal)
        first = attempt(signal, signs, dual)
        if first is not None:
            return first
        for vertex, zero, settled in active.settle(signal, dual):
            tried = (attempt(signal, other, settled) for other in (zero, vertex) if not np.array_equal(other, signs))
            proof = next((proof for proof in tried if proof is not None), None) or _on_the_edge(signal, vertex)
            if proof is not None:
                return proof
    return Proof("undecided", OPEN, signal, nothing)


def attempt(signal: Signal, signs: Array, dual: Array | None = None) -> Proof | None:
    """The proof that `signs` is the pattern of W x*, or None; `dual`: float64 values (k), of K(theta), to start from where the
    zero rows are dependent and a dual strictly inside the box is sought.
    """
    system = System.of(signal, signs, dual)
    if system.rank == signal.w.shape[1] and len(system.active):
        return None  # W_Z x* = 0 leaves x* = 0, so all rows are zero
    for bits in BITS:
        try:
            found = enclose(signal, system, bits)
        except ZeroDivisionError:
            continue
        if all(margin > 0 for margin in found.margins):
            return _proof(signal, system, found)
        if any(margin < 0 for margin in found.margins):
            return None
    return None


def _proof(signal: Signal, system: System, found: Enclosure) -> Proof:
    status, reason = "proven", ""
    if system.rank == signal.w.shape[1]:
        status, reason = "zero", "x* = 0 around theta"
    elif signal.weighted and not len(system.active):
        status, reason = "zero", "x* is the projection of y on ker W, which the weights do not move"
    elif system.dependent and not signal.weighted:
        status, reason = "kink", DEPENDENT.format(len(system.zero), system.rank)
    return Proof(status, reason, signal, system.signs, system.rank, found.x, system, found)


def _found(signal: Signal) -> tuple[Array, Array]:
    """(signs, duals) in float64; nothing is taken from them but a pattern worth a proof."""
    weights = signal.float_bounds() / signal.beta
    rows = weights[:, None] * signal.w
    try:
        found = box_dual.solve(rows, signal.y, signal.beta)
        return found.signs.astype(np.int8), np.asarray(found.z)
    except (SolveError, np.linalg.LinAlgError, ValueError):
        z = np.nan_to_num(box_dual.fista(rows, signal.y, signal.beta, 500))
        return np.where(np.abs(z) < signal.beta * (1 - box_dual.BOUND), 0, np.sign(z)).astype(np.int8), z


def _on_the_edge(signal: Signal, vertex: Array) -> Proof | None:
    """A kink that exact arithmetic shows.

    Where no dual is inside the box on all zero rows, a direction d has w_i d = 0 except where z_i = b_i sign(w_i d). With
    those bounds raised z stays a dual and x* where it is; with them lowered the objective falls along d, so x* moves.
    Log-weights can do this row by row, and where x* = 0 so can a multiple of W, or of all bounds.
    """
    edge = rational.solve(signal, vertex)
    if edge is None:
        return None
    if edge.rank < len(edge.zero) and edge.rank < signal.w.shape[1] and not signal.weighted:
        return Proof("kink", DEPENDENT.format(len(edge.zero), edge.rank), signal, edge.signs, edge.rank, edge.x)
    if edge.tight and not (signal.shared and edge.signs.any()):
        return Proof("kink", NOT_STRICT, signal, edge.signs, edge.rank, edge.x)
    return None
