"""The inner loop of the compiled kernels: a tile of inner products of bytes, and the ADC behind it.

A tile of sums stays in registers while weights and inputs are read once for many products; the sums are converted as they leave
the registers and added to what earlier steps gave. It is written in the compiler's own intermediate form, since no loop in
Python is turned into the processor's instruction for four products of bytes in a 32-bit lane (VNNI). Where the processor has
none, the same sums are made from wider products.

Rows of a tile are uint8, `stride` bytes apart, padded with zeros to whole quads; weights are int8 in vectors of 16 columns, 64
bytes for each quad of rows, a vector `apart` bytes from the next. Row r adds to the int32 at address targets[r]. All addresses are
int64.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from mho.machine.analog.processor import multiplies_bytes

LANES = 16
"""Columns of a vector of sums."""
QUAD = 4
"""Rows that are multiplied at once."""
WIDEST = 4
"""Vectors of columns in the widest tile."""
INSTRUCTION = "llvm.x86.avx512.vpdpbusd.512"

_WORD, _LANE, _REAL = ir.IntType(64), ir.IntType(32), ir.FloatType()
_SUMS = ir.VectorType(_LANE, LANES)
_BYTES = ir.VectorType(ir.IntType(8), LANES * QUAD)
_WIDE = ir.VectorType(_LANE, LANES * QUAD)
_REALS = ir.VectorType(_REAL, LANES)


@lru_cache(maxsize=1)
def _takes_bytes() -> bool:
    """Say whether the compiler's instruction takes vectors of bytes; older ones take them as 32-bit words."""
    try:
        llvm.parse_assembly(f"declare {_SUMS} @{INSTRUCTION}({_SUMS}, {_BYTES}, {_BYTES})").verify()
    except RuntimeError:
        return False
    return True


def tile_rows(vectors: int, bytes_each: int) -> int:
    """Return the rows of a tile of so many vectors of columns of one- or two-byte weights: as many sums as stay in registers."""
    if not multiplies_bytes():
        return 4 if vectors == 1 and bytes_each == 1 else 2
    return {1: 12, 2: 12, 3: 8, 4: 6}[vectors] if bytes_each == 1 else {1: 12, 2: 6, 3: 4, 4: 3}[vectors]


def _at(builder: ir.IRBuilder, base: ir.Value, offset: ir.Value | int, kind: ir.Type) -> ir.Value:
    """Return the address `offset` bytes behind `base` as a pointer."""
    if isinstance(offset, int):
        offset = ir.Constant(_WORD, offset)
    return builder.inttoptr(builder.add(base, offset), kind.as_pointer())


def _spread(builder: ir.IRBuilder, value: ir.Value, kind: ir.VectorType) -> ir.Value:
    """Return a vector of one value."""
    single = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(_LANE, 0))
    return builder.shuffle_vector(single, ir.Constant(kind, ir.Undefined), ir.Constant(_SUMS, [0] * LANES))


def _multiply_add(builder: ir.IRBuilder, total: ir.Value, unsigned: ir.Value, signed: ir.Value) -> ir.Value:
    """Add to each of the sums the products of four pairs of bytes."""
    if multiplies_bytes():
        operand = _BYTES if _takes_bytes() else _SUMS
        kind = ir.FunctionType(_SUMS, [_SUMS, operand, operand])
        function = cgutils.get_or_insert_function(builder.module, kind, INSTRUCTION)
        return builder.call(function, [total, builder.bitcast(unsigned, operand), builder.bitcast(signed, operand)])
    wide = builder.mul(builder.zext(unsigned, _WIDE), builder.sext(signed, _WIDE))
    for k in range(QUAD):
        places = ir.Constant(_SUMS, [QUAD * lane + k for lane in range(LANES)])
        total = builder.add(total, builder.shuffle_vector(wide, ir.Constant(_WIDE, ir.Undefined), places))
    return total


def _sums(
    builder: ir.IRBuilder, rows: int, vectors: int, inputs: ir.Value, stride: ir.Value, planes: list[ir.Value],
    apart: ir.Value, quads: ir.Value,
) -> list[list[list[ir.Value]]]:  # fmt: skip
    """Multiply a tile with each of the byte planes of its weights; return sums by row, vector and plane."""
    zero = ir.Constant(_SUMS, [0] * LANES)
    sums = [[[cgutils.alloca_once_value(builder, zero) for _ in planes] for _ in range(vectors)] for _ in range(rows)]
    with cgutils.for_range(builder, quads, intp=_WORD) as loop:
        step = builder.mul(loop.index, ir.Constant(_WORD, LANES * QUAD))
        columns = []
        for v in range(vectors):
            offset = builder.add(step, builder.mul(apart, ir.Constant(_WORD, v)))
            columns.append([builder.load(_at(builder, plane, offset, _BYTES), align=1) for plane in planes])
        across = builder.mul(loop.index, ir.Constant(_WORD, QUAD))
        for r in range(rows):
            offset = builder.add(across, builder.mul(stride, ir.Constant(_WORD, r)))
            four = builder.load(_at(builder, inputs, offset, _LANE), align=1)
            driven = builder.bitcast(_spread(builder, four, _SUMS), _BYTES)
            for v in range(vectors):
                for place, weights in zip(sums[r][v], columns[v], strict=True):
                    builder.store(_multiply_add(builder, builder.load(place), driven, weights), place)
    return [[[builder.load(place) for place in vector] for vector in row] for row in sums]


def _count(builder: ir.IRBuilder, counter: ir.Value, different: ir.Value) -> None:
    """Add to a counter how many lanes are set."""
    ones = builder.ctpop(builder.bitcast(different, ir.IntType(LANES)))
    builder.store(builder.add(builder.load(counter), builder.zext(ones, _WORD)), counter)


def _finish(
    builder: ir.IRBuilder, tile_sums: list[list[list[ir.Value]]], targets: ir.Value,
    convert: Callable[[int, int, list[ir.Value]], ir.Value],
) -> None:  # fmt: skip
    """Convert the sums of a tile, and add them to their targets."""
    for r, row in enumerate(tile_sums):
        target = builder.load(_at(builder, targets, 8 * r, _WORD))
        for v, sums in enumerate(row):
            place = _at(builder, target, v * LANES * 4, _SUMS)
            code = convert(r, v, sums)
            builder.store(builder.add(builder.load(place, align=4), code), place, align=4)


def _between(builder: ir.IRBuilder, value: ir.Value, low: ir.Value, high: ir.Value) -> ir.Value:
    real = value.type == _REALS
    compare = builder.fcmp_ordered if real else builder.icmp_signed
    below = builder.select(compare("<", value, high), value, high)
    return builder.select(compare(">", below, low), below, low)


def _tiles(
    builder: ir.IRBuilder, count: ir.Value, vectors: ir.Value, bytes_each: int, tile: Callable[[int, int, ir.Value], None]
) -> None:  # fmt: skip
    """Write code for each width that a tile may have, of which `vectors` chooses one: `tile` (rows, width, first row) of it."""
    for width in range(1, WIDEST + 1):
        rows = tile_rows(width, bytes_each)
        with builder.if_then(builder.icmp_signed("==", vectors, ir.Constant(_WORD, width))):
            ends = ir.Constant(_WORD, 0), count, ir.Constant(_WORD, rows)
            with cgutils.for_range_slice(builder, *ends, intp=_WORD) as (first, _):
                tile(rows, width, first)


def _further(builder: ir.IRBuilder, base: ir.Value, first: ir.Value, apart: ir.Value | int) -> ir.Value:
    """Return the address of row `first` where rows lie so far apart."""
    return builder.add(base, builder.mul(first, ir.Constant(_WORD, apart) if isinstance(apart, int) else apart))


@intrinsic  # type: ignore[untyped-decorator]
def clip_rows(
    typing: Any, inputs: Any, count: Any, stride: Any, weights: Any, apart: Any, quads: Any, vectors: Any,
    lows: Any, highs: Any, targets: Any,
) -> Any:  # fmt: skip
    """Add sums of `count` rows, clipped between lows[r] and highs[r] (addresses of int32), to their targets.

    Returns how many clipped. Tiles at the end may reach beyond the last row.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        inputs, count, stride, weights, apart, quads, vectors, lows, highs, targets = arguments
        counter = cgutils.alloca_once_value(builder, ir.Constant(_WORD, 0))

        def tile(rows: int, width: int, first: ir.Value) -> None:
            start = _further(builder, inputs, first, stride)
            tile_sums = _sums(builder, rows, width, start, stride, [weights], apart, quads)
            limits = [_further(builder, ends, first, 4) for ends in (lows, highs)]

            def convert(r: int, v: int, sums: list[ir.Value]) -> ir.Value:
                low, high = (_spread(builder, builder.load(_at(builder, at, 4 * r, _LANE)), _SUMS) for at in limits)
                kept = _between(builder, sums[0], low, high)
                _count(builder, counter, builder.icmp_signed("!=", kept, sums[0]))
                return kept

            _finish(builder, tile_sums, _further(builder, targets, first, 8), convert)

        _tiles(builder, count, vectors, 1, tile)
        return builder.load(counter)

    return types.int64(*[types.int64] * 10), generate


@intrinsic  # type: ignore[untyped-decorator]
def convert_rows(
    typing: Any, inputs: Any, count: Any, stride: Any, lower: Any, upper: Any, apart: Any, quads: Any, vectors: Any,
    gains: Any, offsets: Any, low: Any, high: Any, scale: Any, targets: Any,
) -> Any:  # fmt: skip
    """Add scale x clip(rint(float32(sum) x gain + offset), low, high) of `count` rows to targets; return how many clipped.

    Weights are lower + 256 x upper; `upper` is None where there is but one byte. gains, offsets: addresses of float32 for
    the columns. low, high: float32. scale: int32. Tiles at the end may reach beyond the last row.
    """
    two = not isinstance(upper, types.NoneType)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        inputs, count, stride, lower, upper, apart, quads, vectors, gains, offsets, low, high, scale, targets = (
            arguments
        )
        planes = [lower, upper] if two else [lower]
        counter = cgutils.alloca_once_value(builder, ir.Constant(_WORD, 0))
        lowest, highest = (_spread(builder, limit, _REALS) for limit in (low, high))
        scales, eight = _spread(builder, scale, _SUMS), ir.Constant(_SUMS, [8] * LANES)
        kind = ir.FunctionType(_REALS, [_REALS])
        to_nearest = cgutils.get_or_insert_function(builder.module, kind, f"llvm.rint.v{LANES}f32")

        def tile(rows: int, width: int, first: ir.Value) -> None:
            start = _further(builder, inputs, first, stride)
            tile_sums = _sums(builder, rows, width, start, stride, planes, apart, quads)
            gain, offset = (
                [builder.load(_at(builder, values, v * LANES * 4, _REALS), align=4) for v in range(width)]
                for values in (gains, offsets)
            )

            def convert(r: int, v: int, sums: list[ir.Value]) -> ir.Value:
                total = builder.add(sums[0], builder.shl(sums[1], eight)) if two else sums[0]
                # Two roundings, as everywhere: no multiplication and addition in one.
                wanted = builder.fadd(builder.fmul(builder.sitofp(total, _REALS), gain[v]), offset[v])
                code = builder.call(to_nearest, [wanted])
                kept = _between(builder, code, lowest, highest)
                _count(builder, counter, builder.fcmp_ordered("!=", kept, code))
                return builder.mul(builder.fptosi(kept, _SUMS), scales)

            _finish(builder, tile_sums, _further(builder, targets, first, 8), convert)

        _tiles(builder, count, vectors, len(planes), tile)
        return builder.load(counter)

    word, real = types.int64, types.float32
    return word(*[word] * 4, upper, *[word] * 5, real, real, types.int32, word), generate
