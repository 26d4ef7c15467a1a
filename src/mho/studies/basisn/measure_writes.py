"""How long naive reprogramming takes where writing an array takes longer, and from when on a basis is below a part of that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mho
from mho.studies.basisn.chips import rewriting
from mho.studies.basisn.measure import simulated, written
from mho.studies.work import Work

TIMES_S = (0.768e-3, 1.5e-3, 3e-3, 6e-3, 12e-3, 24e-3, 48e-3)
"""Times to write an array: ARAS's, and up to those of cells that are written and verified one by one."""
ENDS_S = (TIMES_S[0], TIMES_S[-1])
DRAWN = (4, 100)
"""Arrays of the chips for which every time is measured."""


def slower(arrays: int, write_s: float) -> mho.Chip:
    """Return ARAS of so many arrays, whose pulses last so long that writing an array takes `write_s`."""
    chip = rewriting(arrays)
    pulse_s = chip.array.pulse_s * write_s / chip.array_write_time_s
    return chip.override({"array.pulse_s": pulse_s}, source="study: time to write an array")


def naive_s(network: mho.Network, arrays: int, write_s: float) -> float:
    """Return the time of naive reprogramming."""
    _, report = simulated(network, slower(arrays, write_s), written("naive"))
    return float(report.latency_s)


def writes_of(work: Work, name: str, arrays: int) -> dict[str, Any]:
    """Return naive reprogramming's time in s for each time to write an array; on most chips, for the least and the most alone."""
    times = TIMES_S if arrays in DRAWN else ENDS_S

    def compute() -> dict[str, Any]:
        network = mho.zoo.load(name)
        return {"write_s": list(times), "naive_s": [naive_s(network, arrays, write_s) for write_s in times]}

    return work.measure(f"{name}, {arrays} arrays: time to write", compute, rewriting(arrays), list(times))


def needed_s(naive: list[float], latency_s: float, part: float) -> float:
    """Return the time to write an array from which `latency_s` is less than a part of naive reprogramming's time.

    The schedule writes, then computes, and no two of these at once, so that its time is a straight line over that of writing.
    """
    slope = (naive[-1] - naive[0]) / (ENDS_S[1] - ENDS_S[0])
    return max(0.0, TIMES_S[0] + (latency_s / part - naive[0]) / slope)


Writes = Mapping[str, Mapping[int, dict[str, Any]]]
"""By network and arrays of the chip."""
