"""Coefficients of a part as the bits that come from main memory: the places of each output as a set of vectors, then their values.

Places are k of N vectors, whose order says nothing, so that they take fewer bits than k numbers of vectors. A part starts with
HEAD_BITS that say l, its low bits of a place. Output after output then come
- where l is 0, a bit for each vector: 1 where it has a coefficient (a bitmap);
- else for each run of 2^l vectors a 1 for each coefficient and a 0, and then the l low bits of each place, rising (P. Elias, J. ACM
  21(2), 1974; R. Fano, MIT Project MAC memo 61, 1971);
- the values, c bits each.

A decoder is told outputs, N and c, as a lane is set up for a layer. It needs no counts: after N bits, or ceil(N / 2^l) zeros, the
ones that came are the coefficients. So n coefficients of M outputs take HEAD_BITS + n c + M N bits where l is 0, else
HEAD_BITS + n (c + l + 1) + M ceil(N / 2^l), whatever output has how many; l is the one that takes fewest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import NumberError
from mho.number.basis import integers_of

IntArray = npt.NDArray[np.int64]
BitArray = npt.NDArray[np.uint8]

HEAD_BITS = 5
"""Bits that say l, which is at most 16: a basis has fewer than 2^16 vectors."""


def packed_bits(counts: IntArray, outputs: int, vectors: IntArray, bits: int) -> tuple[IntArray, IntArray]:
    """Return the bits of parts of so many outputs, and the low bits of a place that take fewest, both int64 (parts,).

    counts, vectors (parts,): the coefficients of all outputs of each part that are not 0, of `bits` each, and of how many vectors.
    """
    lows = np.arange(int(vectors.max(initial=1) - 1).bit_length() + 1)[:, None]
    sizes = outputs * -(-vectors >> lows) + counts * np.where(lows > 0, lows + 1, 0)
    sizes = sizes + counts * bits + HEAD_BITS
    best = sizes.argmin(axis=0)
    return np.take_along_axis(sizes, best[None], axis=0)[0], best


def pack(part: npt.NDArray[np.integer[Any]], bits: int, *, powers: bool = False) -> bytes:
    """Return the bytes of the coefficients (vectors, outputs) of one part; bits that are left over in the last byte are 0.

    NumberError for what coefficients of so many bits cannot be.
    """
    vectors, outputs = part.shape
    used = (part != 0).T
    _, lows = packed_bits(np.array([used.sum()]), outputs, np.array([vectors]), bits)
    low, table = int(lows[0]), _table(bits, powers)
    codes = {value: code for code, value in reversed([*enumerate(table.tolist())])}
    stream = [_digits(np.array([low]), HEAD_BITS)]
    for output, marked in enumerate(used):
        places = np.flatnonzero(marked)
        values = part[places, output].tolist()
        if not codes.keys() >= {*values}:
            raise NumberError(f"coefficients of {bits} bits are {table.min()} to {table.max()}, not {values}")
        if low:
            runs = np.bincount(places >> low, minlength=-(-vectors >> low))
            marks = np.ones(len(places) + len(runs), dtype=np.uint8)
            marks[np.cumsum(runs + 1) - 1] = 0
            stream += [marks, _digits(places, low)]
        else:
            stream.append(marked.astype(np.uint8))
        stream.append(_digits(np.array([codes[value] for value in values], dtype=np.int64), bits))
    return np.packbits(np.concatenate(stream)).tobytes()


def unpack(packed: bytes, outputs: int, vectors: int, bits: int, *, powers: bool = False) -> IntArray:
    """Return the coefficients (vectors, outputs) of one part from the bytes of `pack`. NumberError where these end too early."""
    stream, table = _Stream(np.unpackbits(np.frombuffer(packed, dtype=np.uint8))), _table(bits, powers)
    part = np.zeros((vectors, outputs), dtype=np.int64)
    low = int(stream.numbers(1, HEAD_BITS)[0])
    for output in range(outputs):
        if low:
            runs = stream.runs(-(-vectors >> low))
            places = (np.repeat(np.arange(len(runs)), runs) << low) + stream.numbers(int(runs.sum()), low)
        else:
            places = np.flatnonzero(stream.take(vectors))
        part[places, output] = table[stream.numbers(len(places), bits)]
    return part


@dataclass
class _Stream:
    """Bits that are read one after another."""

    bits: BitArray
    place: int = 0

    def take(self, count: int) -> BitArray:
        """Return the next bits."""
        self.place += count
        if self.place > len(self.bits):
            raise NumberError(f"coefficients end after {len(self.bits)} bits, and {self.place} are asked for")
        return self.bits[self.place - count : self.place]

    def numbers(self, count: int, width: int) -> IntArray:
        """Return the next numbers of `width` bits, int64 (count,)."""
        digits = self.take(count * width).reshape(count, width).astype(np.int64)
        return np.asarray(digits @ (1 << np.arange(width)[::-1]))

    def runs(self, count: int) -> IntArray:
        """Return how many ones come before each of the next so many zeros, int64 (count,)."""
        zeros = np.flatnonzero(self.bits[self.place :] == 0)[:count]
        self.take(int(zeros[-1]) + 1 if len(zeros) == count else len(self.bits) + 1)
        return np.diff(zeros, prepend=-1) - 1


def _digits(numbers: npt.NDArray[np.integer[Any]], width: int) -> BitArray:
    """Return the bits of numbers, so many each, the highest first."""
    return (numbers[:, None] >> np.arange(width)[::-1] & 1).astype(np.uint8).ravel()


def _table(bits: int, powers: bool) -> IntArray:
    """Return what each code of a coefficient stands for, int64 (2^bits,): see `BasisCoding`."""
    values = integers_of(bits, powers)
    if not powers:
        return np.roll(values, len(values) // 2)
    positive = values[values >= 0]
    return np.concatenate([positive, -positive])


__all__ = ["HEAD_BITS", "pack", "packed_bits", "unpack"]
