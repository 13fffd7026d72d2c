"""Packs: LANES numbers side by side in vector registers, one a signal of a tile or neighbours of a row, for compiled code.

The element i of an array of packs lies at [i LANES, (i + 1) LANES) of a flat array. Compilers find no vector registers in loops
over so few lanes; here they are spelled out, in LLVM's vector types, which any processor has in some width.
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

LANES = 16

_FUSED = ("contract",)  # a product and a sum may be one instruction, as in all compiled code here


class Pack(types.Type):
    """The type of LANES numbers of one dtype."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        super().__init__(name=f"Pack({dtype})")


@register_model(Pack)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, pack: Pack) -> None:
        super().__init__(manager, pack, ir.VectorType(manager.lookup(pack.dtype).get_value_type(), LANES))


def _place(context: Any, builder: Any, array: Any, values: Any, pack: Any) -> Any:
    """The address of element i of an array of packs."""
    data = context.make_array(array)(context, builder, values[0]).data
    first = builder.mul(values[1], ir.Constant(values[1].type, LANES))
    return builder.bitcast(builder.gep(data, [first]), context.get_value_type(pack).as_pointer())


@intrinsic
def load(typing: Any, array: Any, i: Any) -> Any:
    """Element i of an array of packs; i is unsigned or known not to be negative."""
    pack = Pack(array.dtype)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        loaded = builder.load(_place(context, builder, array, values, pack))
        loaded.align = array.dtype.bitwidth // 8
        return loaded

    return pack(array, types.uintp), generate


@intrinsic
def store(typing: Any, array: Any, i: Any, value: Any) -> Any:
    """Element i of an array of packs <- value."""
    if value != Pack(array.dtype):
        return None

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        stored = builder.store(values[2], _place(context, builder, array, values, value))
        stored.align = array.dtype.bitwidth // 8
        return context.get_dummy_value()

    return types.none(array, types.uintp, value), generate


@intrinsic
def splat(typing: Any, number: Any) -> Any:
    """A number in every lane."""
    pack = Pack(number)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        nothing = ir.Constant(context.get_value_type(pack), ir.Undefined)
        one = builder.insert_element(nothing, values[0], ir.Constant(ir.IntType(32), 0))
        return builder.shuffle_vector(one, nothing, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))

    return pack(number), generate


def _operation(symbol: Any, name: str) -> None:
    """Give packs an operator, lane by lane."""

    @intrinsic
    def lanewise(typing: Any, a: Any, b: Any) -> Any:
        return a(a, b), lambda _c, builder, _s, values: getattr(builder, name)(*values, flags=_FUSED)

    overload(symbol)(lambda a, b: (lambda a, b: lanewise(a, b)) if isinstance(a, Pack) and a == b else None)


for _symbol, _name in ((operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul"), (operator.truediv, "fdiv")):
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
        bits = builder.bitcast(builder.fcmp_unordered("!=", *values), ir.IntType(LANES))
        return builder.zext(bits, ir.IntType(64))

    return types.uint64(a, b), generate


@intrinsic
def root(typing: Any, a: Any) -> Any:
    """The square root, lane by lane."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kind = values[0].type
        name = f"llvm.sqrt.v{LANES}f{a.dtype.bitwidth}"
        return builder.call(cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind]), name), values)

    return a(a), generate


@intrinsic
def narrowed(typing: Any, array: Any, place: Any, share: Any) -> Any:
    """LANES numbers of a float64 array, from an unsigned flat place on, times `share`, in single precision."""
    wide, pack = Pack(types.float64), Pack(types.float32)
    single = ir.VectorType(ir.FloatType(), LANES)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        data = context.make_array(array)(context, builder, values[0]).data
        address = builder.bitcast(builder.gep(data, [values[1]]), context.get_value_type(wide).as_pointer())
        loaded = builder.load(address)
        loaded.align = 8
        one = builder.insert_element(ir.Constant(loaded.type, ir.Undefined), values[2], ir.Constant(ir.IntType(32), 0))
        shares = builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))
        return builder.fptrunc(builder.fmul(loaded, shares), single)

    return pack(array, types.uintp, types.float64), generate


@intrinsic
def totals(typing: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    """The sums of four packs over their lanes."""

    def lanes(*indices: int) -> Any:
        return ir.Constant(ir.VectorType(ir.IntType(32), len(indices)), list(indices))

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        def added(x: Any, y: Any, low: list[int], high: list[int]) -> Any:
            """Shuffle each four of x with the four of y beside them, in two ways, and add."""
            picked = (
                builder.shuffle_vector(
                    x, y, lanes(*(lane % 4 + lane // 4 * LANES + i for i in range(0, LANES, 4) for lane in order))
                )
                for order in (low, high)
            )
            return builder.fadd(*picked)

        first = added(values[0], values[1], [0, 4, 1, 5], [2, 6, 3, 7])
        second = added(values[2], values[3], [0, 4, 1, 5], [2, 6, 3, 7])
        total = added(first, second, [0, 1, 4, 5], [2, 3, 6, 7])
        width = LANES
        while width > 4:
            width //= 2
            halves = [builder.shuffle_vector(total, total, lanes(*range(begin, begin + width))) for begin in (0, width)]
            total = builder.fadd(*halves)
        sums = [builder.extract_element(total, ir.Constant(ir.IntType(32), lane)) for lane in range(4)]
        return context.make_tuple(builder, signature.return_type, sums)

    return types.UniTuple(a.dtype, 4)(a, b, c, d), generate
