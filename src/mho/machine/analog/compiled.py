"""Every conversion of a block simulated, on a processor: integer products of planes with the ADC fused behind them.

The result is that of `kernels.PlainKernel`, integer for integer. What makes it fast:

- Planes are not shifted: row x & mask, with the mask of a plane, gives that plane's sums times the plane's significance, and
  the ADC's codes are scaled instead. So planes need no unpacking, and several planes that need no ADC are one row.
- Where the ADC has steps of 1 and levels are exact, a plane of a window needs none where it cannot clip: with n rows driven a
  column gives at most the sum of its n highest levels. All such planes of a window are converted by one product.
- Planes of a window in which nothing is driven are left out.
- Sums stay in registers (`dot`), and are converted as they leave them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from mho.machine.analog.dot import LANES, QUAD, WIDEST, clip_rows, convert_rows, tile_rows

TOGETHER = 64
"""Windows whose rows are collected before they are multiplied: their sums fit the first-level cache."""
NEVER = np.int32(2**31 - 1)
SPARE = 16
"""Rows that fill up the last tile: they are multiplied, and go nowhere."""
WORD = 8
"""Bytes that are masked at once."""


@njit(cache=True)  # type: ignore[untyped-decorator]
def _copy(x: Any, first: Any, count: Any, copies: Any) -> None:
    """Copy rows of bytes, to be seen as words."""
    for w in range(count):
        source, target = x[first + w], copies[w]
        for i in range(x.shape[1]):
            target[i] = source[i]


@njit(cache=True)  # type: ignore[untyped-decorator]
def _driven(words: Any, count: Any, bits: Any, planes: Any, driven: Any) -> None:
    """Sum the driven digits of each window and plane, of words (windows, words) of eight bytes."""
    pairs = np.uint64(0x00FF00FF00FF00FF)
    digit = np.uint64(0x0101010101010101) * np.uint64((1 << bits) - 1)
    # Bytes add up without carry while there are few; then they are added in pairs.
    few = max(1, 255 // ((1 << bits) - 1))
    for w in range(count):
        row = words[w]
        for p in range(planes):
            shift = np.uint64(p * bits)
            total = np.uint64(0)
            for first in range(0, row.size, few):
                part = np.uint64(0)
                for i in range(first, min(first + few, row.size)):
                    part += (row[i] >> shift) & digit
                part = (part & pairs) + ((part >> np.uint64(8)) & pairs)
                part = (part & np.uint64(0xFFFF0000FFFF)) + ((part >> np.uint64(16)) & np.uint64(0xFFFF0000FFFF))
                total += (part & np.uint64(0xFFFFFFFF)) + (part >> np.uint64(32))
            driven[w, p] = np.int32(total)


@njit(cache=True)  # type: ignore[untyped-decorator]
def _mask(source: Any, target: Any, mask: Any) -> None:
    for i in range(source.size):
        target[i] = source[i] & mask


TALL = np.array([[0, *(tile_rows(vectors, planes) for vectors in range(1, WIDEST + 1))] for planes in (1, 2)])
"""Rows of a tile, by the bytes of a weight less 1 and by vectors."""


@njit(cache=True)  # type: ignore[untyped-decorator]
def _clip_rows(
    data: Any, count: Any, stride: Any, weights: Any, first: Any, vectors: Any, lows: Any, highs: Any, out: Any
) -> Any:
    """Multiply `count` rows, from address `data` on, with `vectors` vectors of columns; returns how many sums clipped.

    `out`: the address of the addresses that sums are added to, row by row.
    """
    quads, apart = weights.shape[1], weights.strides[0]
    at = weights.ctypes.data + first * apart
    return clip_rows(data, count, stride, at, apart, quads, vectors, lows.ctypes.data, highs.ctypes.data, out)


@njit(cache=True)  # type: ignore[untyped-decorator]
def _scratch(quads: Any, planes: Any, most: Any) -> Any:
    """Return room for the windows that are together and for at most so many rows made of them, and what is known of these.

    Windows as bytes, and the same as words; rows as words; the window that each is of; where its sums go; driven digits.
    """
    length, room = -(-quads * QUAD // WORD), most + SPARE
    copies = np.zeros((TOGETHER, length * WORD), dtype=np.uint8)
    rows = np.zeros((room, length), dtype=np.uint64)
    owner, targets = np.zeros(room, dtype=np.int64), np.zeros(room, dtype=np.int64)
    return copies, copies.view(np.uint64), rows, owner, targets, np.zeros((TOGETHER, planes), dtype=np.int32)


@njit(cache=True)  # type: ignore[untyped-decorator]
def _aim(targets: Any, sums: Any, owner: Any, count: Any, first: Any, nowhere: Any) -> None:
    """Fill in where the sums of each row go: those of rows that fill up the last tile go nowhere."""
    for r in range(count):
        targets[r] = sums.ctypes.data + owner[r] * sums.strides[0] + first * LANES * 4
    for r in range(count, count + SPARE):
        targets[r] = nowhere.ctypes.data


@njit(cache=True)  # type: ignore[untyped-decorator]
def clip(x: Any, weights: Any, chunks: Any, safe: Any, bits: Any, planes: Any, low: Any, high: Any, sums: Any) -> Any:
    """Convert with steps of 1, codes `low` to `high`, exact levels. Returns how many conversions clipped.

    x: uint8 (windows, height). weights: int8 (vectors, quads, 16, 4), packed. chunks: int64 (chunks, 2), runs of at most
    WIDEST vectors. safe: int32 (chunks,), the largest sum of driven digits at which no column of the run can clip. Adds to
    sums, int32 (windows, vectors x 16).
    """
    windows = len(x)
    copies, words, rows, owner, targets, driven = _scratch(weights.shape[1], planes, planes * TOGETHER)
    lows, highs = np.zeros(len(rows), dtype=np.int32), np.zeros(len(rows), dtype=np.int32)
    nowhere = np.zeros(sums.shape[1], dtype=np.int32)
    ones = np.uint64(0x0101010101010101)
    digit = (1 << bits) - 1
    clipped, count = 0, 0
    for begin in range(0, windows, TOGETHER):
        together = min(TOGETHER, windows - begin)
        _copy(x, begin, together, copies)
        _driven(words, together, bits, planes, driven)
        before = np.int32(-1)
        for c in range(chunks.shape[0]):
            first, vectors = chunks[c]
            if safe[c] != before:
                before = safe[c]
                count = 0
                for w in range(together):
                    merged = 0
                    for p in range(planes):
                        if driven[w, p] > before:
                            _mask(words[w], rows[count], ones * np.uint64((digit << (p * bits)) & 255))
                            owner[count] = begin + w
                            lows[count] = low * (1 << (p * bits))
                            highs[count] = high * (1 << (p * bits))
                            count += 1
                        elif driven[w, p] > 0:
                            merged |= digit << (p * bits)
                    if merged:
                        _mask(words[w], rows[count], ones * np.uint64(merged & 255))
                        owner[count] = begin + w
                        lows[count], highs[count] = -NEVER, NEVER
                        count += 1
                for r in range(count, count + SPARE):
                    lows[r], highs[r] = -NEVER, NEVER
            _aim(targets, sums, owner, count, first, nowhere)
            data, stride, out = rows.ctypes.data, rows.strides[0], targets.ctypes.data
            clipped += _clip_rows(data, count, stride, weights, first, vectors, lows, highs, out)
    return clipped


@njit(cache=True)  # type: ignore[untyped-decorator]
def multiply(x: Any, weights: Any, chunks: Any, sums: Any) -> None:
    """Add the products of windows x, uint8 (windows, height), with packed weights to sums, int32 (windows, vectors x 16).

    Rows of x lie at least as far apart as weights have quads, four bytes each: what stands behind a row meets weights of 0.
    """
    windows, stride = len(x), x.strides[0]
    lows, highs = np.full(TOGETHER + SPARE, -NEVER, np.int32), np.full(TOGETHER + SPARE, NEVER, np.int32)
    targets, owner = np.zeros(TOGETHER + SPARE, dtype=np.int64), np.zeros(TOGETHER, dtype=np.int64)
    last = np.zeros((SPARE, stride), dtype=np.uint8)
    nowhere = np.zeros(sums.shape[1], dtype=np.int32)
    for begin in range(0, windows, TOGETHER):
        # Tiles never reach beyond the last row: those that would are multiplied elsewhere.
        together = min(TOGETHER, windows - begin)
        for r in range(together):
            owner[r] = begin + r
        for c in range(chunks.shape[0]):
            first, vectors = chunks[c]
            _aim(targets, sums, owner, together, first, nowhere)
            tall = TALL[0, vectors]
            whole = together // tall * tall
            for r in range(whole, together):
                for i in range(x.shape[1]):
                    last[r - whole, i] = x[begin + r, i]
            data, out = x.ctypes.data + begin * stride, targets.ctypes.data
            _clip_rows(data, whole, stride, weights, first, vectors, lows, highs, out)
            rest, out = together - whole, out + 8 * whole
            _clip_rows(last.ctypes.data, rest, stride, weights, first, vectors, lows, highs, out)


@njit(cache=True)  # type: ignore[untyped-decorator]
def _plane(
    words: Any, together: Any, idle: Any, driven: Any, p: Any, bits: Any, rows: Any, owner: Any, begin: Any
) -> Any:
    """Fill in the rows of a plane, of all windows or, where `idle` ones give nothing, of the driven; returns how many."""
    mask = np.uint64(0x0101010101010101) * np.uint64((((1 << bits) - 1) << (p * bits)) & 255)
    count = 0
    for w in range(together):
        if not idle or driven[w, p] > 0:
            _mask(words[w], rows[count], mask)
            owner[count] = begin + w
            count += 1
    return count


@njit(cache=True)  # type: ignore[untyped-decorator]
def _convert_rows(
    rows: Any, count: Any, lower: Any, upper: Any, first: Any, vectors: Any, gains: Any, offsets: Any, low: Any, high: Any,
    scale: Any, targets: Any,
) -> Any:  # fmt: skip
    """Multiply and convert rows with weights of one byte, or two; returns how many clipped."""
    # Columns that clip without any input do so in rows that fill up a tile, too.
    quiet = 0
    for j in range(first * LANES, (first + vectors) * LANES):
        code = np.rint(offsets[j])
        quiet += code < low or code > high
    quads, apart, stride = lower.shape[1], lower.strides[0], rows.strides[0]
    at, data, out = lower.ctypes.data + first * apart, rows.ctypes.data, targets.ctypes.data
    gain, offset = gains.ctypes.data + first * LANES * 4, offsets.ctypes.data + first * LANES * 4
    if upper.shape[0] == 0:
        clipped = convert_rows(
            data, count, stride, at, None, apart, quads, vectors, gain, offset, low, high, scale, out
        )
        return clipped - quiet * (-count % TALL[0, vectors])
    up = upper.ctypes.data + first * apart
    clipped = convert_rows(data, count, stride, at, up, apart, quads, vectors, gain, offset, low, high, scale, out)
    return clipped - quiet * (-count % TALL[1, vectors])


@njit(cache=True)  # type: ignore[untyped-decorator]
def convert(
    x: Any, upper: Any, lower: Any, chunks: Any, gain: Any, offset: Any, bits: Any, planes: Any, low: Any, high: Any, sums: Any
) -> Any:  # fmt: skip
    """Convert with any step, gain and offset: code = clip(rint(float32(sum) * gain + offset)). Returns clipped conversions.

    Weights are 256 x upper + lower, int8 packed as for `clip`; `upper` is empty where they fit one byte. gain, offset: float32
    (vectors x 16,). Adds codes times their plane's significance to sums, int32 (windows, vectors x 16).
    """
    windows = len(x)
    copies, words, rows, owner, targets, driven = _scratch(lower.shape[1], planes, TOGETHER)
    scaled = np.zeros(gain.size, dtype=np.float32)
    nowhere = np.zeros(sums.shape[1], dtype=np.int32)
    # A row that is not driven gives 0, and 0 gives code 0 where no column has an offset.
    idle = True
    for j in range(offset.size):
        idle &= offset[j] == 0
    clipped = 0
    for begin in range(0, windows, TOGETHER):
        together = min(TOGETHER, windows - begin)
        _copy(x, begin, together, copies)
        _driven(words, together, bits, planes, driven)
        for p in range(planes):
            count = _plane(words, together, idle, driven, p, bits, rows, owner, begin)
            if count == 0:
                continue
            shift = np.float32(1.0 / (1 << (p * bits)))
            scale = np.int32(1 << (p * bits))
            for j in range(gain.size):
                scaled[j] = gain[j] * shift
            for r in range(count, count + SPARE):
                _mask(rows[r], rows[r], np.uint64(0))
            for c in range(chunks.shape[0]):
                first, vectors = chunks[c]
                _aim(targets, sums, owner, count, first, nowhere)
                clipped += _convert_rows(
                    rows, count, lower, upper, first, vectors, scaled, offset, low, high, scale, targets
                )
    return clipped


@njit(cache=True)  # type: ignore[untyped-decorator]
def collect(sums: Any, factor: Any, per_input: Any, inputs: Any, x: Any, out: Any) -> None:
    """Shift and add the codes of the slices: out (windows, width) += factor (slices, width) x sums, and what inputs add."""
    slices, width = factor.shape
    for w in range(out.shape[0]):
        target = out[w]
        if inputs:
            total = np.int64(0)
            for i in range(x.shape[1]):
                total += np.int64(x[w, i])
            for n in range(width):
                target[n] += total * per_input[n]
        for s in range(slices):
            source = sums[w, s * width : (s + 1) * width]
            scale = factor[s]
            for n in range(width):
                target[n] += source[n] * scale[n]


def pack(weights: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int8]:
    """Lay out weights (height, columns), -128 to 127, for the tiles: int8 (vectors, quads, 16, 4), filled up with zeros."""
    height, columns = weights.shape
    quads, vectors = -(-height // QUAD), -(-columns // LANES)
    filled = np.zeros((quads * QUAD, vectors * LANES), dtype=np.int8)
    filled[:height, :columns] = weights
    return np.ascontiguousarray(filled.reshape(quads, QUAD, vectors, LANES).transpose(2, 0, 3, 1))


def runs(vectors: int) -> npt.NDArray[np.int64]:
    """Cut vectors of columns into runs of at most WIDEST, int64 (runs, 2): the first, and how many."""
    return np.array([(first, min(WIDEST, vectors - first)) for first in range(0, vectors, WIDEST)], dtype=np.int64)
