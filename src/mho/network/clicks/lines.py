"""Logs of clicks by the line, in text or Parquet files: a column of labels, and a column for each field."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from mho.errors import OptionError, TraceError
from mho.network.clicks.clicks import FOLDS, MOST_VALUES, Clicks, drawn_folds
from mho.network.clicks.fields import Coded, buckets, categories
from mho.network.trace import values
from mho.network.trace.columns import LineOptions, find_column, find_columns
from mho.network.trace.record_file import RecordFile
from mho.network.trace.values import TextNumbers

BLOCK = 1 << 18
"""Values that are taken at once."""
MOST_BUCKETS = 1 << 16
FOLD_WORDS = {
    **{str(at): at for at in range(len(FOLDS))},
    **{name: at for at, name in enumerate(FOLDS)},
    "validation": 1,
}
"""What may stand in a column of folds."""


@dataclass(frozen=True)
class ClickOptions:
    """The options by which a log is read.

    `label`: the column of labels, 0 or 1. `field`: the columns of fields, None for all others. `numeric`: those of them that
    hold numbers, which are cut into `buckets` intervals. `ignored`: columns that are not read. `fold`: the column that tells the
    fold; None: folds are drawn with `shares` by `seed`. `least`: how often a value comes in the records to train on to have a row
    of its own. `separator`, `header`: of a text file. Columns go by name, by number from 1 on, or as "15-40".
    """

    label: str | None = None
    field: str | Sequence[str] | None = None
    numeric: str | Sequence[str] = ()
    ignored: str | Sequence[str] = ()
    fold: str | None = None
    buckets: int = 32
    least: int = 2
    shares: Sequence[float] = (0.8, 0.1, 0.1)
    seed: int = 0
    separator: str | None = None
    header: bool | None = None

    def __post_init__(self) -> None:
        """Raise OptionError for numbers out of range."""
        for name, low, high in (("buckets", 2, MOST_BUCKETS), ("least", 1, 1 << 31), ("seed", 0, (1 << 31) - 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise OptionError(f"{name} is a whole number from {low} to {high}, not {value!r}")

    @property
    def of_lines(self) -> LineOptions:
        """Return the same options as the reader of text takes them to tell a file's form."""
        columns = (
            *_listed(self.field or ()),
            *_listed(self.numeric),
            *_listed(self.ignored),
            *_listed(self.fold or ()),
        )
        return LineOptions(query=self.label or LABEL, row=columns or None, separator=self.separator, header=self.header)


LABEL = "label"
"""The column of labels where none is named."""
CRITEO = ClickOptions(label="1", field="2-40", numeric="2-14", separator="tab", header=False)
"""The format of Criteo's logs: a label, 13 whole numbers, 26 hashed categories, no header."""


@dataclass(frozen=True)
class ClickFile(RecordFile):
    """A text or Parquet file as a log of clicks."""

    holds: ClassVar[str] = "clicks"

    asked: ClickOptions = field(default_factory=ClickOptions)

    @classmethod
    def of(cls, path: Path, options: ClickOptions) -> ClickFile:
        """Return the file as these options read it."""
        return cls(path, options.of_lines, options)

    def clicks(self) -> Clicks:
        """Read the log. Raises TraceError with the line, or the record of Parquet (from 0)."""
        with self.refusing():
            return self._read(Layout.of(self))

    def _read(self, layout: Layout) -> Clicks:
        columns = layout.readers(self)
        count = 0
        for batch, first in self.batches(layout.all, max(BLOCK // len(layout.all), 1)):
            count += batch.num_rows
            if count * len(layout.fields) > MOST_VALUES:
                raise TraceError(
                    f"{self.path}: has more than {MOST_VALUES // len(layout.fields)} records of {len(layout.fields)} fields, "
                    "which are too many to hold; read fewer fields, or a part of the file"
                )
            for reader, column in zip(columns, batch.columns, strict=True):
                reader.take(column, first)
        if not count:
            raise TraceError(f"{self.path}: has no clicks")
        return self._coded(layout, columns)

    def _coded(self, layout: Layout, columns: Sequence[Reader]) -> Clicks:
        asked, (labels, *others) = self.asked, columns
        y = labels.array().astype(np.uint8)
        folded = others.pop(0) if layout.fold is not None else None
        fold = drawn_folds(len(y), asked.shares, asked.seed, str(self.path)) if folded is None else folded.array()
        train = fold == 0
        if not train.any():
            raise TraceError(f"{self.path}: no record is of fold train, by which values get their rows")
        coded: list[Coded] = []
        while others:
            # The values of a field are let go when it has its rows.
            coded.append(others.pop(0).coded(train, asked))
        origin = self.path.name if folded is not None else f"{self.path.name}, folds drawn by seed {asked.seed}"
        return Clicks(
            np.stack([each.x for each in coded], axis=1),
            y,
            fold.astype(np.uint8),
            tuple(len(each.ids) for each in coded),
            layout.names,
            origin,
            ids=tuple(each.ids for each in coded),
        )


@dataclass(frozen=True)
class Layout:
    """The columns that are read, by number from 0 on: of labels, of folds or None, of fields. `names`: of the fields."""

    label: int
    fold: int | None
    fields: tuple[int, ...]
    numeric: frozenset[int]
    names: tuple[str, ...]

    @property
    def all(self) -> tuple[int, ...]:
        """Return every column that is read, in the order of the readers."""
        return (self.label, *(() if self.fold is None else (self.fold,)), *self.fields)

    @classmethod
    def of(cls, file: ClickFile) -> Layout:
        """Find the columns; TraceError where one is missing, or is two things at once."""
        asked, columns, path = file.asked, file.columns, str(file.path)

        def many(names: str | Sequence[str], what: str) -> tuple[int, ...]:
            return tuple(at for name in _listed(names) for at in find_columns(name, what, columns, path))

        if asked.label is None and LABEL not in columns:
            what = "names no columns" if not file.header else f"has columns {', '.join(columns[:12])}"
            raise TraceError(f"{path}: no column {LABEL!r}; say by --label COLUMN which holds the labels (it {what})")
        label = find_column(asked.label or LABEL, "for the label", columns, path)
        fold = None if asked.fold is None else find_column(asked.fold, "for the fold", columns, path)
        ignored, numeric = many(asked.ignored, "to ignore"), many(asked.numeric, "for a number")
        given = asked.field is not None
        others = (at for at in range(len(columns)) if at not in {label, fold, *ignored})
        fields = many(asked.field, "for a field") if asked.field is not None else tuple(others)
        roles = [label, *(() if fold is None else (fold,)), *ignored, *fields]
        twice = next((at for at in roles if roles.count(at) > 1), None)
        if twice is not None:
            raise TraceError(f"{path}: column {columns[twice]!r} cannot be two things at once")
        stray = next((at for at in numeric if at not in fields), None)
        if stray is not None:
            raise TraceError(f"{path}: column {columns[stray]!r} is to be a number, but is no field")
        if not fields:
            raise TraceError(f"{path}: no column is left for a field{'' if given else ' beside the label'}")
        names = tuple(columns[at] if file.header else f"column {columns[at]}" for at in fields)
        return cls(label, fold, fields, frozenset(numeric), names)

    def readers(self, file: ClickFile) -> list[Reader]:
        """Return what takes the columns of `all`."""
        folds = [] if self.fold is None else [Folds(file, "fold")]
        fields: Iterator[Reader] = (
            (Numbers if at in self.numeric else Texts)(file, name)
            for at, name in zip(self.fields, self.names, strict=True)
        )
        return [Labels(file, "label"), *folds, *fields]


@dataclass
class Reader:
    """A column that is read batch by batch. `name`: of its field."""

    file: ClickFile
    name: str
    parts: list[npt.NDArray[Any]] = field(default_factory=list)

    def take(self, column: Any, first: int) -> None:
        """Take a batch whose first record is `first`."""
        if hasattr(column, "dictionary_decode"):
            column = column.dictionary_decode()
        self.parts.append(self.read(column, lambda at: f"{self.file.place(first + at)}: {self.name}"))

    def read(self, column: Any, place: values.Place) -> npt.NDArray[Any]:
        """Return a batch as numbers."""
        raise NotImplementedError

    def array(self) -> npt.NDArray[Any]:
        """Return what was read, once."""
        whole = np.concatenate(self.parts)
        self.parts = []
        return whole

    def coded(self, train: npt.NDArray[np.bool_], asked: ClickOptions) -> Coded:
        """Return the rows of a field."""
        raise NotImplementedError

    def refuse_missing(self, column: Any, place: values.Place) -> None:
        """Raise TraceError where nothing stands."""
        missing = values.blanks(column)
        if missing is not None:
            raise TraceError(f"{place(int(missing.argmax()))}: is missing")


class Labels(Reader):
    """The column of labels."""

    def read(self, column: Any, place: values.Place) -> npt.NDArray[Any]:
        """Return 0 and 1."""
        import pyarrow as pa
        import pyarrow.compute as pc

        self.refuse_missing(column, place)
        if pa.types.is_boolean(column.type):
            column = pc.cast(column, pa.int8())
        labels = values.reals(column, "value", place)
        wrong = np.flatnonzero((labels != 0) & (labels != 1))
        if len(wrong):
            at = int(wrong[0])
            raise TraceError(f"{place(at)}: {labels[at]:g} is neither 0 nor 1")
        return labels.astype(np.uint8)


class Folds(Reader):
    """The column of folds, by name or by number."""

    def read(self, column: Any, place: values.Place) -> npt.NDArray[Any]:
        """Return the numbers of folds."""
        import pyarrow as pa
        import pyarrow.compute as pc

        self.refuse_missing(column, place)
        words = pc.utf8_lower(values.texts(column, "value", place))
        found = pc.index_in(words, value_set=pa.array(list(FOLD_WORDS)))
        if found.null_count:
            at = int(np.asarray(found.is_null()).argmax())
            raise TraceError(f"{place(at)}: {words[at].as_py()!r} is none of {', '.join(FOLD_WORDS)}")
        numbers: npt.NDArray[Any] = np.array(list(FOLD_WORDS.values()), dtype=np.uint8)[np.asarray(found)]
        return numbers


@dataclass
class Texts(Reader):
    """A field whose values are categories: what stands there as text."""

    codes: TextNumbers = field(default_factory=TextNumbers)

    def read(self, column: Any, place: values.Place) -> npt.NDArray[Any]:
        """Return the place of each value among the distinct ones."""
        import pyarrow as pa
        import pyarrow.compute as pc

        kind = column.type
        if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
            column = self._whole(column, place)
        elif not (values.is_text(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
            raise TraceError(
                f"{place(0)}: is of type {kind}; a field holds text, whole numbers, or numbers (--numeric)"
            )
        texts = values.texts(pc.fill_null(pc.cast(column, pa.string()), ""), "value", place)
        return self.codes.of(texts).astype(np.int32)

    def _whole(self, column: Any, place: values.Place) -> Any:
        """Return whole numbers that a file holds as floating-point ones, because some are missing, as whole."""
        import pyarrow as pa
        import pyarrow.compute as pc

        missing = values.blanks(column)
        filled = column if missing is None else pc.if_else(pa.array(missing), pa.scalar(0.0, column.type), column)
        try:
            whole = values.numbers(filled, "value", place)
        except TraceError as error:
            raise TraceError(f"{str(error).partition('; ')[0]}; cut numbers into intervals by --numeric") from None
        return pa.array(whole, mask=missing)

    def coded(self, train: npt.NDArray[np.bool_], asked: ClickOptions) -> Coded:
        """Give rows by falling frequency."""
        known, self.codes = list(self.codes.known), TextNumbers()
        return categories(self.array(), known, train, asked.least)


class Numbers(Reader):
    """A field whose values are numbers."""

    def read(self, column: Any, place: values.Place) -> npt.NDArray[Any]:
        """Return numbers, NaN for missing ones."""
        import pyarrow as pa
        import pyarrow.compute as pc

        missing = values.blanks(column)
        if missing is not None:
            column = pc.if_else(pa.array(missing), pa.scalar(None, column.type), column)
        if pa.types.is_decimal(column.type):
            column = pc.cast(column, pa.float64())
        if not values.is_text(column.type):
            column = pc.cast(column, pa.float64())
        return values.reals(column, "value", place).astype(np.float64)

    def coded(self, train: npt.NDArray[np.bool_], asked: ClickOptions) -> Coded:
        """Give rows by intervals."""
        return buckets(self.array(), train, asked.buckets)


def _listed(names: str | Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) and names else tuple(names)


__all__ = ["CRITEO", "ClickFile", "ClickOptions"]
