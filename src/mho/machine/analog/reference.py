"""The reference column of an array: cells at level 0, whose current is taken away from that of every other column.

They are cells like the others, programmed once, with errors, faults and read noise of their own. What they do wrong, all columns
of the array see alike: an error that belongs to a row stands in each of them, and noise of a read in all conversions of a step.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.machine.analog.sensing import FloatArray, Sensing

REFERENCE = 0x0EF
"""First of the four numbers that key the random draws of reference columns; those of other cells have fewer."""


@dataclass(frozen=True, eq=False)
class Common:
    """Read noise that columns share: its `variance` for each row, (arrays, height), in level^2, and the array of each column."""

    variance: FloatArray
    arrays: npt.NDArray[np.intp]

    def rows_of(self, rows: slice | npt.NDArray[np.intp], mirrored: bool) -> Common:
        """Return that of some rows, and of inputs that drive rows either way."""
        variance = self.variance[:, rows]
        return replace(self, variance=np.concatenate([variance, variance], axis=1) if mirrored else variance)

    def only(self, columns: Any) -> Common:
        """Return that of some columns."""
        return replace(self, arrays=self.arrays[columns])


def reference_columns(sensing: Sensing, group: int, arrays: int) -> FloatArray:
    """Return what the reference columns of a group's first arrays conduct, in levels, shape (arrays, rows)."""
    if sensing.analog.device.exact:
        return np.full((arrays, sensing.shape.rows), sensing.below)
    levels = np.zeros(sensing.shape.rows, dtype=np.uint8)
    return np.stack([sensing.programmed(levels, (REFERENCE, group, array, 0)) for array in range(arrays)])


def common_noise(sensing: Sensing, references: FloatArray, arrays: npt.NDArray[np.intp]) -> Common | None:
    """Return the read noise of reference columns (arrays, height), which the columns of these arrays share; None for none."""
    sigma = sensing.read_sigma(references)
    return Common(np.square(sigma), arrays) if np.any(sigma) else None
