"""The instructions: what a chip is told, for runs of blocks and ranges of windows at once, never for one window.

An instruction may happen as soon as all those in its `after` have happened; it names them by their place in the
program, and they always stand before it. Nothing else orders instructions: what must not overlap must be in `after`.

    Write      sets the cells of groups to the levels of a run of the mapping's blocks, block i of the run in the i-th group
    Activate   drives a range of a layer's windows through written blocks, one partial sum a block, window and output
    Gather     adds up the rows that a batch's bags look up, in the groups that hold the tables, for all layers of bags at once
    Combine    adds a layer's partial sums, corrects zero points, scales, and hands the layer's output on
    Vector     computes one layer in the vector unit (or only moves its values)
    Transfer   moves a tensor between the main memory and the global buffer, or fetches coefficients for the sums of a basis

Where windows flow, a combine, a vector and a transfer speak of some `rows` of their layer's tensor along its stream axis
(`network/flow.py`), and an activation deals its windows to several copies in turn.

`release` on an activation says that the groups hold nothing of use afterwards: they may be written again.

A write may give each of its blocks orders: row i of the block then sits on row rows[i] of the group, column j on weight
column columns[j], and digit k of each weight, the most significant first, on cell cells[k] of those that hold the weight.
Whoever reads the block routes inputs, outputs and shifts by the same orders.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

Groups = tuple[tuple[int, int], ...]
"""Groups of arrays as half-open ranges, in the order in which blocks fill them."""

Orders = tuple[tuple[int, ...], ...]
"""For each block of a run where its rows (columns, digits) sit; an empty order, or no orders at all: in place."""
Rows = tuple[int, int]
"""Rows of a tensor along its stream axis, half open."""
ORDERS = ("rows", "columns", "cells")
"""The operands of a write that are orders."""


def size(groups: Groups) -> int:
    """Count the groups in the ranges."""
    return sum(last - first for first, last in groups)


def members(groups: Groups) -> Iterator[int]:
    """Yield the groups one by one, in order."""
    return chain.from_iterable(range(first, last) for first, last in groups)


def indices(groups: Groups) -> npt.NDArray[np.int64]:
    """Return the groups as an array, in order."""
    if len(groups) == 1:
        return np.arange(*groups[0])
    return np.concatenate([np.arange(first, last) for first, last in groups])


@dataclass(frozen=True, slots=True)
class Write:
    """Set the cells of `groups` to the levels of blocks [first, last) of the mapping, in copy `copy`.

    `layer` is the first that will read them: time and energy of the write are counted as its own. The blocks hold one weight.
    `rows`, `columns` and `cells` say where the rows and the weight columns of each block sit in its group, and the digits of
    its weights in their cells.
    """

    layer: int
    blocks: tuple[int, int]
    copy: int
    groups: Groups
    after: tuple[int, ...]
    rows: Orders = ()
    columns: Orders = ()
    cells: Orders = ()


@dataclass(frozen=True, slots=True)
class Activate:
    """Run windows [first, last) of layer `layer` through blocks [first, last) of the mapping, held in copy `copy` by `groups`.

    Of several `copies`, from `copy` on, which `groups` hold one after another, window w is the turn of number w mod copies; turns
    begin one after another, a window's time divided by the copies apart. So what drives the next windows of the same copies, and
    waits for this, need not wait for the last of its windows to end: its own turns begin where these leave off.
    """

    layer: int
    blocks: tuple[int, int]
    copy: int
    windows: tuple[int, int]
    groups: Groups
    release: bool
    after: tuple[int, ...]
    copies: int = 1


@dataclass(frozen=True, slots=True)
class Gather:
    """Add up the rows that bags look up in blocks [first, last) of the mapping, those of all tables, for all layers of bags.

    `groups` hold the tables instance after instance: bundle by bundle, and of each bundle its copies. `layer` is the first layer of
    bags. Which rows are driven together, and in which copy, is told when the bags come: a dispatcher makes the activations then.
    """

    layer: int
    blocks: tuple[int, int]
    groups: Groups
    after: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Combine:
    """Complete matrix layer `layer` from its partial sums, or rows [first, last) of it."""

    layer: int
    after: tuple[int, ...]
    rows: Rows | None = None


@dataclass(frozen=True, slots=True)
class Vector:
    """Compute layer `layer` in the vector unit, or rows [first, last) of it."""

    layer: int
    after: tuple[int, ...]
    rows: Rows | None = None


@dataclass(frozen=True, slots=True)
class Transfer:
    """Move `size` bytes of the tensor of layer `layer` from main memory ("load") or to it ("store"), or of the coefficients that
    the layer combines the sums of a basis with into their buffer ("fetch"): those of its next parts, in order. Of a tensor, all
    of it or `rows` [first, last).
    """

    direction: str
    layer: int
    size: int
    after: tuple[int, ...]
    rows: Rows | None = None


Instruction = Write | Activate | Gather | Combine | Vector | Transfer
Grouped = Write | Activate | Gather
"""Those that name groups, and blocks that these hold."""
DIRECTIONS = ("load", "store", "fetch")
KINDS: dict[str, type[Instruction]] = {
    "write": Write, "activate": Activate, "gather": Gather, "combine": Combine, "vector": Vector, "transfer": Transfer,
}  # fmt: skip
NAMES: dict[type[Instruction], str] = {kind: name for name, kind in KINDS.items()}
