"""Programs on chips whose ports hold nobody up, and in rounds although one inference after another may be faster."""

from __future__ import annotations

from dataclasses import replace

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
    turned = program_tasks(program)
    rates = np.where(np.arange(len(turned.tasks.rates)) == MEMORY, turned.tasks.rates, np.inf)
    return timed(replace(turned, tasks=turned.tasks._replace(rates=rates)), program.setup)


def take_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let schedule `stream` take rounds of inferences even where one inference after another is faster."""
    monkeypatch.setattr("mho.schedule.stream.or_alone", lambda task, stream: stream)


def widen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every chip have ports that move anything at once, and schedules know it."""

    def rates(chip: Chip) -> npt.NDArray[np.float64]:
        return np.array([chip.memory.bandwidth, np.inf, np.inf, np.inf])

    for module in ("channels", "streaming"):
        monkeypatch.setattr(f"mho.machine.{module}.channel_rates", rates)
    for module in (
        "mho.program.operands",
        "mho.program.demand",
        "mho.schedule.builder",
        "mho.schedule.turning",
        "mho.program.stream_bound",
    ):
        monkeypatch.setattr(f"{module}.buffer_rate", lambda chip: np.inf)
