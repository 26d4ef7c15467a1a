"""Several blocks of a layer in one group, activated one after another: fewer groups for more time (ours).

A block that is not driven adds nothing to any sum, so blocks may share a group as long as they share no cell; in each turn one of
them is driven and its columns are converted. What fits is a packing of rectangles: blocks stand side by side on shelves, tallest
first, and shelves one above the other in groups, tallest first (hybrid first fit; Chung, Garey and Johnson, SIAM J.
Algebraic Discrete Methods 3(1), 1982: at most 17/8 of the fewest groups, and 5 more, where the number of turns is no limit).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mho.mapping.pieces import PieceBlock
from mho.mapping.room import Room


@dataclass(eq=False)
class _Shelf:
    """Blocks side by side."""

    height: int
    width: int = 0
    blocks: list[PieceBlock] = field(default_factory=list)


@dataclass(eq=False)
class _Shared:
    """A group that blocks share."""

    height: int = 0
    shelves: list[_Shelf] = field(default_factory=list)

    @property
    def turns(self) -> int:
        return sum(len(shelf.blocks) for shelf in self.shelves)


def fold(blocks: Sequence[PieceBlock], room: Room, turns: int) -> list[PieceBlock]:
    """Let up to `turns` blocks, each of one turn so far, share a group of `room`: in as few turns as do not take more groups."""
    best = _shared(blocks, room, turns)
    most = max((group.turns for group in best), default=1)
    # Fewer turns take less time. Groups need not grow in number step by step as turns get fewer, so all are tried.
    for fewer in range(1, most):
        found = _shared(blocks, room, fewer)
        if len(found) <= len(best):
            best = found
            break
    return [_placed(group) for group in best]


def _shared(blocks: Sequence[PieceBlock], room: Room, turns: int) -> list[_Shared]:
    """Pack blocks into groups of at most `turns` blocks."""
    order = sorted(blocks, key=lambda block: (-block.height, -block.width))
    narrowest = min((block.width for block in order), default=0)
    shelves: list[_Shelf] = []
    # Only what any block could still go to is looked at: what is full, as most is of a large layer, leaves the list.
    beside: list[_Shelf] = []
    for block in order:
        shelf = next((each for each in beside if each.width + block.width <= room.columns), None)
        if shelf is None:
            shelf = _Shelf(block.height)
            shelves.append(shelf)
            beside.append(shelf)
        shelf.blocks.append(block)
        shelf.width += block.width
        if len(shelf.blocks) == turns or shelf.width + narrowest > room.columns:
            beside.remove(shelf)
    groups: list[_Shared] = []
    above: list[_Shared] = []
    for shelf in shelves:
        count = len(shelf.blocks)
        group = next(
            (each for each in above if each.height + shelf.height <= room.rows and each.turns + count <= turns), None
        )
        if group is None:
            group = _Shared()
            groups.append(group)
            above.append(group)
        group.shelves.append(shelf)
        group.height += shelf.height
        # Shelves come tallest first, so that the last is the lowest.
        if group.turns == turns or group.height + shelves[-1].height > room.rows:
            above.remove(group)
    return groups


def _placed(group: _Shared) -> PieceBlock:
    """Put the pieces of all blocks of a group where they stand, a turn for each block."""
    pieces = []
    top = turn = 0
    for shelf in group.shelves:
        left = 0
        for block in shelf.blocks:
            pieces += [piece.at(top + piece.top, left + piece.left, turn) for piece in block.pieces]
            left += block.width
            turn += 1
        top += shelf.height
    return PieceBlock(tuple(pieces))
