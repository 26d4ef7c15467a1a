"""Clicks: what a recommender is trained and judged on, a row of ids for each record and whether it was clicked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from mho.errors import TraceError, choices
from mho.files.archive import write_arrays
from mho.files.writing import check_file, write_whole
from mho.network.trace.trace import MOST_ROWS, SUFFIX, Ids, Trace
from mho.shown import Shown

FOLDS = ("train", "valid", "test")
"""The folds by number: one to train on, one to choose by, one that judges once."""
MOST_FIELDS = 1 << 12
MOST_VALUES = 1 << 28
"""Ids of all records and fields, at most: a gigabyte."""


class Part(NamedTuple):
    """The records of one fold: ids int32 (records, fields), labels uint8 (records,)."""

    x: npt.NDArray[np.int32]
    y: npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False, repr=False)
class Clicks(Shown):
    """Records of ids and labels. A field is what a column of the log tells of each record, such as its user; it has a table.

    `x` int32 (records, fields): of each field the row of its table, from 0. `y` uint8 (records,): 1 for clicked, 0 for not.
    `fold` uint8 (records,): the number in FOLDS. `rows`: of each field's table. `names`: of the fields. `origin`: where they are
    from; `synthetic`: whether they were made up. `ids`: for each field what each row is called where the log is from, int64 or
    text (rows,); None where rows keep their numbers.

    Raises TraceError for what is inconsistent, naming the first record that is wrong.
    """

    x: npt.NDArray[np.int32]
    y: npt.NDArray[np.uint8]
    fold: npt.NDArray[np.uint8]
    rows: tuple[int, ...]
    names: tuple[str, ...]
    origin: str
    synthetic: bool = False
    ids: tuple[Ids, ...] | None = None

    def __post_init__(self) -> None:
        """Check that everything fits together."""
        count, fields = self.x.shape if self.x.ndim == 2 else (0, 0)
        if not 1 <= fields <= MOST_FIELDS or not count:
            raise TraceError(
                f"{self.origin}: ids are (records, fields), at least 1 record of 1 to {MOST_FIELDS} fields, not {self.x.shape}"
            )
        kinds = [array.dtype.name for array in (self.x, self.y, self.fold)]
        if kinds != ["int32", "uint8", "uint8"] or self.y.shape != (count,) or self.fold.shape != (count,):
            raise TraceError(
                f"{self.origin}: {count} records of ids, but labels {self.y.shape}, folds {self.fold.shape}"
            )
        if len(self.rows) != fields or len(self.names) != fields or len(set(self.names)) != fields:
            raise TraceError(f"{self.origin}: {fields} fields need so many tables and names, each name once")
        if min(self.rows) < 1 or sum(self.rows) > MOST_ROWS:
            raise TraceError(f"{self.origin}: tables need 1 to {MOST_ROWS} rows in all, not {self.rows}")
        if self.ids is not None and tuple(map(len, self.ids)) != self.rows:
            raise TraceError(f"{self.origin}: ids of {tuple(map(len, self.ids))} rows, but tables of {self.rows}")
        self._check_values()

    def _check_values(self) -> None:
        for values, most, what in ((self.y, 1, "label"), (self.fold, len(FOLDS) - 1, "fold")):
            if values.max() > most:
                at = int((values > most).argmax())
                raise TraceError(f"{self.origin}: record {at}: {what} {values[at]} is outside 0 to {most}")
        if self.x.min() >= 0 and (self.x.max(axis=0) < self.rows).all():
            return
        at, field = map(int, np.argwhere((self.x < 0) | (self.x >= np.asarray(self.rows)))[0])
        raise TraceError(
            f"{self.origin}: record {at}: {self.names[field]!r} {self.x[at, field]} is outside 0 to {self.rows[field] - 1}"
        )

    def headline(self) -> str:
        """Say what they are in a line."""
        mark = ", SYNTHETIC" if self.synthetic else ""
        return (
            f"Clicks({self.origin}: {len(self)} records, {self.fields} fields, {sum(self.rows)} rows of tables{mark})"
        )

    def facts(self) -> tuple[tuple[str, str], ...]:
        """Return the records of each fold, and how many of them were clicked."""
        parts = zip(FOLDS, (self.train, self.valid, self.test), strict=True)
        return tuple(
            (name, f"{len(y)} records, {y.mean():.1%} clicked" if len(y) else "none") for name, (_, y) in parts
        )

    def __len__(self) -> int:
        """Count the records."""
        return len(self.y)

    @property
    def fields(self) -> int:
        """Return the number of fields."""
        return len(self.names)

    @cached_property
    def train(self) -> Part:
        """The records to train on."""
        return self._part(0)

    @cached_property
    def valid(self) -> Part:
        """The records to choose by."""
        return self._part(1)

    @cached_property
    def test(self) -> Part:
        """The records that judge, once."""
        return self._part(2)

    def _part(self, number: int) -> Part:
        here = self.fold == number
        return Part(self.x[here], self.y[here])

    def select(self, names: Sequence[str]) -> Clicks:
        """Return the same records with some of the fields, in this order. TraceError for a field that is not there, or is twice."""
        for name in names:
            if name not in self.names:
                raise TraceError(f"{self.origin}: no field {name!r}; {choices(name, self.names)}")
        places = [self.names.index(name) for name in names]
        return replace(
            self,
            x=np.ascontiguousarray(self.x[:, places]),
            rows=tuple(self.rows[place] for place in places),
            names=tuple(names),
            ids=None if self.ids is None else tuple(self.ids[place] for place in places),
        )

    def select_records(self, places: npt.NDArray[np.int64]) -> Clicks:
        """Return some of the records, by number."""
        return replace(self, x=self.x[places], y=self.y[places], fold=self.fold[places])

    def trace(self, fold: str | None = None) -> Trace:
        """Return the look-ups as a trace: a query for each record, of one fold or of all, a bag of one row in each table."""
        if fold is not None and fold not in FOLDS:
            raise TraceError(f"{self.origin}: no fold {fold!r}; {choices(fold, FOLDS)}")
        x = self.x if fold is None else self._part(FOLDS.index(fold)).x
        return Trace(
            self.rows,
            np.arange(x.size + 1, dtype=np.int64),
            np.ascontiguousarray(x).reshape(-1),
            np.tile(np.arange(self.fields, dtype=np.int32), len(x)),
            np.repeat(np.arange(len(x), dtype=np.int64), self.fields),
            self.origin if fold is None else f"{self.origin}, fold {fold}",
            self.names,
            synthetic=self.synthetic,
            ids=self.ids,
        )

    def save(self, path: str | Path) -> None:
        """Write to a .npz file, whole or not at all; the same clicks give the same bytes. OutputError names the path."""
        path = Path(path)
        if path.suffix != SUFFIX:
            raise TraceError(f"{path}: the name of a file of clicks ends in {SUFFIX}")
        check_file(path)
        arrays: dict[str, np.ndarray] = {
            "x": self.x,
            "y": self.y,
            "fold": self.fold,
            "rows": np.asarray(self.rows, dtype=np.int64),
            "fields": np.asarray(self.names, dtype=np.str_),
            "origin": np.asarray(self.origin, dtype=np.str_),
            "synthetic": np.asarray(self.synthetic),
        }
        for place, ids in enumerate(self.ids or ()):
            arrays[f"ids{place}"] = ids
        write_whole(path, lambda stream: write_arrays(stream, arrays))

    load: ClassVar[Callable[..., Clicks]]
    """Reading stands above what it makes: the package `mho.network.clicks` hangs `read` here."""


def drawn_folds(records: int, shares: Sequence[float], seed: int, origin: str) -> npt.NDArray[np.uint8]:
    """Draw folds: `shares` of train, valid and test, which sum to 1, of the records in an order drawn by the seed.

    Raises TraceError for shares that are none, and for a fold that would have no record.
    """
    given = [float(share) for share in shares]
    if len(given) != len(FOLDS) or not all(0 < share < 1 for share in given) or abs(sum(given) - 1) > 1e-9:
        raise TraceError(
            f"{origin}: shares of {', '.join(FOLDS)} are three numbers between 0 and 1 of sum 1, not {given}"
        )
    ends = np.rint(np.cumsum(given) * records).astype(np.int64)
    if min(np.diff(ends, prepend=0)) < 1:
        raise TraceError(f"{origin}: {records} records leave a fold empty with shares {given}")
    fold = np.empty(records, dtype=np.uint8)
    places = np.random.default_rng(seed).permutation(records)
    fold[places] = np.searchsorted(ends[:-1], np.arange(records), side="right")
    return fold


__all__ = ["FOLDS", "MOST_VALUES", "Clicks", "Part", "drawn_folds"]
