"""What the rules are about: which instructions certainly happen before which, and which finish a layer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from mho.mapping.blocks import Run
from mho.network.layers import Constant, EmbeddingBag, Input, Layer, MatrixLayer
from mho.program.instructions import Activate, Combine, Gather, Grouped, Transfer, Vector
from mho.program.legality.order import Order
from mho.program.legality.recurring import Recurring
from mho.program.program import Program
from mho.program.work import flow


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
    def flows(self) -> bool:
        """True if inferences overlap, or windows flow by rows, or are dealt to several copies in turn."""
        return (
            self.program.stream is not None
            or any(use.rows is not None for use in self.program.buffers)
            or any(
                each.copies > 1
                if isinstance(each, Activate)
                else not isinstance(each, Grouped) and each.rows is not None
                for each in self.instructions
            )
        )

    @cached_property
    def recurring(self) -> Recurring:
        """The order that dependencies enforce, turns and other inferences included."""
        return Recurring(self.program)

    @cached_property
    def order(self) -> Order | Recurring:
        """The order that dependencies enforce within an inference."""
        if self.flows:
            return self.recurring
        ends = [place for places in self.finishes.values() for place in places]
        return Order([instruction.after for instruction in self.instructions], ends)

    @cached_property
    def activations(self) -> dict[int, list[tuple[int, Activate]]]:
        """For each layer that has weights its activations, each with its place."""
        found: dict[int, list[tuple[int, Activate]]] = {layer.index: [] for layer in self.program.mapping.layers}
        for i, instruction in enumerate(self.instructions):
            if isinstance(instruction, Activate):
                found[instruction.layer].append((i, instruction))
        return found

    def rows(self, index: int) -> int:
        """Return the number of rows of a layer's tensor."""
        return flow(self.program.network).rows(self.layers[index].name)

    def serves(self, user: int, i: int) -> bool:
        """Return True if a group that `user` uses has certainly become free for instruction i."""
        return (self.flows and self.recurring.follows(user, i)) or self.order.before(user, i)

    @cached_property
    def views(self) -> dict[int, int]:
        """For each layer the one whose stored values it shows: a layer that only moves values makes no tensor of its own."""
        shown: dict[int, int] = {}
        for i, layer in enumerate(self.layers):
            shown[i] = shown[self.place[layer.inputs[0]]] if layer.moves_only else i
        return shown

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
            layer, tables = self.layers[instruction.layer], self.program.mapping.tables
            if isinstance(instruction, Gather):
                for index in () if tables is None else tables.layers:
                    finishers.setdefault(index, []).append(i)
                continue
            if isinstance(layer, Input):
                ends = isinstance(instruction, Transfer) and instruction.direction == "load"
                ends = ends and instruction.layer not in finishers
            else:
                ends = isinstance(instruction, finisher(layer))
            if ends:
                finishers.setdefault(instruction.layer, []).append(i)
        return finishers


def finisher(layer: Layer) -> type[Combine] | type[Vector] | type[Gather]:
    """Return the kind of instruction that finishes a layer that is neither an input nor a constant."""
    if isinstance(layer, EmbeddingBag):
        return Gather
    return Combine if isinstance(layer, MatrixLayer) else Vector
