"""How much of the memory's bandwidth an inference uses, over time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mho.machine.changes import Wear
from mho.machine.timing import Timing, floor_s
from mho.program import Program
from mho.program.columns import FETCH, LOAD, STORE, WRITE, columns

Steps = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]


def bandwidth(program: Program, timing: Timing, worn: Wear) -> Steps:
    """Return times in s and rates in byte/s, shapes (n,), the setup included.

    From times[i] until times[i + 1] the memory delivers rates[i]. A max-min fair channel delivers all that
    its flows can take, up to its bandwidth. A transfer takes any rate; a write no more than its bytes in the
    time that its slowest array takes. So the rate follows from what is under way.
    """
    chip = program.chip
    table = columns(program)
    wishes = np.full(len(table.kind), chip.memory.bandwidth)
    writes = table.of(WRITE)
    lasts = floor_s(chip, worn, writes)
    writes, lasts = writes[lasts > 0], lasts[lasts > 0]
    wishes[writes] = np.minimum((table.moved_bytes + table.order_bytes)[writes] / lasts, chip.memory.bandwidth)
    flows = table.of(WRITE, LOAD, STORE, FETCH)
    flows = flows[timing.ends[flows] > timing.starts[flows]]
    starts, ends, wishes = timing.starts[flows], timing.ends[flows], wishes[flows]
    times = np.unique(np.concatenate([[-timing.setup_s, 0.0, timing.latency_s], starts, ends]))
    change = np.zeros(len(times))
    np.add.at(change, np.searchsorted(times, starts), wishes)
    np.add.at(change, np.searchsorted(times, ends), -wishes)
    under_way = np.zeros(len(times), dtype=np.int64)
    np.add.at(under_way, np.searchsorted(times, starts), 1)
    np.add.at(under_way, np.searchsorted(times, ends), -1)
    rates = np.clip(np.cumsum(change), 0.0, chip.memory.bandwidth)
    # Sums of floats leave crumbs behind; where nothing is under way the rate is zero.
    rates[np.cumsum(under_way) == 0] = 0.0
    return times, rates
