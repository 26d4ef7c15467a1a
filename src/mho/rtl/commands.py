"""What a test bench is told, word by word: settings, parameters of outputs, and windows; the same for every simulator.

A word is an operation and its fields, packed from the lowest bit up as `FIELDS` has them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mho.rtl.accumulate import WIDE
from mho.rtl.group import Group
from mho.rtl.plan import Plan

Integers = npt.NDArray[np.int64]
END, SET, WRITE, INVERT, WINDOW, LOAD, WAIT, ENTRY, ROW = range(9)
OPERATION_BITS = 4
STROBES = {
    LOAD: ("load", ""), WRITE: ("write", "array"), INVERT: ("invert_write", "array"), ENTRY: ("entry_write", "lane"),
    ROW: ("row_write", ""),
}  # fmt: skip
"""Ports that are high in a cycle of their own, of some operations, and the field that says which bit of them."""
PORTS = {
    (LOAD, "codes"): "load_codes", (INVERT, "bits"): "invert_bits", (INVERT, "adc"): "invert_adc",
    (ENTRY, "address"): "entry_address", (ROW, "address"): "row_address", (ROW, "entries"): "row_entries",
}  # fmt: skip
"""Ports of fields that have other names."""
TABLES = ("coefficients", "multipliers", "addends", "inverted", "inputs")
"""What is loaded again where it changes."""


@dataclass(frozen=True, eq=False)
class Block:
    """What one block of a layer asks of the periphery, and the cells that it reads.

    `cells` (arrays, rows, conversions): what a row driven with 1 adds to each conversion. `coefficients` (chains, outputs),
    `multipliers` and `addends` (requantisers, outputs); `inverted` bool (arrays, conversions). `entries` (lanes, entries, 3):
    source, factor and target of what lanes combine; `inputs` (rows, 3): the input that a row takes, its shift, if it is driven.
    """

    cells: Integers
    coefficients: Integers
    multipliers: Integers
    addends: Integers
    inverted: npt.NDArray[np.bool_]
    entries: Integers | None = None
    inputs: Integers | None = None


@dataclass(frozen=True, eq=False)
class Stimulus:
    """Windows through blocks: of each the block, its codes (rows,), and whether it begins and ends the sums of its outputs; the
    codes are all of a layer's where an index says which rows take.

    `settings`: shift, left, zero, low, high and input_zero of the layer.
    """

    plan: Plan
    settings: Mapping[str, int]
    blocks: tuple[Block, ...]
    windows: tuple[tuple[int, Integers, bool, bool], ...]

    @property
    def cell_sets(self) -> list[Integers]:
        """The cells of blocks, those that several share once."""
        return list({id(block.cells): block.cells for block in self.blocks}.values())

    @property
    def vectors(self) -> list[Integers]:
        """The codes of windows, those that several share once."""
        return list({id(codes): codes for _, codes, _, _ in self.windows}.values())

    @property
    def reloads(self) -> bool:
        """True if blocks have parameters of their own, which are loaded between windows: blocks that sit in groups of their own."""
        return any(not _alike(self.blocks[0], block) for block in self.blocks[1:])

    def words(self) -> Iterator[int]:
        """Yield the words of a run."""
        plan, told = self.plan, self.told
        yield told.pack(SET, **self.settings)
        yield from self._lists()
        held: Block | None = None
        cells, vectors = _places(self.cell_sets), _places(self.vectors)
        for number, codes, first, last in self.windows:
            block = self.blocks[number]
            if held is None or not _alike(held, block):
                yield told.pack(WAIT)
                yield from self._parameters(block, held)
                held = block
            own = {"list_start": number * plan.combining.entries} if plan.combining else {}
            yield told.pack(
                WINDOW, first_block=int(first), last_block=int(last), block=cells[id(block.cells)],
                vector=vectors[id(codes)], **own,
            )  # fmt: skip
            padded = np.full(plan.loads * plan.words, self.settings["input_zero"] if plan.signed else 0, dtype=np.int64)
            if not plan.indexed:
                padded[: len(codes)] = codes
            for word in padded.reshape(plan.loads, plan.words):
                yield told.pack(LOAD, codes=packed(word, plan.load_bits))
        yield told.pack(WAIT)
        yield END

    def _parameters(self, block: Block, held: Block | None) -> Iterator[int]:
        plan, told = self.plan, self.told
        if held is None or not _equal(block, held, "coefficients", "multipliers", "addends"):
            tables = [block.coefficients, block.multipliers, block.addends]
            if plan.combining:
                nothing = np.zeros((plan.makers, plan.makes), dtype=np.int64)
                both = [(tables[0], *[np.zeros_like(tables[0])] * 2), (nothing, *tables[1:])]
            else:
                both = [(tables[0], *tables[1:])]
            for first, (coefficients, multipliers, addends) in zip((0, plan.takers), both, strict=False):
                for array, number in np.ndindex(coefficients.shape):
                    yield told.pack(
                        WRITE, array=first + array, address=number, coefficient=int(coefficients[array, number]),
                        multiplier=int(multipliers[array, number]), addend=int(addends[array, number]),
                    )  # fmt: skip
        if plan.coding.inverts:
            for array, adc in np.ndindex(plan.arrays, plan.adcs):
                own = block.inverted[array, adc * plan.per_adc : (adc + 1) * plan.per_adc]
                yield told.pack(INVERT, array=array, adc=adc, bits=packed(own, 1))
        group = self.group
        if block.inputs is not None and group.rows is not None:
            rows = [group.rows.entry_of(*row) for row in block.inputs.tolist()]
            for address in range(group.rows.loads):
                some = rows[address * group.rows.words : (address + 1) * group.rows.words]
                yield told.pack(ROW, address=address, entries=packed(some, group.rows.entry_bits))

    def _lists(self) -> Iterator[int]:
        """Yield what lanes combine, of all blocks."""
        told, combiner = self.told, self.group.combiner
        for number, block in enumerate(self.blocks):
            if block.entries is not None and combiner is not None:
                first, final = number * combiner.combining.entries, block.entries.shape[1] - 1
                for lane, address in np.ndindex(block.entries.shape[:2]):
                    entry = combiner.entry_of(block.entries[lane, address].tolist(), address == final)
                    yield told.pack(ENTRY, lane=lane, address=first + address, entry=entry)

    @cached_property
    def group(self) -> Group:
        """The group that is told."""
        return Group(self.plan)

    @cached_property
    def told(self) -> Words:
        """How it is."""
        return Words(self.group)


def packed(values: Iterable[int], bits: int) -> int:
    """Return numbers as one, each in a field of so many bits, the first in the lowest."""
    return sum(int(value) << (bits * at) for at, value in enumerate(values))


def _places(values: list[Integers]) -> dict[int, int]:
    return {id(value): place for place, value in enumerate(values)}


def _alike(first: Block, second: Block) -> bool:
    return first is second or _equal(first, second, *TABLES)


def _equal(first: Block, second: Block, *names: str) -> bool:
    return all(np.array_equal(getattr(first, name), getattr(second, name)) for name in names)


class Words:
    """How a group is told: of each operation the fields with their bits, from the lowest up, and the ports that they set."""

    def __init__(self, group: Group) -> None:
        plan, members = group.plan, group.signature.members
        bits, made = plan.input_bits, plan.output_bits
        self.fields: dict[int, dict[str, int]] = {
            SET: {"shift": 6, "left": 6, "zero": made, "low": made, "high": made, "input_zero": bits},
            WRITE: {
                "array": 16, "address": 16, "coefficient": plan.weight_bits + 2, "multiplier": plan.multiplier_bits, "addend": WIDE,
            },
            INVERT: {"array": 16, "adc": 16, "bits": plan.per_adc},
            WINDOW: {"first_block": 1, "last_block": 1, "block": 16, "vector": 16},
            LOAD: {"codes": plan.words * plan.load_bits},
            WAIT: {},
        }  # fmt: skip
        if group.combiner is not None:
            self.fields[ENTRY] = {"lane": 16, "address": 16, "entry": len(group.combiner.entry)}
            self.fields[WINDOW] |= {"list_start": len(group.combiner.start)}
        if group.rows is not None:
            self.fields[ROW] = {"address": 16, "entries": len(group.rows.entries)}
        self.bits = OPERATION_BITS + max(sum(each.values()) for each in self.fields.values())
        self.ports = {
            operation: {name: port for name in each if (port := PORTS.get((operation, name), name)) in members}
            for operation, each in self.fields.items()
        }

    def pack(self, operation: int, **values: int) -> int:
        """Return a word; numbers below 0 are in two's complement. Raises OverflowError for a value that does not fit its field."""
        word, at = operation, OPERATION_BITS
        for name, bits in self.fields[operation].items():
            value = values[name]
            if not -(1 << (bits - 1)) <= value < 1 << bits:
                raise OverflowError(f"{name} {value} does not fit {bits} bits")
            word |= (value & ((1 << bits) - 1)) << at
            at += bits
        return word

    def unpack(self, word: int) -> tuple[int, dict[str, int]]:
        """Return the operation of a word, and its fields."""
        operation, values, at = word & ((1 << OPERATION_BITS) - 1), dict[str, int](), OPERATION_BITS
        for name, bits in self.fields.get(operation, {}).items():
            values[name] = (word >> at) & ((1 << bits) - 1)
            at += bits
        return operation, values


def drain_cycles(plan: Plan) -> int:
    """Return the cycles after the last conversion of a window in which its codes leave: lanes, chain, accumulators,
    what combines their sums, requantiser.
    """
    return plan.drained + plan.combined + 9


def quiet_cycles(plan: Plan) -> int:
    """Return the cycles after which all that was driven has left, two windows that wait for lanes among it."""
    return drain_cycles(plan) + plan.combined + 4


__all__ = ["Block", "Stimulus", "Words", "drain_cycles", "packed", "quiet_cycles"]
