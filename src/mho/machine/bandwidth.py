"""How much of its memory and of the port of its global buffer an inference uses, over time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mho.machine.channels import GLOBAL_BUFFER, MEMORY
from mho.machine.timing import Timing, program_tasks
from mho.program import Program

Rates = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]


def bandwidth(program: Program, timing: Timing) -> Rates:
    """Return times in s, and rates of memory and global buffer in byte/s, shapes (n,), the setup included.

    From times[i] until times[i + 1] they deliver rates[i]: what they give, max-min fair, to what is under way.
    """
    # Compiled code takes a while to import.
    from mho.machine.carried import carried

    turned = program_tasks(program)
    times = np.unique(np.concatenate([[-timing.setup_s, 0.0, timing.latency_s], timing.starts, timing.ends]))
    ends = timing.ends - turned.tail_s
    moved = carried(*turned.given[3:], timing.starts, ends, times, np.array([MEMORY, GLOBAL_BUFFER]))
    return times, moved[0], moved[1]
