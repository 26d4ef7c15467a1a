"""What a test bench is told, word by word: settings, parameters of outputs, and windows; the same for every simulator.

A word is an operation and its fields, packed from the lowest bit up as `FIELDS` has them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mho.rtl.plan import ACCUMULATOR_BITS, Plan

Integers = npt.NDArray[np.int64]
END, SET, WRITE, INVERT, WINDOW, LOAD, WAIT = range(7)
OPERATION_BITS = 3
WIDE = 63


@dataclass(frozen=True, eq=False)
class Block:
    """What one block of a layer asks of the periphery, and the cells that it reads.

    `cells` (arrays, rows, conversions): what a row driven with 1 adds to each conversion. `coefficients`, `multipliers` and
    `addends` (arrays, outputs); `inverted` bool (arrays, conversions).
    """

    cells: Integers
    coefficients: Integers
    multipliers: Integers
    addends: Integers
    inverted: npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Stimulus:
    """Windows through blocks: of each the block, its codes (rows,), and whether it begins and ends the sums of its outputs.

    `settings`: shift, left, zero, low, high and input_zero of the layer.
    """

    plan: Plan
    settings: Mapping[str, int]
    blocks: tuple[Block, ...]
    windows: tuple[tuple[int, Integers, bool, bool], ...]

    @property
    def reloads(self) -> bool:
        """True if blocks have parameters of their own, which are loaded between windows: blocks that sit in groups of their own."""
        return any(not _alike(self.blocks[0], block) for block in self.blocks[1:])

    def words(self) -> Iterator[int]:
        """Yield the words of a run."""
        plan, layout = self.plan, fields(self.plan)
        yield pack(layout[SET], SET, **self.settings)
        held: Block | None = None
        for number, codes, first, last in self.windows:
            block = self.blocks[number]
            if held is None or not _alike(held, block):
                yield pack(layout[WAIT], WAIT)
                yield from self._parameters(block, held)
                held = block
            yield pack(layout[WINDOW], WINDOW, first_block=int(first), last_block=int(last), block=number)
            padded = np.full(plan.loads * plan.words, self.settings["input_zero"] if plan.signed else 0, dtype=np.int64)
            padded[: len(codes)] = codes
            for word in padded.reshape(plan.loads, plan.words):
                yield pack(
                    layout[LOAD], LOAD, codes=sum(int(code) << (plan.input_bits * at) for at, code in enumerate(word))
                )
        yield pack(layout[WAIT], WAIT)
        yield END

    def _parameters(self, block: Block, held: Block | None) -> Iterator[int]:
        plan, layout = self.plan, fields(self.plan)
        if held is None or not _equal(block, held, "coefficients", "multipliers", "addends"):
            for array, number in np.ndindex(plan.arrays, plan.outputs):
                yield pack(
                    layout[WRITE], WRITE, array=array, address=number, coefficient=int(block.coefficients[array, number]),
                    multiplier=int(block.multipliers[array, number]), addend=int(block.addends[array, number]),
                )  # fmt: skip
        if plan.coding.inverts:
            for array, adc in np.ndindex(plan.arrays, plan.adcs):
                own = block.inverted[array, adc * plan.per_adc : (adc + 1) * plan.per_adc]
                yield pack(
                    layout[INVERT], INVERT, array=array, adc=adc, bits=sum(int(bit) << at for at, bit in enumerate(own))
                )


def _alike(first: Block, second: Block) -> bool:
    return first is second or _equal(first, second, "coefficients", "multipliers", "addends", "inverted")


def _equal(first: Block, second: Block, *names: str) -> bool:
    return all(np.array_equal(getattr(first, name), getattr(second, name)) for name in names)


def fields(plan: Plan) -> dict[int, dict[str, int]]:
    """Return the fields of each operation with their bits, from the lowest up."""
    bits, made = plan.input_bits, plan.output_bits
    return {
        SET: {"shift": 6, "left": 6, "zero": made, "low": made, "high": made, "input_zero": bits},
        WRITE: {
            "array": 16, "address": 16, "coefficient": plan.weight_bits + 2, "multiplier": plan.multiplier_bits, "addend": WIDE,
        },
        INVERT: {"array": 16, "adc": 16, "bits": plan.per_adc},
        WINDOW: {"first_block": 1, "last_block": 1, "block": 16},
        LOAD: {"codes": plan.words * bits},
        WAIT: {},
    }  # fmt: skip


def word_bits(plan: Plan) -> int:
    """Return the bits of a word."""
    return OPERATION_BITS + max(sum(layout.values()) for layout in fields(plan).values())


def pack(layout: Mapping[str, int], operation: int, **values: int) -> int:
    """Return a word; numbers below 0 are in two's complement. Raises OverflowError for a value that does not fit its field."""
    word, at = operation, OPERATION_BITS
    for name, bits in layout.items():
        value = values[name]
        if not -(1 << (bits - 1)) <= value < 1 << bits:
            raise OverflowError(f"{name} {value} does not fit {bits} bits")
        word |= (value & ((1 << bits) - 1)) << at
        at += bits
    return word


def drain_cycles(plan: Plan) -> int:
    """Return the cycles after the last conversion of a window in which its codes leave: lanes, chain, accumulators, requantiser."""
    return plan.drained + 9


__all__ = ["ACCUMULATOR_BITS", "Block", "Stimulus", "drain_cycles", "fields", "pack", "word_bits"]
