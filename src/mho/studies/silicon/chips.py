"""Whole chips: area, power and peak from their parts alone."""

from __future__ import annotations

import mho
from mho.studies.chapter import Chapter
from mho.studies.silicon.paper import PAPER, Figures, compared, laid_out

CHIPS = ("isaac", "puma")
WIDER = 4
"""Times the work of 8 bits that 16 bits are: twice the cells of a weight, twice the steps of an input."""


def chips() -> dict[str, dict[str, float]]:
    """Return area in m2, power in W, and the peak in 16 bits of each chip: TOPS, GOPS/mm2, GOPS/W."""
    figures: dict[str, dict[str, float]] = {name: {} for name in ("area", "power", "tops", "density", "efficiency")}
    for name in CHIPS:
        chip = mho.Chip.load(name)
        total = chip.roll_up()
        area, power = total.area_m2.total, total.peak_power_w.total
        operations = peak(chip) / WIDER
        for quantity, value in (
            ("area", area),
            ("power", power),
            ("tops", operations / 1e12),
            ("density", operations / 1e9 / (area * 1e6)),
            ("efficiency", operations / 1e9 / power),
        ):
            figures[quantity][name] = value
    return figures


def peak(chip: mho.Chip) -> float:
    """Return the operations a second of a chip whose arrays are all full and at work, two a multiply-accumulate."""
    return 2 * chip.groups * chip.array.rows * chip.group_columns / chip.window_time_s


def chips_chapter(measured: Figures) -> Chapter:
    """Set chips beside their papers."""
    chapter = PAPER.chapter("chips")
    members = compared(chapter, measured)
    laid_out(chapter, "Whole chips", "chip", members)
    return chapter
