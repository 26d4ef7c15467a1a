"""Layouts in files: where each row sits, format mho.layout/1 (docs/recommend.md). Nothing in a file is executable: no pickle."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import MappingError, choices
from mho.files.archive import Npz, write_arrays
from mho.files.text import parse_json
from mho.files.writing import write_whole
from mho.mapping.embedding.layout import Layout
from mho.network.trace.trace import Ids

FORMAT = "mho.layout/1"
PLACES = ("table", "row", "group", "wordline")
ARRAYS = ("format", "height", "method", "options", "names", "rows", "ids", *PLACES, "copies", "tile")


@dataclass(frozen=True)
class Place:
    """The place of a row: its group, its wordline there, the group's instances, each of which holds it, and the tile of each."""

    group: int
    wordline: int
    instances: range
    tiles: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Seating:
    """A layout together with the tables that it is of, so that rows can be asked for by the numbers that their owner knows.

    `names`: of the tables. `ids`: for each table what each of its rows is called, int64 or text (rows of the table,). `tile` int32
    (instances,): where on the chip each instance is. Raises MappingError where they do not fit the layout, or an id stands twice
    in a table.
    """

    layout: Layout
    names: tuple[str, ...]
    ids: tuple[Ids, ...]
    tile: npt.NDArray[np.int32]

    def __post_init__(self) -> None:
        """Check that they fit."""
        if len(self.names) != len(self.ids) or sum(map(len, self.ids)) != self.layout.rows:
            raise MappingError(
                f"a layout of {self.layout.rows} rows, but {len(self.names)} names and {len(self.ids)} tables of "
                f"{sum(map(len, self.ids))} rows"
            )
        if len(self.tile) != self.layout.instances or self.tile.min(initial=0) < 0:
            raise MappingError(
                f"array 'tile' tells where each of {self.layout.instances} instances is, by a number from 0"
            )
        for name, ids in zip(self.names, self.ids, strict=True):
            ordered = np.sort(ids)
            same = np.flatnonzero(ordered[1:] == ordered[:-1])
            if len(same):
                raise MappingError(f"table {name!r} has row {ordered[same[0]]} twice")

    def where(self, row: int | str, table: int | str = 0) -> Place:
        """Return the place of a row. Raises MappingError where there is no such table or row."""
        number = self._table(table)
        kind = str if self.ids[number].dtype.kind == "U" else (int, np.integer)
        if not isinstance(row, kind):
            called = "texts" if kind is str else "whole numbers"
            raise MappingError(f"rows of table {self.names[number]!r} are called by {called}, not {row!r}")
        matches = np.flatnonzero(self.ids[number] == row)
        if not len(matches):
            raise MappingError(f"table {self.names[number]!r} has no row {row} in this layout")
        flat = sum(len(ids) for ids in self.ids[:number]) + int(matches[0])
        group, first = int(self.layout.group[flat]), self.layout.first
        instances = range(int(first[group]), int(first[group + 1]))
        tiles = tuple(self.tile[instances.start : instances.stop].tolist())
        return Place(group, int(self.layout.wordline[flat]), instances, tiles)

    def _table(self, table: int | str) -> int:
        if isinstance(table, str):
            if table not in self.names:
                raise MappingError(f"no table {table!r}; {choices(table, self.names)}")
            return self.names.index(table)
        if not 0 <= table < len(self.names):
            raise MappingError(f"tables are 0 to {len(self.names) - 1}, not {table}")
        return table

    def save(self, path: str | Path) -> None:
        """Write to a .npz file, which is there whole or not at all; equal layouts give equal bytes. OutputError names the path."""
        content = self.packed()
        write_whole(Path(path), lambda stream: stream.write(content))

    def packed(self) -> bytes:
        """Return the content of a .npz file."""
        stream = io.BytesIO()
        write_arrays(stream, _arrays(self))
        return stream.getvalue()

    @classmethod
    def load(cls, path: str | Path) -> Seating:
        """Read a file. MappingError names the file, and the array that is missing, unknown, or does not fit."""
        source = Path(path)
        archive = Npz(source, MappingError)
        odd = sorted(set(archive) ^ set(ARRAYS))
        if odd:
            raise MappingError(f"{source}: a layout has arrays {', '.join(ARRAYS)}; check {', '.join(odd)}")
        arrays = {name: archive[name] for name in ARRAYS}
        try:
            return _unpacked(arrays)
        except MappingError as error:
            raise MappingError(f"{source}: {error}") from None


def _arrays(seating: Seating) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a file: an entry a place, in the order of groups and wordlines."""
    layout = seating.layout
    rows = np.array([len(ids) for ids in seating.ids], dtype=np.int64)
    ids = np.concatenate(seating.ids)
    arrays: dict[str, npt.NDArray[Any]] = {
        "format": np.asarray(FORMAT),
        "height": np.asarray(layout.height, dtype=np.int64),
        "method": np.asarray(layout.method),
        "options": np.asarray(json.dumps(dict(layout.options), allow_nan=False)),
        "names": np.asarray(seating.names, dtype=np.str_),
        "rows": rows,
        "ids": ids,
        "table": np.repeat(np.arange(len(rows), dtype=np.int32), rows)[layout.members],
        "row": ids[layout.members],
        "group": layout.group[layout.members],
        "wordline": layout.wordline[layout.members],
        "copies": layout.copies,
        "tile": seating.tile.astype(np.int32),
    }
    return {name: arrays[name] for name in ARRAYS}


def _refuse(wrong: object, text: str) -> None:
    """Raise MappingError where something is wrong."""
    if wrong:
        raise MappingError(text)


def _unpacked(arrays: Mapping[str, npt.NDArray[Any]]) -> Seating:
    kinds = {"format": "U", "method": "U", "options": "U", "names": "U", "ids": "iuU", "row": "iuU"}
    shapes = {"format": 0, "height": 0, "method": 0, "options": 0}
    for name, array in arrays.items():
        _refuse(
            array.dtype.kind not in kinds.get(name, "iu") or array.ndim != shapes.get(name, 1),
            f"array {name!r} is {array.dtype} of {array.ndim} dimensions, which is not what it should be",
        )
    form, method = str(arrays["format"]), str(arrays["method"])
    _refuse(form != FORMAT, f"format is {form!r}; known: {FORMAT}")
    rows, copies, table, group, wordline = (
        arrays[name].astype(np.int64) for name in ("rows", "copies", "table", "group", "wordline")
    )
    ids, row = (
        array if array.dtype.kind == "U" else array.astype(np.int64) for array in (arrays["ids"], arrays["row"])
    )
    _refuse(ids.dtype.kind != row.dtype.kind, "arrays 'ids' and 'row' call rows by numbers, or both by text")
    _refuse(
        len({len(arrays[name]) for name in PLACES}) > 1,
        f"arrays {', '.join(PLACES)} have an entry for each place of a row, so they are equally long",
    )
    _refuse(
        not len(rows) or rows.min() < 1 or rows.sum() != len(ids),
        f"array 'rows' tells the rows of each table, {len(ids)} in all as there are ids",
    )
    _refuse(len(arrays["names"]) != len(rows), f"{len(arrays['names'])} names of {len(rows)} tables")
    _refuse(table.min(initial=0) < 0 or table.max(initial=0) >= len(rows), f"tables are 0 to {len(rows) - 1}")
    sizes = np.bincount(np.clip(group, 0, len(copies)), minlength=len(copies))
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    _refuse(
        len(sizes) > len(copies) or (np.repeat(np.arange(len(sizes)), sizes) != group).any(),
        f"array 'group' rises through 0 to {len(copies) - 1}, the groups that have copies",
    )
    in_group = np.arange(len(group)) - np.repeat(starts[:-1], sizes)
    _refuse((in_group != wordline).any(), "array 'wordline' counts from 0 in each group")
    members, options = (
        _members(np.repeat(np.arange(len(rows)), rows), ids, table, row),
        _options(str(arrays["options"])),
    )
    layout = Layout(len(ids), int(arrays["height"]), starts, members, copies.astype(np.int32), method, options)
    of_table = tuple(np.split(ids, np.cumsum(rows)[:-1]))
    return Seating(layout, tuple(map(str, arrays["names"])), of_table, arrays["tile"].astype(np.int32))


def _members(
    table_of: npt.NDArray[np.int64], ids: Ids, table: npt.NDArray[np.int64], row: Ids
) -> npt.NDArray[np.int32]:
    """Return each place's row, counted through all tables; `table_of` is the table of each of the `ids`."""
    called, number = np.unique(np.concatenate([ids, row]), return_inverse=True)
    keys = np.concatenate([table_of, table]) * len(called) + number
    order = np.argsort(keys[: len(ids)], kind="stable")
    known, wanted = keys[: len(ids)][order], keys[len(ids) :]
    at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    unknown = int((known[at] != wanted).argmax()) if len(wanted) else 0
    if len(wanted) and known[at[unknown]] != wanted[unknown]:
        raise MappingError(f"place {unknown}: table {table[unknown]} has no row {row[unknown]}")
    return order[at].astype(np.int32)


def _options(text: str) -> dict[str, Any]:
    try:
        options = parse_json(text)
    except ValueError:
        options = None
    if not isinstance(options, dict):
        raise MappingError("array 'options' is JSON: the layout's options by name")
    return options
