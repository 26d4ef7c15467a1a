"""What stands in a column, as numbers: ids that are whole numbers or text, weights, times; and what is missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import TraceError

Integers = npt.NDArray[np.int64]
Place = Callable[[int], str]
MISSING = ("", "NULL", "null", "NaN", "nan", "NA", "\\N")
"""What stands for nothing: an empty field, and what databases, pandas and R write for it."""
LONGEST = 255
"""Characters of an id that is text, at most: more are no id but a column of something else."""
SOME = 100
"""Values that are tried first."""
EXACT = 2**53
"""Up to here a number written with a point or an exponent is the whole number that it was."""


class Untidy(Exception):  # noqa: N818 - no mistake of anybody's: what was read so far is read again in another way.
    """A file is not what it was taken for so far: `what` holds text ("query", "row", "table"), or look-ups are to be sorted."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


@dataclass(frozen=True)
class TextNumbers:
    """Numbers, from 0 on, of texts in the order in which they first come."""

    known: dict[str, int] = field(default_factory=dict)

    def of(self, texts: Any) -> Integers:
        """Return the number of each text of an arrow array, int64; new ones get the next."""
        encoded = texts.dictionary_encode()
        distinct = encoded.dictionary.to_pylist()
        known = self.known
        numbers: Integers = np.fromiter(
            (known.setdefault(text, len(known)) for text in distinct), np.int64, len(distinct)
        )
        coded: Integers = numbers[np.asarray(encoded.indices)]
        return coded

    @property
    def names(self) -> npt.NDArray[np.str_]:
        """Return the texts by number."""
        return np.array(list(self.known), dtype=np.str_)


def blanks(column: Any) -> npt.NDArray[np.bool_] | None:
    """Return where nothing stands in an arrow array, or None where something stands everywhere."""
    import pyarrow as pa
    import pyarrow.compute as pc

    missing = column.is_null()
    if pa.types.is_floating(column.type):
        missing = pc.or_(missing, pc.fill_null(pc.is_nan(column), True))
    elif is_text(column.type):
        trimmed = pc.ascii_trim_whitespace(_as_binary_text(column))
        missing = pc.or_(missing, pc.fill_null(pc.is_in(trimmed, value_set=pa.array(MISSING, trimmed.type)), False))
    return np.asarray(missing) if pc.any(missing).as_py() else None


def is_text(kind: Any) -> bool:
    """Return whether an arrow type is text, or bytes that stand for it."""
    import pyarrow as pa

    types = pa.types
    return bool(
        types.is_string(kind) or types.is_large_string(kind) or types.is_binary(kind) or types.is_large_binary(kind)
    )


def _as_binary_text(column: Any) -> Any:
    """Return bytes as text without looking whether they are text."""
    import pyarrow as pa

    return column.view(pa.string()) if pa.types.is_binary(column.type) else column


def converted(column: Any, kind: Any) -> Any:
    """Return an arrow array as another type. ArrowInvalid where a value cannot be, soon where it is one of the first."""
    import pyarrow.compute as pc

    # Arrow words an error for each value that fails, which for a column of text takes long.
    pc.cast(column.slice(0, SOME), kind)
    return pc.cast(column, kind)


def texts(column: Any, role: str, place: Place) -> Any:
    """Return a column as arrow text without spaces around. TraceError names the first that is not UTF-8, or too long."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        values = pc.utf8_trim_whitespace(pc.cast(column, pa.string()))
    except pa.ArrowInvalid:
        at = first_failing(column, lambda part: pc.cast(part, pa.string()))
        raise TraceError(
            f"{place(at)}: the {role} holds bytes that are not UTF-8; convert the file to UTF-8 first"
        ) from None
    long = pc.greater(pc.utf8_length(values), LONGEST)
    if pc.any(long).as_py():
        at = int(np.flatnonzero(np.asarray(long))[0])
        raise TraceError(
            f"{place(at)}: the {role} has more than {LONGEST} characters, too many for an id; is it another column (--{role})?"
        )
    broken = pc.match_substring(values, "\n")
    if pc.any(broken).as_py():
        raise TraceError(f"{place(int(np.flatnonzero(np.asarray(broken))[0]))}: a quote does not end in its line")
    return values


def first_failing(column: Any, attempt: Callable[[Any], object]) -> int:
    """Return the first value of a column with which an attempt fails; it does fail with the whole."""
    import pyarrow as pa

    low, high = 0, len(column)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            attempt(column.slice(low, middle - low))
            low = middle
        except pa.ArrowInvalid:
            high = middle
    return low


def numbers(column: Any, role: str, place: Place) -> Integers:
    """Return ids that are whole numbers, int64: as such, or written as 5.0 or 1e3.

    Raises Untidy where there are ids that are text, or numbers of more than 64 bits, which are text too. TraceError names the first
    with a fraction, and the first of a floating-point number too large to be the id that it was.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_dictionary(kind):
        return numbers(column.dictionary_decode(), role, place)
    if pa.types.is_integer(kind):
        if kind == pa.uint64() and (pc.max(column).as_py() or 0) > np.iinfo(np.int64).max:
            raise Untidy(role)
        return np.asarray(column).astype(np.int64)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _whole(np.asarray(pc.cast(column, pa.float64())), lambda at: str(column[at].as_py()), role, place)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        # A Parquet file that holds text says so itself: "007" is not 7.
        raise Untidy(role)
    if not pa.types.is_binary(kind):
        raise TraceError(f"{place(0)}: the {role} is of type {kind}; ids are whole numbers or text")
    try:
        return np.asarray(converted(pc.cast(column, pa.string()), pa.int64()))
    except pa.ArrowInvalid:
        pass
    return _written(texts(column, role, place), role, place)


def _written(strings: Any, role: str, place: Place) -> Integers:
    """Return whole numbers however they are written."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        return np.asarray(converted(strings, pa.int64()))
    except pa.ArrowInvalid:
        pass
    plain = np.asarray(pc.match_substring_regex(strings, r"^[+-]?\d+$"))
    values = np.zeros(len(strings), dtype=np.int64)
    try:
        signless = pc.replace_substring_regex(strings.filter(pa.array(plain)), r"^\+", "")
        values[plain] = np.asarray(converted(signless, pa.int64()))
        others = np.flatnonzero(~plain)
        real = np.asarray(converted(strings.take(pa.array(others)), pa.float64()))
    except pa.ArrowInvalid:
        raise Untidy(role) from None
    if not np.isfinite(real).all():
        raise Untidy(role)
    values[others] = _whole(real, lambda at: strings[int(others[at])].as_py(), role, lambda at: place(int(others[at])))
    return values


def _whole(values: npt.NDArray[np.float64], shown: Callable[[int], str], role: str, place: Place) -> Integers:
    """Return floating-point numbers as the whole numbers that they are."""
    bad = np.flatnonzero((np.floor(values) != values) | ~np.isfinite(values))
    if len(bad):
        raise TraceError(
            f"{place(int(bad[0]))}: {role} {shown(int(bad[0]))!r} is no whole number; is it another column (--{role})?"
        )
    large = np.flatnonzero(np.abs(values) > EXACT)
    if len(large):
        raise TraceError(
            f"{place(int(large[0]))}: {role} {shown(int(large[0]))!r} was a floating-point number beyond {EXACT}, which no longer "
            "tells the id; write ids as integers or text"
        )
    return values.astype(np.int64)


def reals(column: Any, role: str, place: Place) -> npt.NDArray[Any]:
    """Return numbers: as they are in a Parquet file, float64 of text. TraceError names the first that is none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return np.asarray(column)
    if not is_text(column.type):
        raise TraceError(f"{place(0)}: the {role} is of type {column.type}; it must be a number")
    values = texts(column, role, place)
    try:
        return np.asarray(pc.cast(values, pa.float64()))
    except pa.ArrowInvalid:
        at = first_failing(values, lambda part: pc.cast(part, pa.float64()))
        raise TraceError(f"{place(at)}: {role} {values[at].as_py()!r} is no number") from None


def times(column: Any, place: Place) -> npt.NDArray[Any]:
    """Return times that can be compared: numbers, or dates and times of ISO 8601 as datetime64 (of UTC, where a zone is told).

    TraceError names the first that is neither.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_temporal(column.type):
        return np.asarray(pc.cast(column, pa.timestamp("us", getattr(column.type, "tz", None)), safe=False))
    if not is_text(column.type):
        return reals(column, "time", place)
    values = texts(column, "time", place)
    for kind in (pa.int64(), pa.float64()):
        try:
            return np.asarray(converted(values, kind))
        except pa.ArrowInvalid:
            pass
    zoned = pc.replace_substring_regex(values, r" ?(UTC|GMT)$", "Z")
    for zone in (None, "UTC"):
        try:
            return np.asarray(converted(zoned, pa.timestamp("us", zone)))
        except pa.ArrowInvalid:
            pass
    kinds = (pa.float64(), pa.timestamp("us"), pa.timestamp("us", "UTC"))
    # It is of the kind that fails last, but for this one.
    at = max(first_failing(zoned, partial(pc.cast, target_type=kind)) for kind in kinds)
    raise TraceError(
        f"{place(at)}: time {values[at].as_py()!r} is neither a number nor a date and time of ISO 8601 "
        "(2014-04-07T10:51:09.277Z), or is written in another way than those before"
    )
