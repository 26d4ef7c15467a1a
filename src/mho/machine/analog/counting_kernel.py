"""Blocks of whole levels whose rows are driven one bit a step: sums by counting bits; see `counting`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mho.machine.analog.columns import Columns
from mho.machine.analog.converter import Converter
from mho.machine.analog.counting import CLIP, CONVERT, SCALE, TOGETHER, Way, fastest, laid_out
from mho.machine.analog.counting_tiles import compiled_tile
from mho.machine.analog.kernel import Bytes, FloatArray, Kernel, Numbers
from mho.machine.analog.processor import multiplies_bytes

FEWER, MOST = 4, 8
"""Planes of levels up to which counting is faster than products of bytes, where the processor multiplies them by fours, and where
it does not."""


def planes_of(columns: Columns) -> tuple[int, int]:
    """Return the planes of bits that hold the levels of columns, and the level that is 0 in all of them."""
    weights, highest = columns.weights, columns.highest
    base = min(-highest if weights.min(initial=0) < 0 else 0, int(weights.min(initial=0)))
    return max(1, (max(highest, int(weights.max(initial=0))) - base).bit_length()), base


def countable(columns: Columns, most: int | None = None) -> bool:
    """Say whether counting is the fastest way to the sums of columns whose rows are driven one bit a step."""
    most = (FEWER if multiplies_bytes() else MOST) if most is None else most
    return not columns.shift and columns.read_variance is None and planes_of(columns)[0] <= most


class CountingKernel(Kernel):
    """Sums of whole levels, by counting bits, with the ADC fused behind them. `way`: None for the processor's fastest."""

    def __init__(
        self, columns: Columns, converter: Converter, dac_bits: int, input_bits: int, way: Way | None = None
    ) -> None:
        self.way = way or fastest()
        super().__init__(columns, converter, dac_bits, input_bits)

    def _prepare(self, columns: Columns, flat: npt.NDArray[np.int16]) -> None:
        from mho.machine.analog.counted import FEW

        way = self.way
        self.height = len(flat)
        self.planes, self.base = planes_of(columns)
        # The columns of a slice fill up whole eights.
        wide = -(-self.width // FEW) * FEW

        self.count_of = way.padded(self.slices * wide, self.planes)

        def filled(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
            rows = values.reshape(-1, self.slices, self.width)
            padded = np.zeros((len(rows), self.count_of), dtype=values.dtype)
            padded[:, : self.slices * wide].reshape(len(rows), self.slices, wide)[..., : self.width] = rows
            return padded

        # Columns that fill up have weights of 0, as the others: they are never converted to anything else.
        weights = laid_out(filled(flat) - np.int16(self.base), self.planes, way)
        self.tiles, self.tile_bytes = len(weights), weights[0].nbytes
        gains, offsets = filled(self.gain)[0], filled(self.offset)[0]
        first = np.arange(0, wide, FEW)[:, None] + np.arange(self.slices) * wide
        places = ((first // way.lanes * (TOGETHER + 1)) * way.lanes + first % way.lanes) * 4
        factors = filled(self.factor)[0, : self.slices * wide].reshape(self.slices, -1, FEW).transpose(1, 0, 2)
        per_input = np.zeros(wide)
        per_input[: self.width] = self.per_input
        self.operands = (
            weights, gains, offsets, places.astype(np.int64), np.ascontiguousarray(factors), per_input, way.looked_up,
        )  # fmt: skip
        self._choose(flat)

    def _choose(self, flat: npt.NDArray[np.int16]) -> None:
        """Choose the converter that the columns need."""
        low, high = self.converter.low, self.converter.high
        assert high is not None
        self.idle = not self.offset.any()
        unerring = self.idle and bool((self.gain == 1).all())
        most, least = (
            np.rint(ends.sum(axis=0, dtype=np.int64).astype(np.float32) * self.gain)
            for ends in (np.maximum(flat, 0), np.minimum(flat, 0))
        )
        inside = self.idle and bool((most <= high).all() and (least >= low).all())
        self.kind: tuple[int, ...] = CLIP if unerring else SCALE if inside else CONVERT
        resting = np.rint(self.offset)
        self.quiet = int(((resting < low) | (resting > high)).sum())

    def described(self, matrix: int = 0, row: int = 0, column: int = 0) -> list[int]:
        """Return what compiled code must know of the block, whose inputs and outputs begin there; see `counted`."""
        weights, gains, offsets, places, factors, per_input, _ = (each.ctypes.data for each in self.operands)
        counts = bool(self.per_input.any())
        positive = self.height // 2 if self.mirrored else self.height
        assert self.converter.high is not None
        return [
            matrix, row, self.height, column, self.width, self.slices, self.way.units(self.height), self.tiles, self.tile_bytes,
            weights, gains, offsets, places, factors, per_input, counts, positive, self.base, self.converter.low,
            self.converter.high, self.quiet, self.idle, self.way.rows_at_once(self.planes, self.way.units(self.height)),
        ]  # fmt: skip

    @property
    def alike(self) -> tuple[Any, ...]:
        """What blocks that are converted in one call have in common."""
        return self.way, self.planes, self.kind, self.steps

    def _convert(self, x: Bytes, numbers: Numbers | None, out: FloatArray) -> int:
        blocks = np.array([self.described()], dtype=np.int64)
        return convert_alike([self], blocks, np.ascontiguousarray(x)[None], np.arange(len(x)), out[None])


def convert_alike(
    kernels: list[CountingKernel],
    blocks: npt.NDArray[np.int64],
    x: Bytes,
    windows: npt.NDArray[np.int64],
    out: FloatArray,
) -> int:
    """Convert windows of x (matrices, windows, K) with blocks whose kernels are alike, as described; return how many clipped.

    Adds to out (matrices, windows, N).
    """
    from mho.machine.analog.counted import convert_blocks

    way, planes, kind, steps = kernels[0].alike
    tile, tables = (way.lanes, way.tile(planes)[1]), kernels[0].operands[-1].ctypes.data
    code = compiled_tile(way, planes, kind).address
    return int(convert_blocks(code, len(kind), x, windows, blocks, steps, tile, tables, out))
