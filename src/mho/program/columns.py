"""The instructions of a program as columns: read once, then summed, searched and interpreted as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mho.mapping.blocks import Totals
from mho.program.instructions import Activate, Transfer, Vector, Write
from mho.program.once import once
from mho.program.program import Program
from mho.program.work import index_bytes, order_bytes, write_bytes

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

WRITE, ACTIVATE, COMBINE, VECTOR, LOAD, STORE = range(6)
"""Kinds of instructions; a transfer is one of two."""

TOTALS = ("rows", "columns", "places", "arrays", "drives", "inputs", "sums", "shifted")
LATE = ("arrays", "drives", "columns", "sums")


@dataclass(frozen=True, eq=False)
class InstructionColumns:
    """One array a property, shape (instructions,): what an instruction has none of is 0 there.

    kind: WRITE ... STORE; layer; copy; first_block: of a run; first_window, last_window: a run, the last excluded; release;
    size: bytes of a transfer. Instruction i names the ranges of groups
    `ranges[range_starts[i] : range_starts[i + 1]]`, shape (ranges, 2), and waits for those of `after` likewise (`after_starts`).
    moved_bytes: what a write fetches, level changes and index; order_bytes: its orders; index_bytes: the index that each
    window of an activation reads. runs, late: by name, the totals over the run of blocks (`mapping.blocks.Totals`).
    """

    kind: npt.NDArray[np.int8]
    layer: Integers
    copy: Integers
    first_block: Integers
    first_window: Integers
    last_window: Integers
    release: npt.NDArray[np.bool_]
    size: Integers
    range_starts: Integers
    ranges: Integers
    after_starts: Integers
    after: Integers
    moved_bytes: Floats
    order_bytes: Floats
    index_bytes: Floats
    runs: dict[str, Integers]
    late: dict[str, Integers]

    @property
    def windows(self) -> Integers:
        """How many windows an activation serves."""
        return self.last_window - self.first_window

    def of(self, *kinds: int) -> Integers:
        """Return the places of all instructions of these kinds, in order."""
        return np.flatnonzero(np.isin(self.kind, kinds))


_EMPTY = Totals(*(0,) * 8)


@once
def columns(program: Program) -> InstructionColumns:
    """Return the instructions of a program as columns."""
    mapping, chip = program.mapping, program.chip
    rows: list[tuple[int, ...]] = []
    ranges: list[tuple[int, int]] = []
    after: list[int] = []
    fetched: list[tuple[float, float, float]] = []
    totals: list[Totals] = []
    # A run of blocks is written, and activated once or more.
    runs: dict[tuple[int, int], tuple[Totals, float, float]] = {}
    for each in program.instructions:
        spans = release = size = copy = first_window = last_window = 0
        blocks, moved, found = (0, 0), (0.0, 0.0, 0.0), _EMPTY
        after.extend(each.after)
        if isinstance(each, Write | Activate):
            copy, blocks = each.copy, each.blocks
            ranges.extend(each.groups)
            spans = len(each.groups)
            known = runs.get(blocks)
            if known is None:
                where, run = mapping.located(blocks)
                index = index_bytes(where, run, chip)
                known = runs[blocks] = where.totals(run), write_bytes(where, run, chip), index
            found = known[0]
            if isinstance(each, Write):
                kind, moved = WRITE, (known[1], order_bytes(each, mapping.shape), 0.0)
            else:
                kind, moved, release = ACTIVATE, (0.0, 0.0, known[2]), int(each.release)
                first_window, last_window = each.windows
        elif isinstance(each, Transfer):
            kind, size = LOAD if each.direction == "load" else STORE, each.size
        else:
            kind = VECTOR if isinstance(each, Vector) else COMBINE
        windows = first_window, last_window
        rows.append((kind, each.layer, copy, blocks[0], *windows, release, size, spans, len(each.after)))
        fetched.append(moved)
        totals.append(found)
    return _columns(rows, ranges, after, fetched, totals)


def _columns(
    rows: list[tuple[int, ...]],
    ranges: list[tuple[int, int]],
    after: list[int],
    fetched: list[tuple[float, float, float]],
    totals: list[Totals],
) -> InstructionColumns:
    """Turn what was read of each instruction into arrays."""
    table = np.ascontiguousarray(np.array(rows, dtype=np.int64).reshape(len(rows), 10).T)
    moved = np.ascontiguousarray(np.array(fetched, dtype=np.float64).reshape(len(rows), 3).T)
    sums = (
        np.array(
            [[getattr(each, name) for name in TOTALS] + [getattr(each.late, name) for name in LATE] for each in totals],
            dtype=np.int64,
        )
        .reshape(len(rows), len(TOTALS) + len(LATE))
        .T
    )
    kind, layer, copy, first_block, first_window, last_window, release, size, spans, waits = table
    return InstructionColumns(
        kind=kind.astype(np.int8),
        layer=layer,
        copy=copy,
        first_block=first_block,
        first_window=first_window,
        last_window=last_window,
        release=release.astype(np.bool_),
        size=size,
        range_starts=np.concatenate([[0], np.cumsum(spans)]),
        ranges=np.array(ranges, dtype=np.int64).reshape(len(ranges), 2),
        after_starts=np.concatenate([[0], np.cumsum(waits)]),
        after=np.array(after, dtype=np.int64),
        moved_bytes=moved[0],
        order_bytes=moved[1],
        index_bytes=moved[2],
        runs=dict(zip(TOTALS, sums, strict=False)),
        late=dict(zip(LATE, sums[len(TOTALS) :], strict=True)),
    )
