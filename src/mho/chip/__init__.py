"""What the hardware is: specifications, technologies, component costs, roll-up of area and power."""

from mho.chip.chip import Chip
from mho.chip.parts import Buffer, Use, Vector
from mho.chip.roles import events
from mho.chip.rollup import Breakdown, ChipPart, RollUp
from mho.chip.store import technologies
from mho.chip.technology import Technology
from mho.quantity import Provenance

__all__ = [
    "Breakdown",
    "Buffer",
    "Chip",
    "ChipPart",
    "Provenance",
    "RollUp",
    "Technology",
    "Use",
    "Vector",
    "events",
    "technologies",
]
