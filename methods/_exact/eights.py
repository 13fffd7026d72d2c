"""Eights: eight neighbours of a flat float64 array in vector registers, for the dense kernels of compiled code.

Compilers find no registers for short loops over rows of one array, which they must take to overlap; here they are spelled out,
in LLVM's vector types, which any processor has in some width. Places are flat and unsigned.
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, models, overload, register_model

_FUSED = ("contract",)  # a product and a sum may be one instruction, as in all compiled code here
_VECTOR, _INDEX = ir.VectorType(ir.DoubleType(), 8), ir.IntType(32)
_PAIRS = (  # of two eights: what is added to what, so that after the third round lane i has the sum of the i-th
    ((0, 8, 2, 10, 4, 12, 6, 14), (1, 9, 3, 11, 5, 13, 7, 15)),
    ((0, 1, 8, 9, 4, 5, 12, 13), (2, 3, 10, 11, 6, 7, 14, 15)),
    ((0, 1, 2, 3, 8, 9, 10, 11), (4, 5, 6, 7, 12, 13, 14, 15)),
)


class Eight(types.Type):
    """The type of eight float64."""

    def __init__(self) -> None:
        super().__init__(name="Eight")


EIGHT = Eight()


@register_model(Eight)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, eight: Eight) -> None:
        super().__init__(manager, eight, _VECTOR)


def _address(context: Any, builder: Any, array: Any, values: Any) -> Any:
    data = context.make_array(array)(context, builder, values[0]).data
    return builder.bitcast(builder.gep(data, [values[1]]), _VECTOR.as_pointer())


def _lanes(indices: tuple[int, ...]) -> Any:
    return ir.Constant(ir.VectorType(_INDEX, len(indices)), list(indices))


@intrinsic
def load(typing: Any, array: Any, place: Any) -> Any:
    """The eight that begins at a place."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        loaded = builder.load(_address(context, builder, array, values))
        loaded.align = 8
        return loaded

    return EIGHT(array, types.uintp), generate


@intrinsic
def store(typing: Any, array: Any, place: Any, value: Any) -> Any:
    """The eight that begins at a place <- value."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        builder.store(values[2], _address(context, builder, array, values)).align = 8
        return context.get_dummy_value()

    return types.none(array, types.uintp, EIGHT), generate


@intrinsic
def splat(typing: Any, number: Any) -> Any:
    """A number eight times."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        nothing = ir.Constant(_VECTOR, ir.Undefined)
        one = builder.insert_element(nothing, values[0], ir.Constant(_INDEX, 0))
        return builder.shuffle_vector(one, nothing, _lanes((0,) * 8))

    return EIGHT(types.float64), generate


@intrinsic
def totals(typing: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any) -> Any:
    """The sums of eight eights, in their order."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        for first, second in _PAIRS:
            values = [
                builder.fadd(builder.shuffle_vector(x, y, _lanes(first)), builder.shuffle_vector(x, y, _lanes(second)))
                for x, y in zip(values[::2], values[1::2], strict=True)
            ]
        return values[0]

    return EIGHT(*(EIGHT,) * 8), generate


@intrinsic
def transposed(typing: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any) -> Any:
    """Eight eights, the i-th of the j-th becoming the j-th of the i-th."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        for reach in (4, 2, 1):
            low = _lanes(tuple(i if not i & reach else i - reach + 8 for i in range(8)))
            high = _lanes(tuple(i + reach if not i & reach else i + 8 for i in range(8)))
            swapped = list(values)
            for i in range(8):
                if not i & reach:
                    pair = values[i], values[i + reach]
                    swapped[i], swapped[i + reach] = (builder.shuffle_vector(*pair, lanes) for lanes in (low, high))
            values = swapped
        return context.make_tuple(builder, signature.return_type, values)

    return types.UniTuple(EIGHT, 8)(*(EIGHT,) * 8), generate


@intrinsic
def lane(typing: Any, eight: Any, place: Any) -> Any:
    """One of the eight."""
    return types.float64(EIGHT, types.uint32), lambda _c, builder, _s, values: builder.extract_element(*values)


def _operation(symbol: Any, name: str) -> None:
    """Give eights an operator."""

    @intrinsic
    def lanewise(typing: Any, a: Any, b: Any) -> Any:
        return EIGHT(EIGHT, EIGHT), lambda _c, builder, _s, values: getattr(builder, name)(*values, flags=_FUSED)

    overload(symbol)(lambda a, b: (lambda a, b: lanewise(a, b)) if isinstance(a, Eight) and isinstance(b, Eight) else None)


for _symbol, _name in (
    (operator.add, "fadd"),
    (operator.iadd, "fadd"),
    (operator.sub, "fsub"),
    (operator.isub, "fsub"),
    (operator.mul, "fmul"),
):
    _operation(_symbol, _name)
