"""The functions of methods/blorc/kernels/layer.h as operators of torch's dispatcher, so that whatever torch does sees them.

Tensors are float64 and shaped as in methods/layers/axes.py. `duals` hold z and the status of each signal and say all about its
solution. `work` keeps the factors of one operator where it is asked to; it is empty where they are to be computed again.
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

OPERATORS = torch.ops.dargmin
LIBRARY = torch.library.Library("dargmin", "DEF")
LIBRARY.define("solve(Tensor w, Tensor y, Tensor beta, bool keep) -> (Tensor x, Tensor duals, Tensor work)")
LIBRARY.define(
    "pull(Tensor w, Tensor y, Tensor beta, Tensor duals, Tensor work, Tensor g, bool of_w, bool of_y, bool of_beta)"
    " -> (Tensor in_w, Tensor in_y, Tensor in_beta)"
)
LIBRARY.define("push(Tensor w, Tensor y, Tensor beta, Tensor duals, Tensor? dw, Tensor? dy, Tensor? dbeta) -> Tensor")


def _solve(w: Tensor, y: Tensor, beta: Tensor, keep: bool) -> tuple[Tensor, Tensor, Tensor]:
    x, duals, work = _room(w, y, beta, keep)
    _run("solve", w, y, beta, work, x, duals)
    return x, duals, work


def _pull(w: Tensor, y: Tensor, beta: Tensor, duals: Tensor, work: Tensor, g: Tensor, *asked: bool) -> tuple[Tensor, ...]:
    """The slopes in W, y and beta from g = dL/dx*; empty where they are not asked for."""
    slopes = _slopes(w, y, beta, duals, work, g, *asked)
    _run("pull", w, y, beta, work, duals, g, *slopes)
    return slopes


def _push(w: Tensor, y: Tensor, beta: Tensor, duals: Tensor, *along: Tensor | None) -> Tensor:
    """dx* along a direction in W, y and beta, of which None is 0."""
    dx = y.new_empty(y.shape)
    _run("push", w, y, beta, duals, *along, dx)
    return dx


def _room(w: Tensor, y: Tensor, beta: Tensor, keep: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Memory for the results of `solve`."""
    (m, k, n), count = w.shape, y.shape[1]
    size = KERNELS.lib.layer_room(int(k), int(n), int(count)) if keep and m == 1 else 0
    return y.new_empty(y.shape), y.new_empty((m, count, k + 1)), y.new_empty(size)


def _slopes(
    w: Tensor, y: Tensor, beta: Tensor, duals: Tensor, work: Tensor, g: Tensor, of_w: bool, of_y: bool, of_beta: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Memory for the results of `pull`."""
    groups, none = y.shape[:2], (0,)
    return (
        y.new_empty((*groups, *w.shape[1:]) if of_w else none),
        y.new_empty(y.shape if of_y else none),
        y.new_empty(groups if of_beta else none),
    )


def _run(name: str, w: Tensor, y: Tensor, beta: Tensor, *arrays: Tensor | None) -> None:
    """The function of layer.h; a null pointer for None and for what is empty."""
    ffi, lib, double, functions = _library()
    held, at = [], []
    for a in (w, y, beta, *arrays):
        if a is not None and not a.is_contiguous():
            a = a.contiguous()
            held.append(a)
        address = 0 if a is None else a.data_ptr()
        if not address and a is not None and a.numel():
            raise TypeError(f"a tensor of the layer must have values in memory, got a {type(a).__name__}; convert it first")
        at.append(ffi.cast(double, address))
    (m, k, n), groups = w.shape, y.shape[1] if y.ndim == 4 else 1
    layer = ffi.new("layer *", (m, groups, y.shape[-2], k, n, *at[:3]))
    said = ffi.new("char[]", lib.SAID)
    if failed := functions[name](layer, routes()[name != "solve"], *at[3:], said):
        raise_it(failed, said)


@cache
def _library() -> tuple[Any, Any, Any, dict[str, Any]]:
    ffi, lib = KERNELS.ffi, KERNELS.lib
    functions = {name: getattr(lib, f"layer_{name}") for name in ("solve", "pull", "push")}
    return ffi, lib, ffi.typeof("double *"), functions


# Rules for an axis of vmap, with what is to be applied to tensors that do not have it.

_INPUTS = (OPERATOR, SIGNAL, OPERATOR)


def map_solve(apply: Callable[..., Any], info: Any, dims: Any, w: Tensor, y: Tensor, beta: Tensor, *keep: bool) -> Any:
    axis = Axis.of(xp, info.batch_size, _INPUTS, dims[:3])
    x, duals, _ = apply(*axis.fold(_INPUTS, (w, y, beta), dims[:3]), *(False for _ in keep))
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


# The operators: on the CPU; for what has shapes alone; and under vmap.

for _name, _kernel, _shapes, _mapped in (
    ("solve", _solve, _room, map_solve),
    ("pull", _pull, _slopes, map_pull),
    ("push", _push, lambda w, y, *_: y.new_empty(y.shape), map_push),
):
    LIBRARY.impl(_name, _kernel, "CPU")
    torch.library.register_fake(f"dargmin::{_name}", _shapes, lib=LIBRARY)
    torch.library.register_vmap(f"dargmin::{_name}", partial(_mapped, getattr(OPERATORS, _name)), lib=LIBRARY)
