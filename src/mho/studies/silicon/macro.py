"""A macro whose components were set by one of its two measured rows, and how the other follows."""

from __future__ import annotations

import mho
from mho.chip.readout import Readout
from mho.studies.chapter import Chapter
from mho.studies.silicon.paper import PAPER, Figures, compared, laid_out

CHIP = "nthu"
GIVEN = "1 bit in"
INPUTS = {GIVEN: 1, "2 bits in": 2}
"""Precisions of inputs that were measured; weights have 3 bits, outputs 4."""


def macro() -> dict[str, dict[str, float]]:
    """Return the time of a product in s and the TOPS/W of the macro, by bits of inputs."""
    chip = mho.Chip.load(CHIP)
    energy, times, efficiencies = chip.energy_per_event, dict[str, float](), dict[str, float]()
    operations = 2 * chip.rows_at_once * chip.readout.conversions
    for name, bits in INPUTS.items():
        read = Readout(chip, bits, chip.array.adc_bits, chip.readout.conversions)
        joules = read.pulses * energy["array_read"] + read.steps * read.conversions * energy["adc_conversion"]
        times[name] = read.window_s
        efficiencies[name] = operations / joules / 1e12
    return {"time": times, "efficiency": efficiencies}


def macro_chapter(measured: Figures) -> Chapter:
    """Set both rows beside the measured ones."""
    chapter = PAPER.chapter("macro")
    members = compared(chapter, measured, {GIVEN: PAPER.says("given")})
    laid_out(chapter, "Weights of 3 bits, outputs of 4, 9 rows at a time", "inputs", members)
    return chapter
