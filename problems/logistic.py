"""Multinomial logistic regression on digits, with log-weights of the squared coefficients."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from problems.arrays import Array, local
from problems.base import Conditioned, Constants, Problem, Reference, SolveError
from problems.data.wheels import scikit_learn
from problems.ensembles import Ensemble
from problems.forms import Form, Function, Smooth, Splitting, Term
from problems.penalties import Zero
from problems.proofs.undecided import undecided_where_unsolved
from problems.solvers.newton import newton

FEATURES = 13  # the 8 x 8 pixels averaged over 2 x 2, without the four corners, which are blank, and a constant
ROWS = 20  # training images of each class, and as many held out


@dataclass(frozen=True, eq=False)
class Logistic(Problem, Conditioned, Splitting):
    """x*(theta) = argmin over X of sum_i [lse(X^T a_i) - y_i^T X^T a_i] + 1/2 sum_fc exp(theta_c) X_fc^2.

    lse(t) = log sum exp t. x is X (features, classes) flattened, (n,); theta: log-weights, (classes,) one a class, or (n,) one
    a coefficient. A (m, f), Y (m, classes) of 0 and 1. L: the mean cross entropy on held-out
    images (A', Y'). Source: Pedregosa (2016), section 5.
    """

    theta: Array
    a: Array
    y: Array
    a_val: Array
    y_val: Array

    @classmethod
    def draw(cls, n: int, seed: int, theta: str) -> Logistic:
        """n = 13 c: the digits 0 .. c - 1 of Alpaydin and Kaynak (1998), 20 images each for training and as many held out,
        drawn by seed; all weights are 1. Columns have mean 0 and standard deviation 1 on the training images.
        """
        classes, rest = divmod(n, FEATURES)
        if rest or not 2 <= classes <= 10:
            raise ValueError(f"n must be 13 times the number of digits, 26, 39, ..., 130, got {n}")
        pixels, digits = _digits()
        rng = np.random.default_rng(seed)
        chosen = np.concatenate([rng.permutation(np.flatnonzero(digits == c))[: 2 * ROWS] for c in range(classes)])
        held_out = np.tile(np.arange(2 * ROWS) >= ROWS, classes)
        first, second = chosen[~held_out], chosen[held_out]
        scaled = (pixels - pixels[first].mean(axis=0)) / pixels[first].std(axis=0)
        a, labels = np.column_stack([scaled, np.ones(len(scaled))]), np.eye(classes)
        data = (a[first], labels[digits[first]], a[second], labels[digits[second]])
        return cls(np.zeros(n if theta == "row-weights" else classes), *data)

    # Problem

    def solve(self, theta: Array) -> Array:
        x, converged = self._minimised(theta)
        if not converged:
            raise SolveError("Newton's method ends above rounding: the probabilities are 0 and 1 but for it")
        return x

    def _minimised(self, theta: Array) -> tuple[Array, bool]:
        f = self._loss_and_penalty

        def solve(x: Array, right: Array) -> Array:
            return np.asarray(np.linalg.solve(self._hessian(x, theta), right))

        x, _, converged = newton(f.value(theta), f.gradient(theta), solve, self.initial(), 200)
        return np.asarray(x), converged

    def loss(self, x: Any, theta: Any) -> Any:
        return _cross_entropy(x, local(x, self.a_val)[1], local(x, self.y_val)[1]) / len(self.y_val)

    def loss_grad(self, x: Array, theta: Array) -> tuple[Array, Array]:
        slope = self.a_val.T @ _missed(x, self.a_val, self.y_val)
        return slope.reshape(-1) / len(self.y_val), np.zeros_like(theta)

    def perturbed(self, rng: np.random.Generator) -> Array:
        return self.theta + 0.01 * rng.standard_normal(self.theta.shape)

    def data_names(self) -> tuple[str, ...]:
        return "a", "y", "a_val", "y_val"

    def structure(self) -> Hashable:
        return type(self), self.shapes()

    @undecided_where_unsolved
    def reference(self) -> Reference:
        """A^T (P - Y) + exp(theta) X = 0 with the probabilities P_i = softmax(X^T a_i)."""
        from problems.proofs.enclosure import Optimality, certify

        f = self._loss_and_penalty

        def cross(u: Any, theta: Any, w: Any) -> Any:
            each = np.exp(theta) * (u * w).reshape(-1, len(theta)) if self._by_class else np.exp(theta) * u * w
            return each.sum(axis=0) if self._by_class else each

        system = Optimality(
            start=self._minimised(self.theta)[0],  # the enclosure certifies it
            residual=lambda u, theta: f.gradient(theta)(u),
            jacobian=self._hessian,
            cross=cross,
            read=lambda u, theta: u,
            read_vjp=lambda u, theta, g: (g, 0),
        )
        return certify(self, system)

    def _hessian(self, x: Any, theta: Any) -> Any:
        """The blocks A^T diag(p_c (delta_cd - p_d)) A between classes c and d, and the weights on the diagonal."""
        a, classes = self.a, self.y.shape[1]
        p = _probabilities(x, a, classes)
        full = np.zeros((a.shape[1], classes, a.shape[1], classes), dtype=p.dtype)
        for c in range(classes):
            for d in range(c + 1):
                curvature = p[:, c] * (np.delete(p, c, axis=1).sum(axis=1) if c == d else -p[:, d])  # 1 - p would cancel
                full[:, c, :, d] = full[:, d, :, c] = a.T @ (curvature[:, None] * a)
        weights = _weights(theta, x)
        return full.reshape(len(x), len(x)) + np.eye(len(x)).astype(p.dtype) * weights

    @property
    def _by_class(self) -> bool:
        return self.theta.shape == self.y.shape[1:]

    @property
    def _loss_and_penalty(self) -> RegularisedCrossEntropy:
        return RegularisedCrossEntropy(self.a, self.y)

    # Structure that methods ask for

    def forms(self) -> tuple[Form, ...]:
        return (Form("primal", self._loss_and_penalty, (Term(Zero()),), (self.a.shape[1] * self.y.shape[1],)),)

    def objective(self, x: Any, theta: Any) -> Any:
        return self._loss_and_penalty.value(theta)(x)

    def initial(self) -> Array:
        return np.zeros(self.a.shape[1] * self.y.shape[1])

    def constants(self, theta: Array) -> Constants:
        """Of lse(u): its Hessian is a covariance under the softmax, |v|^2/2 at most (a variable within sqrt(2) |v|), and the
        third derivative in v, w, w a covariance of v with a square, at most sqrt(2) |v| |w|^2 / 2. With u = X^T a_i, summed
        over i: Phi_xx changes by |A|^2 max |a_i| / sqrt(2). Phi_xtheta is exp(theta) X in disjoint places, so its slope is
        max exp(theta).
        """
        size = float(np.linalg.norm(self.a, 2) ** 2)
        low, high = float(np.exp(theta).min()), float(np.exp(theta).max())
        hessian = size * float(np.linalg.norm(self.a, axis=1).max()) / 2**0.5
        loss = float(np.linalg.norm(self.a_val, 2) ** 2) / (2 * len(self.y_val))
        return Constants(low, size / 2 + high, hessian, cross=high, loss=loss)


@dataclass(frozen=True)
class RegularisedCrossEntropy(Smooth):
    """Phi itself."""

    a: Any
    y: Any

    def value(self, theta: Any) -> Function:
        xp, a = local(theta, self.a)
        y = local(theta, self.y)[1]
        return lambda x: _cross_entropy(x, a, y) + 0.5 * xp.sum(_weights(theta, x) * x**2)

    def gradient(self, theta: Any) -> Function:
        xp, a = local(theta, self.a)
        y = local(theta, self.y)[1]
        return lambda x: xp.reshape(a.T @ _missed(x, a, y), (-1,)) + _weights(theta, x) * x

    def lipschitz(self, theta: Array) -> float:
        return float(np.linalg.norm(self.a, 2) ** 2 / 2 + np.exp(theta).max())

    def convexity(self, theta: Array) -> float:
        return float(np.exp(theta).min())


def _weights(theta: Any, x: Any) -> Any:
    """exp(theta) for every coefficient, (n,): X has the classes in its columns."""
    xp = array_namespace(theta)
    return xp.tile(xp.exp(theta), (x.shape[0] // theta.shape[0],))


def _probabilities(x: Any, a: Any, classes: int) -> Any:
    """softmax(X^T a_i), (m, classes)."""
    xp = array_namespace(x)
    t = a @ xp.reshape(x, (-1, classes))
    odds = xp.exp(t - xp.max(t, axis=-1, keepdims=True))
    return odds / xp.sum(odds, axis=-1)[:, None]


def _missed(x: Any, a: Any, y: Any) -> Any:
    """P - Y by the classes that an image is not of: the difference would lose the digits of a probability near 1."""
    xp = array_namespace(x)
    others = _probabilities(x, a, y.shape[1]) * (1 - y)
    return others - y * xp.sum(others, axis=-1)[:, None]


def _cross_entropy(x: Any, a: Any, y: Any) -> Any:
    """sum_i lse(t_i) - y_i^T t_i, t_i = X^T a_i, as log(1 + sum over the other classes of exp(t_ic - y_i^T t_i))."""
    xp = array_namespace(x)
    t = a @ xp.reshape(x, (-1, y.shape[1]))
    t = t - xp.sum(y * t, axis=-1, keepdims=True)
    top = xp.max(t, axis=-1)  # 0 or more, for t is 0 at the class itself
    others = xp.sum((1 - y) * xp.exp(t - top[:, None]), axis=-1)
    return xp.sum(top + xp.log1p(others + xp.expm1(-top)))


def _digits() -> tuple[Array, Array]:
    """(1797 x 12 averages over 2 x 2 pixels, the digits)."""
    table = np.loadtxt(scikit_learn("data", "digits.csv.gz"), delimiter=",")
    pixels, digits = table[:, :-1], table[:, -1].astype(int)
    blocks = pixels.reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4)).reshape(-1, 16)
    return blocks[:, [i for i in range(16) if i not in (0, 3, 12, 15)]], digits


ENSEMBLE = Ensemble(
    name="logistic",
    draw=Logistic.draw,
    citation="Pedregosa (2016)",
    formula="sum lse(X' a_i) - y_i' X' a_i + 1/2 sum exp(theta) X^2",
    thetas=("class-weights", "row-weights"),
    n=130,
    small=39,
)
