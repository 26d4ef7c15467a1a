"""The rival without a crossbar: pruned digital weights on the same lanes, as unit vectors in place of a basis.

A segment of an output keeps k of its 128 weights; a lane multiplies an input of 8 bits, in place of a sum of 18, by a weight of 4.
Lanes, batches, the coefficient buffer and the stream from main memory are those of preset basisn, and the schedule is the same:
the program is that of a basis of 128 vectors on a chip whose arrays take no time, area or energy. Taken for granted:

- inputs lie in the product buffer, a byte each, written once and read once for each weight that is kept; nothing is taken off
  them, as nothing is converted;
- multipliers are as wide as the inputs; the product buffer is sized for the sums that the program counts by, so that it is about
  twice as large as it would have to be, which its price for a byte goes by.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from typing import Any

import mho
from mho.studies.basisn.chips import BATCH, BATCHES, COLUMNS, GROUP, SUM_BITS, cut

ARRAYS = (
    "array", "cell_pulse", "dac", "sample_hold", "adc", "shift_add", "input_register", "output_register", "write_register",
)  # fmt: skip
"""Components of the arrays, which this chip does without."""
INSTANT_S = 1e-15
"""What stands for no time at all."""
INPUT_BITS, UNIT_SUM_BITS = 8, 17
"""Bits that a lane multiplies here, and of the widest sum that the program counts by: of 128 elements of three levels."""
EQUAL = {
    "resnet20": (56, 31), "resnet56": (56, 31), "densenet40": (59, 33), "resnet18": (48, 22), "resnet34": (48, 22),
    "resnet50": (48, 22), "densenet121": (48, 22), "densenet161": (48, 22),
}  # fmt: skip
"""Weights that a segment keeps where its error is that of 32, and of 16, of 512 learned vectors (paper.yaml says whence)."""


@cache
def lanes_alone(arrays: int, **changes: Any) -> mho.Chip:
    """Return the lanes of preset basisn with so many arrays in groups of four, without the arrays."""
    nothing: dict[str, Any] = dict.fromkeys((f"components.{role}" for role in ARRAYS), "none")
    instant = {"array.adc_period_s": INSTANT_S, "array.step_overhead_s": 0.0}
    batch = changes.get("basis.batch", BATCH)
    buffer = {"basis.product_bytes": BATCHES * batch * COLUMNS * UNIT_SUM_BITS // 8}
    return cut(mho.Chip.load("basisn"), arrays, min(GROUP, arrays), **nothing, **instant, **buffer, **changes)


def parts_j(program: mho.Program, report: mho.Report) -> dict[str, float]:
    """Return the energy of pruned weights by component and kind, in J, from a program on `lanes_alone`.

    Inputs take the place of the sums that the program counts by: multipliers and the product buffer go by their bits, and what
    is added to take off the offset of a sum is left out.
    """
    combinations = [layer.combination for layer in program.mapping.combining if layer.combination]
    offsets = COLUMNS * sum(combination.vectors for combination in combinations)
    shares = {"lane_multiplier": INPUT_BITS / SUM_BITS, "product_buffer": INPUT_BITS / combinations[0].sum_bits}
    parts: dict[str, float] = defaultdict(float)
    for entry in report.account.entries:
        share = shares.get(entry.component, 1.0) if entry.kind == "compute" else 1.0
        parts[f"{entry.component}/{entry.kind}"] += entry.joules * share
    parts["lane_adder/compute"] -= offsets * program.chip.energy_per_event["coefficient_sum"]
    return {part: joules for part, joules in parts.items() if joules}


def area_m2(chip: mho.Chip, arrays: mho.Chip) -> float:
    """Return the area of lanes alone: `arrays`, the chip with its arrays, less these, and with narrower multipliers.

    Adders that keep up with arrays are taken as those of that chip.
    """
    own, other = chip.roll_up().area_m2.by_component, arrays.roll_up().area_m2.by_component
    parts = {role: other[role] if role == "accumulator" else own[role] for role in own if role not in ARRAYS}
    wider = parts.get("lane_multiplier", 0.0) * (1 - INPUT_BITS / SUM_BITS)
    return sum(parts.values()) - wider
