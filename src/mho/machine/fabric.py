"""What the cells of a chip hold, write by write, and which write programmed each of them last.

Levels come from the level changes that the program's own writes bring (`program/deltas.py`), so a wrong idea of what is
overwritten gives wrong levels. Only what was ever written of a group is kept, and groups with equal contents share one array:
a copy of a layer takes no more memory than the layer.

Cells that a write leaves at their level get no pulse, and keep the state that an earlier write gave them. `origin` remembers
that write, so that the draws of a noisy device belong to writes, not to the order in which anything is computed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import ProgramError
from mho.mapping.grid import CellGrid
from mho.program import Program
from mho.program.deltas import Deltas, Rectangle

Levels = npt.NDArray[np.uint8]
Origins = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Content:
    """The part of a group that was ever written: levels (rows, columns of cells), never changed once made.

    `origin`: the instruction that programmed each cell last, one for all or (rows, columns of cells); -1 for cells that no
    write has ever touched. `places`: where the block of each of these instructions sits.
    """

    levels: Levels
    origin: int | Origins
    digest: bytes
    places: Mapping[int, Rectangle]

    @property
    def grid(self) -> CellGrid:
        """The cells of the whole group."""
        return next(iter(self.places.values())).grid

    @cached_property
    def origins(self) -> Origins:
        """The instructions, cell by cell."""
        if isinstance(self.origin, int):
            return np.full(self.levels.shape, self.origin, dtype=np.int32)
        return self.origin

    @cached_property
    def origin_digest(self) -> bytes:
        """Return bytes that differ where the origins differ."""
        return str(self.origin).encode() if isinstance(self.origin, int) else _digest(self.origin)


@dataclass(frozen=True, eq=False)
class StoredBlock:
    """A block as it is read from its group: `levels` (height, width, cells), digits in order, the most significant first.

    `content` is the whole group, and `index` where the block sits in it. `inverted` says which columns of cells are stored
    inverted, bool (width, cells), None for none.
    """

    group: int
    content: Content
    place: Rectangle
    inverted: npt.NDArray[np.bool_] | None

    @property
    def levels(self) -> Levels:
        """The levels of the block's cells."""
        return np.asarray(self.seen(self.content.levels))

    def seen(self, cells: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Take the block's part of an array of its group's cells (rows, columns of cells)."""
        weights = self.place.weights(cells)
        return weights[..., list(self.place.cells)] if self.place.cells else weights

    @cached_property
    def key(self) -> tuple[object, ...]:
        """Return a key that differs between blocks whose columns may differ, devices left out."""
        place = self.place
        sits = () if place.in_place else (place.rows.tobytes(), place.columns.tobytes())
        flips = b"" if self.inverted is None else self.inverted.tobytes()
        return self.content.digest, len(place.rows), len(place.columns), sits, place.cells, flips, place.shape


class Fabric:
    """The groups of a program's chip, from blank cells on.

    fabric = Fabric(program)
    fabric.write(number)                       a write of the program, by its place in it
    fabric.read(group, height, width)          a block, as it is held now

    Raises ProgramError where a cell would leave its range, or a block is read that is not there.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.deltas = Deltas(program)
        self.highest = program.chip.levels - 1
        self.held: dict[int, Content] = {}
        self.places: dict[int, Rectangle] = {}
        self._shared: dict[bytes, Levels] = {}
        self._inverted: dict[int, npt.NDArray[np.bool_] | None] = {}

    def write(self, number: int) -> None:
        """Add a write's level changes to the cells."""
        for change in self.deltas.write(number):
            added = change.added
            before = self.held.get(change.group)
            levels, origins = self._room(before, change.place)
            index = change.place.index
            after = levels[index] + added
            if after.min() < 0 or after.max() > self.highest:
                raise ProgramError(
                    f"instruction {number} would bring a cell of group {change.group} to a level outside 0 to {self.highest}"
                )
            levels[index] = after.astype(np.uint8)
            origin: int | Origins = number
            if before is not None or not isinstance(index[0], slice):
                # Cells that nothing has touched yet are programmed, whatever their level.
                old = origins[index]
                origins[index] = np.where((added != 0) | (old < 0), np.int32(number), old)
                origin = origins if (origins != number).any() else number
            digest = _digest(levels)
            seen = {number} if isinstance(origin, int) else set(np.unique(origin).tolist())
            places = {} if before is None else {each: where for each, where in before.places.items() if each in seen}
            content = Content(self._shared.setdefault(digest, levels), origin, digest, {**places, number: change.place})
            self.held[change.group] = content
            self.places[change.group] = change.place

    def _room(self, before: Content | None, place: Rectangle) -> tuple[Levels, Origins]:
        """Copy what a group holds, with room for a rectangle."""
        rows, columns = int(place.rows.max()) + 1, int(place.lines.max()) + 1
        if before is None:
            shape = (rows, columns)
            return np.zeros(shape, dtype=np.uint8), np.full(shape, -1, dtype=np.int32)
        old = before.levels.shape
        shape = (max(rows, old[0]), max(columns, old[1]))
        levels, origins = np.zeros(shape, dtype=np.uint8), np.full(shape, -1, dtype=np.int32)
        levels[: old[0], : old[1]] = before.levels
        origins[: old[0], : old[1]] = before.origins
        return levels, origins

    def read(self, group: int, height: int, width: int) -> StoredBlock:
        """Return the block in a group; raise ProgramError where it holds none of this size."""
        place = self.places.get(group)
        if place is None or (len(place.rows), len(place.columns)) != (height, width):
            raise ProgramError(
                f"group {group} is read as {height} x {width} weights, but holds a block of another size"
            )
        if place.block not in self._inverted:
            self._inverted[place.block] = self.deltas.inverted(place)
        return StoredBlock(group, self.held[group], place, self._inverted[place.block])


def _digest(array: npt.NDArray[np.generic]) -> bytes:
    return (
        hashlib.blake2b(np.ascontiguousarray(array).view(np.uint8).data, digest_size=16).digest()
        + str(array.shape).encode()
    )
