"""What every schedule shares: the order of layers, and instructions made with the right dependencies.

A step is a layer that costs the chip something: all but the constants. In a chip with `layer_order: sequential`
(ARAS section III-B: one layer computes at a time) each step waits for the step before it; with `dataflow` it waits
only for those that make its inputs. Either way a step ends with one instruction, its `finish`.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field
from functools import cached_property

from mho.chip import Chip
from mho.mapping import LayerMapping, Mapping
from mho.mapping.blocks import Run
from mho.network.graph import Network
from mho.network.layers import Constant, Embedding, Input
from mho.number import QuantisedNetwork
from mho.once import once
from mho.program.instructions import Activate, Combine, Groups, Instruction, Transfer, Vector, Write
from mho.program.operands import buffer_rate, input_bytes, result_seconds
from mho.program.program import BufferUse, Program, Stream
from mho.program.work import CodedTensors, sources, transfer_bytes, write_bytes
from mho.schedule.holding import held_blocks
from mho.strategy.strategy import Strategy


@dataclass(frozen=True, eq=False)
class Task:
    """What a schedule is made for: the network, its mapping, the chip, where tensors live, and which stay resident."""

    chip: Chip
    network: Network
    mapping: Mapping
    buffers: tuple[BufferUse, ...]
    resident: bool
    coded: CodedTensors
    """Tensors that are stored as 8-bit codes."""
    quantised: QuantisedNetwork | None = None
    strategy: Strategy = field(default_factory=Strategy)

    def program(self, builder: InstructionBuilder, notes: Iterable[str] = ()) -> Program:
        """Return a plan as a program, with notes of what was assumed."""
        return Program(
            chip=self.chip,
            network=self.network,
            quantised=self.quantised,
            mapping=self.mapping,
            strategy=self.strategy,
            instructions=tuple(builder.instructions),
            setup=builder.setup,
            buffers=self.buffers if builder.rings is None else builder.rings,
            notes=tuple(notes),
            stream=builder.stream,
        )

    @property
    def steps(self) -> tuple[int, ...]:
        """The places in network.layers of all layers but constants, in order."""
        return _steps(self.network)

    @property
    def reads(self) -> dict[int, tuple[int, ...]]:
        """For each step the layers whose stored values it reads, itself or through views; a view only shows them."""
        return _reads(self.network)

    @cached_property
    def waits(self) -> dict[int, tuple[int, ...]]:
        """For each step the steps that must have finished before it starts."""
        return _waits(self.network, self.chip.spec.layer_order)

    @cached_property
    def held(self) -> frozenset[Run]:
        """The runs of blocks that stay for all layers that drive them: those that are pinned, else as `held_blocks` says."""
        if self.resident:
            return self.pinned
        return self.pinned | held_blocks(self.mapping, self.chip.groups, self.pinned)

    @cached_property
    def pinned(self) -> frozenset[Run]:
        """The runs of blocks that are written in the setup: all of a resident network, else a basis alone."""
        layers = self.mapping.layers if self.resident else self.mapping.combining
        return frozenset(layer.run for layer in layers)

    @cached_property
    def writers(self) -> tuple[LayerMapping, ...]:
        """The layers for which blocks are written, in order: all but those that find a layer's blocks which stay."""
        return tuple(
            layer
            for layer in self.mapping.layers
            if layer.run not in self.held or layer is self.mapping.users[layer.run][0]
        )

    @cached_property
    def served(self) -> dict[int, tuple[LayerMapping, ...]]:
        """For each layer that blocks are written for (its place in the network) those that use these blocks, itself first."""
        return {
            layer.index: self.mapping.users[layer.run] if layer.run in self.held else (layer,) for layer in self.writers
        }

    @cached_property
    def writer(self) -> dict[int, int]:
        """For each matrix layer the one that its blocks are written for."""
        return {user.index: index for index, users in self.served.items() for user in users}

    def served_windows(self, layer: LayerMapping) -> int:
        """Count the windows that the blocks written for a layer serve."""
        return sum(user.windows for user in self.served[layer.index])

    def most_copies(self, layer: LayerMapping) -> int:
        """Return the most copies that the blocks written for a layer may have.

        Copies beyond the most windows of a layer have none to serve. Blocks that stay for several layers have one copy on a chip
        that does not hold the whole network: groups that copies fill would be missing for as long.
        """
        users = self.served[layer.index]
        shared = len(users) > 1 and layer.run not in self.pinned
        return 1 if shared else max(1, *(user.windows for user in users))

    @cached_property
    def always_fed(self) -> bool:
        """True if the memory can feed level changes to all groups at once, as fast as the arrays allow."""
        chip = self.chip
        cells = chip.groups * self.mapping.grid.rows * self.mapping.grid.columns
        return cells * chip.write_bits_per_cell / 8 <= chip.memory.bandwidth * chip.array_write_time_s

    def write_rate(self, layer: LayerMapping, blocks: tuple[int, int]) -> float:
        """Return the bytes a second that blocks take from the memory while they are written as fast as the arrays allow."""
        return write_bytes(layer.blocks, blocks, self.chip) / self.chip.array_write_time_s

    def write_estimate_s(self, layer: LayerMapping, blocks: tuple[int, int]) -> float:
        """Estimate how long a write lasts with the memory to itself, for planning only; the machine measures."""
        return max(
            self.chip.array_write_time_s, write_bytes(layer.blocks, blocks, self.chip) / self.chip.memory.bandwidth
        )

    @cached_property
    def port_s(self) -> dict[int, float]:
        """For each matrix layer how long the port of the global buffer takes for the inputs of its windows, in s."""
        rate = buffer_rate(self.chip)
        return {
            layer.index: input_bytes(layer, self.network, self.chip, self.coded) / rate for layer in self.mapping.layers
        }

    @cached_property
    def _result_s(self) -> list[float]:
        seconds: list[float] = result_seconds(self.network, self.chip, self.coded).tolist()
        return seconds

    def vector_time_s(self, step: int) -> float:
        """Return how long a step lasts outside the crossbars, for planning: vector unit, port or memory with nobody else on it."""
        layer = self.network.layers[step]
        if isinstance(layer, Input):
            return transfer_bytes(layer, self.network, self.coded) / self.chip.memory.bandwidth
        fetch = layer.size / self.chip.memory.bandwidth if isinstance(layer, Embedding) else 0.0
        return fetch + self._result_s[step]


@once
def _steps(network: Network) -> tuple[int, ...]:
    return tuple(i for i, layer in enumerate(network.layers) if not isinstance(layer, Constant))


@once
def _reads(network: Network) -> dict[int, tuple[int, ...]]:
    source = sources(network)
    return {
        i: () if layer.moves_only else tuple(sorted({source[name] for name in layer.inputs}))
        for i, layer in enumerate(network.layers)
    }


@once
def _waits(network: Network, layer_order: str) -> dict[int, tuple[int, ...]]:
    steps = _steps(network)
    if layer_order == "sequential":
        return {step: steps[n - 1 : n] for n, step in enumerate(steps)}
    # In data-flow order a step waits for those whose tensors it reads.
    place = {layer.name: i for i, layer in enumerate(network.layers)}
    return {i: tuple(sorted({place[name] for name in network.layers[i].inputs}.intersection(steps))) for i in steps}


class InstructionBuilder:
    """Collects instructions. Every method returns the number of the instruction that it adds."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.instructions: list[Instruction] = []
        self.finish: dict[int, int] = {}
        self.setup = 0
        self.rings: tuple[BufferUse, ...] | None = None
        self.stream: Stream | None = None
        self.notes: list[str] = []
        self._spilled = {use.layer: use.spilled for use in task.buffers if use.spilled}
        self._stores: dict[int, int] = {}
        self._gates: dict[int, tuple[int, ...]] = {}

    def add(self, instruction: Instruction) -> int:
        """Append an instruction."""
        self.instructions.append(instruction)
        return len(self.instructions) - 1

    def spilled_inputs(self, step: int) -> list[int]:
        """Return the layers whose results `step` must load, as they were spilled."""
        return [maker for maker in self.task.reads[step] if maker in self._spilled]

    def gate(self, step: int) -> tuple[int, ...]:
        """Return what must have happened before `step` may start, loading what of its inputs was spilled."""
        if step not in self._gates:
            before = tuple(self.finish[other] for other in self.task.waits[step])
            loads = tuple(
                self.add(Transfer("load", maker, self._spilled[maker], tuple(sorted({self._stores[maker], *before}))))
                for maker in self.spilled_inputs(step)
            )
            self._gates[step] = tuple(sorted({*before, *loads}))
        return self._gates[step]

    def write(
        self, layer: LayerMapping, blocks: tuple[int, int], copy: int, groups: Groups, after: tuple[int, ...]
    ) -> int:
        """Write blocks of a copy into groups."""
        return self.add(Write(layer.index, _numbered(layer, blocks), copy, groups, after))

    def activate(
        self,
        layer: LayerMapping,
        blocks: tuple[int, int],
        copy: int,
        windows: tuple[int, int],
        groups: Groups,
        before: int,
        *,
        release: bool,
        fetched: tuple[int, ...] = (),
    ) -> int:
        """Run windows through written blocks after instruction `before`, their write or the last that used their groups.

        `release`: the groups are free afterwards. `fetched`: what brought the coefficients that are needed.
        """
        gate = self.gate(layer.index)
        after = gate if before in gate and not fetched else tuple(sorted({before, *gate, *fetched}))
        return self.add(Activate(layer.index, _numbered(layer, blocks), copy, windows, groups, release, after))

    def fetch(self, layer: LayerMapping, size: int, after: tuple[int, ...]) -> int:
        """Fetch the coefficients of the next parts of a layer."""
        return self.add(Transfer("fetch", layer.index, size, tuple(sorted(after))))

    def combine(self, layer: LayerMapping, activations: tuple[int, ...]) -> int:
        """Complete a matrix layer."""
        return self._finished(layer.index, self.add(Combine(layer.index, tuple(sorted(activations)))))

    def vector(self, step: int) -> int:
        """Compute a layer outside the crossbars, with what it fetches from the main memory before."""
        layer = self.task.network.layers[step]
        after = self.gate(step)
        if isinstance(layer, Input):
            # What finds no room in the buffer stays where it is, and is loaded by each layer that reads it. Where that is
            # all of it, a load of nothing still says when the input's turn has come.
            size = transfer_bytes(layer, self.task.network, self.task.coded) - self._spilled.get(step, 0)
            loaded = self.add(Transfer("load", step, size, after))
            self._stores[step] = loaded
            return self._finished(step, loaded)
        if isinstance(layer, Embedding):
            after = (self.add(Transfer("load", step, layer.size, after)),)
        return self._finished(step, self.add(Vector(step, after)))

    def _finished(self, step: int, instruction: int) -> int:
        """Note that `step` ends with `instruction`; store what the buffer cannot keep, and what the network returns."""
        self.finish[step] = instruction
        spilled, kept = self.stored(step)
        if spilled:
            self._stores[step] = self.add(Transfer("store", step, spilled, (instruction,)))
        if kept:
            self.add(Transfer("store", step, kept, (instruction,)))
        return instruction

    def stored(self, step: int) -> tuple[int, int]:
        """Return the bytes of a step's result that the buffer cannot keep, and those of the rest that the network returns."""
        network = self.task.network
        layer = network.layers[step]
        spilled = 0 if isinstance(layer, Input) else self._spilled.get(step, 0)
        returned = layer.name in network.results
        return spilled, transfer_bytes(layer, network, self.task.coded) - spilled if returned else 0

    def write_all(self, copies: MappingType[int, int]) -> list[tuple[LayerMapping, int, Groups, int]]:
        """Write every copy of what is pinned once, before the first inference; return each with its groups and its write."""
        first = 0
        placed: list[tuple[LayerMapping, int, Groups, int]] = []
        for layer in self.task.mapping.first_users:
            if layer.run not in self.task.pinned:
                continue
            for copy in range(copies.get(layer.index, 1)):
                groups: Groups = ((first, first + layer.count),)
                placed.append((layer, copy, groups, self.write(layer, (0, layer.count), copy, groups, ())))
                first += layer.count
        self.setup = len(placed)
        return placed


def _numbered(layer: LayerMapping, blocks: Run) -> Run:
    """Return a run of a layer's blocks as the mapping numbers them."""
    return layer.run[0] + blocks[0], layer.run[0] + blocks[1]
