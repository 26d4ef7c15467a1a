"""A program: a chip, a network with its codes, where the values sit, and the instructions."""

from __future__ import annotations

import math
from collections.abc import Callable
from collections.abc import Mapping as MappingType
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from mho.chip import Chip
from mho.errors import ProgramError
from mho.mapping import LayerMapping, Mapping
from mho.mapping.blocks import Fullest
from mho.mapping.coding import check_codes
from mho.network.graph import Network
from mho.network.trace.trace import Trace
from mho.number import QuantisedNetwork
from mho.once import known
from mho.program.instructions import Instruction
from mho.program.work import CodedTensors, coded_tensors
from mho.shown import Columns, Shown, columns
from mho.strategy.papers import cited
from mho.strategy.strategy import Strategy


@dataclass(frozen=True, slots=True)
class BufferUse:
    """Where the tensor of layer `layer` lives in the global buffer.

    `size` bytes, of which `spilled` live in main memory for want of room; the rest fills `banks`. It lives from the
    layer that makes it to layer `last`, the last that reads it (both places in network.layers).

    A ring keeps `rows` rows of the tensor, `size` bytes: row r of inference n, of R, is where row r' of inference n' was with
    n' R + r' = n R + r - rows. Its banks hold `parts` bytes of it each, and may hold parts of others beside it. None and no parts:
    the whole tensor, with its banks to itself. `of`: the rows of the tensor that the ring is for, counted by themselves, where it
    has two: one of rows that stay, one of those that are loaded anew; None: all.
    """

    layer: int
    size: int
    banks: tuple[int, ...]
    spilled: int
    last: int
    rows: int | None = None
    parts: tuple[int, ...] = ()
    of: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Stream:
    """How a program goes on: inferences begin `interval_s` after one another, each by all instructions but the setup.

    `again`: (instruction, place, distance), instruction of inference n waits for `place` of inference n - distance, beside those
    of its own inference that its `after` names; there is nothing to wait for where n < distance.

    Where the chip holds a part of the network at a time, inferences come in rounds of `batch`: instructions [first, last) of each
    of `segments` happen for every inference of a round, one inference after another, all others of the body once a round. What
    happens once waits for the last inference of its round, by `after`, or of so many rounds before, by `again`; what waits for it
    waits for that of its own inference's round. Inferences of a round begin together, `batch` x `interval_s` after those before.
    """

    interval_s: float
    again: tuple[tuple[int, int, int], ...]
    batch: int = 1
    segments: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, eq=False, repr=False)
class Program(Shown):
    """What one chip is told to do for one inference of one network.

    mho.compile(network, chip)      makes one
    program.save("x.mho")           keeps it; mho.Program.load("x.mho") brings it back
    print(program.listing())        shows it

    The first `setup` instructions happen once, before the first inference: writes of all weights, where the whole network fits the
    chip, and fetches of coefficients that stay. `quantised` holds the weights' codes, and is None where the network is shapes
    alone: such a program can be timed, not executed. `strategy` is the one given to compile; `notes` every assumption made on the
    way. `stream` says how one inference follows another while that is under way; None: when it has ended. `bags` are what tables
    are asked for, batch by batch, where the program gathers rows (`with_bags`); they are not kept in its file.
    """

    chip: Chip
    network: Network
    quantised: QuantisedNetwork | None
    mapping: Mapping
    strategy: Strategy
    instructions: tuple[Instruction, ...]
    setup: int
    buffers: tuple[BufferUse, ...]
    notes: tuple[str, ...] = ()
    stream: Stream | None = None
    bags: Trace | None = None

    def __post_init__(self) -> None:
        """Refuse dependencies that point forward or out of the program, and layers that do not exist."""
        layers = len(self.network.layers)
        for i, instruction in enumerate(self.instructions):
            if not 0 <= instruction.layer < layers:
                raise ProgramError(f"instruction {i} names layer {instruction.layer}, but the network has {layers}")
            if instruction.after and not 0 <= min(instruction.after) <= max(instruction.after) < i:
                raise ProgramError(f"instruction {i} waits for {instruction.after}, which does not stand before it")
        for use in self.buffers:
            if not 0 <= use.layer <= use.last < layers:
                raise ProgramError(
                    f"a tensor's place names layers {use.layer} to {use.last}, but the network has {layers}"
                )
        if self.quantised is not None:
            for weight in self.mapping.weights:
                check_codes(weight.name, self.quantised.held(weight.name).codes, weight.blocks.shape.coding)
        if not 0 <= self.setup <= len(self.instructions):
            raise ProgramError(f"setup is {self.setup}, but the program has {len(self.instructions)} instructions")
        if self.stream is not None:
            self._check_stream(self.stream)

    def with_bags(self, bags: Trace) -> Program:
        """Return the program as it serves the bags of a trace, batch by batch: what gathering takes is the mean over these.

        Raises ProgramError where it gathers no rows, where the trace is of other tables, and where it does not fill its batches.
        """
        tables = self.mapping.tables
        if tables is None:
            raise ProgramError(f"{self.network.name} adds up no rows of tables; a trace would change nothing")
        rows = tuple(self.network.layers[place].table.shape[0] for place in tables.layers)  # type: ignore[attr-defined]
        if bags.rows != rows:
            raise ProgramError(
                f"{bags.origin}: tables of {bags.rows} rows are not those of {self.network.name}: {rows}"
            )
        queries = len(np.unique(bags.queries))
        if not queries or queries % self.network.batch:
            raise ProgramError(f"{bags.origin}: {queries} queries do not fill batches of {self.network.batch}")
        return replace(self, bags=bags)

    def _check_stream(self, stream: Stream) -> None:
        """Refuse intervals that are not positive, and waits for what is no instruction of an earlier inference."""
        if not 0 < stream.interval_s < math.inf:
            raise ProgramError(f"inferences begin a positive time after one another, not {stream.interval_s} s")
        body = range(self.setup, len(self.instructions))
        bounds = [self.setup, *(bound for segment in stream.segments for bound in segment), len(self.instructions)]
        if stream.batch < 1 or bounds != sorted(bounds) or (stream.batch > 1 and not stream.segments):
            raise ProgramError(
                f"rounds of {stream.batch} inferences in segments {stream.segments}: a round has 1 or more, in segments if it has "
                f"more, which are ranges of instructions {body.start} to {body.stop}, one after another"
            )
        for instruction, place, distance in stream.again:
            if instruction not in body or place not in body or distance < 1:
                raise ProgramError(
                    f"instruction {instruction} waits for {place} of {distance} inferences before; those of an inference are "
                    f"{body.start} to {body.stop - 1}"
                )

    @property
    def papers(self) -> tuple[str, ...]:
        """The keys of the papers that it rests on: of the techniques chosen, and of the figures of the chip."""
        sources = {figure.source for figure in self.chip.provenance.values()}
        return tuple(dict.fromkeys((*self.strategy.papers, *cited(sources))))

    @cached_property
    def coded(self) -> CodedTensors:
        """The tensors that are stored as codes, and their bits."""
        return coded_tensors(self.network, self.quantised, self.mapping.layers)

    @property
    def schedule(self) -> str:
        """The name of the schedule."""
        return self.strategy.schedule.name

    @cached_property
    def column_levels(self) -> tuple[tuple[LayerMapping, Fullest, int | None], ...]:
        """Return each layer with weights, what its fullest column can hold, and what its weights make one hold.

        The last is None where weights are not known.
        """
        quantised = self.quantised
        levels: dict[int, int] = {}
        if quantised is not None:
            for weight in self.mapping.weights:
                levels[weight.first] = weight.blocks.held_levels(quantised.held(weight.name))
        return tuple((layer, layer.fullest(), levels.get(layer.run[0])) for layer in self.mapping.layers)

    def headline(self) -> str:
        """Say what runs where."""
        return f"Program: {self.network.name} on {self.chip.name}, schedule {self.schedule}"

    def facts(self) -> tuple[tuple[str, str], ...]:
        """Return how long it is, what it is made of, and whether it can be executed."""
        can = self.quantised is not None and self.quantised.executable
        why = "yes" if can else "no: it has no weights, or no calibrated activations"
        return (
            ("instructions", f"{len(self.instructions):,}, of which {self.setup:,} once before the first inference"),
            ("groups", f"{self.mapping.count:,} for one copy of each layer, of {self.chip.groups:,} on the chip"),
            ("weights", self.network.origin),
            ("can be executed", why),
        )

    def frames(self) -> MappingType[str, Callable[[], Columns]]:
        """Name the tables: `instructions`, with what each waits for, and `layers`, with the groups of one copy."""
        names = [layer.name for layer in self.network.layers]
        return {
            "instructions": lambda: columns(
                {
                    "instruction": number,
                    "kind": type(instruction).__name__.lower(),
                    "layer": names[instruction.layer],
                    "after": instruction.after,
                }
                for number, instruction in enumerate(self.instructions)
            ),
            "layers": lambda: columns(
                {"layer": layer.name, "groups": layer.count, "windows": layer.windows, "window_s": layer.window_s}
                for layer in self.mapping.layers
            ),
        }

    def with_buffers(self, buffers: tuple[BufferUse, ...]) -> Program:
        """Return the program with other places in the global buffer. What is known of it stays: no time, no cell depends on them.

        What lives outside the buffer must stay outside, as transfers move it.
        """
        program = replace(self, buffers=buffers)
        known(program).update(known(self))
        return program

    listing: ClassVar[Callable[[Program], str]]
    save: ClassVar[Callable[[Program, str | Path], None]]
    load: ClassVar[Callable[[str | Path], Program]]
    """Texts and files stand above the program: the package `mho.program` hangs them here."""
