"""Programs on chips whose ports hold nobody up."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from mho.chip import Chip
from mho.machine import Timing
from mho.machine.channels import MEMORY
from mho.machine.timing import program_tasks, timed
from mho.program import Program


def without_ports(program: Program) -> Timing:
    """Measure a program on a chip whose ports move anything at once."""
    tasks = program_tasks(program)
    rates = np.where(np.arange(len(tasks.rates)) == MEMORY, tasks.rates, np.inf)
    return timed(tasks._replace(rates=rates), program.setup)


def widen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every chip have ports that move anything at once, and schedules know it."""

    def rates(chip: Chip) -> npt.NDArray[np.float64]:
        return np.array([chip.memory.bandwidth, np.inf, np.inf, np.inf])

    monkeypatch.setattr("mho.machine.channels.channel_rates", rates)
    for module in ("mho.program.operands", "mho.program.demand", "mho.schedule.builder"):
        monkeypatch.setattr(f"{module}.buffer_rate", lambda chip: np.inf)
