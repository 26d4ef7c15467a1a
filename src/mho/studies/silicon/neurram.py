"""NeuRRAM (Wan et al., Nature 608, 2022) at every precision from one measured row: a model of cycles and pulses.

An input of sign and magnitude takes 2^(n-1) - 1 integrations (one where there is only a sign), a conversion to m bits up to
2^(m-1) - 1 steps. What one row cannot decide is assumed, and named in neurram.yaml, which also holds the prediction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

OPENING = 1.0
"""Cycles beside integrations and steps: initialisation, and the comparison that gives the sign, half a cycle each."""
MARGIN = 2
"""Bits that an output has beyond its input, in each row and so in each phase."""


@dataclass(frozen=True)
class Phase:
    """Inputs that are integrated before one conversion: bits with sign, and the bits of the conversion."""

    input_bits: int
    output_bits: int

    @property
    def integrations(self) -> int:
        """Integrations, each with one pulse of all word lines."""
        return max(1, (1 << self.input_bits - 1) - 1)

    def cycles(self, opening: float) -> float:
        """Return the cycles of the neurons: opening ones, integrations, and steps of the conversion."""
        return opening + self.integrations + (1 << self.output_bits - 1) - 1


def halves(input_bits: int) -> tuple[Phase, Phase]:
    """Return the two phases of an input: the magnitude in two halves, the larger one first, each converted to its bits and two.

    The result of the upper half is shifted by the bits of the lower, so that together they have `input_bits + 2` again.
    """
    lower = (input_bits - 1) // 2
    parts = (input_bits - 1 - lower, lower)
    first, second = (Phase(magnitude + 1, magnitude + 1 + MARGIN) for magnitude in parts)
    return first, second


@dataclass(frozen=True)
class Figures:
    """The figures of one precision: operations a second of the chip (TOPS), TOPS/W, and fJ an operation by part."""

    tops: float
    efficiency: float
    word_lines: float
    neurons: float
    input: float


@cache
def content() -> Mapping[str, Any]:
    """Read neurram.yaml: the measured row, the assumptions, and the prediction as it was frozen."""
    read: Mapping[str, Any] = yaml.safe_load(
        (files("mho.studies.silicon") / "neurram.yaml").read_text(encoding="utf-8")
    )
    return read


def predict(phases: tuple[Phase, ...], opening: float = OPENING) -> Figures:
    """Return the figures of a product in such phases, each with so many opening cycles, from those of the measured row.

    Time, the energy of neurons and control, and what the three parts leave of the measured total go with cycles; the energies of
    word lines and inputs with integrations.
    """
    row = Figures(**content()["measured"]["figures"])
    known = Phase(**content()["measured"]["phase"])
    cycles = sum(phase.cycles(opening) for phase in phases) / known.cycles(opening)
    pulses = sum(phase.integrations for phase in phases) / known.integrations
    rest = 1000 / row.efficiency - row.word_lines - row.neurons - row.input
    total = pulses * (row.word_lines + row.input) + cycles * (row.neurons + rest)
    return Figures(row.tops / cycles, 1000 / total, pulses * row.word_lines, cycles * row.neurons, pulses * row.input)


def phases(output_bits: int, input_bits: int, count: int) -> tuple[Phase, ...]:
    """Return the phases of a precision: one, or the two halves, whose outputs together have `output_bits`."""
    return (Phase(input_bits, output_bits),) if count == 1 else halves(input_bits)


def named(row: Mapping[str, Any]) -> str:
    """Say which precision a row of the prediction is of."""
    return f"{row['output_bits']} out, {row['input_bits']} in" + (", two phases" if row["phases"] == 2 else "")


def frozen() -> dict[str, Figures]:
    """Return the measured row and the frozen ones by precision."""
    rows = {named({**content()["measured"]["phase"], "phases": 1}): Figures(**content()["measured"]["figures"])}
    return rows | {
        named(row): Figures(*(row[field.name] for field in fields(Figures))) for row in content()["prediction"]
    }


def ranges() -> dict[str, tuple[Figures, Figures]]:
    """Return by precision what the prediction would be if the opening cycles took no time, and if they were two whole ones."""
    ends: dict[str, tuple[Figures, Figures]] = {}
    for row in content()["prediction"]:
        taken = phases(row["output_bits"], row["input_bits"], row["phases"])
        ends[named(row)] = predict(taken, 0.0), predict(taken, 2.0)
    return ends
