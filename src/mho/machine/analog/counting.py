"""Bit counting: where rows are driven one bit a step and levels are whole, the sum of a column is a count; its ways and layouts.

Levels are laid out as planes of bits, inputs too: the sum of a column is, over the planes, 2^plane times how many rows are driven
and have a 1 there. A processor that counts the bits of many words at once ANDs and counts; one that only looks bytes up in tables
of 16 takes four rows at a time: the bits of the levels look up, in the table of the rows that are driven, how many are both. The
ADC stands behind the count, as in `dot`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.machine.analog.processor import instructions

TOGETHER = 64
"""Windows whose sums are held at once: those of a vector of columns fit the first-level cache."""
PAIR = 2
"""Conversions at once where levels stay in registers."""
CLIP, SCALE, CONVERT = (0,), (0, 0), (0, 0, 0)
"""Converters, told apart by their types: steps of 1 that clip whole sums; a gain and no more; gain, offset and clipping."""

Integer = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Way:
    """A way of counting: `lanes` columns of a vector, `rows` array rows at once, in so many `registers` of a vector.

    `needs`: what the processor must have (`processor.instructions`). `tables`: counts are looked up. `mark` is a tuple whose type
    tells compiled code the way.
    """

    name: str
    needs: str | None
    lanes: int
    rows: int
    registers: int
    tables: bool
    mark: tuple[int, ...]

    def rows_at_once(self, planes: int, units: int) -> int:
        """Return how many conversions are made at once of columns so high."""
        return PAIR if self.stays(planes, units) else self.tile(planes)[0]

    def stays(self, planes: int, units: int) -> bool:
        """Say whether all levels of a vector of columns so high stay in registers."""
        return not self.tables and self.rows == 32 and units <= 4 and planes * units <= self.registers // 2

    def tile(self, planes: int) -> tuple[int, int]:
        """Return the rows and the vectors of a tile of so many planes of levels: as many sums as stay in registers."""
        vectors = 2 if self.tables and planes <= 2 else 1
        return max(1, min(8, (self.registers - 4) // (planes * vectors) - 1)), vectors

    def padded(self, columns: int, planes: int) -> int:
        """Return how many columns whole tiles have."""
        wide = self.lanes * self.tile(planes)[1]
        return -(-columns // wide) * wide

    def units(self, height: int) -> int:
        """Return how often rows are counted for so many array rows."""
        return -(-height // self.rows)

    @property
    def looked_up(self) -> npt.NDArray[np.uint8]:
        """The tables, (16, lanes): how many bits are set in both of two numbers of four bits."""
        both = (np.arange(16)[:, None] & np.arange(16)).astype(np.uint8)
        return np.tile(np.unpackbits(both[..., None], axis=-1).sum(axis=-1, dtype=np.uint8), self.lanes // 16)


WAYS = (
    Way("words", "count", 16, 32, 32, False, (0,) * 1),
    Way("tables of 64", "bytes-64", 64, 8, 32, True, (0,) * 2),
    Way("tables of 32", "bytes-32", 32, 8, 16, True, (0,) * 3),
    Way("tables of 16", "bytes-16", 16, 8, 16, True, (0,) * 4),
    Way("bytes", None, 16, 8, 16, False, (0,) * 5),
)
"""The fastest first."""


@lru_cache(maxsize=1)
def fastest() -> Way:
    """Return the fastest way that the processor has."""
    return next(way for way in WAYS if way.needs is None or way.needs in instructions())


def laid_out(levels: Integer, planes: int, way: Way) -> npt.NDArray[np.generic]:
    """Lay out levels (height, columns), 0 to 2^planes - 1, for the tiles of a way: bytes or words, tile after tile."""
    units = way.units(len(levels))
    filled = np.zeros((units * way.rows, way.padded(levels.shape[1], planes)), dtype=np.uint16)
    filled[: len(levels), : levels.shape[1]] = levels
    vectors = way.tile(planes)[1]
    bits = (filled >> np.arange(planes, dtype=np.uint16)[:, None, None]) & np.uint16(1)
    octets = np.packbits(bits.astype(np.bool_), axis=1, bitorder="little")
    if way.rows == 32:
        octets = np.ascontiguousarray(octets.reshape(planes, units, 4, -1).swapaxes(2, 3)).view("<u4")
    parts = np.stack([octets & 15, octets >> 4], axis=2) if way.tables else octets
    parts = parts.reshape(planes, units, -1, filled.shape[1] // (vectors * way.lanes), vectors, way.lanes)
    return np.ascontiguousarray(parts.transpose(3, 1, 2, 4, 0, 5))
