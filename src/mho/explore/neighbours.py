"""The neighbours of a design: each parameter of its chip one step up and down, each stage of its strategy decided otherwise.

A step, of what its type allows (`step_of`):
- bits, and counts up to 8: one more, one less; where that cannot be compiled, twice or half as many;
- larger counts: twice and half as many of a power of two, else a quarter more or a fifth less; tiles always the latter;
- capacities, times, rates and clocks: twice and half; the banks of a buffer all together;
- words: each other one.

Left out is what says of which technology and cells the constants are, and not what is built of them (`GIVEN`); what a chip has none
of, or as much as it takes (`ideal`); and parts that the chip does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mho.chip import Chip
from mho.chip.spec import ChipSpec
from mho.explore.parameters import CHIP, range_of
from mho.quantity import Dimension, Words, marks
from mho.strategy import STAGES, Strategy

GIVEN = ("node", "scaling", "array.pulse_s", "array.pulses_full_range")
"""Keys of a chip by which its constants are brought to its node, and what its cells take to be written."""
SMALL = 8
"""Counts up to here go by one."""
MOST_BITS = 24
"""Bits up to here go by one; wider are ports."""
Value = int | float | str | tuple[int, ...]


@dataclass(frozen=True)
class Change:
    """One parameter of a design by another value: `part` is "chip" or "strategy", `key` its key there.

    after: what it becomes; of several, the first that can be compiled. step: "up", "down" or "other". unit: that of a real number.
    """

    part: str
    key: str
    before: Value
    after: tuple[Value, ...]
    step: str
    unit: str = ""


def neighbours(chip: Chip, strategy: Strategy) -> Iterator[Change]:
    """Yield every step from a design: those of the chip in the order of its keys, then those of the strategy's stages."""
    for key in marks(ChipSpec):
        if key not in GIVEN:
            yield from of_chip(chip, key)
    for stage in STAGES:
        before = getattr(strategy, stage).name
        for name in Strategy.choices(stage):
            if name != before:
                yield Change("strategy", stage, before, (name,), "other")


def of_chip(chip: Chip, key: str) -> Iterator[Change]:
    """Yield the steps of one parameter of a chip."""
    mark, value = marks(ChipSpec)[key], _value(chip, key)
    if isinstance(mark, Words):
        before = mark.words[0] if value is None else value
        named = _value(chip, key.rpartition(".")[0]) if "." in key else chip.spec
        if named is not None:
            for word in mark.words:
                if word != before:
                    yield Change("chip", key, before, (word,), "other")
        return
    if isinstance(value, tuple):
        halves = [tuple(size // 2 for size in value if size > 1)]
        yield Change("chip", key, value, (tuple(2 * size for size in value),), "up")
        if len(halves[0]) == len(value):
            yield Change("chip", key, value, (halves[0],), "down")
        return
    steps: tuple[str, ...] = ("up", "down")
    if value is None and key in IMPLIED:
        implied, only = IMPLIED[key]
        value, steps = implied(chip), (only,)
    if value is None or not isinstance(mark, Dimension):
        return
    _, low, high, open_low = range_of(CHIP + key)
    for step in steps:
        allowed = [
            after
            for after in step_of(key, mark.name, value, up=step == "up")
            if after != value
            and (low is None or after > low or (after == low and not open_low))
            and (high is None or after <= high)
        ]
        if allowed:
            yield Change("chip", key, value, tuple(allowed), step, "" if isinstance(value, int) else mark.unit)


def step_of(key: str, dimension: str, value: int | float, *, up: bool) -> tuple[int | float, ...]:
    """Return what a number may become by one step, the first one first."""
    if not isinstance(value, int):
        return (value * 2 if up else value / 2,)
    doubled = 2 * value if up else value // 2
    if dimension == "bytes":
        return (doubled,)
    if value <= SMALL or (dimension == "bits" and value <= MOST_BITS):
        # Of what is none there is no double.
        if value == 0:
            return (1,) if dimension == "bits" and up else ()
        return tuple(dict.fromkeys((value + 1 if up else value - 1, doubled)))
    if key != "tiles" and value & (value - 1) == 0:
        return (doubled,)
    return tuple(dict.fromkeys((-(-value * 5 // 4) if up else value * 4 // 5, doubled)))


def _value(chip: Chip, key: str) -> Any:
    """Return the value at a key of a chip, None where it has none, or not the part that it is of."""
    found: Any = chip.spec
    for name in key.split("."):
        found = None if found is None else getattr(found, name)
    return found


IMPLIED: Mapping[str, tuple[Callable[[Chip], int], str]] = {
    "array.rows_parallel": (lambda chip: chip.array.rows, "down"),
    "array.cell_levels": (lambda chip: 2**chip.array.cell_bits, "down"),
    "array.integrated_bits": (lambda chip: chip.array.dac_bits, "up"),
}
"""What numbers are that a chip need not name, and which way they can go."""
