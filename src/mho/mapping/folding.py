"""Several blocks of a layer in one group, activated one after another: fewer groups for more time (ours).

A block that is not driven adds nothing to any sum, so blocks may share a group as long as they share no cell; in each turn one of
them is driven and its columns are converted. What fits is a packing of rectangles: blocks stand side by side on shelves, tallest
first, and shelves one above the other in groups, tallest first (hybrid first fit; Chung, Garey and Johnson, SIAM J.
Algebraic Discrete Methods 3(1), 1982: at most 17/8 of the fewest groups, and 5 more, where the number of turns is no limit).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mho.mapping.digits import DigitBlock
from mho.mapping.shape import GroupShape


@dataclass(eq=False)
class _Shelf:
    """Blocks side by side."""

    height: int
    width: int = 0
    blocks: list[DigitBlock] = field(default_factory=list)


@dataclass(eq=False)
class _Shared:
    """A group that blocks share."""

    height: int = 0
    shelves: list[_Shelf] = field(default_factory=list)

    @property
    def turns(self) -> int:
        return sum(len(shelf.blocks) for shelf in self.shelves)


def fold(blocks: Sequence[DigitBlock], shape: GroupShape, turns: int) -> list[DigitBlock]:
    """Let up to `turns` blocks, each of one turn so far, share a group of `shape`: in as few turns as do not take more groups."""
    best = _shared(blocks, shape, turns)
    most = max((group.turns for group in best), default=1)
    # Fewer turns take less time. Groups need not grow in number step by step as turns get fewer, so all are tried.
    for fewer in range(1, most):
        groups = _shared(blocks, shape, fewer)
        if len(groups) <= len(best):
            best = groups
            break
    return [_placed(group) for group in best]


def _shared(blocks: Sequence[DigitBlock], shape: GroupShape, turns: int) -> list[_Shared]:
    """Pack blocks into groups of at most `turns` blocks."""
    order = sorted(blocks, key=lambda block: (-block.height, -block.width))
    narrowest = min((block.width for block in order), default=0)
    shelves: list[_Shelf] = []
    # Only what any block could still go to is looked at: what is full, as most is of a large layer, leaves the list.
    beside: list[_Shelf] = []
    for block in order:
        shelf = next((open_ for open_ in beside if open_.width + block.width <= shape.columns), None)
        if shelf is None:
            shelf = _Shelf(block.height)
            shelves.append(shelf)
            beside.append(shelf)
        shelf.blocks.append(block)
        shelf.width += block.width
        if len(shelf.blocks) == turns or shelf.width + narrowest > shape.columns:
            beside.remove(shelf)
    groups: list[_Shared] = []
    above: list[_Shared] = []
    for shelf in shelves:
        count = len(shelf.blocks)
        group = next(
            (open_ for open_ in above if open_.height + shelf.height <= shape.rows and open_.turns + count <= turns),
            None,
        )
        if group is None:
            group = _Shared()
            groups.append(group)
            above.append(group)
        group.shelves.append(shelf)
        group.height += shelf.height
        # Shelves come tallest first, so that the last is the lowest.
        if group.turns == turns or group.height + shelves[-1].height > shape.rows:
            above.remove(group)
    return groups


def _placed(group: _Shared) -> DigitBlock:
    """Put the digits of all blocks of a group where they stand, a turn for each block."""
    parts = []
    top = turn = 0
    for shelf in group.shelves:
        left = 0
        for block in shelf.blocks:
            parts += [part.at(top + part.top, left + part.left, turn) for part in block.parts]
            left += block.width
            turn += 1
        top += shelf.height
    return DigitBlock(tuple(parts))
