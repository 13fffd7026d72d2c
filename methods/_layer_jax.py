"""x*(W, y) as a JAX function: the compiled exact solver behind a callback and custom_vjp, also under jit and vmap.

The callback is buffer_callback. pure_callback takes several times as long and copies its arguments on the threads of JAX,
where on a machine of one core none is left: from 100 KB on it waits for ever.

What the backward callback must know of the forward one's solution are the duals z and how they were found: k + 1 numbers a
signal, as bits, since JAX has no float64 where 64-bit types are off; one factorisation brings the rest back. vmap puts its
axes in front of every argument, of length 1 where the argument is not mapped; signals that share W and beta are solved as
one batch, whatever axes they lie on.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

from methods._layer import beta_slopes, check_shapes, check_values, outer_sum, warn_at_kink
from problems.base import Array

_WORD = np.uint32  # half of a float64 or int64


def solution(w: Any, y: Any, beta: Any) -> Any:
    """x*(W, y), shape of y, in the wider dtype of the two; differentiable once in W, y and beta."""
    import jax
    import jax.numpy as jnp

    w, y = jnp.asarray(w), jnp.asarray(y)
    check_shapes(w.shape, y.shape)
    for name, array in (("W", w), ("y", y)):
        if array.dtype not in (np.float32, np.float64):
            raise ValueError(f"{name} must be float32 or float64, got {array.dtype}; convert it first")
    if jnp.shape(beta) != ():
        raise ValueError(f"beta must be a number or an array of shape (), got shape {jnp.shape(beta)}")
    if not isinstance(beta, jax.Array) and not 0 < beta < np.inf:
        raise ValueError(f"beta must be a finite number > 0, got {beta:g}")
    dtype = jnp.promote_types(w.dtype, y.dtype)
    return _function()(w.astype(dtype), y.astype(dtype), jnp.asarray(beta, dtype))


@cache
def _function() -> Any:
    import jax
    from jax.experimental.buffer_callback import buffer_callback

    def call(host: Any, results: Any, *arguments: Any) -> Any:
        shapes = tuple(jax.ShapeDtypeStruct(*result) for result in results)
        return buffer_callback(host, shapes, vmap_method="expand_dims")(*arguments)

    def forward(w: Any, y: Any, beta: Any) -> Any:
        state = (len(y), 2 * len(w) + 2), _WORD
        x, state = call(_solve, [(y.shape, y.dtype), state], w, y, beta)
        return x, (w, y, beta, state)

    def backward(kept: Any, g: Any) -> Any:
        return call(_pull_back, [(a.shape, a.dtype) for a in kept[:3]], *kept, g)

    of_batch = jax.custom_vjp(lambda w, y, beta: forward(w, y, beta)[0])
    of_batch.defvjp(forward, backward)
    return jax.jit(lambda w, y, beta: of_batch(w, y, beta) if y.ndim == 2 else of_batch(w, y[None], beta)[0])


# On the host, where buffers live as long as the call. With the axes of vmap in front, those that are not mapped of length 1:
# W (..., k, n), y, x and g (..., batch, n), beta (...), state (..., batch, words).


def _solve(context: Any, out: Any, w: Any, y: Any, beta: Any) -> None:
    """Write (x*, state)."""
    from methods.blorc.batch import BatchSolver

    x, state = map(np.asarray, out)
    w, beta, (y,) = _broadcast(w, beta, y)
    for rows, number, part in _shared(w, beta):
        signals = _listed(y[part])
        check_values(rows, signals, number)
        found = BatchSolver(signals, number).solve(rows)
        x[part] = found.x.reshape(x[part].shape)
        bits = np.concatenate((found.z, found.status[:, None].view(np.float64)), axis=1).view(_WORD)
        state[part] = bits.reshape(state[part].shape)


def _pull_back(context: Any, out: Any, w: Any, y: Any, beta: Any, state: Any, g: Any) -> None:
    """Write (dL/dW, dL/dy, dL/dbeta): the sum over a batch is taken, that over the axes of vmap is not."""
    from methods.blorc.batch import BatchSolver

    in_w, in_y, in_beta = map(np.asarray, out)
    w, beta, (y, state, g) = _broadcast(w, beta, y, state, g)
    for rows, number, part in _shared(w, beta):
        bits = np.array(state[part], order="C").reshape(-1, state.shape[-1]).view(np.float64)
        z, status = np.ascontiguousarray(bits[:, :-1]), bits[:, -1].view(np.int64)
        found = BatchSolver(_listed(y[part]), number).restore(rows, z, status)
        found_h, found_v = found.adjoint(_listed(g[part]))
        warn_at_kink(found)  # not before: the adjoint may find out
        x, z, h, v = (a.reshape(*y[part].shape[:-1], -1) for a in (found.x, found.z, found_h, found_v))
        in_w[part], in_y[part] = outer_sum(z, v, h, x), v
        in_beta[part] = beta_slopes(rows, z, v, number).sum(axis=-1)


def _broadcast(w: Any, beta: Any, *signals: Any) -> tuple[Array, Array, list[Array]]:
    """W and beta with the axes over which either is mapped, and what belongs to signals with all mapped axes."""
    w, beta, signals = np.asarray(w), np.asarray(beta), tuple(map(np.asarray, signals))
    if not beta.ndim:  # no vmap: the rest would change nothing, and takes as long as a solution
        return w, beta, list(signals)
    shared = np.broadcast_shapes(w.shape[:-2], beta.shape)
    mapped = np.broadcast_shapes(shared, *(a.shape[:-2] for a in signals))
    w, beta = np.broadcast_to(w, shared + w.shape[-2:]), np.broadcast_to(beta, shared)
    return w, beta, [np.broadcast_to(a, mapped + a.shape[-2:]) for a in signals]


def _shared(w: Array, beta: Array) -> Iterator[tuple[Array, float, tuple[Any, ...]]]:
    """Every W with its beta, and the index of the signals that share them."""
    for one in np.ndindex(beta.shape):
        part = tuple(slice(None) if size == 1 else i for i, size in zip(one, beta.shape, strict=True))
        yield np.array(w[one], np.float64), float(beta[one]), part


def _listed(signals: Array) -> Array:
    """(..., n) as a (batch, n) array of its own."""
    return np.array(signals, np.float64, order="C").reshape(-1, signals.shape[-1])
