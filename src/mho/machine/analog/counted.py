"""Conversions of whole blocks by counting bits, compiled: many blocks of a layer in one call.

The result is that of `kernels.PlainKernel`, number for number, block after block. Windows are taken TOGETHER at a time: their
inputs become planes of bits, planes in which nothing is driven are left out, and each tile of columns converts the rest
(`counting`); then the codes of the slices are shifted and added.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from mho.machine.analog.counting import CONVERT, SCALE, TOGETHER
from mho.machine.analog.counting_tiles import MAGIC_BITS, call_tile

FEW = 8
"""Columns whose codes are added at once."""
PLANES = 8
"""Bits of an input."""
SPARE = 8
"""Rows that fill up the last tile."""
(MATRIX, FIRST_ROW, HEIGHT, FIRST_COLUMN, WIDTH, SLICES, UNITS, TILES, TILE_BYTES, WEIGHTS, GAINS, OFFSETS, PLACES, FACTORS,
 PER_INPUT, COUNTS, POSITIVE, BASE, LOW, HIGH, QUIET, IDLE, AT_ONCE, FIELDS) = range(24)  # fmt: skip
"""What is known of a block, in this order (`kernels.CountingKernel.described`)."""

_BYTE, _LANE, _WORD, _REAL = ir.IntType(8), ir.IntType(32), ir.IntType(64), ir.DoubleType()


@intrinsic  # type: ignore[untyped-decorator]
def _planes_of(typing: Any, source: Any, target: Any, apart: Any) -> Any:
    """Write the eight planes of the 32 bytes at `source` as 32 bits each, `apart` bytes from one another."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        source, target, apart = arguments
        kind = ir.VectorType(_BYTE, 32)
        values = builder.load(builder.inttoptr(source, kind.as_pointer()), align=1)
        for plane in range(PLANES):
            one = builder.and_(values, ir.Constant(kind, [1 << plane] * 32))
            bits = builder.bitcast(builder.icmp_unsigned("!=", one, ir.Constant(kind, [0] * 32)), _LANE)
            place = builder.add(target, builder.mul(apart, ir.Constant(_WORD, plane)))
            builder.store(bits, builder.inttoptr(place, _LANE.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 3), generate


@intrinsic  # type: ignore[untyped-decorator]
def _ones(typing: Any, word: Any) -> Any:
    """Return how many bits of a word are set."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


@intrinsic  # type: ignore[untyped-decorator]
def _add_codes(
    typing: Any, sums: Any, places: Any, factors: Any, slices: Any, per_input: Any, total: Any, out: Any
) -> Any:
    """Add to FEW numbers at `out` what their columns give: total x per_input, and slice after slice codes x factors.

    places: int64 (slices,), where the codes of these columns are, in bytes from `sums` on; factors: float64 (slices, FEW).
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        sums, places, factors, slices, per_input, total, out = arguments
        kind, codes = ir.VectorType(_REAL, FEW), ir.VectorType(_LANE, FEW)

        def load(address: ir.Value, of: ir.Type, align: int) -> ir.Value:
            return builder.load(builder.inttoptr(address, of.as_pointer()), align=align)

        empty = ir.Constant(kind, ir.Undefined)
        single = builder.insert_element(empty, total, ir.Constant(_LANE, 0))
        spread = builder.shuffle_vector(single, empty, ir.Constant(ir.VectorType(_LANE, FEW), [0] * FEW))
        found = cgutils.alloca_once_value(builder, ir.Constant(kind, [0.0] * FEW))
        builder.store(builder.fmul(spread, load(per_input, kind, 8)), found)
        with cgutils.for_range(builder, slices, intp=_WORD) as loop:
            place = load(builder.add(places, builder.mul(loop.index, ir.Constant(_WORD, 8))), _WORD, 8)
            values = builder.sitofp(load(builder.add(sums, place), codes, 4), kind)
            factor = load(builder.add(factors, builder.mul(loop.index, ir.Constant(_WORD, 8 * FEW))), kind, 8)
            builder.store(builder.fadd(builder.load(found), builder.fmul(values, factor)), found)
        total = builder.fadd(load(out, kind, 8), builder.load(found))
        builder.store(total, builder.inttoptr(out, kind.as_pointer()), align=8)
        return context.get_dummy_value()

    word = types.int64
    return types.void(*[word] * 5, types.float64, word), generate


@njit(cache=True)  # type: ignore[untyped-decorator]
def _enter(x: Any, block: Any, windows: Any, begin: Any, together: Any, rest: Any, bits: Any, driven: Any) -> None:
    """Make planes of bits of a block's inputs: bits (planes, TOGETHER + 1, bytes), and count the driven rows of each.

    rest: 64 bytes that are 0 from where the last inputs end.
    """
    height = block[HEIGHT]
    whole = height // 64
    more = height - whole * 64
    apart = bits.strides[0]
    words = bits.view(np.uint64)
    rest[more:] = 0
    start = x.ctypes.data + block[MATRIX] * x.strides[0] + block[FIRST_ROW]
    for w in range(together):
        source, to = start + windows[begin + w] * x.strides[1], bits.ctypes.data + w * bits.strides[1]
        for c in range(2 * whole):
            _planes_of(source + 32 * c, to + 4 * c, apart)
        if more:
            last = x[block[MATRIX], windows[begin + w]]
            first = block[FIRST_ROW] + whole * 64
            for i in range(more):
                rest[i] = last[first + i]
            for c in range(2):
                _planes_of(rest.ctypes.data + 32 * c, to + 4 * (2 * whole + c), apart)
        for p in range(PLANES):
            total = np.int64(0)
            for i in range(whole + (more > 0)):
                total += _ones(words[p, w, i])
            driven[p, w] = total


@njit(cache=True)  # type: ignore[untyped-decorator]
def _listed(
    kind: Any, block: Any, together: Any, steps: Any, bits: Any, driven: Any, lanes: Any, sources: Any, starts: Any, shifts: Any,
    targets: Any, first: Any,
) -> Any:  # fmt: skip
    """List the conversions of a column, plane by plane; returns how many. `first` (windows,): what its codes begin at."""
    count = 0
    first[:] = 0
    base, all_of = block[BASE], not block[IDLE]
    for p in range(steps):
        source, magic = bits.ctypes.data + p * bits.strides[0], np.int64(MAGIC_BITS) << p
        for w in range(together):
            rows = driven[p, w]
            converted = 1 if all_of or rows > 0 else 0
            # Written in any case, and overwritten by the next one if it is left out: faster than to ask.
            sources[count] = source + w * bits.strides[1]
            starts[count] = base * rows
            shifts[count] = p
            targets[count] = w * lanes * 4
            count += converted
            first[w] -= magic * converted
    if kind != len(SCALE):
        first[:] = 0
    for r in range(count, count + SPARE):
        # A window beyond all others, in which nothing is driven.
        sources[r] = bits.ctypes.data + TOGETHER * bits.strides[1]
        starts[r] = 0
        shifts[r] = 0
        targets[r] = TOGETHER * lanes * 4
    return count


@njit(cache=True)  # type: ignore[untyped-decorator]
def _begin(kind: Any, sums: Any, vectors: Any, together: Any, lanes: Any, begins: Any) -> None:
    """Set the sums of so many vectors of columns to what codes begin at."""
    if kind != len(SCALE):
        sums[: vectors * (TOGETHER + 1) * lanes] = 0
        return
    for v in range(vectors):
        for w in range(together):
            start = np.int32(begins[w])
            at = (v * (TOGETHER + 1) + w) * lanes
            for i in range(at, at + lanes):
                sums[i] = start


@njit(cache=True)  # type: ignore[untyped-decorator]
def _collect(
    block: Any, sums: Any, windows: Any, begin: Any, together: Any, lanes: Any, totals: Any, last: Any, out: Any
) -> None:
    """Shift and add the codes of a block's slices; `last` (FEW,): scratch."""
    width, slices = block[WIDTH], block[SLICES]
    start = out.ctypes.data + block[MATRIX] * out.strides[0] + block[FIRST_COLUMN] * 8
    for w in range(together):
        target, at = start + windows[begin + w] * out.strides[1], sums.ctypes.data + w * lanes * 4
        for c in range(width // FEW):
            _add_codes(
                at, block[PLACES] + c * slices * 8, block[FACTORS] + c * slices * FEW * 8, slices,
                block[PER_INPUT] + c * FEW * 8, totals[w], target + c * FEW * 8,
            )  # fmt: skip
        if width % FEW:
            c = width // FEW
            last[:] = 0
            _add_codes(
                at, block[PLACES] + c * slices * 8, block[FACTORS] + c * slices * FEW * 8, slices,
                block[PER_INPUT] + c * FEW * 8, totals[w], last.ctypes.data,
            )  # fmt: skip
            line = out[block[MATRIX], windows[begin + w]]
            for n in range(c * FEW, width):
                line[block[FIRST_COLUMN] + n] += last[n - c * FEW]


@njit(cache=True)  # type: ignore[untyped-decorator]
def _total(row: Any, block: Any) -> Any:
    """Return the sum of a block's inputs in a row of them, those that drive rows the other way subtracted."""
    first, total = block[FIRST_ROW], np.int64(0)
    for i in range(first, first + block[POSITIVE]):
        total += np.int64(row[i])
    for i in range(first + block[POSITIVE], first + block[HEIGHT]):
        total -= np.int64(row[i])
    return np.float64(total)


@njit(cache=True)  # type: ignore[untyped-decorator]
def convert_blocks(
    code: Any, kind: Any, x: Any, windows: Any, blocks: Any, steps: Any, tile: Any, tables: Any, out: Any
) -> Any:
    """Convert blocks one after another; return how many conversions clipped.

    code: where that of the blocks' tiles is (`counting_tiles.compiled_tile`); `kind`: the length of what tells its converter. x:
    uint8 (matrices, windows, K); windows: int64, those that are converted. blocks: int64 (blocks, FIELDS), a row of what is known
    of each. tile: lanes and vectors of a tile. Adds to out, float64 (matrices, windows, N).
    """
    lanes, vectors = tile
    length = -(-blocks[:, HEIGHT].max() // 64) * 8
    rest, last = np.zeros(64, dtype=np.uint8), np.zeros(FEW)
    bits = np.zeros((PLANES, TOGETHER + 1, length), dtype=np.uint8)
    driven = np.zeros((PLANES, TOGETHER), dtype=np.int64)
    room = PLANES * TOGETHER + SPARE
    sources, targets = np.zeros(room, dtype=np.int64), np.zeros(room, dtype=np.int64)
    starts, shifts = np.zeros(room, dtype=np.int32), np.zeros(room, dtype=np.int32)
    begins, totals = np.zeros(TOGETHER, dtype=np.int64), np.zeros(TOGETHER)
    slab = vectors * (TOGETHER + 1) * lanes
    sums = np.zeros(blocks[:, TILES].max() * slab, dtype=np.int32)
    clipped, count = np.int64(0), 0
    for begin in range(0, len(windows), TOGETHER):
        together = min(TOGETHER, len(windows) - begin)
        for b in range(len(blocks)):
            block = blocks[b]
            before = blocks[b - 1]
            entered = b == 0
            for part in (MATRIX, FIRST_ROW, HEIGHT):
                entered |= block[part] != before[part]
            if entered:
                _enter(x, block, windows, begin, together, rest, bits, driven)
            if entered or block[BASE] != before[BASE] or block[IDLE] != before[IDLE]:
                count = _listed(
                    kind, block, together, steps, bits, driven, lanes, sources, starts, shifts, targets, begins
                )
            _begin(kind, sums, block[TILES] * vectors, together, lanes, begins)
            for t in range(block[TILES]):
                columns = t * vectors * lanes * 4
                clipped += call_tile(code, (
                    np.int64(sources.ctypes.data), np.int64(starts.ctypes.data), np.int64(shifts.ctypes.data),
                    np.int64(targets.ctypes.data), np.int64(count), block[UNITS], block[WEIGHTS] + t * block[TILE_BYTES],
                    np.int64(tables), block[GAINS] + columns, block[OFFSETS] + columns, np.int32(block[LOW]),
                    np.int32(block[HIGH]), np.int64(sums.ctypes.data + t * slab * 4),
                ))  # fmt: skip
            if kind == len(CONVERT):
                clipped -= block[QUIET] * (-count % block[AT_ONCE])
            for w in range(together):
                totals[w] = _total(x[block[MATRIX], windows[begin + w]], block) if block[COUNTS] else 0.0
            _collect(block, sums, windows, begin, together, lanes, totals, last, out)
    return clipped
