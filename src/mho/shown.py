"""What a result or a part says of itself: a few lines in Python, a small table in a notebook, columns for pandas."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from html import escape
from types import SimpleNamespace
from typing import Any

from mho.errors import OptionError, choices

Columns = dict[str, list[Any]]
"""A table by columns, all of one length; pandas.DataFrame takes it as it is."""
LONGEST = 60
"""Characters of one value in a line."""
SHORTEST = 3
"""Members of a collection up to which they are written out, where they are short themselves."""


class Shown:
    """Gives a class short texts and its tables.

    print(report)                      a few lines
    report                             in a notebook: the same as a small table
    report.frame("energy")             a table by columns: pandas.DataFrame(report.frame("energy"))

    A class says what it is by `headline`, what is most asked for by `facts`, and names its tables by `frames`, the
    first of which is the one where no name is given.
    """

    def headline(self) -> str:
        """Say in a line what this is."""
        return f"{type(self).__name__}({', '.join(_fields(self))})"

    def facts(self) -> Sequence[tuple[str, str]]:
        """Return what is most asked for: names and values as people write them."""
        return ()

    def frames(self) -> Mapping[str, Callable[[], Columns]]:
        """Return what `frame` gives, by name."""
        return {}

    def frame(self, table: str | None = None) -> Columns:
        """Return a table by columns, the first where no name is given. OptionError for a table that there is not."""
        known = self.frames()
        name = next(iter(known), "") if table is None else table
        if name not in known:
            has = f"no table {name!r}; {choices(name, known)}" if known else "no tables"
            raise OptionError(f"{type(self).__name__} has {has}")
        return known[name]()

    def __repr__(self) -> str:
        """Say it in a few lines."""
        facts = self.facts()
        width = max((len(name) for name, _ in facts), default=0)
        return "\n".join([self.headline(), *(f"  {name:<{width}}  {value}" for name, value in facts)])

    def _repr_html_(self) -> str:
        """Say it in a notebook."""
        rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in self.facts())
        return f"<div><b>{escape(self.headline())}</b>{f'<table>{rows}</table>' if rows else ''}</div>"


def _fields(shown: object) -> list[str]:
    """Return the fields of a dataclass, none of them long."""
    if not is_dataclass(shown):
        return []
    return [f"{field.name}={_short(getattr(shown, field.name))}" for field in fields(shown) if field.repr]


def _short(value: object) -> str:
    shape = getattr(value, "shape", None)
    if shape:
        return f"<{getattr(value, 'dtype', 'array')} {shape}>"
    if isinstance(value, Mapping | tuple | list) and len(value) > SHORTEST:
        return f"<{len(value)} of {type(value).__name__}>"
    text = repr(value)
    return text if len(text) <= LONGEST and "\n" not in text else f"<{type(value).__name__}>"


def columns(records: Iterable[Mapping[str, Any]]) -> Columns:
    """Turn records into columns. A mapping within becomes columns of its own, named by dots; what a record lacks is None."""
    rows = [dict(_flat("", record)) for record in records]
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _flat(prefix: str, record: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from _flat(f"{prefix}{name}.", value)
        else:
            yield f"{prefix}{name}", value


def csv_text(table: Columns) -> str:
    """Write columns as CSV (RFC 4180, but lines end as on Unix): a line of names first; None is an empty field."""
    lines: list[str] = []
    writer = csv.writer(SimpleNamespace(write=lines.append))
    writer.writerow(table)
    writer.writerows(zip(*table.values(), strict=True))
    return "".join(f"{line.removesuffix(writer.dialect.lineterminator)}\n" for line in lines)
