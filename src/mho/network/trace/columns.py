"""Which column of a file is what: its query, table, row, weight and time, by name or by number."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from mho.errors import TraceError, choices

ALIKE = 0.8
"""From this likeness on the name of a column, or an array, is taken for a slip of the pen, and refused."""
BY_NAME = ("query", "row", "table", "weight")
"""Columns that are read where they have these names."""


@dataclass(frozen=True)
class LineOptions:
    """The options by which a text or Parquet file is read; None: as the file shows.

    `query`, `table`, `row`, `weight`, `time`: columns, by name or by number from 1 on. `row` may be several, each a table of its
    own (names, or "15-40"). `ignored`: columns that are not read though they have such a name. `separator`, `header`: of a text
    file. `basket`: each line is a bag, its fields are rows. `skip_missing`: what is empty looks up nothing, and is not refused.
    """

    query: str | None = None
    table: str | None = None
    row: str | Sequence[str] | None = None
    weight: str | None = None
    time: str | None = None
    ignored: Sequence[str] = ()
    separator: str | None = None
    header: bool | None = None
    basket: bool = False
    skip_missing: bool = False

    def names(self) -> tuple[str, ...]:
        """Return the columns that are named."""
        rows = () if self.row is None else (self.row,) if isinstance(self.row, str) else tuple(self.row)
        one = (self.query, self.table, self.weight, self.time)
        return (*(name for name in one if name is not None), *rows)


@dataclass(frozen=True)
class ChosenColumns:
    """The columns that are read, by number from 0 on. `query` None: each line is a query. `rows`: one, or one for each table."""

    query: int | None
    rows: tuple[int, ...]
    table: int | None = None
    weight: int | None = None
    time: int | None = None
    names: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[int, ...]:
        """Return every column that is read, once."""
        return tuple(at for at in (self.query, *self.rows, self.table, self.weight, self.time) if at is not None)


def choose(options: LineOptions, columns: Sequence[str], header: bool, file: str) -> ChosenColumns:
    """Find the columns; TraceError where one is missing, twice there, or two things at once, with the option that helps."""
    ignored = tuple(find_column(name, "to ignore", columns, file) for name in options.ignored)
    roles = {"query": options.query, "table": options.table, "weight": options.weight, "time": options.time}
    places = {
        role: find_column(name, f"for the {role}", columns, file) for role, name in roles.items() if name is not None
    }
    rows: tuple[int, ...] = ()
    if options.row is not None:
        named = (options.row,) if isinstance(options.row, str) else options.row
        rows = tuple(place for name in named for place in find_columns(name, "for the row", columns, file))
    for name in BY_NAME:
        # What is given takes precedence over what has the name.
        matches = [
            at for at, column in enumerate(columns) if column == name and at not in (*ignored, *places.values(), *rows)
        ]
        if not matches or name in places or (name == "row" and rows):
            continue
        at = find_column(name, f"for the {name}", columns, file)
        if name == "row":
            rows = (at,)
        else:
            places[name] = at
    if not rows or ("query" not in places and len(rows) < 2):
        raise TraceError(_unnamed(columns, header, "row" if "query" in places else "query", file))
    if len(rows) > 1 and "table" in places:
        raise TraceError(f"{file}: several columns of rows are tables of their own, so that there is no --table")
    if len(rows) > 1 and "weight" in places:
        raise TraceError(f"{file}: look-ups of several columns have no one weight; leave it out (--ignore)")
    used = [*places.values(), *rows]
    for at in used:
        if used.count(at) > 1:
            raise TraceError(f"{file}: column {columns[at]!r} cannot be two things at once")
        if at in ignored:
            raise TraceError(f"{file}: column {columns[at]!r} is to be read and to be ignored")
    _check_slips(columns, {*used, *ignored}, places, file)
    names = tuple(columns[at] if header else f"column {columns[at]}" for at in rows) if len(rows) > 1 else ()
    query, table, weight, time = map(places.get, ("query", "table", "weight", "time"))
    return ChosenColumns(query, rows, table, weight, time, names)


def _listing(columns: Sequence[str]) -> str:
    shown = [name or "(no name)" for name in columns]
    more = f" and {len(shown) - 12} more" if len(shown) > 12 else ""
    return ", ".join(shown[:12]) + more


def _unnamed(columns: Sequence[str], header: bool, role: str, file: str) -> str:
    """Say that nothing tells which column is the query's, or the row's."""
    if not header:
        numbers = "--query 1 --row 2" if len(columns) > 1 else "--basket"
        return (
            f"{file}: its first line names no columns, and has {len(columns)}; say which are the query and the row, such as by "
            f"{numbers}, or give --basket where each line is a basket"
        )
    other = "row" if role == "query" else "query"
    what = f"column {role!r} is read as another thing" if role in columns else f"no column {role!r} for the {role}"
    return f"{file}: {what}; say which it is by --{role} COLUMN (and --{other}); columns: {_listing(columns)}"


def find_column(name: str, what: str, columns: Sequence[str], file: str) -> int:
    """Return the column of a name, or of a number from 1 on."""
    matches = [at for at, column in enumerate(columns) if column == name]
    if len(matches) > 1:
        raise TraceError(f"{file}: column {name!r} is there twice; give its number; columns: {_listing(columns)}")
    if matches:
        return matches[0]
    if name.isdecimal() and 1 <= int(name) <= len(columns):
        return int(name) - 1
    if name.isdecimal():
        raise TraceError(f"{file}: no column {name} {what}; it has columns 1 to {len(columns)}")
    raise TraceError(f"{file}: no column {name!r} {what}; {choices(name, columns)}")


def find_columns(text: str, what: str, columns: Sequence[str], file: str) -> tuple[int, ...]:
    """Return columns: a name, a number, a range of numbers, or several with commas between."""
    if text in columns or "," not in text:
        ends = re.fullmatch(r"(\d{1,6})-(\d{1,6})", text)
        if text in columns or ends is None:
            return (find_column(text, what, columns, file),)
        low, high = (find_column(end, what, columns, file) for end in ends.groups())
        if low > high:
            raise TraceError(f"{file}: columns {text} run backwards")
        return tuple(range(low, high + 1))
    return tuple(place for column in text.split(",") for place in find_columns(column.strip(), what, columns, file))


def _check_slips(columns: Sequence[str], used: set[int], places: dict[str, int], file: str) -> None:
    """Refuse a column that is left unread for what looks like a slip of the pen."""
    unread = [name for name in ("table", "weight") if name not in places]
    for at, name in enumerate(columns):
        near = difflib.get_close_matches(name.lower(), unread, n=1, cutoff=ALIKE) if at not in used else []
        if near:
            raise TraceError(
                f"{file}: column {name!r} is not read; did you mean {near[0]}? Give --{near[0]} {name} or --ignore {name}"
            )
