"""Eights: eight neighbours of a flat float64 array, for the dense kernels of compiled code. Places are flat and unsigned."""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import intrinsic

from methods._exact.vectors import Vector, address, filled, lanes

EIGHT = Vector(types.float64, 8)


@intrinsic
def load(typing: Any, array: Any, place: Any) -> Any:
    """The eight that begins at a place."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        loaded = builder.load(address(context, builder, array, values[0], values[1], EIGHT))
        loaded.align = 8
        return loaded

    return EIGHT(array, types.uintp), generate


@intrinsic
def store(typing: Any, array: Any, place: Any, value: Any) -> Any:
    """The eight that begins at a place <- value."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        builder.store(values[2], address(context, builder, array, values[0], values[1], EIGHT)).align = 8
        return context.get_dummy_value()

    return types.none(array, types.uintp, EIGHT), generate


@intrinsic
def splat(typing: Any, number: Any) -> Any:
    """A number eight times."""
    return EIGHT(types.float64), lambda _c, builder, _s, values: filled(builder, values[0], 8)


@intrinsic
def transposed(typing: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any) -> Any:
    """Eight eights, the i-th of the j-th becoming the j-th of the i-th."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        for reach in (4, 2, 1):
            low = lanes([i if not i & reach else i - reach + 8 for i in range(8)])
            high = lanes([i + reach if not i & reach else i + 8 for i in range(8)])
            swapped = list(values)
            for i in range(8):
                if not i & reach:
                    pair = values[i], values[i + reach]
                    swapped[i], swapped[i + reach] = (builder.shuffle_vector(*pair, picked) for picked in (low, high))
            values = swapped
        return context.make_tuple(builder, signature.return_type, values)

    return types.UniTuple(EIGHT, 8)(*(EIGHT,) * 8), generate
