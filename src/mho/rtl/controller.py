"""The controller of a tile: it plays those of a program's instructions that write to or drive the groups of the tile."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Module, Signal

from mho.errors import OptionError, choices
from mho.mapping import LayerMapping
from mho.program import Activate, Gather, Program, Write
from mho.program.instructions import members
from mho.rtl.part import Part, memory, width

END, WAIT, WRITE, WINDOWS = range(4)
OPERATION_BITS = 2


@dataclass(frozen=True)
class Step:
    """What a group does: an operation, the event that it waits for or its windows, and the event that it is a part of.
    `instruction`: the program's, by number.
    """

    operation: int
    argument: int
    event: int
    instruction: int


@dataclass(frozen=True)
class TileList:
    """A program as one tile plays it: the steps of each group, in order, and for each event how much must end until it is over.

    Event 0 is what nobody here waits for. `events`: the number of each instruction that is waited for. An instruction that happens
    elsewhere, all or in part, is one thing more that must end; who carries it out says so.
    """

    groups: tuple[tuple[Step, ...], ...]
    needs: tuple[int, ...]
    events: Mapping[int, int]
    elsewhere: frozenset[int]

    @classmethod
    def of(cls, program: Program, tile: int) -> TileList:
        """Return the list of a tile; OptionError for one that the chip does not have, and for programs that gather rows."""
        chip = program.chip
        if not 0 <= tile < chip.tiles:
            raise OptionError(
                f"chip {chip.name} has no tile {tile!r}; {choices(str(tile), map(str, range(chip.tiles)))}"
            )
        if any(isinstance(each, Gather) for each in program.instructions):
            raise OptionError(
                f"{program.network.name} gathers rows, and which groups do is told when bags come: no list says that"
            )
        first, count = tile * chip.spec.tile.groups, chip.spec.tile.groups
        own: dict[int, list[int]] = {}
        used: dict[int, int] = {}
        for number, each in enumerate(program.instructions):
            groups = list(members(each.groups)) if isinstance(each, Write | Activate) else []
            own[number], used[number] = [group - first for group in groups if 0 <= group - first < count], len(groups)
        waited = sorted(
            {after for number, each in enumerate(program.instructions) if own[number] for after in each.after}
        )
        events = {number: place for place, number in enumerate(waited, 1)}
        lists: list[list[Step]] = [[] for _ in range(count)]
        for number, each in enumerate(program.instructions):
            for group in own[number]:
                # What this group alone has done is over when it comes to this.
                waits = [after for after in each.after if (own[after], used[after]) != ([group], 1)]
                lists[group] += [Step(WAIT, events[after], 0, number) for after in waits]
                windows = _windows(each, group + first) if isinstance(each, Activate) else 0
                if windows or isinstance(each, Write):
                    lists[group].append(Step(WINDOWS if windows else WRITE, windows, events.get(number, 0), number))
        elsewhere = frozenset(number for number in own if len(own[number]) < max(used[number], 1))
        needs = (0, *(len(_acting(lists, number)) + (number in elsewhere) for number in waited))
        return cls(tuple(map(tuple, lists)), needs, events, elsewhere)

    @property
    def argument_bits(self) -> int:
        """Bits of an argument."""
        return max((step.argument for each in self.groups for step in each), default=1).bit_length() or 1

    def entry(self, step: Step) -> int:
        """Return a step as the controller holds it."""
        return step.operation | step.argument << OPERATION_BITS | step.event << (OPERATION_BITS + self.argument_bits)

    def layers(self, program: Program) -> list[LayerMapping]:
        """Return the layers whose windows groups take."""
        taken = {step.instruction for each in self.groups for step in each if step.operation == WINDOWS}
        numbers = {program.instructions[number].layer for number in taken}
        return [mapped for mapped in program.mapping.layers if mapped.index in numbers]

    def __str__(self) -> str:
        """Say the steps of each group, each after its entry, and what each event needs."""
        lines = [f"event {event}: {needed} to end" for event, needed in enumerate(self.needs) if event]
        for group, steps in enumerate(self.groups):
            for address, step in enumerate(steps):
                what = f"wait for event {step.argument}" if step.operation == WAIT else f"{step.argument} windows"
                what = "write" if step.operation == WRITE else what
                part = f", of event {step.event}" if step.event else ""
                lines.append(
                    f"group {group} step {address}: {self.entry(step):x}  {what}{part}  (instruction {step.instruction})"
                )
        return "\n".join(lines) + "\n"

    def loading(self) -> Iterable[dict[str, int]]:
        """Yield what the ports of a controller are given, cycle by cycle, until it holds the list."""
        for event, needed in enumerate(self.needs):
            yield {"needs_write": 1, "needs_event": event, "needs": needed}
        for group, steps in enumerate(self.groups):
            for address, step in enumerate((*steps, Step(END, 0, 0, 0))):
                yield {"write": 1 << group, "address": address, "entry": self.entry(step)}


def _acting(lists: list[list[Step]], number: int) -> list[Step]:
    return [step for each in lists for step in each if step.instruction == number and step.operation != WAIT]


def _windows(activate: Activate, group: int) -> int:
    """Return how many windows of an activation a group takes: all of them, or those of its copy."""
    blocks = activate.blocks[1] - activate.blocks[0]
    copy = list(members(activate.groups)).index(group) // blocks
    first, last = activate.windows
    return len(range(first + (copy - first) % activate.copies, last, activate.copies))


class Stepper(Part):
    """Steps of one group, from `go` on, one after another, until an entry of zeros. An entry is, from its lowest bit, an operation
    (1 waits, 2 writes, 3 takes windows), an argument, and an event. A wait goes on when the event `awaits` is `met`. A write has
    `writes` high until `written`. Windows have `feed` high until as many as the argument says have `began`, and last until the
    group is not `running`. In the last cycle of either `done` is high, and `ends` says of which event. Between what a group
    does and what it does next pass two cycles, and one for each wait.
    """

    def __init__(self, depth: int, argument_bits: int, event_bits: int) -> None:
        self.depth, self.argument_bits = depth, argument_bits
        super().__init__(
            "mho_stepper",
            {
                "go": 1, "write": 1, "address": width(0, depth - 1), "entry": OPERATION_BITS + argument_bits + event_bits,
                "met": 1, "began": 1, "running": 1, "written": 1,
            },
            {"awaits": argument_bits, "feed": 1, "writes": 1, "done": 1, "ends": event_bits, "at": width(0, depth - 1)},
        )  # fmt: skip

    def elaborate(self, platform: Any) -> Module:
        """Look a step up; act; go on."""
        m, top = Module(), OPERATION_BITS + self.argument_bits
        held = memory(m, "steps", self.entry.shape(), self.depth, self.write, self.address, self.entry)
        operation, argument = held.data[:OPERATION_BITS], held.data[OPERATION_BITS:top]
        busy, left = Signal(), Signal(self.argument_bits)
        m.d.comb += [held.addr.eq(self.at), self.awaits.eq(argument), self.ends.eq(held.data[top:])]
        m.d.comb += self.feed.eq(busy & (operation == WINDOWS) & (left != 0))
        m.d.comb += self.writes.eq(busy & (operation == WRITE))
        over = (self.writes & self.written) | (busy & (operation == WINDOWS) & (left == 0) & ~self.running)
        m.d.comb += self.done.eq(over)
        with m.If(over | (self.go & (operation == WAIT) & self.met)):
            m.d.sync += [busy.eq(0), self.at.eq(self.at + 1)]
        with m.Elif(self.go & ~busy & operation[1]):
            m.d.sync += [busy.eq(1), left.eq(argument)]
        with m.Elif(self.feed & self.began):
            m.d.sync += left.eq(left - 1)
        return m


class TileController(Part):
    """Plays the steps of the groups of a tile, each group's in their order, all groups at once, from `go` on. An event is over when
    as much has ended as `needs` said of it: writes and windows of groups here, and with `elsewhere` one thing of `ended_event`.
    Ports that name a group have a bit for each. `places`, a field a group, says which of its steps each is at, and `done` which
    ends.
    """

    def __init__(self, steps: TileList) -> None:
        self.steps, self.count = steps, len(steps.groups)
        self.events = width(0, max(len(steps.needs) - 1, 1))
        depth = max(map(len, steps.groups)) + 1
        self.depth, self.places_bits = depth, width(0, depth - 1).width
        super().__init__(
            "mho_tile_controller",
            {
                "go": 1, "write": self.count, "address": width(0, depth - 1),
                "entry": OPERATION_BITS + steps.argument_bits + self.events.width, "needs_write": 1, "needs_event": self.events,
                "needs": width(0, max(steps.needs)), "elsewhere": 1, "ended_event": self.events, "began": self.count,
                "running": self.count, "written": self.count,
            },
            {"feed": self.count, "writes": self.count, "done": self.count, "places": self.count * self.places_bits},
        )  # fmt: skip

    def elaborate(self, platform: Any) -> Module:
        """Place a stepper for each group, and count what ends."""
        m = Module()
        steppers = [Stepper(self.depth, self.steps.argument_bits, self.events.width) for _ in range(self.count)]
        over = []
        for event in range(len(self.steps.needs)):
            left = Signal(self.needs.shape(), name=f"left_{event}")
            ended = sum(
                ((each.done & (each.ends == event)) for each in steppers), self.elsewhere & (self.ended_event == event)
            )
            with m.If(self.needs_write & (self.needs_event == event)):
                m.d.sync += left.eq(self.needs)
            with m.Elif(left != 0):
                m.d.sync += left.eq(left - ended)
            over.append(left == 0)
        for number, each in enumerate(steppers):
            self.place(m, f"stepper_{number}", each)
            for port in ("began", "running", "written", "write"):
                m.d.comb += getattr(each, port).eq(getattr(self, port)[number])
            met = Cat(*((each.awaits == event) & passed for event, passed in enumerate(over))).any()
            m.d.comb += [
                each.go.eq(self.go),
                each.address.eq(self.address),
                each.entry.eq(self.entry),
                each.met.eq(met),
            ]
        for port, shown in (("feed", "feed"), ("writes", "writes"), ("done", "done"), ("places", "at")):
            m.d.comb += getattr(self, port).eq(Cat(*(getattr(each, shown) for each in steppers)))
        return m


__all__ = ["TileController", "TileList"]
