"""The test bench: words go in, arrays answer, codes come out. In Amaranth's simulator, Icarus Verilog or Verilator."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.rtl.accumulate import WIDE
from mho.rtl.commands import END, LOAD, STROBES, WAIT, WINDOW, Stimulus, Words, packed, quiet_cycles
from mho.rtl.group import Group
from mho.rtl.part import Part

Integers = npt.NDArray[np.int64]


@dataclass
class Observed:
    """What a run gave: of each output (array, number, v, code), in the order in which they left, and when windows began.

    `begins`: cycles; `cycles`: of the whole run, loading of parameters included; `simulator`: what ran it.
    """

    simulator: str = ""
    outputs: list[tuple[int, int, int, int]] = field(default_factory=list)
    begins: list[int] = field(default_factory=list)
    cycles: int = 0

    @property
    def apart(self) -> int | None:
        """Cycles from the beginning of a window to that of the next, the least of all: windows that follow without a gap."""
        return min((int(gap) for gap in np.diff(self.begins)), default=None)


class Arrays:
    """Arrays and ADCs: what the cells of a block answer to what drives the rows."""

    def __init__(self, stimulus: Stimulus) -> None:
        self.plan = stimulus.plan
        self.cells = [cells.astype(np.float64) for cells in stimulus.cell_sets]
        self.known: tuple[int, int, int] | None = None
        self.sums: Any = None

    def codes(self, block: int, drive: int, negative: int, index: int) -> int:
        """Return the codes of all ADCs, packed."""
        plan = self.plan
        if self.known != (block, drive, negative):
            self.known = block, drive, negative
            x = np.array(_unpacked(drive, plan.drive_bits, plan.rows), dtype=np.float64)
            if plan.both_signs:
                x *= 1 - 2 * np.array(_unpacked(negative, 1, plan.rows))
            sums = np.matmul(x, self.cells[block]).astype(np.int64)
            padded = np.zeros((plan.arrays, plan.adcs * plan.per_adc), dtype=np.int64)
            padded[:, : sums.shape[1]] = sums
            low, high = plan.code_range
            self.sums = np.clip(padded, low, high).reshape(plan.arrays * plan.adcs, plan.per_adc) & (
                (1 << plan.code_bits) - 1
            )
        return packed(self.sums[:, index].tolist(), plan.code_bits)


def _unpacked(word: int, bits: int, count: int) -> list[int]:
    mask = (1 << bits) - 1
    return [(word >> (bits * at)) & mask for at in range(count)]


class Traces:
    """What the ports of the first part of each kind carry in each cycle, and the outputs of parts inside of it, as `label.port`;
    `parts`: these parts themselves.
    """

    def __init__(self, group: Group, only: Sequence[str] = ()) -> None:
        self.only, self.parts = only, dict[str, Part]()
        self.cycles: dict[str, list[dict[str, int]]] = {}
        self.ports: dict[str, dict[str, Any]] = {}
        self._watch(group)

    def _watch(self, part: Part) -> None:
        if part.part in self.parts:
            return
        self.parts[part.part] = part
        self.cycles[part.part], self.ports[part.part] = (
            [],
            {name: getattr(part, name) for name in part.signature.members},
        )
        for label, inside in part.inside.items():
            made = (name for name, member in inside.signature.members.items() if member.flow.name == "Out")
            self.ports[part.part] |= {f"{label}.{name}": getattr(inside, name) for name in made}
            self._watch(inside)

    def note(self, ctx: Any) -> None:
        """Note a cycle."""
        for name in self.only or self.ports:
            self.cycles[name].append({port: int(ctx.get(signal)) for port, signal in self.ports[name].items()})


def in_amaranth(
    group: Group, stimulus: Stimulus, traced: bool = False, only: Sequence[str] = ()
) -> tuple[Observed, Traces | None]:
    """Run a stimulus in Amaranth's own simulator; `traced`: and note what parts are given and answer, all or `only` some."""
    from amaranth.sim import Simulator

    observed, words = Observed("Amaranth's simulator"), stimulus.words()
    simulator = Simulator(group)
    simulator.add_clock(1e-9)
    traces = Traces(group, only) if traced else None

    async def bench(ctx: Any) -> None:
        feeder, arrays = Feeder(group, stimulus, words), Arrays(stimulus)
        while not feeder.done:
            if ctx.get(group.convert):
                drive, index, negative = (ctx.get(each) for each in (group.drive, group.index, group.negative))
                ctx.set(group.codes, arrays.codes(feeder.driving, drive, negative, index))
            # The last conversion of a window comes in the cycle before the next begins.
            if ctx.get(group.window_begins):
                observed.begins.append(observed.cycles)
                feeder.driving = feeder.loading
            if ready := ctx.get(group.ready):
                numbers, fixed, made = (ctx.get(each) for each in (group.numbers, group.fixed, group.made))
                observed.outputs += left(group, ready, numbers, fixed, made)
            feeder.step(ctx)
            if traces is not None:
                traces.note(ctx)
            observed.cycles += 1
            await ctx.tick()

    simulator.add_testbench(bench)
    simulator.run()
    return observed, traces


def left(group: Group, ready: int, numbers: int, fixed: int, made: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield what leaves in a cycle."""
    plan = group.plan
    shown = ((numbers, group.output_shape.width), (fixed, WIDE), (made, plan.output_bits))
    for array, (number, v, code) in enumerate(
        zip(*(_unpacked(word, bits, plan.makers) for word, bits in shown), strict=True)
    ):
        if ready >> array & 1:
            yield array, number, v - (v >> (WIDE - 1) << WIDE), code


class Feeder:
    """Gives words to a group, as soon as it can take them."""

    def __init__(self, group: Group, stimulus: Stimulus, words: Iterator[int]) -> None:
        self.group, self.plan, self.words = group, stimulus.plan, words
        self.told = Words(group)
        self.word = next(words)
        self.done, self.quiet = False, 0
        self.loading = self.driving = self.loads = self.vector = 0
        self.vectors = stimulus.vectors
        self.strobes = [getattr(group, name) for name, _ in STROBES.values() if name in group.signature.members]

    def step(self, ctx: Any) -> None:
        """Set the inputs of a cycle."""
        group = self.group
        for port in self.strobes:
            ctx.set(port, 0)
        idle = not ctx.get(group.running) and not ctx.get(group.loaded) and not self.loads
        self.quiet = self.quiet + 1 if idle else 0
        operation, values = self.told.unpack(self.word)
        if operation == END:
            self.done = True
            return
        if operation == WAIT and self.quiet < quiet_cycles(self.plan):
            return
        if (
            operation in (WINDOW, LOAD)
            and ctx.get(group.loaded)
            and not self.loads
            and not ctx.get(group.window_begins)
        ):
            return
        self._take(ctx, operation, values)
        self.word = next(self.words)

    def _take(self, ctx: Any, operation: int, values: dict[str, int]) -> None:
        group = self.group
        if operation == WINDOW:
            self.loading, self.loads, self.vector = values["block"], self.plan.loads, values["vector"]
        if operation == LOAD:
            self.loads -= 1
            if self.plan.combining is not None and self.plan.indexed:
                asked = _unpacked(ctx.get(group.input_index), self.plan.combining.index_bits, self.plan.words)
                values["codes"] = packed(
                    (int(self.vectors[self.vector][index]) for index in asked), self.plan.load_bits
                )
        for name, port in self.told.ports[operation].items():
            signal = getattr(group, port)
            # What is below 0 stands in its field in two's complement.
            below = signal.shape().signed and values[name] >> (len(signal) - 1)
            ctx.set(signal, values[name] - (below << len(signal)))
        if operation in STROBES:
            port, which = STROBES[operation]
            ctx.set(getattr(group, port), 1 << (values[which] if which else 0))


__all__ = ["Arrays", "Feeder", "Observed", "Traces", "in_amaranth", "left"]
