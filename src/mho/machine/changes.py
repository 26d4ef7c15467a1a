"""What writes do to cells, as counts."""

from __future__ import annotations

from dataclasses import dataclass

from mho.shown import Shown


@dataclass(frozen=True, slots=True)
class WriteCount:
    """The effect of one write, or of all: cells addressed, cells whose level changes, level steps in all.

    `slowest` is what its time follows from where the chip writes no longer than it must (`write_latency: actual`): the level
    steps of each row's slowest cell in each phase (ARAS section III-B), summed over the rows of the slowest array. It is known
    only where cells are followed, else 0.
    """

    addressed: float = 0.0
    changed: float = 0.0
    steps: float = 0.0
    slowest: int = 0


@dataclass(frozen=True, eq=False, repr=False)
class Wear(Shown):
    """The writes of one inference: per instruction (setup included; those of a round whole), and per cell of the chip.

    per_cell_mean: level changes per inference, averaged over all cells of the chip; per_cell_max: of the cell that
    changes most often; per_cell_levelled: of the cell that changes most often where the groups take turns (see
    `endurance`), the maximum over the places in a group of the mean over all groups. `exact` says whether they were
    followed cell by cell; if not, changes are expected values, and per_cell_max and per_cell_levelled are upper bounds: the
    writes to one group that bring another block, the most and the mean.
    """

    counts: dict[int, WriteCount]
    per_cell_mean: float
    per_cell_max: float
    per_cell_levelled: float
    exact: bool
