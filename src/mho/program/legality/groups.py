"""Rules on groups: what they hold, when they are written, and that every window meets every block once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from mho.network.layers import Constant, Input
from mho.program.instructions import (
    DIRECTIONS,
    Activate,
    Combine,
    Gather,
    Grouped,
    Groups,
    Transfer,
    Vector,
    Write,
    members,
    size,
)
from mho.program.legality.facts import Facts, Violation, finisher
from mho.program.legality.gathering import gather_shape, gathered_contents, table_write_shape
from mho.program.legality.holding import Content, HeldRanges, Holding
from mho.program.work import dispatched


def shape_rules(facts: Facts) -> Iterator[Violation]:
    """Check that instructions fit their layers, and runs of blocks, groups and windows their bounds."""
    # The load of an input that stays in main memory whole moves nothing, and that of look-ups that go to arrays: it says when the
    # input's turn has come.
    outside = {
        ("load", use.layer)
        for use in facts.program.buffers
        if use.spilled == use.size and isinstance(facts.layers[use.layer], Input)
    }
    outside |= {("load", facts.place[name]) for name in dispatched(facts.program.network)}
    for i, instruction in enumerate(facts.instructions):
        fetch = isinstance(instruction, Transfer) and instruction.direction == "fetch"
        if i < facts.program.setup and not (isinstance(instruction, Write) or fetch):
            yield Violation(i, "only writes and fetches of coefficients may happen in the setup")
        if not isinstance(instruction, Grouped) and instruction.rows is not None:
            first, last = instruction.rows
            rows = 0 if fetch else facts.rows(instruction.layer)
            if not 0 <= first < last <= rows:
                yield Violation(i, f"rows {instruction.rows} of {rows}")
        if isinstance(instruction, Transfer):
            least = 0 if (instruction.direction, instruction.layer) in outside else 1
            if instruction.direction not in DIRECTIONS or instruction.size < least:
                yield Violation(i, f"cannot {instruction.direction} {instruction.size} bytes")
            continue
        layer = facts.layers[instruction.layer]
        if isinstance(instruction, Gather):
            yield from gather_shape(facts, i, instruction)
        elif isinstance(instruction, Combine | Vector):
            if isinstance(layer, Input | Constant) or not isinstance(instruction, finisher(layer)):
                yield Violation(i, f"{layer.name} ({layer.kind}) is not made by this kind of instruction")
        else:
            yield from _runs(facts, i, instruction)


def _runs(facts: Facts, i: int, instruction: Write | Activate) -> Iterator[Violation]:
    """Check the runs of a write or an activation: blocks, copy, groups, and windows."""
    layer = facts.layers[instruction.layer]
    mapped, tables = facts.program.mapping.by_index.get(instruction.layer), facts.program.mapping.tables
    if mapped is None and tables is not None and isinstance(instruction, Write) and instruction.layer in tables.layers:
        yield from table_write_shape(facts, i, instruction)
        return
    if mapped is None:
        yield Violation(i, f"{layer.name} ({layer.kind}) has no weights to write or activate")
        return
    first, last = instruction.blocks
    inside = mapped.run[0] <= first < last <= mapped.run[1]
    if not inside:
        yield Violation(i, f"blocks {instruction.blocks}, but the layer's are {mapped.run}")
    most = facts.most_copies[mapped.run]
    copies = instruction.copies if isinstance(instruction, Activate) else 1
    if copies < 1 or not 0 <= instruction.copy <= most - copies:
        several = f"copy {instruction.copy}" if copies == 1 else f"{copies} copies from {instruction.copy} on"
        yield Violation(i, f"{several} of a layer of {most} windows")
    if any(not 0 <= begin < end <= facts.program.chip.groups for begin, end in instruction.groups):
        # Not counted one by one: a damaged range may be of any length.
        yield Violation(i, f"groups {instruction.groups} on a chip of {facts.program.chip.groups}")
    elif size(instruction.groups) != (last - first) * copies or _overlap(instruction.groups):
        different = len(set(members(instruction.groups)))
        yield Violation(i, f"{(last - first) * copies} blocks need as many different groups, not {different}")
    if isinstance(instruction, Write) and inside and (instruction.rows or instruction.columns or instruction.cells):
        yield from _orders(facts, i, instruction)
    if isinstance(instruction, Activate):
        begin, end = instruction.windows
        if not 0 <= begin < end <= mapped.windows:
            yield Violation(i, f"windows {instruction.windows} of {mapped.windows}")


def _overlap(groups: Groups) -> bool:
    """Return True if some group stands in two of the ranges."""
    return len(groups) > 1 and any(end > begin for (_, end), (begin, _) in pairwise(sorted(groups)))


def _orders(facts: Facts, number: int, write: Write) -> Iterator[Violation]:
    """Check that each row, each column and each digit of a block has a place of its own."""
    blocks, (first, _) = facts.program.mapping.located(write.blocks)
    offered = blocks.shape
    rooms = {"rows": offered.rows, "columns": offered.columns, "cells": offered.cells}
    for key, room in rooms.items():
        orders = getattr(write, key)
        if not orders:
            continue
        if len(orders) != write.blocks[1] - write.blocks[0]:
            yield Violation(number, f"{len(orders)} orders of {key} for {write.blocks[1] - write.blocks[0]} blocks")
            continue
        if key == "cells" and any(orders) and not offered.coding.movable:
            why = (
                f"{room} cells of {offered.coding.cell_text} are not used in full"
                if offered.coding.name == "offset"
                else f"the cells of coding {offered.coding.name} are not alike"
            )
            yield Violation(number, f"digits change places, but {why}")
        for which, order in enumerate(orders):
            index = first + which
            size = {"rows": int(blocks.heights[index]), "columns": int(blocks.widths[index]), "cells": room}[key]
            if order and (len(order) != size or len(set(order)) != size or not 0 <= min(order) <= max(order) < room):
                yield Violation(
                    number,
                    f"block {write.blocks[0] + which}: its {size} {key} need places of their own from 0 to {room - 1}",
                )


def group_rules(facts: Facts) -> Iterator[Violation]:
    """Check what groups hold, and that all blocks serve all windows."""
    yield from _holding(facts)
    yield from _serving(facts)


def contents(instruction: Write | Activate) -> Iterator[tuple[int, int, Content]]:
    """Yield what the groups hold that an instruction names, as ranges of groups: its blocks in order, copy after copy."""
    count, place = instruction.blocks[1] - instruction.blocks[0], 0
    for first, last in instruction.groups:
        while first < last:
            copy, block = divmod(place, count)
            end = min(last, first + count - block)
            yield first, end, (instruction.copy + copy, instruction.blocks[0] + block - first)
            place += end - first
            first = end


def _holding(facts: Facts) -> Iterator[Violation]:
    """Check that every group holds what is read from it, and does one thing at a time."""
    groups = HeldRanges()
    for i, instruction in enumerate(facts.instructions):
        if not isinstance(instruction, Grouped):
            continue
        texts: dict[str, None] = {}
        held = gathered_contents(facts, instruction) if isinstance(instruction, Gather) else contents(instruction)
        for first, last, content in held:
            for begin, end, holding in groups.within(first, last):
                broken = _broken(facts, i, instruction, holding, content)
                for group in range(begin, end) if broken else ():
                    texts.update(dict.fromkeys(text.format(group=group, block=group + content[1]) for text in broken))
            if isinstance(instruction, Write):
                groups.set(first, last, Holding(i, content, i, False))
            else:
                groups.used(first, last, i, isinstance(instruction, Activate) and instruction.release)
        yield from (Violation(i, text) for text in texts)


def _broken(facts: Facts, i: int, instruction: Grouped, holding: Holding | None, content: Content) -> list[str]:
    """Return the rules that instruction i breaks on groups that hold what `holding` says; {group} and {block} stand for each."""
    # The users of a group are ordered one after another, so the last stands for all.
    # Turns of the same copies follow one another before the last of them has ended.
    busy = holding is not None and not facts.serves(holding.user, i)
    if isinstance(instruction, Write):
        texts = []
        if holding is not None and busy:
            texts.append(f"group {{group}} is written while instruction {holding.user} may still use it")
        if holding is not None and holding.content is not None and holding.write < facts.program.setup:
            texts.append("group {group}, written in the setup, is overwritten")
        return texts
    if holding is None or holding.content != content:
        return [f"group {{group}} does not hold block {{block}} of copy {content[0]}"]
    if holding.released:
        return ["group {group} was released before"]
    if busy and holding.user == holding.write:
        return ["group {group} may be read before its write has ended"]
    return [f"group {{group}} may still serve instruction {holding.user}"] if busy else []


def _serving(facts: Facts) -> Iterator[Violation]:
    """Check that every window goes through every block exactly once, before the layer is combined."""
    for layer in facts.program.mapping.layers:
        done = facts.finishes.get(layer.index, [])
        edges: dict[int, list[tuple[Activate, bool]]] = {}
        for i, activation in facts.activations[layer.index]:
            edges.setdefault(activation.blocks[0], []).append((activation, True))
            edges.setdefault(activation.blocks[1], []).append((activation, False))
            # Where rows are combined by themselves, `rows` tells which wait for which.
            if not facts.flows and done and not facts.order.before(i, done[0]):
                yield Violation(i, f"{layer.name} is combined before this activation has ended")
        # Sweep over the blocks: between two edges the same activations hold, and their windows must tile the layer.
        active: list[tuple[int, int]] = []
        for place in sorted({*layer.run, *edges}):
            for activation, begins in edges.get(place, []):
                (active.append if begins else active.remove)(activation.windows)
            if place >= layer.run[1]:
                break
            windows = sorted(active)
            ends = [0, *(last for _, last in windows)]
            if ends[-1] != layer.windows or any(w[0] != end for w, end in zip(windows, ends, strict=False)):
                text = f"{layer.name}: block {place} serves windows {windows}, not each of {layer.windows} once"
                yield Violation(-1, text)
