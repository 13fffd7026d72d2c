"""The canonical problem, analysis l1: x*(W) = argmin 1/2 |x - y|^2 + beta |W x|_1, loss 1/2 |x* - target|^2."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from problems.arrays import local
from problems.base import (
    Array,
    BoxDual,
    ConicModel,
    ConicProgram,
    PartlySmooth,
    Problem,
    Reference,
)
from problems.data.drawing import SPARSE_THETAS, THETAS
from problems.data.signals import SIGNALS
from problems.ensembles import Ensemble
from problems.forms import Distance, Dual, Form, Splitting, Term
from problems.operators.matrices import FIXED_OPERATORS, IMAGE_OPERATORS, OPERATORS
from problems.operators.parametrisations import Dense, Filters, Parametrisation, Sparse, Weighted
from problems.penalties import L1, Box
from problems.proofs import analysis_reference, choice
from problems.solvers import box_dual

LARGEST = 2**20  # entries of a sparse or matrix-free K(theta) that is solved by dense algebra


@dataclass(frozen=True, eq=False)
class AnalysisL1(Problem, BoxDual, PartlySmooth, Splitting, ConicProgram):
    """x*(theta) = argmin_x 1/2 |x - y|^2 + beta |K(theta) x|_1 and L = loss_scale * mean over the batch of 1/2 |x* - target|^2.

    theta: (k, n) for K = theta (the default), () or (k,) log-weights for `Weighted(W)`, (nnz,) values for `Sparse(W)`,
    (filters, size, size) taps for `Filters(side)`; y and target: (n,) or (batch, n); beta > 0. All float64 and finite.
    Raises ValueError naming the argument, what was expected and what was got.
    Source: Ghosh, McCann and Ravishankar (2022), eq. (3).
    """

    theta: Array
    y: Array
    target: Array
    beta: float
    loss_scale: float = 1.0
    parametrisation: Parametrisation = field(default_factory=Dense)

    def __post_init__(self) -> None:
        for name in ("theta", "y", "target"):
            object.__setattr__(self, name, _frozen(name, getattr(self, name)))
        if self.y.ndim not in (1, 2) or 0 in self.y.shape:
            raise ValueError(f"y must have shape (n,) or (batch, n), got {self.y.shape}")
        if self.target.shape != self.y.shape:
            raise ValueError(f"target must have the shape of y, {self.y.shape}, got {self.target.shape}")
        for name in ("beta", "loss_scale"):
            value = getattr(self, name)
            if not (isinstance(value, (int, float, np.integer, np.floating)) and 0 < value < np.inf):
                raise ValueError(f"{name} must be a finite number > 0, got {value!r}")
        self.parametrisation.check(self.theta, self.y.shape[-1])

    @classmethod
    def draw(
        cls,
        n: int = 64,
        sigma: float = 0.1,
        seed: int = 0,
        operator: str = "tv",
        signal: str = "piecewise-constant",
        batch: int | None = None,
        beta: float | None = None,
        theta: str = "dense",
    ) -> AnalysisL1:
        """An instance drawn by `seed`: clean signals of peak 1, white noise of standard deviation sigma, beta = c * sigma.

        c(operator, signal) stands in problems/data/drawing.py; sigma = 0 and pairs without an entry need an explicit beta. The
        same seed gives the same operator and signals whatever sigma is.
        """
        from problems.data.drawing import draw

        w, y, target, beta = draw(n, sigma, seed, operator, signal, batch, beta, theta)
        if theta == "dense":
            return cls(w, y, target, beta)
        if theta == "sparse":
            return cls(w.data, y, target, beta, parametrisation=Sparse(w))
        if theta == "taps":
            return cls(w, y, target, beta, parametrisation=Filters(math.isqrt(n)))
        weights = np.zeros(w.shape[0]) if theta.endswith("row-weights") else np.zeros(())
        return cls(weights, y, target, beta, parametrisation=Weighted(w))

    # Problem

    def solve(self, theta: Array) -> Array:
        large = choice.prover(self, theta, LARGEST)
        if large is not None:
            return np.asarray(large.solve(self, theta))
        w = self.parametrisation.matrix(theta)
        if self.y.ndim == 1:
            return box_dual.solve(w, self.y, self.beta).x
        return np.stack([box_dual.solve(w, y, self.beta).x for y in self.y])

    def loss(self, x: Any, theta: Any) -> Any:
        xp, target = local(x, self.target)
        return 0.5 * self._scale * xp.sum((x - target) ** 2)

    def loss_grad(self, x: Array, theta: Array) -> tuple[Array, Array]:
        return self._scale * (x - self.target), np.zeros_like(theta)

    def evaluate(self, x: Array, theta: Array) -> tuple[float, Array, Array | float]:
        g, scale = x - self.target, self._scale
        value = 0.5 * scale * float(np.vecdot(g, g).sum())  # one product of a whole batch would wake other threads of BLAS
        if scale != 1.0:
            g *= scale
        return value, g, 0.0

    def reference(self) -> Reference:
        return analysis_reference.reference(self)

    def perturbed(self, rng: np.random.Generator) -> Array:
        if self.parametrisation.keeps_rank:  # log-weights are zero at the start
            return self.theta + 0.01 * rng.standard_normal(self.theta.shape)
        return super().perturbed(rng)

    def data_names(self) -> tuple[str, ...]:
        return "y", "target", "beta"

    def structure(self) -> Hashable:
        return type(self), self.loss_scale, self.parametrisation, self.shapes()

    @property
    def _scale(self) -> float:
        return self.loss_scale / (1 if self.y.ndim == 1 else len(self.y))

    # Structure that methods ask for

    def pattern(self, theta: Array) -> Array:
        w = self.parametrisation.matrix(theta)
        if self.y.ndim == 1:
            return box_dual.solve(w, self.y, self.beta).signs
        return np.stack([box_dual.solve(w, y, self.beta).signs for y in self.y])

    def no_pattern(self, theta: Array) -> Array:
        return np.zeros_like(self.parametrisation.apply(theta, self.y))

    def closed_form(self, theta: Any, pattern: Any) -> Any:
        """x* = P (y - beta W_A^T s) with P = I - W0^+ W0; Ghosh, McCann and Ravishankar (2022), eq. (4)."""
        xp, y = local(theta, self.y)
        zero_rows = xp.astype(pattern == 0, theta.dtype)
        q = y - self.beta * self.parametrisation.adjoint(theta, pattern)
        w0 = zero_rows[..., :, None] * self.parametrisation.matrix(theta)
        lifted = xp.matmul(xp.linalg.pinv(w0), xp.matmul(w0, q[..., :, None]))
        return q - lifted[..., 0]

    def doubt(self, theta: Array, pattern: Array) -> str:
        w, keeps_rank = self.parametrisation.matrix(theta), self.parametrisation.keeps_rank
        pairs = zip(np.atleast_2d(self.y), np.atleast_2d(pattern), strict=True)
        doubts = (box_dual.doubt(w, y, self.beta, signs, keeps_rank) for y, signs in pairs)
        return next(filter(None, doubts), "")

    def forms(self) -> tuple[Form, ...]:
        k, y, (*batch, _) = self.parametrisation, self.y, self.y.shape
        rows = k.rows_of(self.theta)
        primal = Form("primal", Distance(y), (Term(L1(), k, self._beta),), y.shape)
        dual = Form("dual", Dual(k, y), (Term(Box(), None, self._beta),), (*batch, rows), self._read, self._dual_solution)
        return primal, dual

    def _beta(self, theta: Any) -> Any:
        return self.beta

    def _read(self, theta: Any) -> Callable[[Any], Any]:
        """x = y - K(theta)^T z of a dual z."""
        y = local(theta, self.y)[1]
        return lambda z: y - self.parametrisation.adjoint(theta, z)

    def _dual_solution(self, theta: Array) -> Array:
        w = self.parametrisation.matrix(theta)
        if self.y.ndim == 1:
            return box_dual.solve(w, self.y, self.beta).z
        return np.stack([box_dual.solve(w, y, self.beta).z for y in self.y])

    def conic_model(self) -> ConicModel:
        import cvxpy as cp

        n = self.y.shape[-1]
        x, y = cp.Variable(n), cp.Parameter(n)
        if isinstance(self.parametrisation, Weighted):
            parameter = cp.Parameter(self.theta.shape, nonneg=True)
            w = self.parametrisation.w
            penalty = parameter @ cp.abs(w @ x) if self.theta.ndim else parameter * cp.norm1(w @ x)
            maps = (lambda theta: array_namespace(theta).exp(theta), lambda theta, cotangent: np.exp(theta) * cotangent)
        else:
            taps = isinstance(self.parametrisation, Filters)
            shape = (len(self.theta), self.theta[0].size) if taps else self.theta.shape
            parameter = cp.Parameter(shape)
            penalty = cp.norm1(self._conic_rows(parameter, x))
            maps = (
                lambda theta: array_namespace(theta).reshape(theta, shape) if taps else theta,
                lambda theta, cotangent: cotangent.reshape(theta.shape),
            )
        lower_level = cp.Problem(cp.Minimize(0.5 * cp.sum_squares(x - y) + self.beta * penalty))
        return ConicModel(lower_level, parameter, (y,), x, (self.y,), *maps)

    def _conic_rows(self, parameter: Any, x: Any) -> Any:
        """K x in CVXPY; on the pattern of a sparse W, K x = R (theta * C x) with fixed R and C, of filters taps X^T."""
        if isinstance(self.parametrisation, Filters):
            patches = self.parametrisation.patches(self.theta).T
            return parameter @ x[patches.ravel()].reshape(patches.shape, order="C")
        if not isinstance(self.parametrisation, Sparse):
            return parameter @ x
        import cvxpy as cp
        from scipy.sparse import csr_array

        rows, columns, count = self.parametrisation.rows, self.parametrisation.columns, len(self.theta)
        adder = csr_array((np.ones(count), (rows, np.arange(count))), (self.parametrisation.w.shape[0], count))
        return adder @ cp.multiply(parameter, x[columns])


def _frozen(name: str, value: Any) -> Array:
    """A read-only float64 copy; ValueError where the value is not real and finite."""
    array = np.array(value)
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{name} must be real numbers, got dtype {array.dtype}")
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got {np.count_nonzero(~np.isfinite(array))} NaN or infinite entries")
    array.flags.writeable = False
    return array


ENSEMBLE = Ensemble(
    name="analysis-l1",
    draw=AnalysisL1.draw,
    citation="Ghosh, McCann and Ravishankar (2022)",
    formula="1/2 |x - y|^2 + beta |W x|_1",
    thetas=(*THETAS, *SPARSE_THETAS, "taps"),
    operators=("tv", *(name for name in (OPERATORS | FIXED_OPERATORS | IMAGE_OPERATORS) if name != "tv")),
    small=36,
    partners={"taps": {"operator": "dct-filters", "signal": "image-patches"}},
    signals=tuple(SIGNALS),
    noise=True,
    batches=True,
)
