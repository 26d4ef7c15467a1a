"""How much of the memory's bandwidth an inference uses, over time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mho.machine.changes import Wear
from mho.machine.timing import Timing, floor_s
from mho.program import Program, Transfer, Write
from mho.program.work import fetched_bytes

Steps = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]


def bandwidth(program: Program, timing: Timing, worn: Wear) -> Steps:
    """Return times in s and rates in byte/s, shapes (n,), the setup included.

    From times[i] until times[i + 1] the memory delivers rates[i]. A max-min fair channel delivers all that
    its flows can take, up to its bandwidth. A transfer takes any rate; a write no more than its bytes in the
    time that its slowest array takes. So the rate follows from what is under way.
    """
    chip = program.chip
    starts: list[float] = []
    ends: list[float] = []
    wishes: list[float] = []
    for i, instruction in enumerate(program.instructions):
        if not isinstance(instruction, Write | Transfer) or timing.ends[i] <= timing.starts[i]:
            continue
        rate = np.inf
        if isinstance(instruction, Write) and (lasts := floor_s(chip, worn, i)) > 0:
            rate = fetched_bytes(instruction, program.mapping, chip) / lasts
        starts.append(float(timing.starts[i]))
        ends.append(float(timing.ends[i]))
        wishes.append(min(rate, chip.memory.bandwidth))
    times = np.unique(np.array([-timing.setup_s, 0.0, timing.latency_s, *starts, *ends]))
    change = np.zeros(len(times))
    np.add.at(change, np.searchsorted(times, starts), wishes)
    np.add.at(change, np.searchsorted(times, ends), np.negative(wishes))
    under_way = np.zeros(len(times), dtype=np.int64)
    np.add.at(under_way, np.searchsorted(times, starts), 1)
    np.add.at(under_way, np.searchsorted(times, ends), -1)
    rates = np.clip(np.cumsum(change), 0.0, chip.memory.bandwidth)
    # Sums of floats leave crumbs behind; where nothing is under way the rate is zero.
    rates[np.cumsum(under_way) == 0] = 0.0
    return times, rates
