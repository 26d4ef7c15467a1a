"""Is a program legal on its chip? A check that shares nothing with the schedules that made it.

What must hold, whatever the times that a machine finds, because the dependencies alone enforce it:

- groups: a block is read only where its own write has ended and nothing has been written since; a group is written only
  after all activations on it have ended; a run of blocks has as many groups, all different, all on the chip; what was
  written in the setup is never overwritten, so that the next inference finds it;
- completeness: every window of a matrix layer goes through every block exactly once, before the layer is combined;
- data flow: a layer starts only after those whose tensors it reads, and is finished once; outputs are stored;
- order: on a chip of sequential layer order, matrix layers compute one after the other, in the network's order;
- buffer: two tensors share a bank only one after the other, banks and spilled bytes make up each tensor's size, and no
  bank holds more than its capacity.

With the times that a machine measured, also: no instruction is shorter than the chip allows, none starts before what it
waits for has ended, and over no stretch of time does memory deliver more than its bandwidth.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from mho.network.layers import Constant, Input, MatrixLayer
from mho.program.instructions import Activate, Combine, Instruction, Transfer, Vector, Write, members
from mho.program.program import Program

Times = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Violation:
    """One rule broken at one instruction (-1: by the program as a whole)."""

    instruction: int
    text: str


class _Order:
    """Which instructions certainly happen before which, as one set of bits an instruction."""

    def __init__(self, instructions: Sequence[Instruction]) -> None:
        self._before: list[int] = []
        for instruction in instructions:
            bits = 0
            for other in instruction.after:
                bits |= self._before[other] | (1 << other)
            self._before.append(bits)

    def before(self, first: int, second: int) -> bool:
        return bool(self._before[second] >> first & 1)


class _Check:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.instructions = program.instructions

    @cached_property
    def order(self) -> _Order:
        return _Order(self.instructions)

    @cached_property
    def finishes(self) -> dict[int, list[int]]:
        """For each layer the instructions that finish it."""
        found: dict[int, list[int]] = {}
        layers = self.program.network.layers
        for i, instruction in enumerate(self.instructions):
            loads_input = (
                isinstance(instruction, Transfer)
                and instruction.direction == "load"
                and isinstance(layers[instruction.layer], Input)
                and not found.get(instruction.layer)
            )
            if isinstance(instruction, Combine | Vector) or loads_input:
                found.setdefault(instruction.layer, []).append(i)
        return found

    def shapes(self) -> Iterator[Violation]:
        """Runs of blocks, groups and windows within bounds."""
        chip = self.program.chip
        for i, instruction in enumerate(self.instructions):
            if i < self.program.setup and not isinstance(instruction, Write):
                yield Violation(i, "only writes may happen in the setup")
            if not isinstance(instruction, Write | Activate):
                continue
            layer = self.program.mapping.by_index.get(instruction.layer)
            if layer is None:
                yield Violation(i, f"layer {instruction.layer} has no weights to write or activate")
                continue
            first, last = instruction.blocks
            if not 0 <= first < last <= layer.blocks:
                yield Violation(i, f"blocks {instruction.blocks} of {layer.blocks}")
            groups = list(members(instruction.groups))
            if len(groups) != last - first or len(set(groups)) != len(groups):
                yield Violation(i, f"{last - first} blocks need as many different groups, not {len(groups)}")
            if groups and not 0 <= min(groups) <= max(groups) < chip.groups:
                yield Violation(i, f"groups {instruction.groups} on a chip of {chip.groups}")
            if isinstance(instruction, Activate):
                begin, end = instruction.windows
                if not 0 <= begin < end <= layer.windows:
                    yield Violation(i, f"windows {instruction.windows} of {layer.windows}")

    def groups(self) -> Iterator[Violation]:
        """Every group holds what is read from it, and is written only when nobody reads it."""
        # For each group: its write, the activations since, whether it was released, and the block it holds.
        writes: dict[int, tuple[int, tuple[int, int, int]]] = {}
        readers: dict[int, list[int]] = {}
        released: set[int] = set()
        for i, instruction in enumerate(self.instructions):
            if not isinstance(instruction, Write | Activate):
                continue
            texts: dict[str, None] = {}
            for block, group in zip(range(*instruction.blocks), members(instruction.groups), strict=True):
                held = (instruction.layer, instruction.copy, block)
                if isinstance(instruction, Write):
                    users = readers.get(group) or ([writes[group][0]] if group in writes else [])
                    for other in users:
                        if not self.order.before(other, i):
                            texts[f"group {group} is written while instruction {other} may still use it"] = None
                    if group in writes and writes[group][0] < self.program.setup <= i:
                        texts[f"group {group}, written in the setup, is overwritten in the inference"] = None
                    writes[group] = i, held
                    readers[group] = []
                    released.discard(group)
                elif group not in writes or writes[group][1] != held:
                    texts[f"group {group} does not hold block {block} of copy {instruction.copy}"] = None
                elif group in released:
                    texts[f"group {group} was released before"] = None
                else:
                    if not self.order.before(writes[group][0], i):
                        texts[f"group {group} may be read before its write has ended"] = None
                    readers[group].append(i)
                    if instruction.release:
                        released.add(group)
            yield from (Violation(i, text) for text in texts)

    def completeness(self) -> Iterator[Violation]:
        """Every window through every block exactly once, before the layer is combined."""
        served: dict[int, list[int]] = {layer.index: [] for layer in self.program.mapping.layers}
        for i, instruction in enumerate(self.instructions):
            if isinstance(instruction, Activate):
                served[instruction.layer].append(i)
        for layer in self.program.mapping.layers:
            done = self.finishes.get(layer.index, [])
            edges: dict[int, list[tuple[int, int]]] = {}
            for i in served[layer.index]:
                activation = self.instructions[i]
                assert isinstance(activation, Activate)
                edges.setdefault(activation.blocks[0], []).append((i, 1))
                edges.setdefault(activation.blocks[1], []).append((i, -1))
                if done and not self.order.before(i, done[0]):
                    yield Violation(i, f"{layer.name} is combined before this activation has ended")
            # Sweep over the blocks: between two edges the same activations hold, and their windows must tile the layer.
            active: set[int] = set()
            for place in sorted({0, layer.blocks, *edges}):
                for i, change in edges.get(place, []):
                    (active.add if change > 0 else active.discard)(i)
                if place >= layer.blocks:
                    break
                windows = sorted(w for w in (getattr(self.instructions[i], "windows", (0, 0)) for i in active))
                ends = [0, *(last for _, last in windows)]
                if ends[-1] != layer.windows or any(w[0] != end for w, end in zip(windows, ends, strict=False)):
                    yield Violation(
                        -1,
                        f"{layer.name}: block {place} serves windows {windows}, not each of {layer.windows} once",
                    )

    def dataflow(self) -> Iterator[Violation]:
        """Layers start after their producers, finish once, and outputs are stored."""
        network = self.program.network
        place = {layer.name: i for i, layer in enumerate(network.layers)}
        for index, layer in enumerate(network.layers):
            if isinstance(layer, Constant):
                continue
            done = self.finishes.get(index, [])
            if len(done) != 1:
                yield Violation(-1, f"layer {layer.name} is finished {len(done)} times, not once")
        stored: dict[int, list[int]] = {}
        for i, instruction in enumerate(self.instructions):
            if isinstance(instruction, Transfer) and instruction.direction == "store":
                stored.setdefault(instruction.layer, []).append(i)
                done = self.finishes.get(instruction.layer, [])
                if done and not self.order.before(done[0], i):
                    yield Violation(i, "a tensor is stored before it is made")
            if not isinstance(instruction, Activate | Vector):
                continue
            for name in network.layers[instruction.layer].inputs:
                done = self.finishes.get(place[name], [])
                if done and not self.order.before(done[0], i):
                    yield Violation(i, f"reads {name!r}, which may not be finished")
        for name in network.outputs:
            if place[name] not in stored and not isinstance(network.by_name[name], Constant):
                yield Violation(-1, f"output {name!r} is never stored")

    def layer_order(self) -> Iterator[Violation]:
        """On a sequential chip a layer computes only when the one before has finished."""
        if self.program.chip.layer_order != "sequential":
            return
        matrices = [i for i, layer in enumerate(self.program.network.layers) if isinstance(layer, MatrixLayer)]
        previous = dict(zip(matrices[1:], matrices, strict=False))
        for i, instruction in enumerate(self.instructions):
            if isinstance(instruction, Activate) and instruction.layer in previous:
                done = self.finishes.get(previous[instruction.layer], [])
                if done and not self.order.before(done[0], i):
                    yield Violation(i, "computes while the layer before it may still compute")

    def buffer(self) -> Iterator[Violation]:
        """Banks hold one tensor at a time and are large enough."""
        banks = self.program.chip.buffer.banks
        network = self.program.network
        source: dict[str, int] = {}
        for i, layer in enumerate(network.layers):
            source[layer.name] = source[layer.inputs[0]] if layer.moves_only else i
        readers: dict[int, list[int]] = {}
        for i, layer in enumerate(network.layers):
            for name in layer.inputs:
                readers.setdefault(source[name], []).append(i)
        holders: dict[int, list[int]] = {}
        for use in self.program.buffers:
            name = network.layers[use.layer].name
            if any(not 0 <= bank < len(banks) for bank in use.banks):
                yield Violation(-1, f"{name} lives in banks {use.banks}, but there are {len(banks)}")
                continue
            if (
                sum(banks[bank] for bank in use.banks) + use.spilled < use.size
                or use.size != network.layers[use.layer].size
            ):
                yield Violation(
                    -1,
                    f"{name} needs {network.layers[use.layer].size} bytes; its banks and main memory hold less",
                )
            if use.last < max(readers.get(use.layer, [use.layer])):
                yield Violation(-1, f"{name} is given up before its last reader")
            for bank in use.banks:
                holders.setdefault(bank, []).append(use.layer)
        makers: dict[int, list[int]] = {}
        for i, instruction in enumerate(self.instructions):
            loads = isinstance(instruction, Transfer) and i in self.finishes.get(instruction.layer, [])
            if loads or isinstance(instruction, Activate | Vector):
                makers.setdefault(instruction.layer, []).append(i)
        for bank, held in holders.items():
            held.sort()
            for old, new in pairwise(held):
                used = [done for each in (old, *readers.get(old, [])) for done in self.finishes.get(each, [])]
                if any(not self.order.before(done, made) for done in used for made in makers.get(new, [])):
                    names = f"{network.layers[old].name} and {network.layers[new].name}"
                    yield Violation(-1, f"bank {bank} holds the tensors of {names} at once")

    def times(self, starts: Times, ends: Times) -> Iterator[Violation]:
        """Measured times respect the chip and the memory."""
        chip = self.program.chip
        slack = 1e-9 * max(float(np.max(ends, initial=0.0)), 1e-30)
        moved = np.zeros(len(self.instructions))
        for i, instruction in enumerate(self.instructions):
            least = 0.0
            if isinstance(instruction, Activate):
                least = (instruction.windows[1] - instruction.windows[0]) * chip.window_time_s
            elif isinstance(instruction, Write):
                least = chip.array_write_time_s
                held = self.program.mapping.by_index[instruction.layer].tiling.places[slice(*instruction.blocks)]
                moved[i] = int(held.sum()) * chip.cells_per_weight * chip.write_bits_per_cell / 8
            elif isinstance(instruction, Transfer):
                moved[i] = instruction.size
            if ends[i] - starts[i] < least - slack:
                yield Violation(i, f"lasts {ends[i] - starts[i]:.3g} s, less than the chip's {least:.3g} s")
            if starts[i] < max((float(ends[j]) for j in instruction.after), default=-np.inf) - slack:
                yield Violation(i, "starts before what it waits for has ended")
        inference = np.arange(len(self.instructions)) >= self.program.setup
        order = np.argsort(ends[inference], kind="stable")
        begun, ended, bytes_ = starts[inference][order], ends[inference][order], moved[inference][order]
        for origin in np.unique(begun):
            inside = begun >= origin - slack
            within = np.cumsum(np.where(inside, bytes_, 0.0))
            over = inside & (
                within > chip.memory.bandwidth * (ended - origin) * (1 + 1e-6) + chip.memory.bandwidth * slack + 1e-3
            )
            if over.any():
                text = f"memory delivers more than its bandwidth between {origin:.6g} s and {ended[over][0]:.6g} s"
                yield Violation(-1, text)
                return


def violations(program: Program, times: tuple[Times, Times] | None = None) -> tuple[Violation, ...]:
    """Return every rule that the program breaks; `times` are measured starts and ends of its instructions, in s.

    Structure first: where runs of blocks or groups are out of bounds, the rules that build on them are not looked at.
    """
    check = _Check(program)
    found = list(check.shapes())
    if found:
        return tuple(found)
    for rule in (check.groups, check.completeness, check.dataflow, check.layer_order, check.buffer):
        found.extend(rule())
    if times is not None:
        found.extend(check.times(*times))
    return tuple(found)
