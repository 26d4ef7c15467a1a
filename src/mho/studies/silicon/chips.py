"""Whole chips: area, power and peak from their parts alone."""

from __future__ import annotations

import mho
from mho.studies.chapter import Chapter
from mho.studies.silicon.paper import PAPER, Figures, compared, laid_out

OUTSIDE = {"isaac": ("external_io",), "puma": ("external_io", "noc")}
"""Of each chip the parts that its paper counts beside its tiles."""
WIDER = 4
"""Times the work of 8 bits that 16 bits are: twice the cells of a weight, twice the steps of an input."""


def chips() -> dict[str, dict[str, float]]:
    """Return area in m2 and power in W of each chip, of a tile and of a matrix unit, and its peak in 16 bits: TOPS, GOPS/mm2,
    GOPS/W.
    """
    figures: dict[str, dict[str, float]] = {}
    for name, outside in OUTSIDE.items():
        chip = mho.Chip.load(name)
        total = chip.roll_up()
        operations = peak(chip) / WIDER
        for quantity, part in (("area", total.area_m2), ("power", total.peak_power_w)):
            inside = part.total - sum(part.by_component[role] for role in outside)
            figures.setdefault(f"unit-{quantity}", {})[name] = part.by_level["array"] / chip.groups
            figures.setdefault(f"tile-{quantity}", {})[name] = inside / chip.tiles
            figures.setdefault(quantity, {})[name] = part.total
        for quantity, value in (
            ("tops", operations / 1e12),
            ("density", operations / 1e9 / (total.area_m2.total * 1e6)),
            ("efficiency", operations / 1e9 / total.peak_power_w.total),
        ):
            figures.setdefault(quantity, {})[name] = value
    return figures


def peak(chip: mho.Chip) -> float:
    """Return the operations a second of a chip whose arrays are all full and at work, two a multiply-accumulate."""
    return 2 * chip.groups * chip.weight_rows * chip.group_columns / chip.window_time_s


def chips_chapter(measured: Figures) -> Chapter:
    """Set chips beside their papers."""
    chapter = PAPER.chapter("chips")
    members, labels = compared(chapter, measured), PAPER.labels("chips")
    sizes = [name for name in labels if name.endswith(("area", "power"))]
    laid_out(chapter, "Area and power of a matrix unit, a tile and a chip", "chip", members, sizes)
    laid_out(chapter, "Peak in 16 bits", "chip", members, [name for name in labels if name not in sizes])
    return chapter
