"""The JAX layer under the transforms of JAX: a table of those that are served exactly, and of those that are refused."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from _exact import relative
from _layers import (
    ALL,
    COUNT,
    FIRST,
    ONE,
    SUBSETS,
    TOLERANCE,
    VARIED,
    Index,
    N,
    Row,
    axes,
    each_dtype,
    gradients,
    inputs,
    jacobians,
    member,
    of_each,
    of_pairs,
    of_sum,
    problem,
    pushed,
    solution,
    stacked,
    tangents,
    value,
)
from jax.sharding import PartitionSpec

from methods import layers
from methods.layers import analysis_l1


def half_square(x: Any, target: Any) -> Any:
    return ((x - target) ** 2).sum() / 2


def loss(w: Any, y: Any, beta: Any, target: Any) -> Any:
    return half_square(analysis_l1(w, y, beta), target)


def slopes(*values: Any) -> Any:
    return jax.grad(loss, ALL)(*values)


def arrays(dtype: Any, index: Index = ONE) -> list[Any]:
    return [jnp.asarray(a) for a in inputs(dtype, index)]


def stacks(dtype: Any, varied: str) -> list[Any]:
    return [jnp.asarray(a) for a in stacked(dtype, varied)]


def directions(dtype: Any, which: Index = (1, 1, 1)) -> tuple[Any, ...]:
    return tuple(jnp.asarray(t, dtype) * flag for t, flag in zip(tangents(), which, strict=True))


def of_loss(dtype: Any, transform: Callable[..., Any]) -> Any:
    return transform(loss, ALL)(*arrays(dtype))


def of_layer(dtype: Any, transform: Callable[..., Any]) -> Any:
    return transform(analysis_l1, ALL)(*arrays(dtype)[:3])


def wrapped(dtype: Any, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Any:
    """The slopes of the loss as a function that something is put around."""
    return wrap(slopes)(*arrays(dtype))


def slopes_of_wrapped(dtype: Any, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Any:
    """The slopes of the loss where something is put around the solution."""
    *free, target = arrays(dtype)
    solved = wrap(analysis_l1)
    return jax.grad(lambda *free: half_square(solved(*free), target), ALL)(*free)


# Reverse and forward mode


def pulled_back(dtype: Any) -> list[Any]:
    *free, target = arrays(dtype)
    x, pull = jax.vjp(analysis_l1, *free)
    return [x, pull(x - target)]


def pushed_forward(dtype: Any, which: Index = (1, 1, 1), wrap: Callable[..., Any] = lambda f: f) -> Any:
    return jax.jvp(wrap(analysis_l1), tuple(arrays(dtype)[:3]), directions(dtype, which))


def of_constants(dtype: Any, which: Index) -> Any:
    """jvp where what is not flagged is a constant, and not an argument without slope."""
    free, along = arrays(dtype)[:3], directions(dtype)
    at = [i for i, flag in enumerate(which) if flag]

    def f(*moved: Any) -> Any:
        values = dict(zip(at, moved, strict=True))
        return analysis_l1(*(values.get(i, free[i]) for i in ALL))

    return jax.jvp(f, tuple(free[i] for i in at), tuple(along[i] for i in at))


def linearised(dtype: Any) -> list[Any]:
    x, push = jax.linearize(analysis_l1, *arrays(dtype)[:3])
    return [x, push(*directions(dtype)), jax.jit(push)(*directions(dtype, (0, 0, 1)))]


def transposed(dtype: Any) -> Any:
    """The cotangents by the transpose of the linearised map."""
    *free, target = arrays(dtype)
    x, push = jax.linearize(analysis_l1, *free)
    return jax.linear_transpose(push, *free)(x - target)


# vmap


def mapped(dtype: Any, varied: str, transform: Callable[..., Any] = lambda f: f) -> Any:
    return jax.jit(jax.vmap(transform(analysis_l1), axes(varied)[:3]))(*stacks(dtype, varied)[:3])


def mapped_elsewhere(dtype: Any) -> Any:
    """The axes of W, y and of the result are the last, and that of beta is -1."""
    w, y, beta, _ = stacks(dtype, "all")
    return jax.vmap(analysis_l1, (2, 1, -1), 1)(jnp.moveaxis(w, 0, 2), y.T, beta).T


def mapped_twice(dtype: Any) -> Any:
    """Over W outside, over y inside."""
    (w, *_), (_, y, beta, _) = stacks(dtype, "W"), stacks(dtype, "y")
    return jax.vmap(jax.vmap(analysis_l1, (None, 0, None)), (0, None, None))(w, y, beta)


def pushed_through_map(dtype: Any) -> Any:
    along = [jnp.broadcast_to(t, (COUNT, *t.shape)) for t in directions(dtype)]
    return jax.jvp(jax.vmap(analysis_l1), tuple(stacks(dtype, "all")[:3]), tuple(along))


def slopes_of_each(dtype: Any, varied: str) -> Any:
    return jax.jit(jax.vmap(slopes, axes(varied)))(*stacks(dtype, varied))


def slopes_of_sum(dtype: Any, varied: str) -> Any:
    every = jax.vmap(loss, axes(varied))
    return jax.jit(jax.grad(lambda *values: every(*values).sum(), ALL))(*stacks(dtype, varied))


def jacobian_in_w(index: Index) -> Any:
    return jacobians(index)[0]


# Control flow and devices


def trained(dtype: Any) -> Any:
    """Three steps of gradient descent in beta inside lax.scan, from the first of which all slopes are kept."""
    *free, target = arrays(dtype)

    def step(at: Any, _: Any) -> Any:
        found = slopes(*at, target)
        return (*at[:2], at[2] - 1e-3 * found[2]), found

    _, kept = jax.jit(lambda at: jax.lax.scan(step, at, length=3))(tuple(free))
    return [a[0] for a in kept]


def through_a_scan(dtype: Any) -> Any:
    """The slopes of the sum of the losses that lax.scan takes one after the other."""
    w, y, beta, target = stacks(dtype, "y")

    def value(w: Any, y: Any, beta: Any) -> Any:
        return jax.lax.scan(
            lambda sofar, one: (sofar + loss(w, one[0], beta, one[1]), None), jnp.zeros((), dtype), (y, target)
        )[0]

    return jax.jit(jax.grad(value, ALL))(w, y, beta)


def either(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *free: jax.lax.cond(free[2] > 0, f, lambda w, y, beta: y, *free)


def one_after_the_other(dtype: Any) -> Any:
    w, _, beta, _ = arrays(dtype)
    _, y, _, target = stacks(dtype, "y")
    return jax.jit(lambda w, beta: jax.lax.map(lambda one: slopes(w, one[0], beta, one[1]), (y, target)))(w, beta)


def until_done(dtype: Any) -> Any:
    """The solution, counted up to by a loop whose length is not known before."""
    w, y, beta, _ = arrays(dtype)
    start = (0, jnp.zeros_like(y))
    return jax.jit(lambda: jax.lax.while_loop(lambda at: at[0] < 2, lambda at: (at[0] + 1, analysis_l1(w, y, beta)), start))()[
        1
    ]


def on_one_device(dtype: Any) -> Any:
    found = jax.pmap(slopes, in_axes=(None, 0, None, 0))(*(a[None] if a.ndim == 1 else a for a in arrays(dtype)))
    return [a[0] for a in found]


def in_shards(dtype: Any) -> Any:
    w, y, beta, target = stacks(dtype, "y")
    mesh = jax.make_mesh((1,), ("i",), axis_types=(jax.sharding.AxisType.Auto,))
    whole, parts = PartitionSpec(), PartitionSpec("i")

    def summed(*values: Any) -> Any:
        in_w, in_y, in_beta = jax.grad(lambda *at: jax.vmap(loss, axes("y"))(*at).sum(), ALL)(*values)
        return jax.lax.psum(in_w, "i"), in_y, jax.lax.psum(in_beta, "i")

    specs = {"in_specs": (whole, parts, whole, parts), "out_specs": (whole, parts, whole)}
    # check_vma: JAX's bookkeeping of what varies over a mesh knows no foreign calls.
    return jax.jit(jax.shard_map(summed, mesh=mesh, check_vma=False, **specs))(w, y, beta, target)


# Compilation


def donated(dtype: Any) -> Any:
    return jax.jit(analysis_l1, donate_argnums=1)(*arrays(dtype)[:3])  # x* takes the memory of y


def compiled_ahead(dtype: Any) -> Any:
    values = arrays(dtype)
    return jax.jit(slopes).lower(*values).compile()(*values)


def compiled_sizes(dtype: Any) -> list[Any]:
    w, y, beta, _ = stacks(dtype, "y")
    f = jax.jit(analysis_l1)
    return [f(w, y[:size], beta) for size in (2, 3, 2)]


def of_sizes() -> list[Any]:
    (x,) = of_each("y", solution)
    return [x[:size] for size in (2, 3, 2)]


def not_compiled(dtype: Any) -> Any:
    with jax.disable_jit():
        return slopes(*arrays(dtype))


def exported(dtype: Any, carry: Callable[[Any], Any] = lambda program: program) -> list[Any]:
    values = arrays(dtype)
    allowed = [jax.export.DisabledSafetyCheck.custom_call(name) for name in layers.EXPORTED]
    found = [jax.export.export(jax.jit(f), disabled_checks=allowed)(*values) for f in (loss, slopes)]
    return [carry(program).call(*values) for program in found]


def serialised(program: Any) -> Any:
    return jax.export.deserialize(program.serialize())


def slopes_of_exported(dtype: Any) -> Any:
    """jax.grad of a program read back, which holds its own derivative."""
    values = arrays(dtype)
    allowed = [jax.export.DisabledSafetyCheck.custom_call(name) for name in layers.EXPORTED]
    kept = jax.export.export(jax.jit(loss), disabled_checks=allowed)(*values).serialize(vjp_order=1)
    return jax.grad(jax.export.deserialize(kept).call, ALL)(*values)


# Second derivatives


def grad_of_grad(dtype: Any, argnum: int) -> Any:
    return jax.grad(lambda *values: jax.grad(loss, argnum)(*values).sum(), argnum)(*arrays(dtype))


def derived_twice(dtype: Any, transforms: tuple[Callable[..., Any], ...], argnum: int) -> Any:
    f = loss
    for transform in transforms:
        f = transform(f, argnum)
    return jax.jit(f)(*arrays(dtype))


def in_each_mode(argnum: int) -> list[Row]:
    modes = {"jacrev": jax.jacrev, "jacfwd": jax.jacfwd}
    return [
        Row(
            f"{b} of {a}, argument {argnum}",
            partial(derived_twice, transforms=(modes[a], modes[b]), argnum=argnum),
            refused=FIRST,
        )
        for a, b in product(modes, repeat=2)
    ]


TABLE = (
    Row("grad", partial(of_loss, transform=jax.grad), gradients),
    Row("value_and_grad", partial(of_loss, transform=jax.value_and_grad), lambda: [value(), gradients()]),
    Row("vjp", pulled_back, lambda: [solution(), gradients()]),
    Row("jvp", pushed_forward, lambda: [solution(), pushed()]),
    *(Row(f"jvp of {w}", partial(of_constants, which=w), lambda w=w: [solution(), pushed(which=w)]) for w in SUBSETS),
    Row("jvp of jit", partial(pushed_forward, wrap=jax.jit), lambda: [solution(), pushed()]),
    Row("jvp of remat", partial(pushed_forward, wrap=jax.checkpoint), lambda: [solution(), pushed()]),
    Row("linearize", linearised, lambda: [solution(), pushed(), pushed(which=(0, 0, 1))]),
    Row("linear_transpose", transposed, gradients),
    Row("jacrev", partial(of_layer, transform=jax.jacrev), jacobians),
    Row("jacfwd", partial(of_layer, transform=jax.jacfwd), jacobians),
    Row("jit", partial(wrapped, wrap=jax.jit), gradients),
    Row("grad of jit", partial(slopes_of_wrapped, wrap=jax.jit), gradients),
    Row("grad of remat", partial(slopes_of_wrapped, wrap=jax.checkpoint), gradients),
    Row("jit of grad of remat", partial(wrapped, wrap=lambda _: jax.jit(jax.grad(jax.checkpoint(loss), ALL))), gradients),
    Row("disable_jit", not_compiled, gradients),
    Row("donated arguments", donated, solution),
    Row("lower and compile", compiled_ahead, gradients),
    Row("jit of two sizes", compiled_sizes, of_sizes),
    *(Row(f"vmap over {v}", partial(mapped, varied=v), partial(of_each, v, solution)) for v in VARIED),
    Row("vmap with in_axes and out_axes", mapped_elsewhere, partial(of_each, "all", solution)),
    Row("jvp of vmap", pushed_through_map, lambda: [of_each("all", solution), of_each("all", pushed)]),
    Row("vmap of vmap", mapped_twice, of_pairs),
    *(Row(f"vmap of grad over {v}", partial(slopes_of_each, varied=v), partial(of_each, v, gradients)) for v in VARIED),
    *(Row(f"grad of vmap over {v}", partial(slopes_of_sum, varied=v), partial(of_sum, v)) for v in VARIED),
    *(
        Row(f"vmap of {f.__name__} over {v}", partial(mapped, varied=v, transform=f), partial(of_each, v, jacobian_in_w))
        for f, v in product((jax.jacrev, jax.jacfwd), ("y", "all"))
    ),
    Row("scan of grad", trained, gradients),
    Row("grad of scan", through_a_scan, partial(of_sum, "y")),
    Row("grad of cond", partial(slopes_of_wrapped, wrap=either), gradients),
    Row("lax.map of grad", one_after_the_other, partial(of_each, "y", gradients)),
    Row("while_loop", until_done, solution),
    Row("pmap on one device", on_one_device, gradients),
    Row("shard_map on one device", in_shards, partial(of_sum, "y")),
    Row("export", exported, lambda: [value(), gradients()]),
    Row("export, serialise, deserialise", partial(exported, carry=serialised), lambda: [value(), gradients()]),
    Row("grad of a deserialised export", slopes_of_exported, gradients),
    *(Row(f"grad of grad, argument {i}", partial(grad_of_grad, argnum=i), refused=FIRST) for i in ALL),
    *(row for i in ALL for row in in_each_mode(i)),
    Row("hessian", partial(derived_twice, transforms=(jax.hessian,), argnum=0), refused=FIRST),
)


@each_dtype
@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_a_transform_gives_the_proven_derivative_or_is_refused(row: Row, dtype: Any) -> None:
    with jax.enable_x64(dtype == np.float64):
        row.check(dtype)


@each_dtype
def test_shapes_are_known_without_a_solution(dtype: Any) -> None:
    with jax.enable_x64(dtype == np.float64):
        shapes = jax.eval_shape(slopes, *arrays(dtype))
        x = jax.eval_shape(analysis_l1, *(jax.ShapeDtypeStruct(shape, dtype) for shape in ((4, 2, 5, N), (2, N), ())))
    assert [a.shape for a in shapes] == [problem().theta.shape, (N,), ()]
    assert x.shape == (4, 2, N) and {x.dtype, *(a.dtype for a in shapes)} == {np.dtype(dtype)}


@each_dtype
def test_threads_do_not_disturb_each_other(dtype: Any) -> None:
    indices = [member("W and y", i % COUNT) for i in range(60)]
    compiled = jax.jit(slopes)

    def found(index: Index) -> list[Any]:
        with jax.enable_x64(dtype == np.float64):  # a setting of each thread
            return [np.asarray(a) for a in compiled(*arrays(dtype, index))]

    serial = {index: found(index) for index in set(indices)}
    with ThreadPoolExecutor(4) as pool:
        for index, parallel in zip(indices, pool.map(found, indices), strict=True):
            for a, b, truth in zip(parallel, serial[index], gradients(index), strict=True):
                np.testing.assert_array_equal(a, b)
                assert relative(a, truth) < TOLERANCE[np.dtype(dtype)]
