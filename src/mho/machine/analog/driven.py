"""What drives the rows of a block, conversion by conversion: passes of inputs that may be negative, rows that take turns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product, repeat

import numpy as np
import numpy.typing as npt

from mho.chip.readout import Readout
from mho.mapping import Blocks, Turn

Bytes = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Driven:
    """Inputs (vectors, rows) of `bits` bits, `step_bits` a step, whose sums count `factor` times in those of a turn.

    `number` is that of the `Drive`, `columns` the columns of the block that are converted (None: all), `rows` the rows of the
    block (None: all). `mirrored`: inputs have twice as many columns, the first half drives the rows one way, the second the other.
    `byte` is 1 for the upper byte of shifted inputs, else 0; `again` counts passes and sets of rows of one turn, from 0.
    """

    number: int | None
    columns: Indices | None
    rows: Indices | None
    inputs: Bytes
    bits: int
    step_bits: int
    factor: int
    mirrored: bool
    byte: int
    again: int


def _passes(read: Readout, x: Bytes, zero: int) -> Iterator[tuple[Bytes, Bytes | None, int, int]]:
    """Yield pass by pass the codes that drive rows, those that drive them the other way, bits, and what their sums count."""
    if not read.signed:
        yield x, None, read.bits, 1
        return
    signed, coding = x.astype(np.int16) - np.int16(zero), read.chip.array.input_coding
    positive, negative = (np.maximum(side, 0).astype(np.uint8) for side in (signed, -signed))
    if coding == "signed":
        yield positive, negative, read.bits, 1
    elif coding == "two_passes":
        yield positive, None, read.bits, 1
        yield negative, None, read.bits, -1
    else:
        yield (signed & ((1 << read.bits) - 1)).astype(np.uint8), None, read.bits, 1
        yield (signed < 0).astype(np.uint8), None, 1, -(1 << read.bits)


def driven(blocks: Blocks, index: int, read: Readout, x: Bytes, zero: int) -> Iterator[Driven]:
    """Yield what drives block `index` for codes x, uint8 (matrices, runs, windows, rows), whose zero point is `zero`."""
    for place, (codes, against, bits, counts) in enumerate(_passes(read, x, zero)):
        backs = repeat(None) if against is None else blocks.drives(index, against)
        for drive, back in zip(blocks.drives(index, codes), backs, strict=False):
            chunks = together(blocks, drive.turn, drive.inputs[0].shape[1])
            # Inputs that are shifted have no more bits than that, and so no more steps; their charge is not integrated.
            parts = (bits, read.step_bits(bits), 1), (drive.turn.late, read.chip.array.dac_bits, 256)
            for (chunk, rows), (byte, (own, step_bits, worth)) in product(
                enumerate(chunks), zip(range(len(drive.inputs)), parts, strict=False)
            ):
                inputs = _of(drive.inputs[byte], rows)
                if back is not None:
                    inputs = np.concatenate([inputs, _of(back.inputs[byte], rows)], axis=1)
                yield Driven(
                    drive.number, drive.turn.columns, rows, inputs, own, step_bits, counts * worth, back is not None,
                    byte, place + 2 * chunk,
                )  # fmt: skip


def whole_block(read: Readout) -> Driven:
    """Return what drives all rows of a block at once with inputs as they are, without these."""
    none = np.zeros((0, 0), dtype=np.uint8)
    return Driven(None, None, None, none, read.bits, read.step_bits(read.bits), 1, False, 0, 0)


def together(blocks: Blocks, turn: Turn, height: int) -> list[Indices | None]:
    """Return the rows of a turn that are driven together, one set after another; None where all are."""
    rows = np.arange(height)[turn.rows]
    most = blocks.shape.rows_at_once
    return [None] if most >= len(rows) else [rows[first : first + most] for first in range(0, len(rows), most)]


def _of(inputs: Bytes, rows: Indices | None) -> Bytes:
    return inputs if rows is None else np.ascontiguousarray(inputs[:, rows])
