"""The certified gradient of AnalysisL1: one proof a signal, and from their enclosures the float64 gradient with its radius."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from flint import arb, arb_mat, ctx

from problems.arrays import Array
from problems.base import REFERENCE_STATUSES
from problems.operators.parametrisations import Dense, Filters, Sparse, Weighted
from problems.proofs import arithmetic, rational
from problems.proofs.arithmetic import balls, beside, column
from problems.proofs.instance import Instance
from problems.proofs.kkt import Signal
from problems.proofs.pattern_proof import BITS, Proof, prove

ROUNDED = 1.2e-16  # relative error of a correctly rounded gradient, 2^-53, and room for the balls
OPEN_IN_VALUES = "whether values on the pattern of W, or taps, can do it is open"
TOO_FINE = "the gradient is zero or too small for float64, and neither could be shown"


@dataclass(frozen=True)
class Certificate:
    """What is proven of an instance. Arrays have a leading signal axis, of length 1 without a batch.

    grad: float64, within `radius` |gradient| of the exact gradient in the Frobenius norm; None where status is kink or
    undecided. x (b, n) and value are rounded from balls, NaN where x* is not proven; z and signs (b, k) and rank (b,)
    describe the pattern, z NaN where no strict dual is proven.
    """

    status: str
    reason: str
    grad: Array | None
    radius: float
    x: Array
    value: float
    z: Array
    signs: Array
    rank: Array


def certify(problem: Instance) -> Certificate:
    """The certificate of an instance: the worst status of its signals, the mean gradient, and the radius of that mean."""
    proofs = [prove(signal) for signal in signals(problem)]
    worst = max(proofs, key=lambda proof: REFERENCE_STATUSES.index(proof.status))
    status, reason, grad, radius = worst.status, worst.reason, None, math.nan
    if status == "kink" and isinstance(problem.parametrisation, (Sparse, Filters)):
        status, reason = "undecided", f"{reason}; {OPEN_IN_VALUES}"
    if status == "zero":
        grad, radius = np.zeros_like(problem.theta), 0.0
    elif status in ("proven", "kink") and all(_at_target(proof) for proof in proofs if proof.status != "zero"):
        status, reason = "proven", "x* equals the target, so the gradient is 0 whatever x* does"
        grad, radius = np.zeros_like(problem.theta), 0.0
    elif status == "proven":
        grad, radius, proofs = _gradient(problem, proofs)
        if grad is None:
            status, reason = "undecided", TOO_FINE
    x, value = _solution(problem, proofs)
    z = np.stack([_duals(proof) for proof in proofs])
    return Certificate(
        status, reason, grad, radius, x, value, z, np.stack([p.signs for p in proofs]), np.array([p.rank for p in proofs])
    )


def signals(problem: Instance) -> list[Signal]:
    """The lower levels of an instance; TypeError for a parametrisation that the prover has no exact rows for."""
    w, logs, shared = problem.theta, None, False
    if isinstance(problem.parametrisation, Weighted):
        w, shared = problem.parametrisation.matrix(np.zeros(())), problem.theta.ndim == 0
        logs = np.broadcast_to(problem.theta, len(w))
    elif isinstance(problem.parametrisation, (Sparse, Filters)):
        w = problem.parametrisation.matrix(problem.theta)
    elif not isinstance(problem.parametrisation, Dense):
        raise TypeError(f"no exact rows are known for {type(problem.parametrisation).__name__}")
    pairs = zip(np.atleast_2d(problem.y), np.atleast_2d(problem.target), strict=True)
    return [Signal(w, y, target, float(problem.beta), logs, shared) for y, target in pairs]


def _gradient(problem: Instance, proofs: list[Proof]) -> tuple[Array | None, float, list[Proof]]:
    """(grad, radius, proofs at the precision used), raising the precision until the gradient is rounded correctly."""
    for bits in BITS:
        try:
            proofs = [proof.at(max(bits, proof.enclosure.bits if proof.enclosure else bits)) for proof in proofs]
        except ZeroDivisionError:
            continue
        with ctx.workprec(bits):
            enclosed = enclose_gradient(problem, proofs)
            grad, error = arithmetic.rounded(enclosed)
        least = float(np.linalg.norm(grad)) / arithmetic.ROUNDING - error
        if least > 0 and error / least * arithmetic.ROUNDING < ROUNDED:
            return grad.reshape(problem.theta.shape), error / least * arithmetic.ROUNDING, proofs
    return None, math.nan, proofs


def enclose_gradient(problem: Instance, proofs: list[Proof]) -> arb_mat:
    """-(z v^T + h x*^T) summed over the signals, times loss_scale / batch, in balls at the working precision, shape (k, n).

    In log-weights, dL/dtheta_i = -z_i w_i v on A and 0 on Z, where w_i x* = w_i v = 0; one shared weight has their sum.
    """
    scale = arb(problem.loss_scale) / len(proofs)
    moving = [proof.enclosure for proof in proofs if proof.status != "zero" and proof.enclosure]
    z, h = beside(*(e.z for e in moving)), beside(*(e.h for e in moving))
    v, x = beside(*(e.v for e in moving)), beside(*(e.x for e in moving))
    if isinstance(problem.parametrisation, Sparse):
        return column(_on_pattern(problem.parametrisation, beside(z, h).tolist(), beside(v, x).tolist(), -scale))
    if isinstance(problem.parametrisation, Filters):
        patches = problem.parametrisation.patches(problem.theta)
        return column(_in_taps(patches, beside(z, h).tolist(), beside(v, x).tolist(), -scale))
    if not isinstance(problem.parametrisation, Weighted):
        return beside(z, h) * beside(v, x).transpose() * -scale
    rows = (balls(problem.parametrisation.matrix(np.zeros(()))) * v).tolist()
    active = [proof.signs for proof in proofs if proof.status != "zero"]
    terms = [
        sum((a * b for a, b, s in zip(*parts, strict=True) if s), arb(0)) * -scale
        for parts in zip(z.tolist(), rows, np.stack(active, axis=1).tolist(), strict=True)
    ]
    return column(terms) if problem.theta.ndim else column([sum(terms, arb(0))])


def _on_pattern(parametrisation: Sparse, left: list[list[arb]], right: list[list[arb]], scale: arb) -> list[arb]:
    """The entries of left right^T on the pattern of W, scaled."""
    places = zip(parametrisation.rows.tolist(), parametrisation.columns.tolist(), strict=True)
    return [sum((p * q for p, q in zip(left[i], right[j], strict=True)), arb(0)) * scale for i, j in places]


def _in_taps(patches: Array, left: list[list[arb]], right: list[list[arb]], scale: arb) -> list[arb]:
    """sum_p <left_{p, f}, right_{p + t}> for every filter f and tap t, scaled."""
    pixels, count = patches.tolist(), len(left) // len(patches)
    return [
        sum((a * b for p, row in enumerate(pixels) for a, b in zip(left[p * count + f], right[row[t]], strict=True)), arb(0))
        * scale
        for f in range(count)
        for t in range(patches.shape[1])
    ]


def _at_target(proof: Proof) -> bool:
    """x* = target exactly: W_Z target = 0, and q - target in the row space of W_Z, by exact ranks."""
    if proof.x is None or not proof.signal.exact_bounds:
        return False
    if not all(ball.contains(arb(t)) for ball, t in zip(proof.x.entries(), proof.signal.target.tolist(), strict=True)):
        return False
    return rational.is_solution(proof.signal, proof.signs, proof.signal.target)


def _solution(problem: Instance, proofs: list[Proof]) -> tuple[Array, float]:
    n = problem.y.shape[-1]
    x = np.stack([_rounded_solution(proof, n) for proof in proofs])
    if any(proof.x is None for proof in proofs):
        return x, math.nan
    with ctx.workprec(BITS[0]):
        misfits = [(p.x - balls(p.signal.target)).entries() for p in proofs if p.x is not None]
        total = sum((entry * entry for misfit in misfits for entry in misfit), arb(0))
        return x, float(total * arb(problem.loss_scale) / (2 * len(proofs)))


def _rounded_solution(proof: Proof, n: int) -> Array:
    if proof.x is None:
        return np.full(n, math.nan)
    if proof.status == "zero" and proof.rank == n:  # exactly 0; its balls are merely small
        return np.zeros(n)
    return np.array([float(entry) for entry in proof.x.entries()])


def _duals(proof: Proof) -> Array:
    if proof.enclosure is None:
        return np.full(len(proof.signs), math.nan)
    return np.array([float(entry) for entry in proof.enclosure.z.entries()])
