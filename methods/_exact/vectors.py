"""Numbers side by side in vector registers, for compiled code: the type, and what is done lane by lane and across lanes.

Compilers find no vector registers in loops over few lanes, nor where they must take arrays to overlap; here they are spelled
out, in LLVM's vector types, which any processor has in some width.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

_FUSED = ("contract",)  # a product and a sum may be one instruction, as in all compiled code here
SPREAD = 8  # lanes that totals and spread have to do with


class Vector(types.Type):
    """The type of `lanes` numbers of one dtype."""

    def __init__(self, dtype: Any, lanes: int) -> None:
        self.dtype, self.lanes = dtype, lanes
        super().__init__(name=f"Vector({dtype}, {lanes})")


@register_model(Vector)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, vector: Vector) -> None:
        super().__init__(manager, vector, ir.VectorType(manager.lookup(vector.dtype).get_value_type(), vector.lanes))


def lanes(indices: Sequence[int]) -> Any:
    """Constant indices of a shuffle."""
    return ir.Constant(ir.VectorType(ir.IntType(32), len(indices)), list(indices))


def address(context: Any, builder: Any, array: Any, value: Any, place: Any, vector: Vector) -> Any:
    """That of the vector which begins at a flat place of an array."""
    data = context.make_array(array)(context, builder, value).data
    return builder.bitcast(builder.gep(data, [place]), context.get_value_type(vector).as_pointer())


def filled(builder: Any, number: Any, count: int) -> Any:
    """A number in every lane."""
    nothing = ir.Constant(ir.VectorType(number.type, count), ir.Undefined)
    one = builder.insert_element(nothing, number, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, one, lanes([0] * count))


def _operation(symbol: Any, name: str) -> None:
    """Give vectors an operator, lane by lane."""

    @intrinsic
    def lanewise(typing: Any, a: Any, b: Any) -> Any:
        return a(a, b), lambda _c, builder, _s, values: getattr(builder, name)(*values, flags=_FUSED)

    overload(symbol)(lambda a, b: (lambda a, b: lanewise(a, b)) if isinstance(a, Vector) and a == b else None)


for _symbol, _name in (
    (operator.add, "fadd"),
    (operator.iadd, "fadd"),
    (operator.sub, "fsub"),
    (operator.isub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _operation(_symbol, _name)


@intrinsic
def clip(typing: Any, value: Any, bound: Any) -> Any:
    """min(max(value, -bound), bound), lane by lane; NaN stays."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        inside, high = values
        low = builder.fneg(high)
        inside = builder.select(builder.fcmp_ordered("<", inside, low), low, inside)
        return builder.select(builder.fcmp_ordered(">", inside, high), high, inside)

    return value(value, bound), generate


@intrinsic
def differing(typing: Any, a: Any, b: Any) -> Any:
    """A bit for each lane, set where a and b differ."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        bits = builder.bitcast(builder.fcmp_unordered("!=", *values), ir.IntType(a.lanes))
        return builder.zext(bits, ir.IntType(64))

    return types.uint64(a, b), generate


@intrinsic
def root(typing: Any, a: Any) -> Any:
    """The square root, lane by lane."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kind = values[0].type
        name = f"llvm.sqrt.v{a.lanes}f{a.dtype.bitwidth}"
        return builder.call(cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind]), name), values)

    return a(a), generate


@intrinsic
def lane(typing: Any, vector: Any, place: Any) -> Any:
    """One of the numbers."""
    return vector.dtype(vector, types.uint32), lambda _c, builder, _s, values: builder.extract_element(*values)


@intrinsic
def spread(typing: Any, vector: Any) -> Any:
    """The first eight lanes, each in every lane of a vector."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        spreads = [builder.shuffle_vector(values[0], values[0], lanes([i] * vector.lanes)) for i in range(SPREAD)]
        return context.make_tuple(builder, signature.return_type, spreads)

    return types.UniTuple(vector, SPREAD)(vector), generate


@intrinsic
def totals(typing: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any) -> Any:
    """The sums of eight vectors over their lanes, in the first eight; 0 in the rest."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        def paired(x: Any, y: Any, reach: int) -> Any:
            """x and y in turns of `reach` lanes, each added to what lies that far from it."""
            low = [i if not i & reach else i - reach + a.lanes for i in range(a.lanes)]
            high = [i + reach if not i & reach else i + a.lanes for i in range(a.lanes)]
            return builder.fadd(*(builder.shuffle_vector(x, y, lanes(picked)) for picked in (low, high)))

        for reach in (1, 2, 4):
            values = [paired(x, y, reach) for x, y in zip(values[::2], values[1::2], strict=True)]
        total, count = values[0], a.lanes
        while count > SPREAD:
            count //= 2
            halves = (builder.shuffle_vector(total, total, lanes(range(begin, begin + count))) for begin in (0, count))
            total = builder.fadd(*halves)
        nothing = ir.Constant(total.type, [0.0] * SPREAD)
        return builder.shuffle_vector(total, nothing, lanes([min(i, SPREAD) for i in range(a.lanes)]))

    return a(*(a,) * 8), generate
