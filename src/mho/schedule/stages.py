"""What the choices of each stage of compiling do: schedules plan, banks and placements change a program, codings make codes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar

from mho.chip import Chip
from mho.chip.lookup import shares_adcs
from mho.errors import StrategyError
from mho.mapping import Mapper
from mho.number import QuantisedNetwork, Sampled
from mho.program import Program
from mho.program.program import BufferUse
from mho.schedule.builder import InstructionBuilder, Task
from mho.strategy.choice import Choice
from mho.strategy.precise import Precise
from mho.strategy.strategy import Strategy

Say = Callable[[str], None]
"""Tells how far long work is."""


class Coding(Precise):
    """A way to make codes of weights."""

    @property
    def by_samples(self) -> bool:
        """True if it goes by calibration samples."""
        return False

    def refusals(self, subject: Sampled, chip: Chip, strategy: Strategy) -> Iterator[StrategyError]:
        """Refuse a network that is coded otherwise already."""
        codes = subject.quantised
        if codes is not None and self.spelled() != "bytes" and codes.coding != self:
            yield self.refuse(
                f"makes codes of weights, but {subject.net.name} is coded already",
                helps="give the network itself, with its samples in a Sampled, or take coding 'bytes'",
            )

    def coded(self, subject: Sampled, chip: Chip, mapper: Mapper, say: Say) -> QuantisedNetwork:
        """Return the network's codes, by its calibration samples where it has them."""
        raise NotImplementedError


class Changing(Choice):
    """A choice that changes codes before they are mapped, or the program that was made of them."""

    def before(self, quantised: QuantisedNetwork, chip: Chip, strategy: Strategy) -> QuantisedNetwork:
        """Return the codes that are mapped."""
        return quantised

    def after(self, program: Program, subject: Sampled) -> Program:
        """Return the program that is kept."""
        return program


class Alignment(Changing):
    """How codes of weights are moved, so that those which overwrite one another differ less (ARAS section V-C)."""

    stage = "alignment"
    late: ClassVar[bool] = False
    """Whether codes are moved only once it is known what overwrites what, narrowed cells with them."""

    def refusals(self, subject: Sampled, chip: Chip, strategy: Strategy) -> Iterator[StrategyError]:
        """Refuse a mapping that stores no whole weights, and cells that hold no code but those around the middle."""
        yield from refuse_digits(self, strategy)
        if self.weighted and chip.coding.least_code:
            yield self.refuse(
                f"moves codes away from their middle; coding {chip.coding.name} has magnitudes around it, and no cells for code 0",
                bound="array.coding",
            )


class LowCell(Changing):
    """What the least significant cells of weights may hold."""

    stage = "low_cell"

    def refusals(self, subject: Sampled, chip: Chip, strategy: Strategy) -> Iterator[StrategyError]:
        """Refuse a mapping that stores no whole weights."""
        yield from refuse_digits(self, strategy)


def refuse_digits(choice: Changing, strategy: Strategy) -> Iterator[StrategyError]:
    """Refuse a choice that moves codes where the mapping stores their digits."""
    if choice.weighted and not strategy.get(Mapper).whole:
        stored = "a basis that they are combinations of" if strategy.get(Mapper).streams else "their digits"
        yield choice.refuse(
            f"moves the codes of whole weights; mapping {strategy.mapping.name!r} stores {stored}", bound="mapping"
        )


class Placement(Changing):
    """Where the rows, columns and digits of blocks sit in their groups."""

    stage = "placement"


class Schedule(Choice):
    """When weights are written and layers computed."""

    stage = "schedule"
    streams: ClassVar[bool] = False
    """True if it fetches the coefficients that a mapping's layers need."""
    flows: ClassVar[bool] = False
    """True if it makes streams, and says itself where their rows live."""

    @property
    def draws(self) -> bool:
        """True if anything is drawn, so that a seed matters."""
        return False

    def refusals(self, subject: Sampled, chip: Chip, strategy: Strategy) -> Iterator[StrategyError]:
        """Refuse a chip whose groups share ADCs, and one whose writes take as long as cells need where weights are not known."""
        if strategy.get(Mapper).streams and not self.streams:
            demanded = f"fetches no coefficients, which mapping {strategy.mapping.name!r} needs"
            yield self.refuse(demanded, bound="mapping", helps="take schedule basis")
        if shares_adcs(chip):
            yield StrategyError(
                "chip",
                chip.name,
                "groups that take turns at ADCs (lookup.groups_per_adc above 1) serve look-ups only; the time of layers assumes "
                "ADCs of their own",
                bound="lookup.groups_per_adc",
            )
        if chip.write_latency == "actual" and not subject.has_values:
            yield StrategyError(
                "chip",
                chip.name,
                f"write_latency 'actual' goes by the levels of cells, but {subject.net.name} is known by shapes alone",
                bound="write_latency",
                helps="load it with weights",
            )

    def plan(self, task: Task) -> InstructionBuilder:
        """Return the instructions, in order."""
        raise NotImplementedError


class Banks(Changing):
    """How banks of the global buffer are chosen for tensors."""

    stage = "banks"

    def placed(self, task: Task) -> tuple[BufferUse, ...]:
        """Return where each stored tensor lives, for a task whose tensors have no place yet."""
        raise NotImplementedError


class Residency(Choice):
    """Whether weights stay on a chip that the whole network fits."""

    stage = "residency"
    stays: ClassVar[bool] = True
