"""TRAPS: small instances on which gradients go wrong, each with what the right answer is and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from problems.analysis_l1 import AnalysisL1
from problems.arrays import Array
from problems.operators.matrices import differences
from problems.operators.parametrisations import Weighted

EXPECTATIONS = ("gradient", "zero", "kink", "refuse")
COTANGENTS = (1e-3, 1e-6, 1e-9, 1e-14)


@dataclass(frozen=True)
class Trap:
    """An instance with its right answer; `make` builds it.

    expectation: gradient (one exists: that of the reference), zero (it exists and is 0), kink (none exists), refuse
    (`make` raises ValueError). `truth` derives the gradient by hand.
    """

    name: str
    make: Callable[[], AnalysisL1]
    expectation: str
    why: str
    truth: Callable[[AnalysisL1], Array] | None = None


# The instances. Entries are dyadic wherever a threshold is to be met exactly.


def _scalar(w: float) -> AnalysisL1:
    """x* = sign(y) max(|y| - |w|, 0) with y = 1, beta = 1."""
    return AnalysisL1(np.array([[w]]), np.array([1.0]), np.array([0.25]), 1.0)


def _scalar_gradient(problem: AnalysisL1) -> Array:
    """dL/dw = -(x* - target) sign(w) where |w| < y, else 0."""
    w = float(problem.theta[0, 0])
    return np.array([[-(1 - abs(w) - 0.25) * np.sign(w) if abs(w) < 1 else 0.0]])


HADAMARD = np.array([[1.0, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2


def _orthogonal(first: float) -> AnalysisL1:
    """W = H/2 orthogonal and W y = (first, 3, -2, 0.25), beta = 1: x* = W^T soft(W y, 1)."""
    y = HADAMARD.T @ np.array([first, 3.0, -2.0, 0.25])
    return AnalysisL1(HADAMARD, y, np.array([0.5, -1.0, 0.75, 0.25]), 1.0)


def _orthogonal_gradient(first_is_zero: bool, problem: AnalysisL1) -> Array:
    """-(z v^T + h x*^T) with W0 W0^T = I: h_Z = W_Z g, v = W_A^T W_A g, z = clip(W y), x* = W^T soft(W y)."""
    w, rows = problem.theta, problem.theta @ problem.y
    z = np.clip(rows, -1, 1)
    x = w.T @ (rows - z)
    g = w @ (x - problem.target)
    zero = np.array([first_is_zero, False, False, True])
    return -(np.outer(z, w.T @ np.where(zero, 0, g)) + np.outer(np.where(zero, g, 0), x))


def difference(n: int, circular: bool = False) -> Array:
    """x_{i+1} - x_i, shape (n - 1, n), or (n, n) with the last row closing the circle."""
    return np.roll(np.eye(n), 1, axis=1) - np.eye(n) if circular else differences(n)


def grid(side: int) -> Array:
    """2-D total variation of a side x side image: horizontal, then vertical differences."""
    d, one = difference(side), np.eye(side)
    return np.concatenate([np.kron(one, d), np.kron(d, one)])


def _target(n: int) -> Array:
    """A target that no accident makes special."""
    return np.random.default_rng(n).standard_normal(n)


def _noisy(x: Array, sigma: float = 0.01) -> Array:
    return x + sigma * np.random.default_rng([x.size, 1]).standard_normal(x.size)


def _with(w: Array, y: Array, beta: float, theta: str) -> AnalysisL1:
    """The instance in the entries of W, in its row log-weights or in one log-weight."""
    if theta == "W":
        return AnalysisL1(w, y, _target(len(y)), beta)
    weights = np.zeros(len(w)) if theta == "row log-weights" else np.zeros(())
    return AnalysisL1(weights, y, _target(len(y)), beta, parametrisation=Weighted(w))


STEPS = np.array([0.0, 0, 0, 1, 1, 1, 1, 0.5])


def _duplicated(row: int, theta: str = "W") -> AnalysisL1:
    """1-D TV of three steps with one of its rows twice: row 0 lies in a step, row 2 on an edge."""
    d = difference(8)
    return _with(np.concatenate([d, d[row : row + 1]]), _noisy(STEPS), 0.06, theta)


def _image(theta: str) -> AnalysisL1:
    """A 4 x 4 image with a flat half."""
    image = np.zeros((4, 4))
    image[:, :2] = 1.0
    image[3, 3] = 2.0
    return _with(grid(4), _noisy(image.ravel()), 0.05, theta)


def _fused(theta: str) -> AnalysisL1:
    """W = [I; D], the fused lasso, with a block of zeros in x*."""
    y = _noisy(np.array([0.0, 0, 0, 1, 1, -1, -1, 0]))
    return _with(np.concatenate([np.eye(8), difference(8)]), y, 0.08, theta)


def _circular(theta: str) -> AnalysisL1:
    """Circular TV with a beta so large that x* is the mean of y."""
    return _with(difference(8, circular=True), _noisy(STEPS), 4.0, theta)


def _filters(theta: str) -> AnalysisL1:
    """Circular first and second differences on a signal with a flat patch."""
    d = difference(12, circular=True)
    y = _noisy(np.array([0.0, 0, 0, 0, 0, 0, 1, 3, 2, 5, 4, 1]))
    return _with(np.concatenate([d, d @ d]), y, 0.05, theta)


def _near_rank_kink(e: float) -> AnalysisL1:
    """W = [[1, -1, 0], [1, -1, e]], both rows zero at x* = (1, 1, 0) with z = (-0.4, 0.5)."""
    w = np.array([[1.0, -1, 0], [1, -1, e]])
    return AnalysisL1(w, np.array([1.125, 0.875, e / 2]), np.array([0.25, -0.5, 1.0]), 1.0)


def _near_rank_kink_gradient(problem: AnalysisL1) -> Array:
    """-(z v^T + h x*^T) with W0^T z = y - x*, W0^T h = g - v solved by substitution, v = (m, m, 0), m the mean of g_1, g_2."""
    y, e = problem.y, float(problem.theta[1, 2])
    x = np.array([(y[0] + y[1]) / 2] * 2 + [0.0])
    g = x - problem.target
    v = np.array([(g[0] + g[1]) / 2] * 2 + [0.0])

    def dual(r: Array) -> Array:
        second = r[2] / e
        return np.array([r[0] - second, second])

    return -(np.outer(dual(y - x), v) + np.outer(dual(g - v), x))


SCALES = 10.0 ** np.array([-8, -4, 0, 4, 8])


def _wide() -> AnalysisL1:
    """W = diag(1e-8, 1e-4, 1, 1e4, 1e8): x*_i = soft(y_i, beta s_i), the last three zero."""
    y = np.array([1.0, -2.0, 0.25, 0.5, -1.0])
    return AnalysisL1(np.diag(SCALES), y, np.array([0.5, 0.5, 1.0, -1.0, 0.25]), 1.0)


def _wide_gradient(problem: AnalysisL1) -> Array:
    """-(z v^T + h x*^T): z_i = y_i / s_i and h_i = g_i / s_i on the zero rows, z_i = sign y_i and v_i = g_i elsewhere."""
    zero = SCALES >= 1
    x = np.where(zero, 0.0, np.sign(problem.y) * (np.abs(problem.y) - SCALES))
    g = x - problem.target
    z, h = np.where(zero, problem.y / SCALES, np.sign(problem.y)), np.where(zero, g / SCALES, 0.0)
    return -(np.outer(z, np.where(zero, 0.0, g)) + np.outer(h, x))


def _all_zero() -> AnalysisL1:
    """W = I and beta above |y|_inf: x* = 0."""
    return AnalysisL1(np.eye(4), np.array([0.5, -0.75, 0.25, 0.125]), np.array([1.0, 2, 3, 4]), 1.0)


def _cotangent(scale: float) -> AnalysisL1:
    """1-D TV of three steps, the loss multiplied by `scale`."""
    return AnalysisL1(difference(8), _noisy(STEPS), _target(8), 0.06, loss_scale=scale)


def _reached() -> AnalysisL1:
    """W = I, dyadic y and beta: the target is x* = soft(y, beta) to the last bit."""
    return AnalysisL1(np.eye(4), np.array([1.0, -2, 0.25, 0.125]), np.array([0.5, -1.5, 0, 0]), 0.5)


def _bad(**given: object) -> AnalysisL1:
    good: dict[str, object] = {"theta": np.eye(2), "y": np.ones(2), "target": np.zeros(2), "beta": 0.5}
    return AnalysisL1(**(good | given))  # type: ignore[arg-type]


def _zero(problem: AnalysisL1) -> Array:
    return np.zeros_like(problem.theta)


_ULPS = 2.0**-50  # 8.9e-16
_KEEPS = "the parameter cannot break the dependence of the zero rows, so x* stays smooth: P does not move with it"
_BREAKS = "so that W can break their dependence in any direction"

TRAPS: tuple[Trap, ...] = (
    Trap("scalar, w = 0", partial(_scalar, 0.0), "kink", "x* = y - |w|: one-sided slopes of Q are +-(y - target)"),
    Trap("scalar, w = y", partial(_scalar, 1.0), "kink", "x* = max(y - |w|, 0): slopes of Q are target and 0"),
    Trap("scalar, w = -y", partial(_scalar, -1.0), "kink", "x* = max(y - |w|, 0): slopes of Q are 0 and -target"),
    Trap("scalar, w near 0", partial(_scalar, 1e-3), "gradient", "Q' = -(y - w - target)", _scalar_gradient),
    Trap("scalar, w below y", partial(_scalar, 1 - 1e-3), "gradient", "Q' = -(y - w - target)", _scalar_gradient),
    Trap("scalar, w above y", partial(_scalar, 1 + 1e-3), "zero", "x* = 0 around w", _zero),
    Trap("orthogonal, at threshold", partial(_orthogonal, 1.0), "kink", "(W y)_1 = beta exactly: |z_1| = beta on a zero row"),
    Trap(
        "slack 1e-15, zero row", partial(_orthogonal, 1 - _ULPS), "gradient", "|z_1| = beta (1 - 9e-16): strictly inside",
        partial(_orthogonal_gradient, True),
    ),
    Trap(
        "slack 1e-15, active row", partial(_orthogonal, 1 + _ULPS), "gradient", "w_1 x* = 9e-16: strictly positive",
        partial(_orthogonal_gradient, False),
    ),
    Trap("duplicated zero row", partial(_duplicated, 0), "kink", f"two equal zero rows, {_BREAKS}"),
    Trap("duplicated active row", partial(_duplicated, 2), "gradient", "equal rows off zero leave W0 with full rank"),
    Trap("duplicated, weights", partial(_duplicated, 0, "row log-weights"), "gradient", _KEEPS),
    Trap("2-D TV, W", partial(_image, "W"), "kink", f"each flat 2 x 2 block is a cycle of zero rows, {_BREAKS}"),
    Trap("2-D TV, edge weights", partial(_image, "row log-weights"), "gradient", _KEEPS),
    Trap("2-D TV, beta", partial(_image, "one log-weight"), "gradient", _KEEPS),
    Trap("[I; D], W", partial(_fused, "W"), "kink", f"on a block of zeros rows of D are differences of rows of I, {_BREAKS}"),
    Trap("[I; D], weights", partial(_fused, "row log-weights"), "gradient", _KEEPS),
    Trap("circular TV, constant, W", partial(_circular, "W"), "kink", f"all n rows are zero and add up to 0, {_BREAKS}"),
    Trap("circular TV, constant, weights", partial(_circular, "row log-weights"), "zero", "x* = mean(y) at any weights", _zero),
    Trap("filters, flat patch, W", partial(_filters, "W"), "kink", f"second differences come from first ones, {_BREAKS}"),
    Trap("filters, flat patch, weights", partial(_filters, "row log-weights"), "gradient", _KEEPS),
    *(
        Trap(
            f"near rank kink, e = {e:.0e}", partial(_near_rank_kink, e), "gradient",
            "W0 has full rank, sigma_min about 0.7 e: the gradient grows as 1/e", _near_rank_kink_gradient,
        )
        for e in (1e-2, 1e-4, 1e-6)
    ),
    Trap("x* = 0", _all_zero, "zero", "|W y|_inf < beta: x* = 0 around W", _zero),
    Trap("entries 1e-8 to 1e8", _wide, "gradient", "a diagonal W: five scalar problems", _wide_gradient),
    *(
        Trap(f"loss times {scale:.0e}", partial(_cotangent, scale), "gradient", "the gradient is linear in the loss")
        for scale in COTANGENTS
    ),
    Trap("target = x*", _reached, "zero", "dL/dx = 0, so the gradient is 0 whatever dx*/dW is", _zero),
    Trap("NaN in y", partial(_bad, y=np.array([np.nan, 1.0])), "refuse", "data must be finite"),
    Trap("infinite W", partial(_bad, theta=np.array([[np.inf, 0.0]])), "refuse", "data must be finite"),
    Trap("negative beta", partial(_bad, beta=-0.5), "refuse", "no minimiser needs to exist"),
)  # fmt: skip
