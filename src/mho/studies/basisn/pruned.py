"""The rival without a crossbar: pruned digital weights on the same lanes, as unit vectors in place of a basis.

A segment of an output keeps k of its 128 weights; a lane multiplies an input of 8 bits, in place of a sum of 18, by a weight of 4.
Lanes, batches, the coefficient buffer and the stream from main memory are those of preset basisn, and the schedule is the same: a
program on unit vectors, which drives no array, on a chip that has none. Inputs lie in the product buffer, a byte each, written once
and read once for each weight that is kept. Taken for granted beside: multipliers are as wide as the inputs, where the chip would
price them by its widest sums.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

import mho
from mho.machine.bill import KINDS, Bill
from mho.studies.basisn.chips import BATCH, BATCHES, COLUMNS, GROUP, SUM_BITS, cut

ARRAYS = (
    "array", "cell_pulse", "dac", "sample_hold", "adc", "shift_add", "input_register", "output_register", "write_register",
)  # fmt: skip
"""Components of the arrays, which this chip does without."""
INPUT_BITS = 8
"""Bits of an input, which a lane multiplies here."""
EQUAL = {
    "resnet20": (56, 31), "resnet56": (56, 31), "densenet40": (59, 33), "resnet18": (48, 22), "resnet34": (48, 22),
    "resnet50": (48, 22), "densenet121": (48, 22), "densenet161": (48, 22),
}  # fmt: skip
"""Weights that a segment keeps where its error is that of 32, and of 16, of 512 learned vectors (paper.yaml says whence)."""


@cache
def lanes_alone(arrays: int, **changes: Any) -> mho.Chip:
    """Return the lanes of preset basisn with so many arrays in groups of four, without the arrays."""
    nothing: dict[str, Any] = dict.fromkeys((f"components.{role}" for role in ARRAYS), "none")
    buffer = {"basis.product_bytes": BATCHES * changes.get("basis.batch", BATCH) * COLUMNS * INPUT_BITS // 8}
    return cut(mho.Chip.load("basisn"), arrays, min(GROUP, arrays), **nothing, **buffer, **changes)


def bill(report: mho.Report) -> Bill:
    """Return the bill of pruned weights, of a program on `lanes_alone`: its multipliers are as wide as inputs."""
    whole = report.bill
    multipliers = np.array([price.component == "lane_multiplier" for price in whole.prices], dtype=bool)
    narrow = multipliers[whole.price] & (whole.kind == KINDS.index("compute"))
    return replace(whole, count=np.where(narrow, INPUT_BITS / SUM_BITS, 1.0) * whole.count)


def parts_j(report: mho.Report) -> dict[str, float]:
    """Return the energy of pruned weights by component and kind, in J, of a program on `lanes_alone`."""
    parts: dict[str, float] = {}
    for entry in (bill(report) @ report.program.chip).entries:
        key = f"{entry.component}/{entry.kind}"
        parts[key] = parts.get(key, 0.0) + entry.joules
    return {part: joules for part, joules in parts.items() if joules}


def area_m2(chip: mho.Chip) -> float:
    """Return the area of lanes alone, with narrower multipliers."""
    parts = chip.roll_up().area_m2
    return parts.total - parts.by_component.get("lane_multiplier", 0.0) * (1 - INPUT_BITS / SUM_BITS)
