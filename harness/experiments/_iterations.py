"""The gradient after every iteration of a first-order algorithm, in one pass: Jacobians of its map, then matrix recursions.

With v_{k+1} = T(m_k, theta), m_{k+1} = v_{k+1} + b_k (v_{k+1} - v_k) and x = R(v, theta), forward mode is

    D_{k+1} = A_k E_k + B_k,   E_{k+1} = D_{k+1} + b_k (D_{k+1} - D_k),   A = dT/dv, B = dT/dtheta,

and the gradient D_k^T c_k + d_k with c = (dR/dv)^T dL/dx and d = (dR/dtheta)^T dL/dx + dL/dtheta.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from methods.calculus.frameworks import FRAMEWORKS
from problems import Problem, Splitting
from problems.algorithms import algorithm
from problems.base import Array
from problems.penalties import Box

Momentum = Callable[[int], Array]  # K -> b_0 .. b_{K-1}
ROUNDING = 1e-11  # relative errors below it may be rounding: slopes are fitted above


@dataclass(frozen=True)
class Linear:
    """A (K, n, n), B (K, n, p), c (K, n) and d (K, p) at K points."""

    a: Array
    b: Array
    c: Array
    d: Array

    def at(self, k: int) -> Linear:
        return Linear(self.a[k], self.b[k], self.c[k], self.d[k])


def plain(count: int) -> Array:
    """No momentum."""
    return np.zeros(count)


def fista(count: int) -> Array:
    """b_k = (t_k - 1) / t_{k+1} of Beck and Teboulle (2009), (count,)."""
    t, found = 1.0, []
    for _ in range(count):
        t, before = (1 + math.sqrt(1 + 4 * t * t)) / 2, t
        found.append((before - 1) / t)
    return np.array(found)


def constant(ratio: float) -> Momentum:
    """(1 - sqrt(ratio)) / (1 + sqrt(ratio)), ratio = mu / L: Nesterov (2004), (2.2.22)."""
    root = math.sqrt(ratio)
    return lambda count: np.full(count, (1 - root) / (1 + root))


class Pass:
    """K iterations of `scheme` (a map of one array and constants: ista, bpg) on the instance, with momentum.

    v (K + 1, n) from the start on; x (K + 1, ...); error of a gradient against the reference, of x against x*.
    """

    def __init__(self, problem: Problem, count: int, momentum: Momentum = plain, scheme: str = "ista") -> None:
        assert isinstance(problem, Splitting)
        self.problem, self.count, self.momentum = problem, count, momentum(count)
        self.scheme = algorithm(scheme, problem)
        self._start = self.scheme.init(problem.theta)
        reference = problem.reference()
        assert reference.grad is not None, reference.reason
        self.truth, self.solution = reference.grad.ravel(), np.asarray(reference.solution)
        self.v, self._ahead = self._run()

    def _run(self) -> tuple[Array, Array]:
        theta, shared = self.problem.theta, self.scheme.shared(self._start, self.problem.theta)
        v = ahead = self._start[0]
        vs, aheads = [v], []
        for b in self.momentum:
            aheads.append(ahead)
            new = self.scheme.step((ahead, *self._start[1:]), theta, shared)[0]
            v, ahead = new, new + b * (new - v)
            vs.append(v)
        return np.stack(vs), np.stack(aheads)

    @cached_property
    def optimum(self) -> Array:
        """v*, in NumPy."""
        solve = self.scheme.form.solve or self.problem.solve
        return solve(self.problem.theta)

    @cached_property
    def x(self) -> Array:
        """The primal iterates, (K + 1, n)."""
        theta = self.problem.theta
        shared = self.scheme.shared(self._start, theta)
        return np.stack([self.scheme.read((v, *self._start[1:]), theta, shared) for v in self.v])

    def linear(self, points: Array) -> Linear:
        """The map and the read-out linearised at points (K, n), by JAX, in blocks of equal size."""
        import jax

        framework, shape = FRAMEWORKS["jax"], self.problem.theta.shape
        with framework.active():
            start = framework.array(self._start)

            def step(v: Any, theta: Any) -> Any:
                t = theta.reshape(shape)
                return self.scheme.step((v, *start[1:]), t, self.scheme.shared(start, t))[0]

            def loss(v: Any, theta: Any) -> Any:
                t = theta.reshape(shape)
                return self.problem.loss(self.scheme.read((v, *start[1:]), t, self.scheme.shared(start, t)), t)

            def everything(v: Any, theta: Any) -> Any:
                return *jax.jacfwd(step, argnums=(0, 1))(v, theta), *jax.grad(loss, argnums=(0, 1))(v, theta)

            found = jax.jit(jax.vmap(everything, (0, None)))(points, self.problem.theta.ravel())
            return Linear(*map(np.asarray, found))

    @cached_property
    def settled(self) -> int:
        """The first k from which on v_k has the signs, zeros and entries at a bound of v*; 0: from the start."""
        same = (self._pattern(self.v) == self._pattern(self.optimum)).all(axis=1)
        wrong = np.flatnonzero(~same)
        if wrong.size and wrong[-1] == self.count:
            raise ValueError(f"the pattern does not settle within {self.count} iterations")
        return int(wrong[-1]) + 1 if wrong.size else 0

    def _pattern(self, v: Array) -> Array:
        term = self.scheme.form.terms[0]
        if isinstance(term.penalty, Box):
            return np.where(np.abs(v) >= term.weight(self.problem.theta) * (1 - 1e-13), np.sign(v), 0.0)
        return np.sign(v)

    # Errors of the gradient, relative

    def unrolled(self) -> Array:
        """After k = 1 .. K iterations differentiated through."""
        if not self.momentum.any():
            parts = self.linear(self.v)
            jacobians = _recursion(parts.a, parts.b, self.momentum)
        else:
            ahead = self.linear(self._ahead)
            parts, jacobians = self.linear(self.v), _recursion(ahead.a, ahead.b, self.momentum)
        return self.errors(np.einsum("knp,kn->kp", jacobians, parts.c[1:]) + parts.d[1:])

    def at_optimum(self) -> Array:
        """k = 1 .. K terms at v*."""
        best = self._at_optimum
        return self.errors(
            _recursion(_repeat(best.a, self.count), _repeat(best.b, self.count), self.momentum).mT @ best.c + best.d
        )

    def fixed_point(self, counts: Array) -> Array:
        """k iterations, then k terms at v_k, for k of `counts`."""
        parts = self.linear(self.v[counts])
        rows = []
        for i, k in enumerate(counts):
            here = parts.at(i)
            rows.append(_last(here, self.momentum[:k]).T @ here.c + here.d)
        return self.errors(np.stack(rows))

    def implicit(self, counts: Array) -> Array:
        """k iterations, then the linear system at v_k solved exactly, for k of `counts`."""
        parts = self.linear(self.v[counts])
        adjoints = np.linalg.solve(np.eye(parts.a.shape[1]) - parts.a.mT, parts.c[..., None])
        return self.errors((parts.b.mT @ adjoints)[..., 0] + parts.d)

    def held(self) -> Array:
        """The gradient with v_k held fixed, right for a value function alone, k = 1 .. K."""
        return self.errors(self.linear(self.v[1:]).d)

    def of_x(self) -> Array:
        """|x_k - x*| / |x*|, k = 1 .. K."""
        return np.asarray(np.linalg.norm(self.x[1:] - self.solution, axis=-1) / np.linalg.norm(self.solution))

    def errors(self, grads: Array) -> Array:
        """|g - G| / |G| for gradients (K, p)."""
        return np.asarray(np.linalg.norm(grads - self.truth, axis=1) / np.linalg.norm(self.truth))

    # What theory says of the instance

    @cached_property
    def _at_optimum(self) -> Linear:
        return self.linear(self.optimum[None]).at(0)

    @cached_property
    def radius(self) -> float:
        """Spectral radius of the linearised iteration with the last momentum, on the directions that B and c reach."""
        a, b = self._at_optimum.a, float(self.momentum[-1])
        values = np.linalg.eigvals(a)
        roots = np.sqrt((values * (1 + b)) ** 2 / 4 - b * values + 0j)
        return float(max(np.abs(values * (1 + b) / 2 + sign * roots).max() for sign in (1, -1)))

    @property
    def ratio(self) -> float:
        """mu / L of f."""
        smooth, theta = self.scheme.form.smooth, self.problem.theta
        return smooth.convexity(theta) / smooth.lipschitz(theta)


def _recursion(a: Array, b: Array, momentum: Array) -> Array:
    """D_1 .. D_K, (K, n, p)."""
    d = e = np.zeros(b.shape[1:])
    found = np.empty((len(momentum), *b.shape[1:]))
    for k, beta in enumerate(momentum):
        new = a[k] @ e + b[k]
        e = new + beta * (new - d)
        found[k] = d = new
    return found


def _last(here: Linear, momentum: Array) -> Array:
    """D_K of the recursion with one A and one B."""
    d = e = np.zeros(here.b.shape)
    for beta in momentum:
        new = here.a @ e + here.b
        d, e = new, new + beta * (new - d)
    return d


def _repeat(a: Array, count: int) -> Array:
    return np.broadcast_to(a, (count, *a.shape))


def steps(count: int, points: int, logarithmic: bool) -> Array:
    """At most `points` different iterations from 1 to count."""
    spaced = np.geomspace(1, count, points) if logarithmic else np.linspace(1, count, points)
    return np.unique(np.round(spaced).astype(int))


def falling(k: Array, error: Array, top: float = 1e-2, bottom: float = ROUNDING) -> tuple[float, float]:
    """The range of k in which the error falls from `top` to `bottom` (to its end, where it never gets there)."""
    above, below = np.flatnonzero(error > top), np.flatnonzero(error < bottom)
    first = above[-1] + 1 if above.size else 0
    last = below[0] - 1 if below.size else len(k) - 1
    return float(k[min(first, len(k) - 1)]), float(k[max(last, 0)])
