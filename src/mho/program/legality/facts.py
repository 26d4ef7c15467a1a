"""What the rules are about: which instructions certainly happen before which, and which finish a layer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from mho.mapping.blocks import Run
from mho.network.layers import Constant, Input, Layer, MatrixLayer
from mho.program.instructions import Combine, Transfer, Vector
from mho.program.legality.order import Order
from mho.program.program import Program


@dataclass(frozen=True, slots=True)
class Violation:
    """One rule broken at one instruction (-1: by the program as a whole)."""

    instruction: int
    text: str


class Facts:
    """A program and what follows from it, worked out once."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.instructions = program.instructions
        self.layers = program.network.layers
        self.place = {layer.name: i for i, layer in enumerate(self.layers)}

    @cached_property
    def order(self) -> Order:
        """The order that dependencies enforce."""
        ends = [place for places in self.finishes.values() for place in places]
        return Order([instruction.after for instruction in self.instructions], ends)

    @cached_property
    def most_copies(self) -> dict[Run, int]:
        """For each run of blocks that a layer drives, the most copies of which each has a window to serve."""
        mapping = self.program.mapping
        return {run: mapping.most_copies(layers[0]) for run, layers in mapping.users.items()}

    @cached_property
    def steps(self) -> tuple[int, ...]:
        """The layers that the chip must do something for: all but constants."""
        return tuple(i for i, layer in enumerate(self.layers) if not isinstance(layer, Constant))

    @cached_property
    def finishes(self) -> dict[int, list[int]]:
        """Return for each layer the instructions that finish it: combine, vector, or the (first) load of an input."""
        finishers: dict[int, list[int]] = {}
        for i, instruction in enumerate(self.instructions):
            layer = self.layers[instruction.layer]
            if isinstance(layer, Input):
                ends = isinstance(instruction, Transfer) and instruction.direction == "load"
                ends = ends and instruction.layer not in finishers
            else:
                ends = isinstance(instruction, finisher(layer))
            if ends:
                finishers.setdefault(instruction.layer, []).append(i)
        return finishers


def finisher(layer: Layer) -> type[Combine] | type[Vector]:
    """Return the kind of instruction that finishes a layer that is neither an input nor a constant."""
    return Combine if isinstance(layer, MatrixLayer) else Vector
