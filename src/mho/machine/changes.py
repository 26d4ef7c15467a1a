"""What writes do to cells, as counts, and how far apart the levels of two weight codes are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class WriteCount:
    """What one write (or all of them) does: cells addressed, cells whose level changes, level steps in all."""

    addressed: float = 0.0
    changed: float = 0.0
    steps: float = 0.0


@dataclass(frozen=True, eq=False)
class Wear:
    """The writes of one inference: per instruction (setup included), and per cell of the chip.

    per_cell_mean: level changes per inference, averaged over all cells of the chip; per_cell_max: of the cell that
    changes most often. `exact` says whether they were followed cell by cell; if not, changes are expected values and
    per_cell_max is an upper bound, the most writes to one group that bring another block.
    """

    counts: dict[int, WriteCount]
    per_cell_mean: float
    per_cell_max: float
    exact: bool


@lru_cache(maxsize=8)
def level_changes(count: int, bits: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """For each pair of codes (old * 256 + new): cells changed, level steps, and the changed cells as bits."""
    shifts = bits * np.arange(count - 1, -1, -1)
    levels = (np.arange(256)[:, None] >> shifts) & ((1 << bits) - 1)
    apart = np.abs(levels[:, None, :] - levels[None, :, :])
    mask = ((apart > 0) << np.arange(count)).sum(axis=-1)
    return (
        (apart > 0).sum(axis=-1).astype(np.uint8).ravel(),
        apart.sum(axis=-1).astype(np.uint8).ravel(),
        mask.astype(np.uint8).ravel(),
    )
