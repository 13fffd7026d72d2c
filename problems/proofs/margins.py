"""How far an instance is from the nearest kink: closed-form margins of the sign pattern (in W, one signal)."""

from __future__ import annotations

import math

import numpy as np

from problems.arrays import Array
from problems.solvers.box_dual import DualSolution

EPS = float(np.finfo(np.float64).eps)  # two units of rounding


def kink_distance(w: Array, beta: float, dual: DualSolution) -> float:
    """First-order Frobenius distance in W to the nearest change of pattern: min_i m_i / |grad m_i|_F.

    m_i = beta - |z_i| on Z and s_i w_i x* on A; the pattern never changed within 0.8 of it in experiments.
    """
    free = dual.signs == 0
    w0, wa = w[free], w[~free]
    x2, z2 = dual.x @ dual.x, dual.z @ dual.z
    inverse = np.linalg.pinv(w0 @ w0.T, rcond=1e-14, hermitian=True) if len(w0) else np.zeros((0, 0))
    inside = beta - np.abs(dual.z[free])
    inside_slope = np.sqrt(x2 * (inverse**2).sum(axis=0) + z2 * np.diagonal(inverse))
    lifted = dual.factor.lift(wa.T)
    projected = wa.T - w0.T @ lifted
    wx = wa @ dual.x
    outside = np.abs(wx)
    squared = (
        (1 + (lifted**2).sum(axis=0)) * x2 + z2 * (projected**2).sum(axis=0) - 2 * (dual.z[~free] - dual.z[free] @ lifted) * wx
    )
    outside_slope = np.sqrt(np.maximum(squared, 0.0))
    margins, slopes = np.concatenate([inside, outside]), np.concatenate([inside_slope, outside_slope])
    moving = slopes > 0
    distances: list[float] = (margins[moving] / slopes[moving]).tolist()
    return min(distances, default=np.inf)


def rho(w: Array, y: Array, beta: float, dual: DualSolution) -> float:
    """The largest radius r (by bisection) within which |dW|_F < r provably keeps the pattern; 0 where none was shown.

    With sigma = sigma_min(W0), t = sigma - r, Y = |y|, B = beta sqrt(k): s_i w_i x* > r (Y + (|w_i| + r) sqrt(B^2 + (Y/t)^2))
    on A, and beta - |z_i| > r (Y/t^2 + B/t) on Z. The margins and sigma are lower bounds: z and x are within half a unit in
    the last place of the exact ones, dot products within n + 2 units. What follows has a relative rounding error below 1e-9,
    and the right sides shrink at least in proportion to r, so 1 - 1e-8 of the r found satisfies the exact inequalities.
    """
    free = dual.signs == 0
    sigma = sigma_below(w[free])
    norm, box = np.linalg.norm(y), beta * np.sqrt(len(w))
    lengths = np.linalg.norm(w[~free], axis=1)
    outside = np.abs(w[~free] @ dual.x) - (w.shape[1] + 3) * EPS * lengths * np.linalg.norm(dual.x)
    inside = (beta - np.abs(dual.z[free])) - 2 * EPS * beta

    def keeps(r: float) -> bool:
        t = sigma - r
        if t <= 0:
            return False
        on_a = r * (norm + (lengths + r) * np.hypot(box, norm / t))
        on_z = r * (norm / t**2 + box / t)
        return bool((outside > on_a).all() and (inside > on_z).all())

    low, high = 0.0, min(sigma, float(np.linalg.norm(w)))
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if keeps(middle) else (low, middle)
    return low * (1 - 1e-8)


def sigma_below(w0: Array) -> float:
    """A lower bound on the least singular value of w0 (m, n), m <= n; inf for no rows, and possibly <= 0.

    For any U, s, V: sigma_min(W0) >= s_min sqrt((1 - a)(1 - b)) - d with a = |U^T U - I|, b = |V V^T - I| and
    d = |W0 - U s V| (Weyl). The norms are those of LAPACK's factors; `unit`, above m + n + 3 units of rounding times the
    Frobenius norms of the factors, bounds the rounding of each product.
    """
    if not len(w0):
        return np.inf
    u, s, v = np.linalg.svd(w0, full_matrices=False)
    unit = 2 * (sum(w0.shape) + 3) * EPS * len(w0)
    a = float(np.linalg.norm(u.T @ u - np.eye(len(s)))) + unit
    b = float(np.linalg.norm(v @ v.T - np.eye(len(s)))) + unit
    d = float(np.linalg.norm(w0 - (u * s) @ v)) + unit * float(s[0])
    return float(s[-1]) * math.sqrt(max(0.0, 1 - a) * max(0.0, 1 - b)) * (1 - 1e-9) - d * (1 + 1e-9)
