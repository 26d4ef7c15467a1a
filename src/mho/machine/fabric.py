"""What the cells of a chip hold, write by write, and which write programmed each of them last.

Levels come from the level changes that the program's own writes bring (`program/deltas.py`), so a wrong idea of what is
overwritten gives wrong levels. Only what was ever written of a group is kept, and groups with equal contents share one array:
a copy of a layer takes no more memory than the layer.

Cells that a write leaves at their level get no pulse, and keep the state that an earlier write gave them. `origin` remembers
that write, so that the draws of a noisy device belong to writes, not to the order in which anything is computed. Where devices
are exact nobody asks, and a group is taken to be as its last write left it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt

from mho.errors import ProgramError
from mho.mapping.grid import CellGrid
from mho.program import Program
from mho.program.deltas import Change, Deltas, Rectangle

Levels = npt.NDArray[np.uint8]
Origins = npt.NDArray[np.int32]
LEAST_ROOM = 1 << 25
"""Bytes of what writes leave that are remembered in any case."""


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
    def nbytes(self) -> int:
        """Bytes that it takes."""
        return self.levels.nbytes + (0 if isinstance(self.origin, int) else self.origin.nbytes)

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

    fabric = Fabric(program, tracked)          `tracked`: remember which write programmed each cell
    fabric.write(number)                       a write of the program, by its place in it
    fabric.read(group, height, width)          a block, as it is held now

    What a write of an inference leaves of a group that it finds as it did before is remembered, in bounded room.
    Raises ProgramError where a cell would leave its range, or a block is read that is not there.
    """

    def __init__(self, program: Program, tracked: bool = True) -> None:
        self.program, self.tracked = program, tracked
        self.deltas = Deltas(program)
        self.highest = program.chip.levels - 1
        self.held: dict[int, Content] = {}
        self.places: dict[int, Rectangle] = {}
        # Two bytes for each cell of the network: its levels, and a share of what is remembered of their writes.
        self.room = max(LEAST_ROOM, 2 * program.network.weights * program.chip.coding.cells)
        self._bytes = 0
        self._shared: WeakValueDictionary[bytes, Levels] = WeakValueDictionary()
        self._sits: dict[int, list[tuple[int, Rectangle]]] = {}
        self._written: dict[tuple[int, int], _Written] = {}
        self._last: dict[int, _Written] = {}
        self._inverted: dict[int, npt.NDArray[np.bool_] | None] = {}

    def write(self, number: int) -> None:
        """Add a write's level changes to the cells."""
        for group, place in self._places(number):
            before, under = self.held.get(group), self.deltas.rectangles[group]
            known = self._written.get((number, group))
            if known is None or known.under != under or known.before != _state(before):
                content = self._changed(number, self.deltas.change(group, place), before)
                known = _Written(_state(before), under, content)
                self._keep(number, group, known)
            self.deltas.put(group, place)
            self.held[group], self.places[group], self._last[group] = known.content, place, known

    def _places(self, number: int) -> list[tuple[int, Rectangle]]:
        """Return where the blocks of a write sit: the same rectangles at each inference."""
        if number < self.program.setup:
            return list(self.deltas.places(number))
        if number not in self._sits:
            self._sits[number] = list(self.deltas.places(number))
        return self._sits[number]

    def _keep(self, number: int, group: int, written: _Written) -> None:
        """Remember what a write of an inference leaves, while there is room: what does not fit is worked out each time."""
        if number < self.program.setup:
            return
        before = self._written.get((number, group))
        bytes_more = written.content.nbytes - (0 if before is None else before.content.nbytes)
        if self._bytes + bytes_more <= self.room:
            self._written[number, group] = written
            self._bytes += bytes_more

    def _changed(self, number: int, change: Change, before: Content | None) -> Content:
        """Return what a group holds after a change."""
        added, index = change.added, change.place.index
        levels = self._levels(before, change.place)
        after = levels[index] + added
        if after.min() < 0 or after.max() > self.highest:
            raise ProgramError(
                f"instruction {number} would bring a cell of group {change.group} to a level outside 0 to {self.highest}"
            )
        levels[index] = after.astype(np.uint8)
        digest = _digest(levels)
        levels = self._shared.setdefault(digest, levels)
        if not self.tracked:
            return Content(levels, number, digest, {number: change.place})
        origin: int | Origins = number
        if before is not None or not isinstance(index[0], slice):
            # Cells that nothing has touched yet are programmed, whatever their level.
            origins = _origins(before, levels.shape)
            old = origins[index]
            origins[index] = np.where((added != 0) | (old < 0), np.int32(number), old)
            origin = origins if (origins != number).any() else number
        seen = {number} if isinstance(origin, int) else set(np.unique(origin).tolist())
        places = {} if before is None else {each: where for each, where in before.places.items() if each in seen}
        return Content(levels, origin, digest, {**places, number: change.place})

    def _levels(self, before: Content | None, place: Rectangle) -> Levels:
        """Copy the levels of a group, with room for a rectangle."""
        rows, columns = int(place.rows.max()) + 1, int(place.lines.max()) + 1
        if before is None:
            return np.zeros((rows, columns), dtype=np.uint8)
        old = before.levels.shape
        levels = np.zeros((max(rows, old[0]), max(columns, old[1])), dtype=np.uint8)
        levels[: old[0], : old[1]] = before.levels
        return levels

    def read(self, group: int, height: int, width: int) -> StoredBlock:
        """Return the block in a group, the same one while nothing changes; raise ProgramError where it holds none of this size."""
        place = self.places.get(group)
        if place is None or (len(place.rows), len(place.columns)) != (height, width):
            raise ProgramError(
                f"group {group} is read as {height} x {width} weights, but holds a block of another size"
            )
        last = self._last[group]
        if last.stored is None:
            if place.block not in self._inverted:
                self._inverted[place.block] = self.deltas.inverted(place)
            last.stored = StoredBlock(group, last.content, place, self._inverted[place.block])
        return last.stored


@dataclass(eq=False)
class _Written:
    """What a group holds after a write that found it in the state `before`, under these rectangles; the block as it is read."""

    before: tuple[bytes, bytes] | None
    under: tuple[Rectangle, ...]
    content: Content
    stored: StoredBlock | None = None


def _state(content: Content | None) -> tuple[bytes, bytes] | None:
    return None if content is None else (content.digest, content.origin_digest)


def _origins(before: Content | None, shape: tuple[int, ...]) -> Origins:
    """Copy which write programmed each cell of a group, with room for more; -1 where none did."""
    origins = np.full(shape, -1, dtype=np.int32)
    if before is not None:
        rows, columns = before.levels.shape
        origins[:rows, :columns] = before.origins
    return origins


def _digest(array: npt.NDArray[np.generic]) -> bytes:
    return (
        hashlib.blake2b(np.ascontiguousarray(array).view(np.uint8).data, digest_size=16).digest()
        + str(array.shape).encode()
    )
