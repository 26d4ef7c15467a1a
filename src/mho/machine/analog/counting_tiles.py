"""The code of a tile of conversions by counting bits, in the compiler's own intermediate form; see `counting`.

Rows of a tile are conversions: row r drives the bits at address sources[r], eight array rows a byte, begins at starts[r], and adds
its codes, shifted by shifts[r], to the int32 at targets[r] (an offset into the sums of a vector of columns).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from llvmlite import ir
from numba import cfunc, types
from numba.core import cgutils
from numba.extending import intrinsic

from mho.machine.analog.counting import CLIP, PAIR, SCALE, TOGETHER, WAYS, Way

MAGIC, MAGIC_BITS = 12582912.0, 0x4B400000
"""1.5 x 2^23: added to a float32 of less than 2^22 it leaves the nearest integer, halves to even, in the lowest bits."""
ARGUMENTS = (*[types.int64] * 10, types.int32, types.int32, types.int64)
"""Types of what the code of a tile is given: see `count_rows`."""
_WORD, _LANE, _BYTE, _SHORT, _REAL = ir.IntType(64), ir.IntType(32), ir.IntType(8), ir.IntType(16), ir.FloatType()


def _at(builder: ir.IRBuilder, base: ir.Value, offset: ir.Value | int, kind: ir.Type) -> ir.Value:
    if isinstance(offset, int):
        offset = ir.Constant(_WORD, offset)
    return builder.inttoptr(builder.add(base, offset), kind.as_pointer())


def _spread(builder: ir.IRBuilder, value: ir.Value, lanes: int) -> ir.Value:
    """Return a vector of one value."""
    empty = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined)
    single = builder.insert_element(empty, value, ir.Constant(_LANE, 0))
    return builder.shuffle_vector(single, empty, ir.Constant(ir.VectorType(_LANE, lanes), [0] * lanes))


def _splat(kind: ir.Type, lanes: int, value: int | float) -> ir.Value:
    return ir.Constant(ir.VectorType(kind, lanes), [value] * lanes)


def _population(builder: ir.IRBuilder, value: ir.Value, kind: str) -> ir.Value:
    function = ir.FunctionType(value.type, [value.type])
    return builder.call(cgutils.get_or_insert_function(builder.module, function, f"llvm.ctpop.{kind}"), [value])


def _look_up(builder: ir.IRBuilder, way: Way, table: ir.Value, index: ir.Value) -> ir.Value:
    name = {64: "avx512.pshuf.b.512", 32: "avx2.pshuf.b", 16: "ssse3.pshuf.b.128"}[way.lanes]
    kind = ir.FunctionType(table.type, [table.type, table.type])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.{name}"), [table, index])


@dataclass(frozen=True)
class _Tile:
    """What a tile's code is made of: `rows` conversions of `vectors` vectors, whose levels have `planes` planes."""

    builder: ir.IRBuilder
    way: Way
    rows: int
    vectors: int
    planes: int
    weights: ir.Value
    units: ir.Value
    tables: ir.Value

    def sums(self, sources: list[ir.Value], starts: list[ir.Value]) -> list[list[ir.Value]]:
        """Return the sums, by row and vector."""
        return self._words(sources, starts) if self.way.rows == 32 else self._bytes(sources, starts)

    def _words(self, sources: list[ir.Value], starts: list[ir.Value]) -> list[list[ir.Value]]:
        builder, lanes = self.builder, self.way.lanes
        kind, zero = ir.VectorType(_LANE, lanes), _splat(_LANE, lanes, 0)
        counts = [[cgutils.alloca_once_value(builder, zero) for _ in range(self.planes)] for _ in range(self.rows)]
        for row, start in zip(counts, starts, strict=True):
            builder.store(start, row[0])
            for place in row[1:]:
                builder.store(zero, place)
        with cgutils.for_range(builder, self.units, intp=_WORD) as loop:
            at = builder.add(self.weights, builder.mul(loop.index, ir.Constant(_WORD, self.planes * lanes * 4)))
            levels = [builder.load(_at(builder, at, b * lanes * 4, kind), align=4) for b in range(self.planes)]
            along = builder.mul(loop.index, ir.Constant(_WORD, 4))
            for source, row in zip(sources, counts, strict=True):
                word = builder.load(_at(builder, source, along, _LANE), align=4)
                driven = _spread(builder, word, lanes)
                for place, plane in zip(row, levels, strict=True):
                    count = _population(builder, builder.and_(driven, plane), f"v{lanes}i32")
                    builder.store(builder.add(builder.load(place), count), place)
        result = []
        for row in counts:
            total = builder.load(row[0])
            for b, place in enumerate(row[1:], 1):
                total = builder.add(total, builder.shl(builder.load(place), _splat(_LANE, lanes, b)))
            result.append([total])
        return result

    def staying(self, units: int) -> list[list[ir.Value]]:
        """Load all levels of a vector of columns of so many units, by unit and plane."""
        lanes = self.way.lanes
        kind, size = ir.VectorType(_LANE, lanes), lanes * 4
        return [
            [
                self.builder.load(_at(self.builder, self.weights, (u * self.planes + b) * size, kind), align=4)
                for b in range(self.planes)
            ]
            for u in range(units)
        ]

    def of_levels(self, levels: list[list[ir.Value]], source: ir.Value, start: ir.Value) -> ir.Value:
        """Return the sum of a conversion with levels that stay."""
        builder, lanes = self.builder, self.way.lanes
        counts: list[ir.Value | None] = [start, *[None] * (self.planes - 1)]
        for u, planes in enumerate(levels):
            driven = _spread(builder, builder.load(_at(builder, source, 4 * u, _LANE), align=4), lanes)
            for b, plane in enumerate(planes):
                count = _population(builder, builder.and_(driven, plane), f"v{lanes}i32")
                counts[b] = count if counts[b] is None else builder.add(counts[b], count)
        total = counts[0]
        for b, count in enumerate(counts[1:], 1):
            total = builder.add(total, builder.shl(count, _splat(_LANE, lanes, b)))
        return total

    def _bytes(self, sources: list[ir.Value], starts: list[ir.Value]) -> list[list[ir.Value]]:
        """Counts are bytes, and are added up before they overflow."""
        builder, lanes = self.builder, self.way.lanes
        zero, wide = _splat(_BYTE, lanes, 0), ir.VectorType(_LANE, lanes)
        totals = [[cgutils.alloca_once(builder, wide) for _ in range(self.vectors)] for _ in range(self.rows)]
        counts = [
            [[cgutils.alloca_once(builder, zero.type) for _ in range(self.planes)] for _ in range(self.vectors)]
            for _ in range(self.rows)
        ]
        for row, start in zip(totals, starts, strict=True):
            for place in row:
                builder.store(start, place)
        few = ir.Constant(_WORD, 31)
        with cgutils.for_range_slice(builder, ir.Constant(_WORD, 0), self.units, few, intp=_WORD) as (first, _):
            for place in (each for row in counts for vector in row for each in vector):
                builder.store(zero, place)
            last = builder.add(first, few)
            last = builder.select(builder.icmp_signed("<", last, self.units), last, self.units)
            with cgutils.for_range_slice(builder, first, last, ir.Constant(_WORD, 1), intp=_WORD) as (unit, _):
                self._unit(unit, sources, counts)
            for row, sums in zip(counts, totals, strict=True):
                for vector, place in zip(row, sums, strict=True):
                    builder.store(builder.add(builder.load(place), self._weighed(vector)), place)
        return [[builder.load(place) for place in row] for row in totals]

    def _unit(self, unit: ir.Value, sources: list[ir.Value], counts: list[list[list[ir.Value]]]) -> None:
        """Count eight array rows."""
        builder, lanes = self.builder, self.way.lanes
        parts = 2 if self.way.tables else 1
        kind = ir.VectorType(_BYTE, lanes)
        size = parts * self.vectors * self.planes * lanes
        at = builder.add(self.weights, builder.mul(unit, ir.Constant(_WORD, size)))
        octets = [builder.load(_at(builder, source, unit, _BYTE)) for source in sources]
        for part in range(parts):
            levels = [
                builder.load(_at(builder, at, (part * self.vectors * self.planes + k) * lanes, kind), align=1)
                for k in range(self.vectors * self.planes)
            ]
            for octet, row in zip(octets, counts, strict=True):
                driven = self._driven(octet, part)
                for k, place in enumerate(each for vector in row for each in vector):
                    if self.way.tables:
                        count = _look_up(builder, self.way, driven, levels[k])
                    else:
                        count = _population(builder, builder.and_(driven, levels[k]), f"v{lanes}i8")
                    builder.store(builder.add(builder.load(place), count), place)

    def _driven(self, octet: ir.Value, part: int) -> ir.Value:
        """Return what levels meet: the eight bits that are driven, or the table of four of them."""
        builder, lanes = self.builder, self.way.lanes
        if not self.way.tables:
            return _spread(builder, octet, lanes)
        four = builder.lshr(octet, ir.Constant(_BYTE, 4)) if part else builder.and_(octet, ir.Constant(_BYTE, 15))
        offset = builder.mul(builder.zext(four, _WORD), ir.Constant(_WORD, lanes))
        return builder.load(_at(builder, self.tables, offset, ir.VectorType(_BYTE, lanes)), align=1)

    def _weighed(self, planes: list[ir.Value]) -> ir.Value:
        """Return the sum of counts of planes: at most 255 x 255, which fits two bytes."""
        builder, lanes = self.builder, self.way.lanes
        shorts, total = ir.VectorType(_SHORT, lanes), None
        for b, place in enumerate(planes):
            wide = builder.shl(builder.zext(builder.load(place), shorts), _splat(_SHORT, lanes, b))
            total = wide if total is None else builder.add(total, wide)
        return builder.zext(total, ir.VectorType(_LANE, lanes))


@dataclass(frozen=True)
class _Converter:
    """The ADC behind the sums: `kind` of CLIP, SCALE, CONVERT; addresses of gains and offsets, and the least and highest code."""

    builder: ir.IRBuilder
    lanes: int
    kind: int
    gains: ir.Value
    offsets: ir.Value
    low: ir.Value
    high: ir.Value
    clipped: ir.Value

    def code(self, total: ir.Value, vector: int) -> ir.Value:
        """Return the codes of sums, as 32-bit numbers; those of SCALE are MAGIC_BITS too high."""
        builder, lanes = self.builder, self.lanes
        reals = ir.VectorType(_REAL, lanes)
        if self.kind == len(CLIP):
            return self._kept(total, builder.icmp_signed, self.low, self.high)
        gain = builder.load(_at(builder, self.gains, vector * lanes * 4, reals), align=4)
        # Two roundings, as everywhere: no multiplication and addition in one.
        wanted = builder.fmul(builder.sitofp(total, reals), gain)
        if self.kind == len(SCALE):
            return builder.bitcast(builder.fadd(wanted, _splat(_REAL, lanes, MAGIC)), total.type)
        wanted = builder.fadd(wanted, builder.load(_at(builder, self.offsets, vector * lanes * 4, reals), align=4))
        function = ir.FunctionType(reals, [reals])
        to_nearest = cgutils.get_or_insert_function(builder.module, function, f"llvm.rint.v{lanes}f32")
        low, high = (builder.sitofp(limit, reals) for limit in (self.low, self.high))
        return builder.fptosi(
            self._kept(builder.call(to_nearest, [wanted]), builder.fcmp_ordered, low, high), total.type
        )

    def _kept(self, value: ir.Value, compare: Callable[..., ir.Value], low: ir.Value, high: ir.Value) -> ir.Value:
        builder = self.builder
        below = builder.select(compare("<", value, high), value, high)
        kept = builder.select(compare(">", below, low), below, low)
        one = builder.zext(compare("!=", kept, value), ir.VectorType(_LANE, self.lanes))
        builder.store(builder.add(builder.load(self.clipped), one), self.clipped)
        return kept


@intrinsic  # type: ignore[untyped-decorator]
def count_rows(
    typing: Any, way: Any, planes: Any, kind: Any, sources: Any, starts: Any, shifts: Any, targets: Any, count: Any, units: Any,
    weights: Any, tables: Any, gains: Any, offsets: Any, low: Any, high: Any, sums: Any,
) -> Any:  # fmt: skip
    """Convert `count` rows, of `units` units, with one tile of vectors of columns; return how many clipped.

    way, planes, kind: tuples whose types tell the way, the planes of the levels, and the converter. Addresses of sources (int64),
    starts, shifts (int32) and targets (int64), one for each row. weights: what `laid_out` gave, from the tile on. tables: those of
    the way.
    gains, offsets: float32, from the tile's columns on. low, high: int32. sums: where targets are counted from, those of the tile's
    next vector TOGETHER + 1 windows on. Rows must be there up to a whole tile.
    """
    chosen = next(each for each in WAYS if len(each.mark) == len(way))
    tall, wide = chosen.tile(len(planes))
    lanes = chosen.lanes

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        sources, starts, shifts, targets, count, units, weights, tables, gains, offsets, low, high, sums = arguments[3:]
        clipped = cgutils.alloca_once_value(builder, _splat(_LANE, lanes, 0))
        low, high = (_spread(builder, limit, lanes) for limit in (low, high))
        convert = _Converter(builder, lanes, len(kind), gains, offsets, low, high, clipped)
        tile = _Tile(builder, chosen, tall, wide, len(planes), weights, units, tables)

        def rows(step: int, found: Callable[[list[ir.Value], list[ir.Value]], list[list[ir.Value]]]) -> None:
            def each(base: ir.Value, first: ir.Value, kind: ir.IntType) -> list[ir.Value]:
                size = kind.width // 8
                start = builder.add(base, builder.mul(first, ir.Constant(_WORD, size)))
                return [builder.load(_at(builder, start, size * r, kind)) for r in range(step)]

            ends = ir.Constant(_WORD, 0), count, ir.Constant(_WORD, step)
            with cgutils.for_range_slice(builder, *ends, intp=_WORD) as (first, _):
                begin = [_spread(builder, start, lanes) for start in each(starts, first, _LANE)]
                totals = found(each(sources, first, _WORD), begin)
                places, scales = each(targets, first, _WORD), each(shifts, first, _LANE)
                for row, place, scale in zip(totals, places, scales, strict=True):
                    for v, total in enumerate(row):
                        offset = ir.Constant(_WORD, v * (TOGETHER + 1) * lanes * 4)
                        pointer = _at(builder, builder.add(sums, place), offset, total.type)
                        code = builder.shl(convert.code(total, v), _spread(builder, scale, lanes))
                        builder.store(builder.add(builder.load(pointer, align=4), code), pointer, align=4)

        high_ones = cgutils.alloca_once_value(builder, ir.Constant(ir.IntType(1), 1))
        for few in range(1, 5):
            if chosen.stays(len(planes), few):
                with builder.if_then(builder.icmp_signed("==", units, ir.Constant(_WORD, few))):
                    levels = tile.staying(few)
                    rows(PAIR, lambda at, begin, levels=levels: [  # type: ignore[misc]
                        [tile.of_levels(levels, *each)] for each in zip(at, begin, strict=True)
                    ])  # fmt: skip
                    builder.store(ir.Constant(ir.IntType(1), 0), high_ones)
        with builder.if_then(builder.load(high_ones)):
            rows(tall, tile.sums)
        counted = builder.load(clipped)
        every = [builder.extract_element(counted, ir.Constant(_LANE, i)) for i in range(lanes)]
        total = ir.Constant(_WORD, 0)
        for one in every:
            total = builder.add(total, builder.zext(one, _WORD))
        return total

    return types.int64(way, planes, kind, *ARGUMENTS), generate


@lru_cache(maxsize=64)
def compiled_tile(way: Way, planes: int, kind: tuple[int, ...]) -> Any:
    """Return `count_rows` for a way, a number of planes and a converter, compiled; `address` is where its code is."""
    chosen, levels = way.mark, (0,) * planes

    def rows(
        sources: Any, starts: Any, shifts: Any, targets: Any, count: Any, units: Any, weights: Any, tables: Any, gains: Any,
        offsets: Any, low: Any, high: Any, sums: Any,
    ) -> Any:  # fmt: skip
        return count_rows(
            chosen,
            levels,
            kind,
            sources,
            starts,
            shifts,
            targets,
            count,
            units,
            weights,
            tables,
            gains,
            offsets,
            low,
            high,
            sums,
        )

    return cfunc(types.int64(*ARGUMENTS), cache=True)(rows)


@intrinsic  # type: ignore[untyped-decorator]
def call_tile(typing: Any, address: Any, arguments: Any) -> Any:
    """Call the code of a tile with a tuple of arguments."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, given: Any) -> ir.Value:
        values = cgutils.unpack_tuple(builder, given[1], len(ARGUMENTS))
        kind = ir.FunctionType(_WORD, [value.type for value in values])
        return builder.call(builder.inttoptr(given[0], kind.as_pointer()), values)

    return types.int64(types.int64, types.Tuple(ARGUMENTS)), generate
