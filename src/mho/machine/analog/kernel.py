"""A block's columns behind a converter: what every way of converting them has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.machine.analog.columns import Columns
from mho.machine.analog.converter import Converter

Bytes = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float64]
TILE = 1024
"""Windows whose sums are held at once."""
LIMIT = 2**22
"""Codes below this, times the significance of a plane, add up in 32 bits."""


@dataclass(frozen=True, eq=False)
class Numbers:
    """The numbers of a block's conversions: its key, and the number of each window (row of x) over all samples."""

    key: np.uint64
    windows: npt.NDArray[np.uint64]


def lossless(columns: Columns, converter: Converter, driven: int) -> bool:
    """Say that no conversion can lose anything: nothing is rounded, and no column can clip, whatever its inputs.

    `driven` is the largest input of a row in a step. With steps of 1, exact levels, no errors and no noise, a column that adds at
    most `high` (and at least `low`) when all its rows are driven highest gives its sum. An ideal ADC loses nothing of whatever is
    static.
    """
    if columns.read_variance is not None or converter.noise:
        return False
    if converter.high is None:
        return True
    if columns.shift or not columns.accurate or any(step != 1 for step in converter.steps):
        return False
    most = np.maximum(columns.weights, 0).sum(axis=1, dtype=np.int64).max(initial=0) * driven
    least = np.minimum(columns.weights, 0).sum(axis=1, dtype=np.int64).min(initial=0) * driven
    return bool(most <= converter.high and least >= converter.low)


class Kernel(ABC):
    """A block's columns behind a converter. `convert` gives the block's part of the layer's sums, tile by tile of windows."""

    operands: tuple[Any, ...]
    """The arrays made of the columns' weights, which inputs are multiplied with."""

    def __init__(self, columns: Columns, converter: Converter, dac_bits: int, input_bits: int) -> None:
        self.converter = converter
        self.dac_bits, self.input_bits = dac_bits, input_bits
        self.steps = -(-input_bits // dac_bits)
        self.slices, _, self.width = columns.weights.shape
        steps = np.array(converter.steps)
        self.factor: FloatArray = (columns.significance * steps)[:, None] * np.where(columns.inverted, -1.0, 1.0)
        self.per_input, self.input_sums = columns.per_input(), columns.input_sums
        self.mirrored = columns.mirrored
        scale = columns.gain.astype(np.float64) / steps[:, None] * 2.0**-columns.shift
        self.gain: npt.NDArray[np.float32] = scale.astype(np.float32).ravel()
        self.offset: npt.NDArray[np.float32] = columns.offset.ravel()
        self._prepare(columns, columns.weights.transpose(1, 0, 2).reshape(-1, self.slices * self.width))

    @abstractmethod
    def _prepare(self, columns: Columns, flat: npt.NDArray[np.int16]) -> None:
        """Lay out the weights, which are also given with the slices side by side: `flat` (height, slices x width)."""

    @abstractmethod
    def _convert(self, x: Bytes, numbers: Numbers | None, out: FloatArray) -> int:
        """Convert the windows of one tile; see `convert`."""

    @property
    def nbytes(self) -> int:
        """Bytes that it takes."""
        return sum(array.nbytes for array in self.operands)

    def convert(self, x: Bytes, numbers: Numbers | None, out: FloatArray) -> int:
        """Add to out (windows, width) what windows x (windows, height) give; return how many conversions clipped."""
        clipped = 0
        for first in range(0, len(x), TILE):
            tile = slice(first, first + TILE)
            own = None if numbers is None else Numbers(numbers.key, numbers.windows[tile])
            clipped += self._convert(x[tile], own, out[tile])
        return clipped

    def _digits(self, x: Bytes, step: int) -> FloatArray:
        """Return what drives the rows in an input step."""
        return ((x >> np.uint8(step * self.dac_bits)) & np.uint8(2**self.dac_bits - 1)).astype(np.float64)

    def _collect(self, slice_codes: npt.NDArray[Any], x: Bytes, out: FloatArray) -> None:
        """Shift and add the codes of the slices (windows, slices x width), and add what the inputs themselves give."""
        if self.per_input.any():
            out += self.input_sums(x)[:, None] * self.per_input
        parts = slice_codes.reshape(len(slice_codes), self.slices, self.width)
        for k in range(self.slices):
            out += parts[:, k] * self.factor[k]

    def _collect_compiled(self, sums: npt.NDArray[np.int32], x: Bytes, out: FloatArray) -> None:
        """Do so with sums whose columns fill up whole vectors."""
        from mho.machine.analog.compiled import collect

        counts = bool(self.per_input.any())
        collect(sums, self.factor, self.per_input, counts and not self.mirrored, x, out)
        if counts and self.mirrored:
            out += self.input_sums(x)[:, None] * self.per_input
