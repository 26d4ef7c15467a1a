"""Which codes of an array's ADCs are added up together: the lanes behind ADCs, and the running sums that each holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mho.rtl.plan import Plan

UNIT = -1
"""The output of the slot that sums a unit column."""


@dataclass(frozen=True)
class Slot:
    """The running sum of a lane for output `output` of its array (UNIT: the unit column), from `low` to `high`."""

    output: int
    low: int
    high: int


@dataclass(frozen=True)
class Turn:
    """What a lane does with the codes of its ADCs at one index: adds them to `slot`, each times its significance.

    `significance`: one for each ADC of the lane, 0 for one that has nothing to convert. `starts`: first addition of a step.
    """

    slot: int
    starts: bool
    significance: tuple[int, ...]


@dataclass(frozen=True)
class Lane:
    """ADCs [first, first + count) of an array, and what is done with their codes, index by index."""

    first: int
    count: int
    turns: tuple[Turn, ...]
    slots: tuple[Slot, ...]


def _conversion(plan: Plan, number: int) -> tuple[int, int]:
    """Return the output of an array's conversion and its significance, 0 where its columns hold no weight."""
    if plan.coding.inverts and number == plan.conversions - 1:
        return UNIT, 1
    output, digit = divmod(number, plan.digits)
    return (output, plan.significances[digit]) if output < plan.outputs else (plan.outputs, 0)


def lanes_of(plan: Plan) -> Iterator[Lane]:
    per, together = plan.per_adc, 1
    if per < plan.digits and plan.digits % per == 0 and not plan.coding.inverts:
        together = plan.digits // per
    for first in range(0, plan.adcs, together):
        count = min(together, plan.adcs - first)
        slots: list[int] = []
        turns: list[Turn] = []
        for index in range(per):
            read = [_conversion(plan, number) for number in _read_by(plan, first, count, index)]
            used = {output for output, significance in read if significance}
            if not used:
                turns.append(Turn(0, False, (0,) * count))
                continue
            (output,) = used
            starts = output not in slots
            if starts:
                slots.append(output)
            turns.append(Turn(slots.index(output), starts, tuple(significance for _, significance in read)))
        yield Lane(first, count, tuple(turns), tuple(_slot(plan, number, slots, turns) for number in range(len(slots))))


def _read_by(plan: Plan, first: int, count: int, index: int) -> Iterator[int]:
    """Yield the conversions that the ADCs of a lane make at an index; the last one's columns may be fewer."""
    for adc in range(first, first + count):
        number = adc * plan.per_adc + index
        yield number if number < plan.conversions else plan.outputs * plan.digits + (1 << 30)


def _slot(plan: Plan, number: int, outputs: list[int], turns: list[Turn]) -> Slot:
    """Return a slot with the range of its sum."""
    low, high = plan.code_range
    ends = [0, 0]
    for turn in turns:
        for significance in turn.significance if turn.slot == number else ():
            reach = sorted((significance * low, significance * high))
            if plan.coding.inverts:
                reach = [-reach[1], reach[1]]
            ends[0] += reach[0] * plan.most_steps
            ends[1] += reach[1] * plan.most_steps
    return Slot(outputs[number], min(ends[0], 0), ends[1])


__all__ = ["UNIT", "Lane", "Slot", "Turn", "lanes_of"]
