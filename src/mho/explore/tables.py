"""All designs of an exploration as tables, CSV and Parquet, written as they are read: memory does not grow with their number."""

from __future__ import annotations

import csv
import io
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mho.files.writing import refusal, refuse_others

CSV, PARQUET = "designs.csv", "designs.parquet"
ROWS = 10_000
"""Rows that are held at a time."""


def write_tables(
    folder: Path, points: Iterable[Mapping[str, Any]], keys: Mapping[str, type], fields: Iterable[str]
) -> None:
    """Write designs.csv and designs.parquet into a folder: number, values by key, figures in SI units, refused, breaks.

    keys: of the values, each with the type that all its values have. Both files appear whole or not at all. OutputError names the
    path that cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {int: pa.int64(), float: pa.float64(), str: pa.string()}
    schema = pa.schema(
        [
            ("number", pa.int64()),
            *((key, kinds[kind]) for key, kind in keys.items()),
            *((name, pa.float64()) for name in fields),
            ("refused", pa.string()),
            ("breaks", pa.string()),
        ]
    )
    part = {name: folder / f".{name}.part" for name in (CSV, PARQUET)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in part:
            refuse_others(folder / name)
        with (
            part[CSV].open("w", encoding="utf-8", newline="") as stream,
            pq.ParquetWriter(part[PARQUET], schema) as writer,
        ):
            stream.write(_line(schema.names))
            for rows in _batches(points):
                lines = [_row(point, keys, schema.names) for point in rows]
                stream.writelines(map(_line, lines))
                columns = [
                    pa.array(column, kind) for column, kind in zip(zip(*lines, strict=True), schema.types, strict=True)
                ]
                writer.write_table(pa.Table.from_arrays(columns, schema=schema))
        for name, path in part.items():
            os.replace(path, folder / name)
    except OSError as error:
        raise refusal(folder, error) from None
    finally:
        for path in part.values():
            path.unlink(missing_ok=True)


def kind_of(values: Iterable[Any]) -> type:
    """Return the type that holds all values of a key: whole numbers, numbers, or else words."""
    kinds = {type(value) for value in values}
    return int if kinds == {int} else float if kinds <= {int, float} else str


def _row(point: Mapping[str, Any], keys: Mapping[str, type], names: Iterable[str]) -> list[Any]:
    values = {key: keys[key](value) for key, value in point["values"].items()}
    cells = {**point, **values, "breaks": " ".join(point["breaks"]) or None}
    return [cells[name] for name in names]


def _line(cells: Iterable[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def _batches(points: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    rest = iter(points)
    while rows := list(itertools.islice(rest, ROWS)):
        yield rows


__all__ = ["CSV", "PARQUET", "kind_of", "write_tables"]
