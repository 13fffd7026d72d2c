"""Packs: LANES numbers of either precision side by side, one a signal of a tile or neighbours of a row, for compiled code.

The element i of an array of packs lies at [i LANES, (i + 1) LANES) of a flat array.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from methods._exact.vectors import Vector, address, filled

LANES = 16


def _place(context: Any, builder: Any, array: Any, values: Any, pack: Any) -> Any:
    """The address of element i of an array of packs."""
    return address(context, builder, array, values[0], builder.mul(values[1], ir.Constant(values[1].type, LANES)), pack)


@intrinsic
def load(typing: Any, array: Any, i: Any) -> Any:
    """Element i of an array of packs; i is unsigned or known not to be negative."""
    pack = Vector(array.dtype, LANES)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        loaded = builder.load(_place(context, builder, array, values, pack))
        loaded.align = array.dtype.bitwidth // 8
        return loaded

    return pack(array, types.uintp), generate


@intrinsic
def store(typing: Any, array: Any, i: Any, value: Any) -> Any:
    """Element i of an array of packs <- value."""
    if value != Vector(array.dtype, LANES):
        return None

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        stored = builder.store(values[2], _place(context, builder, array, values, value))
        stored.align = array.dtype.bitwidth // 8
        return context.get_dummy_value()

    return types.none(array, types.uintp, value), generate


@intrinsic
def splat(typing: Any, number: Any) -> Any:
    """A number in every lane."""
    return Vector(number, LANES)(number), lambda _c, builder, _s, values: filled(builder, values[0], LANES)


@intrinsic
def narrowed(typing: Any, array: Any, place: Any, share: Any) -> Any:
    """LANES numbers of a float64 array, from an unsigned flat place on, times `share`, in single precision."""
    wide, single = Vector(types.float64, LANES), ir.VectorType(ir.FloatType(), LANES)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        loaded = builder.load(address(context, builder, array, values[0], values[1], wide))
        loaded.align = 8
        return builder.fptrunc(builder.fmul(loaded, filled(builder, values[2], LANES)), single)

    return Vector(types.float32, LANES)(array, types.uintp, types.float64), generate
