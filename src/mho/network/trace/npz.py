"""Traces in .npz files: read member by member and block by block, never whole where they need not be, and nothing in them run.

A member is a .npy file in a zip archive. Two forms: bags as compressed rows (offsets and indices), or two arrays as long as each
other, the bag and the row of each look-up, in any order.
"""

from __future__ import annotations

import difflib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import TraceError, choices
from mho.files.archive import opened, read_header
from mho.network.trace.columns import ALIKE
from mho.network.trace.pieces import BLOCK, Integers, KnownTables, Piece, bag_starts, falling, whole_weights

AnyArray = npt.NDArray[Any]
OFFSETS = ("offsets", "indptr")
KNOWN = (
    *OFFSETS,
    "indices",
    "tables",
    "queries",
    "times",
    "weights",
    "rows",
    "names",
    "n_items",
    "origin",
    "synthetic",
    "ids",
)
KINDS = {"iu": "integers", "iuf": "whole numbers", "iuU": "integers or text", "U": "text", "b": "True or False"}


class Member:
    """One array of an archive with one axis, read from its beginning on. `kinds`: of numpy's types those that are allowed."""

    def __init__(self, archive: zipfile.ZipFile, name: str, kinds: str = "iu") -> None:
        self.file, self.name = str(archive.filename), name
        header, self._stream = read_header(archive, f"{name}.npy")
        self.shape, self.type = header.shape, header.dtype
        if self.type.kind not in kinds:
            raise TraceError(f"{self.file}: array {name!r} holds {self.type}; it must hold {KINDS[kinds]}")
        if len(self.shape) > 1:
            raise TraceError(f"{self.file}: array {name!r} has shape {self.shape}; it must have one axis")
        self.length = int(self.shape[0]) if self.shape else 1

    def take(self, count: int) -> AnyArray:
        """Read the next `count` values, which must be there."""
        size = count * self.type.itemsize
        data = self._stream.read(size)
        if len(data) < size:
            raise TraceError(f"{self.file}: array {self.name!r} ends early")
        return np.frombuffer(data, dtype=self.type)

    def integers(self, count: int | None = None) -> Integers:
        """Read the next `count` values, or all, as int64."""
        values = self.take(self.length if count is None else count)
        if self.type.kind == "u" and len(values) and values.max() > np.iinfo(np.int64).max:
            raise TraceError(f"{self.file}: array {self.name!r}: {values.max()} is beyond {np.iinfo(np.int64).max}")
        return values.astype(np.int64)

    def all(self) -> AnyArray:
        """Read the whole array."""
        return self.take(self.length)

    def one(self) -> Any:
        """Read the one value that it must hold."""
        if self.length != 1:
            raise TraceError(f"{self.file}: array {self.name!r} is of {self.length} values; it must hold one")
        return self.all()[0]


@dataclass(frozen=True)
class NpzFile:
    """A .npz file as a source of pieces. `bag`, `row`, `table`, `weight`: arrays of its own, where it is in the second form."""

    path: Path
    bag: str | None = None
    row: str | None = None
    table: str | None = None
    weight: str | None = None

    def __post_init__(self) -> None:
        """Refuse half of the second form."""
        if (self.bag is None) != (self.row is None) or (self.bag is None and (self.table or self.weight)):
            raise TraceError(
                f"{self.path}: the array of the bags and that of the rows are given together, and only with them one of the "
                "tables or weights; without them the arrays are offsets (or indptr) and indices"
            )

    @cached_property
    def names(self) -> frozenset[str]:
        """Return the names of the arrays in the file. Raises TraceError where one that is needed is missing."""
        with opened(self.path, TraceError) as archive:
            arrays = frozenset(name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy"))
        needed = [name for name in (self.bag, self.row, self.table, self.weight) if name is not None]
        for name in needed:
            if name not in arrays:
                raise TraceError(f"{self.path}: no array {name!r}; {choices(name, arrays)}")
        if needed:
            return arrays
        self._check(arrays)
        return arrays

    def _check(self, arrays: frozenset[str]) -> None:
        listing = ", ".join(sorted(arrays)) or "nothing"
        if "indices" not in arrays or not arrays.intersection(OFFSETS):
            raise TraceError(
                f"{self.path}: needs arrays offsets (or indptr) and indices, or the arrays of bags and rows named; it "
                f"holds {listing}"
            )
        if arrays.issuperset(OFFSETS):
            raise TraceError(f"{self.path}: has both offsets and indptr; one of them")
        for name in sorted(arrays.difference(KNOWN)):
            near = difflib.get_close_matches(name.lower(), KNOWN, n=1, cutoff=ALIKE)
            if near:
                raise TraceError(
                    f"{self.path}: array {name!r} is not known; did you mean {near[0]}? (known: {', '.join(KNOWN)})"
                )
        if "tables" in arrays and "queries" not in arrays:
            raise TraceError(f"{self.path}: with array tables it needs queries too: which bags are of one query")

    @cached_property
    def known(self) -> KnownTables:
        """Return what the file says of its tables."""
        if self.bag is not None or not self.names.intersection(KNOWN[6:]):
            return KnownTables()
        arrays = self.names
        with opened(self.path, TraceError) as archive:
            rows: tuple[int, ...] | None = None
            if "n_items" in arrays and "rows" not in arrays:
                rows = (int(Member(archive, "n_items").one()),)
            if "rows" in arrays:
                rows = tuple(Member(archive, "rows").integers().tolist())
            if rows is not None and (not rows or min(rows) < 1):
                raise TraceError(f"{self.path}: tables have at least 1 row each, not {rows}")
            names: tuple[str, ...] = ()
            if "names" in arrays:
                names = tuple(map(str, Member(archive, "names", "U").all()))
            origin = str(Member(archive, "origin", "U").one()) if "origin" in arrays else None
            synthetic = "synthetic" in arrays and bool(Member(archive, "synthetic", "b").one())
            ids = None
            if "ids" in arrays:
                if rows is None:
                    raise TraceError(f"{self.path}: with array ids it needs rows too")
                ids_array = Member(archive, "ids", "iuU")
                every = ids_array.all() if ids_array.type.kind == "U" else ids_array.integers()
                if len(every) != sum(rows):
                    raise TraceError(f"{self.path}: {len(every)} ids of {sum(rows)} rows")
                ids = tuple(np.split(every, np.cumsum(rows)[:-1]))
        return KnownTables(rows, names, origin, synthetic, ids)

    def pieces(self, block: int = BLOCK) -> Iterator[Piece]:
        """Read bags with about `block` look-ups at a time; in the second form, all at once, since they must be sorted."""
        with opened(self.path, TraceError) as archive:
            if not self.names:
                return
            yield from self._pairs(archive) if self.bag is not None else self._rows(archive, block)

    def _rows(self, archive: zipfile.ZipFile, block: int) -> Iterator[Piece]:
        names = self.names
        offsets = Member(archive, next(name for name in OFFSETS if name in names))
        indices = Member(archive, "indices")
        of_bags = {name: Member(archive, name) for name in ("tables", "queries") if name in names}
        weights = Member(archive, "weights", "iuf") if "weights" in names else None
        times = Member(archive, "times", "iuf") if "times" in names else None
        bags = offsets.length - 1
        if bags < 0:
            raise TraceError(f"{self.path}: {offsets.name} is empty; it starts with 0")
        for member, length, what in (
            *((member, bags, "bags") for member in of_bags.values()),
            *(((times, bags, "bags"),) if times else ()),
            *(((weights, indices.length, "look-ups"),) if weights else ()),
        ):
            if member.length != length:
                raise TraceError(
                    f"{self.path}: array {member.name!r} is of {member.length}, but there are {length} {what}"
                )
        last = int(offsets.integers(1)[0])
        if last != 0:
            raise TraceError(f"{self.path}: bag 0: {offsets.name} starts with {last}, not 0")
        before: int | None = None
        for bag in range(0, bags, block):
            count = min(block, bags - bag)
            ends = offsets.integers(count)
            lengths = np.diff(ends, prepend=last)
            self._check_offsets(offsets.name, ends, lengths, bag, indices.length)
            tables = of_bags["tables"].integers(count) if "tables" in of_bags else np.zeros(count, dtype=np.int64)
            queries = of_bags["queries"].integers(count) if "queries" in of_bags else np.arange(bag, bag + count)
            came = None if times is None else times.take(count).astype(np.float64)
            falls = falling(queries, before)
            if len(falls):
                at = int(falls[0])
                raise TraceError(
                    f"{self.path}: bag {bag + at}: query {queries[at]} comes after a later one; queries must not fall"
                )
            before = int(queries[-1])
            start = 0
            while start < count:
                stop = max(start + 1, int(np.searchsorted(ends, last + block, side="right")))
                size = int(ends[stop - 1]) - last
                first = last
                yield Piece(
                    lengths[start:stop],
                    tables[start:stop],
                    queries[start:stop],
                    indices.integers(size),
                    None if weights is None else whole_weights(
                        weights.take(size), lambda at, first=first: f"{self.path}: look-up {first + at}"  # type: ignore[misc]
                    ),
                    bag + start,
                    first,
                    lambda at, of: f"{self.path}: bag {of}, look-up {at}",
                    None if came is None else came[start:stop],
                )  # fmt: skip
                start, last = stop, int(ends[stop - 1])
        if last != indices.length:
            raise TraceError(f"{self.path}: {offsets.name} ends with {last}, but there are {indices.length} indices")

    def _check_offsets(self, name: str, ends: Integers, lengths: Integers, bag: int, total: int) -> None:
        wrong = np.flatnonzero(lengths < 0)
        if len(wrong):
            raise TraceError(f"{self.path}: bag {bag + int(wrong[0])}: {name} fall; they must not")
        if ends[-1] > total:
            at = bag + int(np.searchsorted(ends, total, side="right"))
            raise TraceError(f"{self.path}: bag {at}: {name} go to {ends[at - bag]}, but there are {total} indices")

    def _pairs(self, archive: zipfile.ZipFile) -> Iterator[Piece]:
        assert self.bag is not None and self.row is not None
        queries, rows = Member(archive, self.bag).integers(), Member(archive, self.row).integers()
        tables = np.zeros_like(queries) if self.table is None else Member(archive, self.table).integers()
        weights = None if self.weight is None else Member(archive, self.weight, "iuf").all()
        for name, array in ((self.row, rows), (self.table, tables), (self.weight, weights)):
            if array is not None and len(array) != len(queries):
                raise TraceError(f"{self.path}: array {name!r} is of {len(array)}, but {self.bag!r} of {len(queries)}")
        if not len(queries):
            raise TraceError(f"{self.path}: has no look-ups")
        checked = None if weights is None else whole_weights(weights, lambda at: f"{self.path}: look-up {at}")
        order = np.lexsort((tables, queries))
        queries, tables = queries[order], tables[order]
        starts = bag_starts(queries, tables)
        yield Piece(
            np.diff(starts, append=len(queries)), tables[starts], queries[starts], rows[order],
            None if checked is None else checked[order], 0, 0, lambda at, of: f"{self.path}: look-up {order[at]}",
        )  # fmt: skip
