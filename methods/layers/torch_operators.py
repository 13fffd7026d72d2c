"""The functions of methods/blorc/kernels/layer.h on tensors, and as operators of torch's dispatcher.

Tensors are float64 and shaped as in methods/layers/axes.py. `duals` hold z and the status of each signal and say all about its
solution. `work` keeps the factors of one operator; it is empty where they are to be computed again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import torch
from array_api_compat import torch as xp
from torch import Tensor

from methods.blorc.kernels import KERNELS
from methods.layers.axes import GROUP, OPERATOR, SIGNAL, Axis
from methods.layers.open_signals import raise_it, routes

IN_C = "the kernel is C"
OPERATORS = torch.ops.dargmin
LIBRARY = torch.library.Library("dargmin", "DEF")
LIBRARY.define("solve(Tensor w, Tensor y, Tensor beta) -> (Tensor x, Tensor duals, Tensor work)")
LIBRARY.define(
    "pull(Tensor w, Tensor y, Tensor beta, Tensor duals, Tensor work, Tensor g, bool of_w, bool of_y, bool of_beta)"
    " -> (Tensor in_w, Tensor in_y, Tensor in_beta)"
)
LIBRARY.define("push(Tensor w, Tensor y, Tensor beta, Tensor duals, Tensor? dw, Tensor? dy, Tensor? dbeta) -> Tensor")


@torch.compiler.disable(reason=IN_C)
def solve(w: Tensor, y: Tensor, beta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(x*, duals, work)."""
    if not _in_memory(w, y, beta):
        return OPERATORS.solve(w, y, beta)
    (m, k, n), count = w.shape, y.shape[1]
    work = w.new_empty(KERNELS.lib.layer_room(k, n, count) if m == 1 else 0)
    x, duals = _room(w, y)
    _run("solve", w, y, beta, work, x, duals)
    return x, duals, work


@torch.compiler.disable(reason=IN_C)
def pull(
    w: Tensor, y: Tensor, beta: Tensor, duals: Tensor, work: Tensor, g: Tensor, of_w: bool, of_y: bool, of_beta: bool
) -> tuple[Tensor | None, ...]:
    """The slopes in W, y and beta from g = dL/dx*; None, or empty, where they are not asked for."""
    if not _in_memory(w, y, beta, duals, g):
        return OPERATORS.pull(w, y, beta, duals, work, g, of_w, of_y, of_beta)
    slopes = _slopes(w, y, of_w, of_y, of_beta)
    _run("pull", w, y, beta, work, duals, g, *slopes)
    return slopes


@torch.compiler.disable(reason=IN_C)
def push(w: Tensor, y: Tensor, beta: Tensor, duals: Tensor, *along: Tensor | None) -> Tensor:
    """dx* along a direction in W, y and beta, of which None is 0."""
    if not _in_memory(w, y, beta, duals, *(a for a in along if a is not None)):
        return OPERATORS.push(w, y, beta, duals, *along)
    dx = y.new_empty(y.shape)
    _run("push", w, y, beta, duals, *along, dx)
    return dx


def _in_memory(*tensors: Tensor) -> bool:
    """Whether they have memory of their own: where torch has another tensor stand for many or for none, it raises."""
    try:
        for a in tensors:
            a.data_ptr()
    except RuntimeError:
        return False
    return True


def _room(w: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Memory for x* and the duals."""
    return y.new_empty(y.shape), y.new_empty((*y.shape[:2], w.shape[1] + 1))


def _slopes(w: Tensor, y: Tensor, of_w: bool, of_y: bool, of_beta: bool) -> tuple[Tensor | None, ...]:
    groups = y.shape[:2]
    return (
        y.new_empty((*groups, *w.shape[1:])) if of_w else None,
        y.new_empty(y.shape) if of_y else None,
        y.new_empty(groups) if of_beta else None,
    )


def _filled(slopes: tuple[Tensor | None, ...], like: Tensor) -> tuple[Tensor, ...]:
    """An operator has tensors alone: an empty one for None."""
    return tuple(like.new_empty(0) if slope is None else slope for slope in slopes)


def _run(name: str, w: Tensor, y: Tensor, beta: Tensor, *arrays: Tensor | None) -> None:
    """The function of layer.h; a null pointer for None and for what is empty."""
    ffi, lib, double, functions = _library()
    held, at = [], []
    for a in (w, y, beta, *arrays):
        if a is not None and (a.is_neg() or not a.is_contiguous()):
            a = a.resolve_neg().contiguous()
            held.append(a)
        at.append(ffi.NULL if a is None else ffi.cast(double, a.data_ptr()))
    (m, k, n), groups = w.shape, y.shape[1] if y.ndim == 4 else 1
    layer = ffi.new("layer *", (m, groups, y.shape[-2], k, n, *at[:3]))
    said = ffi.new("char[]", lib.SAID)
    if functions[name](layer, routes()[name != "solve"], *at[3:], said):
        raise_it(said)


@cache
def _library() -> tuple[Any, Any, Any, dict[str, Any]]:
    ffi, lib = KERNELS.ffi, KERNELS.lib
    functions = {name: getattr(lib, f"layer_{name}") for name in ("solve", "pull", "push")}
    return ffi, lib, ffi.typeof("double *"), functions


# Rules for an axis of vmap, with what is to be applied to tensors that do not have it.

_INPUTS = (OPERATOR, SIGNAL, OPERATOR)


def map_solve(apply: Callable[..., Any], info: Any, dims: Any, w: Tensor, y: Tensor, beta: Tensor) -> tuple[Any, Any]:
    axis = Axis.of(xp, info.batch_size, _INPUTS, dims)
    x, duals, _ = apply(*axis.fold(_INPUTS, (w, y, beta), dims))
    return (*axis.unfold((x, duals)), x.new_empty(0)), (axis.place, axis.place, None)


def map_pull(
    apply: Callable[..., Any],
    info: Any,
    dims: Any,
    w: Tensor,
    y: Tensor,
    beta: Tensor,
    duals: Tensor,
    work: Tensor,
    g: Tensor,
    *needed: bool,
) -> tuple[Any, Any]:
    kinds, dims = (*_INPUTS, SIGNAL, SIGNAL), (*dims[:4], dims[5])
    axis = Axis.of(xp, info.batch_size, kinds, dims)
    *given, g = axis.fold(kinds, (w, y, beta, duals, g), dims)
    slopes = apply(*given, y.new_empty(0), g, *needed)  # `work` is of other signals
    places = tuple(axis.place if is_needed else None for is_needed in needed)
    return tuple(a if place is None else axis.unfold([a])[0] for a, place in zip(slopes, places, strict=True)), places


def map_push(apply: Callable[..., Any], info: Any, dims: Any, *arrays: Tensor | None) -> tuple[Any, Any]:
    kinds = (*_INPUTS, SIGNAL, GROUP, SIGNAL, GROUP)
    axis = Axis.of(xp, info.batch_size, kinds, dims)
    return axis.unfold([apply(*axis.fold(kinds, arrays, dims))])[0], axis.place


# The operators: what they are on the CPU, which keeps no factors; what the compiler is told; and under vmap.

for _name, _kernel, _empty, _mapped in (
    (
        "solve",
        lambda w, y, beta: (*solve(w, y, beta)[:2], y.new_empty(0)),
        lambda w, y, beta: (*_room(w, y), y.new_empty(0)),
        map_solve,
    ),
    (
        "pull",
        lambda w, *others: _filled(pull(w, *others), w),
        lambda w, y, beta, duals, work, g, *needed: _filled(_slopes(w, y, *needed), w),
        map_pull,
    ),
    ("push", push, lambda w, y, *_: y.new_empty(y.shape), map_push),
):
    LIBRARY.impl(_name, _kernel, "CPU")
    torch.library.register_fake(f"dargmin::{_name}", _empty, lib=LIBRARY)
    torch.library.register_vmap(f"dargmin::{_name}", partial(_mapped, getattr(OPERATORS, _name)), lib=LIBRARY)
