"""Traces drawn at random, and files of them in every format."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from mho.network.trace import Trace

FORMATS = (".npz", ".csv", ".csv.gz", ".tsv", ".parquet")


@st.composite
def traces(draw: st.DrawFn, *, empty: bool = False, most_tables: int = 3) -> Trace:
    """Draw a trace in which each query has at most one bag in a table, tables rising; with `empty`, bags without look-ups too."""
    seed = draw(st.integers(0, 2**32 - 1))
    generator = np.random.default_rng(seed)
    rows = tuple(draw(st.lists(st.integers(1, 40), min_size=1, max_size=most_tables)))
    queries = np.cumsum(generator.integers(1, 4, draw(st.integers(1, 30)))) - 3
    here = generator.random((len(queries), len(rows))) < 0.7
    here[0, 0] = True
    query, table = np.nonzero(here)
    lengths = generator.integers(0 if empty else 1, 7, len(query))
    lengths[0] = max(lengths[0], 1)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    limits = np.repeat(np.asarray(rows)[table], lengths)
    weights = generator.integers(1, 256, offsets[-1]).astype(np.uint8) if draw(st.booleans()) else None
    return Trace(
        rows,
        offsets.astype(np.int64),
        generator.integers(0, limits).astype(np.int32),
        table.astype(np.int32),
        queries[query],
        "drawn",
        weights=weights,
    )


def columns(trace: Trace) -> dict[str, Any]:
    """Return a trace as columns, a line a look-up."""
    found = {
        "query": np.repeat(trace.queries, trace.lengths),
        "table": np.repeat(trace.tables, trace.lengths),
        "row": trace.indices,
    }
    return found if trace.weights is None else {**found, "weight": trace.weights}


def write(trace: Trace, path: Path) -> None:
    """Write a trace in the format that the path's name ends in."""
    if path.suffix == ".npz":
        trace.save(path)
        return
    write_columns(columns(trace), path)


def write_columns(held: dict[str, Any], path: Path) -> None:
    """Write columns as CSV or Parquet."""
    if path.suffix == ".parquet":
        pq.write_table(pa.table({name: pa.array(values) for name, values in held.items()}), path, row_group_size=16)
        return
    opener: Any = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wt", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t" if ".tsv" in path.suffixes else ",")
        writer.writerow(held)
        writer.writerows(zip(*(np.asarray(values).tolist() for values in held.values()), strict=True))


def assert_same(one: Trace, other: Trace, *, origin: bool = False) -> None:
    """Assert that two traces are the same look-up by look-up, in value and type."""
    assert (one.rows, one.names, one.synthetic) == (other.rows, other.names, other.synthetic)
    assert not origin or one.origin == other.origin
    for name in ("offsets", "indices", "tables", "queries", "weights"):
        mine, theirs = getattr(one, name), getattr(other, name)
        assert (mine is None) == (theirs is None), name
        if mine is not None:
            assert mine.dtype == theirs.dtype, name
            np.testing.assert_array_equal(mine, theirs, err_msg=name)
    assert (one.ids is None) == (other.ids is None)
    for mine, theirs in zip(one.ids or (), other.ids or (), strict=True):
        np.testing.assert_array_equal(mine, theirs)
