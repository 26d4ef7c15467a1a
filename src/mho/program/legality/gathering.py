"""Rules on tables: where their instances are written, and which groups a gather drives."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mho.program.instructions import Gather, Write, members, size
from mho.program.legality.facts import Facts, Violation
from mho.program.legality.holding import Content


def table_write_shape(facts: Facts, i: int, write: Write) -> Iterator[Violation]:
    """Check a write of tables: blocks, copy and groups, each in place."""
    tables, chip = facts.program.mapping.tables, facts.program.chip
    assert tables is not None
    first, last = write.blocks
    if not tables.run[0] <= first < last <= tables.run[1]:
        yield Violation(i, f"blocks {write.blocks}, but those of the tables are {tables.run}")
        return
    bundles = (np.arange(first, last) - tables.first) // tables.blocks.span
    if write.copy < 0 or (write.copy >= tables.blocks.layout.copies[bundles]).any():
        yield Violation(i, f"copy {write.copy} of rows that have no such copy")
    if write.rows or write.columns or write.cells:
        yield Violation(i, "rows of tables sit in place")
    yield from _bounds(i, write, last - first, chip.groups)


def gather_shape(facts: Facts, i: int, gather: Gather) -> Iterator[Violation]:
    """Check that a gather drives all instances of all tables, each in one tile, and in no more tiles than these need."""
    tables, chip = facts.program.mapping.tables, facts.program.chip
    if tables is None or gather.layer != tables.layers[0] or gather.blocks != tables.run:
        yield Violation(i, "gathers other rows than those of all tables, for the first layer that adds them up")
        return
    span, instances = tables.blocks.span, tables.blocks.layout.instances
    broken = list(_bounds(i, gather, span * instances, chip.groups))
    yield from broken
    if broken:
        return
    groups = np.fromiter(members(gather.groups), np.int64).reshape(instances, span)
    tiles = groups[:, 0] // chip.tile.groups
    if (np.diff(groups, axis=1) != 1).any() or (groups[:, -1] // chip.tile.groups != tiles).any():
        yield Violation(i, f"an instance takes {span} groups of one tile, side by side")
    needed = -(-instances // (chip.tile.groups // span))
    if tiles.max() - tiles.min() >= needed:
        yield Violation(i, f"{instances} instances sit in {needed} tiles, side by side")


def _bounds(i: int, instruction: Write | Gather, count: int, groups: int) -> Iterator[Violation]:
    """Check that groups are on the chip, as many as blocks, and all different."""
    if any(not 0 <= begin < end <= groups for begin, end in instruction.groups):
        yield Violation(i, f"groups {instruction.groups} on a chip of {groups}")
    elif size(instruction.groups) != count or len(set(members(instruction.groups))) != count:
        yield Violation(i, f"{count} blocks need as many different groups")


def gathered_contents(facts: Facts, gather: Gather) -> Iterator[tuple[int, int, Content]]:
    """Yield what each group of a gather must hold, instance after instance, as `groups.contents` does."""
    tables = facts.program.mapping.tables
    assert tables is not None
    layout, span = tables.blocks.layout, tables.blocks.span
    groups = members(gather.groups)
    for bundle, copies in enumerate(layout.copies.tolist()):
        for copy in range(copies):
            for part in range(span):
                group = next(groups)
                yield group, group + 1, (copy, tables.first + bundle * span + part - group)
