"""x*(W, y) in JAX: primitives whose code in a compiled program is the kernel itself, with rules for what JAX does to them.

`solve` is differentiated to `push`, a linear map of directions, whose transpose is `pull`; neither has a derivative of its own.
Arrays are shaped as in methods/layers/axes.py. The duals are words of 32 bits, since JAX has no float64 where 64-bit types are
off; they are all that a derivative needs of the solution, whose factors are then computed again.
"""

from __future__ import annotations

import atexit
import ctypes
import math
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from methods.blorc import kernels
from methods.layers.axes import GROUP, OPERATOR, SIGNAL, Axis
from methods.layers.inputs import ONCE, check_beta, check_shapes, described, remedy
from methods.layers.kernels import KERNELS
from methods.layers.open_signals import routes

SOLVE, PULL, PUSH = Primitive("dargmin_solve"), Primitive("dargmin_pull"), Primitive("dargmin_push")
WORD = np.uint32
SLOPES = (GROUP, SIGNAL, GROUP)  # in W, y and beta
INPUTS = (OPERATOR, SIGNAL, OPERATOR)


def solution(w: Any, y: Any, beta: Any) -> jax.Array:
    """x*(W, y) as analysis_l1 has it."""
    w, y = _array("W", w), _array("y", y)
    if isinstance(beta, jax.Array | np.ndarray):
        beta = _array("beta", beta)
    dtype = jnp.promote_types(w.dtype, y.dtype)
    if not isinstance(beta, jax.Array):
        check_beta(beta, dtype.name)
    beta = jnp.asarray(beta, dtype)
    check_shapes(w.shape, y.shape, beta.shape)
    return _solution(w.astype(dtype), y.astype(dtype), beta)


def _array(name: str, a: Any) -> jax.Array:
    """TypeError or ValueError in one sentence where it is no array that is taken."""
    known = isinstance(a, jax.Array | np.ndarray | np.generic | list | tuple)
    if not known or isinstance(a, np.ma.MaskedArray):
        raise TypeError(f"{name} must be an array, got {described(a)}; {remedy(a, 'jnp.asarray', 'jnp.asarray')}")
    if not isinstance(a, jax.Array) and any(np.asarray(leaf).dtype.kind in "OUS" for leaf in _constants(a)):
        raise TypeError(f"{name} must be an array of numbers, got {described(a)} with others; convert it first")
    try:
        array = jnp.asarray(a)
    except ValueError:
        raise ValueError(
            f"{name} must be an array, got {described(a)} whose parts have other shapes; convert it first"
        ) from None
    if array.dtype not in (np.float32, np.float64):
        raise ValueError(f"{name} must be float32 or float64, got {array.dtype}; convert it first")
    return array


def _constants(a: Any) -> list[Any]:
    return [leaf for leaf in jax.tree.leaves(a) if not isinstance(leaf, jax.core.Tracer)]


@jax.jit
def _solution(w: jax.Array, y: jax.Array, beta: jax.Array) -> jax.Array:
    register()
    (k, n), lead = w.shape[-2:], check_shapes(w.shape, y.shape, beta.shape)
    count = math.prod(lead)
    if w.ndim == 2 and beta.size == 1:
        arranged = w[None], y.reshape(1, count, n), beta.reshape(1)
    else:
        beta = beta.reshape(()) if beta.size == 1 else beta
        w, y, beta = jnp.broadcast_to(w, (*lead, k, n)), jnp.broadcast_to(y, (*lead, n)), jnp.broadcast_to(beta, lead)
        arranged = w.reshape(count, k, n), y.reshape(count, 1, n), beta.reshape(count)
    return SOLVE.bind(*arranged)[0].reshape(*lead, n)


@cache
def register() -> None:
    """Make the kernel known to XLA, for a program in which it stands."""
    core, pointer = kernels.KERNELS, partial(KERNELS.ffi.cast, "void *")
    functions = (core.ffi.addressof(core.lib, f"layer_{name}") for name in ("solve", "pull", "push"))
    KERNELS.lib.xla_connect(*(pointer(int(core.ffi.cast("uintptr_t", f))) for f in (*functions, *routes())))
    for name in ("solve", "pull", "push"):
        address = int(KERNELS.ffi.cast("uintptr_t", KERNELS.ffi.addressof(KERNELS.lib, f"xla_{name}")))
        jax.ffi.register_ffi_target(f"dargmin_{name}", jax.ffi.pycapsule(ctypes.c_void_p(address)), platform="cpu")
    atexit.register(KERNELS.lib.xla_end)  # else a call that still runs would wait for an interpreter that is gone


def _shape_solve(w: Any, y: Any, beta: Any) -> list[ShapedArray]:
    return [ShapedArray(y.shape, y.dtype), ShapedArray((*y.shape[:2], 2 * (w.shape[1] + 1)), WORD)]


def _shape_pull(w: Any, y: Any, beta: Any, duals: Any, g: Any, given: int) -> list[ShapedArray]:
    groups = y.shape[:2]
    return [ShapedArray(shape, y.dtype) for shape in _picked(given, [(*groups, *w.shape[1:]), y.shape, groups])]


def _shape_push(w: Any, y: Any, *_: Any, given: int) -> list[ShapedArray]:
    return [ShapedArray(y.shape, y.dtype)]


def _picked(given: int, three: Sequence[Any]) -> list[Any]:
    """Those in W (1), y (2) and beta (4) that are there."""
    return [each for i, each in enumerate(three) if given >> i & 1]


# Derivatives: that of x* along the tangents that are not 0, and the transpose of this map


def _differentiate_solve(primals: Any, tangents: Any) -> tuple[Any, Any]:
    x, duals = SOLVE.bind(*primals)
    none = ad.Zero(ShapedArray(duals.shape, jax.dtypes.float0))
    there = [type(tangent) is not ad.Zero for tangent in tangents]
    given = sum(is_there << i for i, is_there in enumerate(there))
    if not given:
        return [x, duals], [ad.Zero(ShapedArray(x.shape, x.dtype)), none]
    w, y, beta = primals
    directions = (tangent[:, None] for tangent in _picked(given, tangents))
    (dx,) = PUSH.bind(w, y[:, None], beta, duals[:, None], *directions, given=given)  # its signals are one group
    return [x, duals], [dx[:, 0], none]


def _transpose_push(cotangents: Any, *operands: Any, given: int) -> list[Any]:
    constants, directions = operands[:4], operands[4:]
    unknown = [ad.is_undefined_primal(direction) for direction in directions]
    (g,) = cotangents
    if type(g) is ad.Zero:
        return [None] * 4 + [ad.Zero(d.aval) if is_unknown else None for d, is_unknown in zip(directions, unknown, strict=True)]
    asked = sum(flag << i for flag, i in zip(unknown, _picked(given, range(3)), strict=True))
    slopes = iter(PULL.bind(*constants, g, given=asked))
    return [None] * 4 + [next(slopes) if is_unknown else None for is_unknown in unknown]


def _refuse(*_: Any, **__: Any) -> None:
    raise TypeError(ONCE)


# An axis of vmap


def _map(primitive: Primitive, kinds_of: Callable[..., Sequence[str]], arrays: Any, dims: Any, **params: Any) -> Any:
    kinds = kinds_of(**params)
    size = next(a.shape[dim] for a, dim in zip(arrays, dims, strict=True) if dim is not None)
    axis = Axis.of(jnp, size, kinds, dims)
    results = axis.unfold(primitive.bind(*axis.fold(kinds, arrays, dims), **params))
    return results, [axis.place] * len(results)


@cache
def _compiled(primitive: Primitive, given: int | None) -> Callable[..., Any]:
    """The primitive by itself, where no jit is around it."""
    return jax.jit(partial(primitive.bind, **({} if given is None else {"given": given})))


def _run(primitive: Primitive, *arrays: Any, given: int | None = None) -> Any:
    with jax.disable_jit(False):
        return _compiled(primitive, given)(*arrays)


def _lower(name: str, context: Any, *operands: Any, given: int = 0) -> Any:
    return jax.ffi.ffi_lowering(name)(context, *operands, given=np.int64(given))


def _refuse_device(context: Any, *_: Any, **__: Any) -> None:
    raise NotImplementedError("analysis_l1 runs on the CPU alone: put the call under jax.default_device(jax.devices('cpu')[0])")


for primitive, shapes, kinds in (
    (SOLVE, _shape_solve, lambda: INPUTS),
    (PULL, _shape_pull, lambda given: (*INPUTS, SIGNAL, SIGNAL)),
    (PUSH, _shape_push, lambda given: (*INPUTS, SIGNAL, *_picked(given, SLOPES))),
):
    primitive.multiple_results = True
    primitive.def_abstract_eval(shapes)
    primitive.def_impl(partial(_run, primitive))
    batching.primitive_batchers[primitive] = partial(_map, primitive, kinds)
    mlir.register_lowering(primitive, partial(_lower, primitive.name), platform="cpu")
    mlir.register_lowering(primitive, _refuse_device)
ad.primitive_jvps[SOLVE] = _differentiate_solve
ad.primitive_jvps[PUSH] = ad.primitive_jvps[PULL] = _refuse
ad.primitive_transposes[PUSH] = _transpose_push
