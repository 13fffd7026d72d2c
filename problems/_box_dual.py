"""The exact solution of min over |z| <= beta of 1/2 |y - W^T z|^2, with its sign pattern verified, in float64."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from problems.base import Array, SolveError

BOUND = 1e-9  # a dual within this share of beta counts as bound before verification (daqp's bounds are off by 1e-10)
ILL = 1e-6  # below it a gradient from one pseudo-inverse, unrefined, may be off by 1e-10 (rounding over this)
SLACK = 1e-10  # relative violation of the optimality conditions that verification still accepts as rounding
TOUCH = 1e-9  # a zero row's dual this close to its bound, by share of beta, may be at a kink
CONDITION = 1e-10  # below this reciprocal condition of W0 W0^T, normal equations are not used
RANK = 1e-10  # singular values below this share of the largest count as zero
HIDDEN = 1e-9  # a bound row with |w_i x*| below this share of |w_i| |y| may be a zero row at a vertex of the dual face


DEPENDENT = "dependent zero rows: no gradient in the entries of W"


@dataclass(frozen=True)
class RowFactor:
    """W0^{+T} for W0 of shape (m, n): by Cholesky of W0 W0^T, or by SVD where that is ill-conditioned or singular."""

    w0: Array
    cholesky: Array | None
    pseudo_inverse: Array | None  # of W0^T, shape (m, n)
    rank: int
    reciprocal: float = 1.0  # reciprocal condition of W0 W0^T over its range

    @classmethod
    def of(cls, w0: Array) -> RowFactor:
        if len(w0) <= w0.shape[1]:
            from scipy.linalg.lapack import dpocon, dpotrf

            gram = w0 @ w0.T
            factor, info = dpotrf(gram, lower=1, clean=0)
            if not len(w0):
                return cls(w0, factor, None, 0)
            reciprocal = dpocon(factor, np.abs(gram).sum(axis=0).max(), uplo="L")[0] if info == 0 else 0.0
            if reciprocal > CONDITION:
                return cls(w0, factor, None, len(w0), float(reciprocal))
        u, singular, vt = np.linalg.svd(w0, full_matrices=False)
        kept = singular > RANK * singular.max(initial=0.0)
        reciprocal = (singular[kept].min(initial=np.inf) / singular.max(initial=1.0)) ** 2
        return cls(w0, None, (u[:, kept] / singular[kept]) @ vt[kept], int(kept.sum()), float(reciprocal))

    @property
    def full_rank(self) -> bool:
        return self.rank == len(self.w0)

    def lift(self, v: Array) -> Array:
        """W0^{+T} v for v of shape (n,) or (n, r), once refined: the error grows with cond(W0), not with its square."""
        if self.pseudo_inverse is not None:
            return self.pseudo_inverse @ v
        solution = self.solve_gram(self.w0 @ v)
        return solution + self.solve_gram(self.w0 @ (v - self.w0.T @ solution))

    def solve_gram(self, r: Array) -> Array:
        """(W0 W0^T)^+ r for r of shape (m,) or (m, s)."""
        if self.pseudo_inverse is not None:
            return self.pseudo_inverse @ (self.pseudo_inverse.T @ r)
        from scipy.linalg.lapack import dpotrs

        return dpotrs(self.cholesky, r, lower=1)[0] if len(r) else np.zeros_like(r)


@dataclass(frozen=True)
class DualSolution:
    """x* = y - W^T z for one signal; signs in {-1, 0, 1}^k is the verified pattern of W x*."""

    z: Array
    x: Array
    signs: Array
    factor: RowFactor  # of W0, the rows with sign 0
    iterations: int
    touching: bool = False  # a zero row's dual is at its bound within rounding: strict complementarity may fail

    @property
    def doubt(self) -> str:
        """Why the gradient may not exist; empty: nothing speaks against it."""
        if self.touching:
            return "a zero row at the bound of its dual: no gradient, or a change of pattern within rounding"
        return "" if self.factor.full_rank else DEPENDENT


def solve(w: Array, y: Array, beta: float) -> DualSolution:
    """Find the pattern, solve the linear system it implies, and verify both; SolveError where nothing verifies.

    Where k <= n: daqp, an exact dual active-set solver (Arnstrom, Bemporad and Axehill, 2022). Where that is not verified,
    and for k > n: 500 dual FISTA iterations and a bounded active set that steps towards the free minimiser closest to
    the current z (after Stark and Parker, 1995), which terminates on dependent rows too.
    """
    if w.shape[0] <= w.shape[1]:
        z, iterations = _daqp(w, y, beta)
        solution = _polish(w, y, beta, z, iterations)
        if solution is not None:
            return solution
    z, iterations = _active_set(w, y, beta, _fista(w, y, beta, 500))
    solution = _polish(w, y, beta, z, iterations)
    if solution is None:
        raise SolveError("the sign pattern of W x* could not be verified in float64")
    return solution


def _daqp(w: Array, y: Array, beta: float) -> tuple[Array, int]:
    import daqp

    bound = np.full(len(w), beta)
    z, _, flag, info = daqp.solve(w @ w.T, -(w @ y), np.empty((0, len(w))), bound, -bound)
    return (z if flag == 1 else np.zeros(len(w))), info["iterations"]


def _polish(w: Array, y: Array, beta: float, z: Array, iterations: int) -> DualSolution | None:
    """The solution that the pattern of z implies, or None where it breaks the optimality conditions.

    Where the zero rows are dependent, z is not unique and may be a vertex of their dual face: bound on some of them. Those
    have w_i x* = 0 and join W0, since the gradient needs the projector of all zero rows.
    """
    signs = np.where(np.abs(z) >= beta * (1 - BOUND), np.sign(z), 0.0)
    solution = _implied(w, y, beta, z, signs, iterations)
    if solution is None:
        return None
    hidden = (signs != 0) & (np.abs(w @ solution.x) <= HIDDEN * np.linalg.norm(w, axis=1) * np.linalg.norm(y))
    if not hidden.any():
        return solution
    if RowFactor.of(w[hidden | (signs == 0)]).full_rank:
        return replace(solution, touching=True)
    return _implied(w, y, beta, z, np.where(hidden, 0.0, signs), iterations) or solution


def _implied(w: Array, y: Array, beta: float, z: Array, signs: Array, iterations: int) -> DualSolution | None:
    """The solution of the linear system of a pattern, or None where it breaks the optimality conditions."""
    free, bound = signs == 0, signs != 0
    factor = RowFactor.of(w[free])
    q = y - beta * (signs[bound] @ w[bound])
    z_free = factor.lift(q)
    x = q - z_free @ factor.w0
    if np.abs(z_free).max(initial=0.0) > beta * (1 + SLACK):
        if factor.full_rank:
            return None
        z_free = z[free]  # on dependent rows the minimum-norm dual may leave the box although z is in it
        if np.abs(x - (q - z_free @ factor.w0)).max() > 1e-8 * np.abs(y).max():
            return None
    slope = signs[bound] * (w[bound] @ x)
    if slope.min(initial=0.0) < -SLACK * np.abs(w).max() * np.linalg.norm(y):
        return None
    full = beta * signs
    full[free] = z_free
    touching = np.abs(z_free).max(initial=0.0) >= beta * (1 - TOUCH) and factor.full_rank
    return DualSolution(full, x, signs, factor, iterations, bool(touching))


def doubt(w: Array, y: Array, beta: float, signs: Array, keeps_rank: bool) -> str:
    """DualSolution.doubt from the signs alone, and ill-conditioned zero rows; dependent ones are no doubt at constant rank."""
    found = _implied(w, y, beta, np.clip(w @ y, -beta, beta), signs, 0)
    bound = signs != 0
    if found is None:  # dependent rows whose minimum-norm dual leaves the box
        return "" if keeps_rank else DEPENDENT
    near = np.abs(w[bound] @ found.x) <= HIDDEN * np.linalg.norm(w[bound], axis=1) * np.linalg.norm(y)
    text = replace(found, touching=found.touching or bool(near.any())).doubt
    if (not text or (keeps_rank and text == DEPENDENT)) and found.factor.reciprocal < ILL:
        return f"zero rows of condition {found.factor.reciprocal**-0.5:.0e}: rounding grows with its square"
    return "" if keeps_rank and text == DEPENDENT else text


def _fista(w: Array, y: Array, beta: float, iterations: int) -> Array:
    step = 1 / max(np.linalg.norm(w, 2) ** 2, np.finfo(float).tiny)
    z = momentum = np.zeros(len(w))
    t = 1.0
    for _ in range(iterations):
        new = np.clip(momentum + step * (w @ (y - momentum @ w)), -beta, beta)
        t_new = (1 + np.sqrt(1 + 4 * t * t)) / 2
        momentum = new + (t - 1) / t_new * (new - z)
        z, t = new, t_new
    return z


def _active_set(w: Array, y: Array, beta: float, z: Array) -> tuple[Array, int]:
    """Bounded active set; each round ends at the minimiser over the free rows, then releases the worst violator."""
    z = np.clip(z, -beta, beta)
    free = np.abs(z) < beta * (1 - BOUND)
    z[~free] = beta * np.sign(z[~free])
    scale = SLACK * np.abs(w).max() * np.linalg.norm(y)
    limit = 20 * len(w) + 100
    for iteration in range(limit):
        if not _to_free_minimiser(w, y, beta, z, free):
            continue
        violation = np.where(free, 0.0, -np.sign(z) * (w @ (y - z @ w)))
        worst = int(violation.argmax())
        if violation[worst] <= scale:
            return z, iteration + 1
        free[worst] = True
    raise SolveError(f"the active set did not settle within {limit} steps")


def _to_free_minimiser(w: Array, y: Array, beta: float, z: Array, free: Array) -> bool:
    """Step z towards the closest minimiser over the free rows; False where a bound stopped it (and joined the bound set)."""
    rows = np.flatnonzero(free)
    if not len(rows):
        return True
    step = np.linalg.lstsq(w[rows].T, y - z @ w, rcond=1e-12)[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(step > 0, beta - z[rows], beta + z[rows]) / np.abs(step)
    room = np.where(step == 0, np.inf, room)
    first = int(room.argmin())
    if room[first] >= 1:
        z[rows] += step
        return True
    z[rows] += max(room[first], 0.0) * step
    z[rows[first]] = beta * np.sign(step[first])
    free[rows[first]] = False
    return False
