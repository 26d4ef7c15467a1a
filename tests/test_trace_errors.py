"""Every bad trace is refused with one line: the file, the place in it, and what is allowed."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mho.errors import TraceError
from mho.network.trace import Trace, join, minimum_frequency, minimum_length, read, stream, synthesise
from tests.trace_files import write_columns

GOOD = {"offsets": np.array([0, 2, 3]), "indices": np.array([4, 0, 2])}


def refused(path: Path, options: dict[str, Any], *words: str, chunk: int = 2) -> None:
    """Check that reading whole and in chunks refuse a file alike, in one line with all of the words."""
    said = []
    for attempt in (lambda: read(path, **options), lambda: list(stream(path, chunk, **options))):
        with pytest.raises(TraceError) as caught:
            attempt()
        said.append(str(caught.value))
    for text in said:
        assert "\n" not in text
        for word in (path.name, *words):
            assert word in text, text


NPZ: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]] = {
    "negative row": ({"indices": np.array([4, -1, 2])}, {}, ("bag 0, look-up 1", "row -1 is negative")),
    "past the table": ({"rows": np.array([4])}, {}, ("bag 0, look-up 0", "row 4 is outside 0 to 3")),
    "past n_items": ({"n_items": np.array(3)}, {}, ("bag 0, look-up 0", "outside 0 to 2")),
    "past the rows given": ({}, {"rows": 2}, ("bag 0, look-up 0", "outside 0 to 1")),
    "offsets fall": ({"offsets": np.array([0, 2, 1, 3])}, {}, ("bag 1", "fall")),
    "offsets start late": ({"offsets": np.array([1, 2, 3])}, {}, ("bag 0", "starts with 1")),
    "offsets end early": ({"offsets": np.array([0, 2])}, {}, ("ends with 2", "3 indices")),
    "offsets go beyond": ({"offsets": np.array([0, 2, 7])}, {}, ("bag 1", "7", "3 indices")),
    "no offsets": ({"offsets": np.array([], dtype=np.int64)}, {}, ("empty",)),
    "no look-ups": ({"offsets": np.array([0]), "indices": np.array([], dtype=int)}, {}, ("no look-ups",)),
    "no bags": ({"offsets": np.array([0]), "indices": np.array([], dtype=int), "rows": np.array([3])}, {}, ("no bags",)),
    "NaN weight": ({"weights": np.array([1.0, np.nan, 1])}, {}, ("look-up 1", "nan", "1 to 255")),
    "fractional weight": ({"weights": np.array([1, 1, 0.5])}, {}, ("look-up 2", "0.5", "1 to 255")),
    "zero weight": ({"weights": np.array([1, 0, 1])}, {}, ("look-up 1", "0 is no")),
    "negative weight": ({"weights": np.array([1, -3, 1])}, {}, ("look-up 1", "-3")),
    "large weight": ({"weights": np.array([1, 256, 1])}, {}, ("look-up 1", "256")),
    "text weight": ({"weights": np.array(["1", "1", "1"])}, {}, ("'weights'", "whole numbers")),
    "weights too few": ({"weights": np.array([1, 1])}, {}, ("'weights'", "of 2", "3 look-ups")),
    "queries fall": ({"queries": np.array([3, 1])}, {}, ("bag 1", "query 1", "must not fall")),
    "queries too few": ({"queries": np.array([3])}, {}, ("'queries'", "of 1", "2 bags")),
    "tables without queries": ({"tables": np.array([0, 0])}, {}, ("tables", "queries")),
    "table too high": (
        {"tables": np.array([0, 1]), "queries": np.array([0, 0]), "rows": np.array([5])}, {}, ("bag 1", "table 1 is outside"),
    ),
    "table negative": (
        {"tables": np.array([-1, -1]), "queries": np.array([0, 0])}, {}, ("bag 0", "table -1 is outside"),
    ),
    "table without look-ups": (
        {"tables": np.array([0, 2]), "queries": np.array([0, 0])}, {}, ("table 1 of 3", "looked up nowhere"),
    ),
    "misspelt": ({"weight": np.array([1, 1, 1])}, {}, ("'weight'", "weights")),
    "twice": ({"indptr": np.array([0, 3])}, {}, ("offsets", "indptr")),
    "missing": ({"indices": None, "items": np.array([1])}, {}, ("indices", "items, offsets")),
    "objects": ({"indices": np.array([1, 2, None], dtype=object)}, {}, ("'indices'", "integers")),
    "reals": ({"indices": np.array([1.0, 2.0, 3.0])}, {}, ("'indices'", "float64", "integers")),
    "two axes": ({"indices": np.array([[1, 2, 3]])}, {}, ("'indices'", "(1, 3)", "one axis")),
    "beyond 64 bits": ({"indices": np.array([1, 2, 2**64 - 1], dtype=np.uint64)}, {}, ("'indices'", str(2**64 - 1))),
    "empty origin": ({"origin": np.array([], dtype="U1")}, {}, ("'origin'", "of 0 values", "must hold one")),
    "two origins": ({"origin": np.array(["a", "b"])}, {}, ("'origin'", "of 2 values")),
    "no rows": ({"rows": np.array([0])}, {}, ("at least 1 row",)),
    "other rows given": ({"rows": np.array([9])}, {"rows": 8}, ("(9,)", "(8,)")),
    "bag without row": ({}, {"bag": "offsets"}, ("together",)),
    "unknown array": ({}, {"bag": "user", "row": "indices"}, ("no array 'user'", "indices")),
    "pairs of two lengths": ({"bag": np.array([1, 2])}, {"bag": "bag", "row": "indices"}, ("'indices'", "of 3", "of 2")),
    "pair weight": (
        {"bag": np.array([1, 1, 0]), "w": np.array([1, 1, 0])}, {"bag": "bag", "row": "indices", "weight": "w"}, ("look-up 2",),
    ),
    "pair row": ({"bag": np.array([1, 0, 0]), "r": np.array([-7, 1, 1])}, {"bag": "bag", "row": "r"}, ("look-up 0", "-7")),
    "rows and compact": ({}, {"rows": 9, "compact": True}, ("compact",)),
    "rows zero": ({}, {"rows": 0}, ("at least 1",)),
    "option of columns": ({}, {"query": "q"}, ("'query'", "bag, row, table, weight")),
}  # fmt: skip


@pytest.mark.parametrize("name", NPZ)
def test_bad_npz(tmp_path: Path, name: str) -> None:
    arrays, options, words = NPZ[name]
    path = tmp_path / "bad.npz"
    held = {key: value for key, value in {**GOOD, **arrays}.items() if value is not None}
    np.savez(path, **held)
    refused(path, options, *words)


CSV: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "empty": ("", {}, ("empty",)),
    "header alone": ("query,row\n", {}, ("no look-ups",)),
    "no such column": ("user,row\n1,2\n", {}, ("no column 'query'", "--query COLUMN", "user, row")),
    "named column": ("query,row\n1,2\n", {"row": "item"}, ("no column 'item'", "query, row")),
    "misspelt column": ("query,row,wieght\n1,2,3\n", {}, ("'wieght' is not read", "--weight wieght", "--ignore wieght")),
    "column twice": ("query,row,row\n1,2,3\n", {}, ("'row' is there twice",)),
    "two things": ("query,row\n1,2\n", {"row": "query", "query": "query"}, ("two things",)),
    "another thing": ("query,row\n1,2\n", {"row": "query"}, ("'query' is read as another thing", "--query")),
    "ignored in vain": ("query,row\n1,2\n", {"ignored": ["time"]}, ("no column 'time'",)),
    "ignored and read": ("query,row\n1,2\n", {"ignored": ["row"]}, ("'row'", "ignored")),
    "option of arrays": ("query,row\n1,2\n", {"bag": "query"}, ("'bag'", "query, table, row, weight")),
    "text and rows": ("query,row\n1,2\n1,shoe\n", {"rows": 5}, ("text", "--rows")),
    "fraction": ("query,row\n1,2\n1,2.5\n", {}, ("line 3", "row '2.5'", "--row")),
    "imprecise": ("query,row\n1,2\n1,1.8446744073709552e19\n", {}, ("line 3", "1.8446744073709552e19", "floating-point")),
    "nothing": ("query,row\n1,2\n1,\n", {}, ("line 3", "row is missing", "--skip-missing")),
    "null": ("query,row\nNULL,2\n1,3\n", {}, ("line 2", "query is missing", "--skip-missing")),
    "nothing among texts": ("query,row\n1,a\n\n1,\n", {}, ("line 4", "row is missing")),
    "beyond all rows": ("query,row\n1,3000000000\n", {}, ("row 3000000000", "--compact")),
    "rows beyond all": ("query,row\n1,3\n", {"rows": 10**20}, ("at most 134217728",)),
    "negative row": ("query,row\n1,2\n1,-2\n", {}, ("line 3", "row -2 is negative", "--compact")),
    "long text": ("query,row\n1,2\n1," + "x" * 300 + "\n", {}, ("line 3", "255 characters", "--row")),
    "open quote": ('query,row\n1,2\n1,"a\n2,b\n', {}, ("line 3", "quote does not end")),
    "time": ("query,row,t\n1,2,5\n1,3,soon\n", {"time": "t"}, ("line 3", "time 'soon'", "ISO 8601")),
    "no time": ("query,row,t\n1,2,5\n1,3,\n", {"time": "t"}, ("line 3", "time is missing")),
    "no such number": ("1,5\n2,7\n", {"query": "1", "row": "3"}, ("no column 3 for the row", "columns 1 to 2")),
    "no header": ("1,5\n2,7\n", {}, ("names no columns", "--query 1 --row 2", "--basket")),
    "header or not": ("anna,shoe\nbob,hat\n", {"query": "1", "row": "2"}, ("anna, shoe", "--header or --no-header")),
    "counted columns": ("0,1,2\n7,5,2\n", {"query": "1", "row": "2"}, ("0, 1, 2", "--header or --no-header")),
    "baskets": ("1,2,3\n4\n5,6\n", {"query": "1", "row": "2"}, ("line 2", "1 fields", "--basket")),
    "basket column": ("1,2,3\n4\n5,6\n", {"basket": True, "row": "2"}, ("no --row",)),
    "basket without a query": ("1 2 3\n4 2\n7\n", {"basket": True, "query": "2"}, ("line 3", "1 fields")),
    "letters apart": ("query,row\n1,2\n", {"separator": "a"}, ("--separator 'a'", "tab")),
    "tables and a table": ("table,a,b\n0,1,2\n", {"row": "a,b", "table": "table"}, ("--table",)),
    "range backwards": ("1,2,3\n4,5,6\n", {"row": "3-1"}, ("3-1", "backwards")),
    "JSON": ('{"query": 1}\n', {}, ("JSON",)),
    "of two lengths": ("query,row\n1,2\n\n1\n", {}, ("line 4", "1 fields", "2")),
    "past the table": ("query,row\n1,2\n1,7\n", {"rows": 7}, ("line 3", "row 7 is outside 0 to 6")),
    "far table": ("query,table,row\n1,0,2\n1,100000000,3\n", {}, ("table 1 of 100000001", "nowhere")),
    "table too high": ("query,table,row\n1,0,2\n1,4,3\n", {"rows": (9, 9)}, ("line 3", "table 4 is outside 0 to 1",)),
    "ragged, long": ("query,row\n1,2\n1,2,3\n", {}, ("line 3", "3 fields", "2")),
    "ragged, short": ("query,row\n1,2\n1\n", {}, ("line 3", "1 fields", "2")),
    "ragged, not UTF-8": ("query,row\n1,2\n1,2,\udcff3\n", {}, ("line 3", "3 fields", "2")),
    "NaN weight": ("query,row,weight\n1,2,1\n1,2,nan\n", {}, ("line 3", "weight is missing")),
    "fractional weight": ("query,row,weight\n1,2,1\n1,2,1.5\n", {}, ("line 3", "1.5", "1 to 255")),
    "zero weight": ("query,row,weight\n1,2,1\n1,2,0\n", {}, ("line 3", "1 to 255")),
    "text weight": ("query,row,weight\n1,2,1\n1,2,a\n", {}, ("line 3", "weight 'a'", "number")),
    "strange bytes": ("query,row\n1,2\n1,\udcff\n", {}, ("line 3",)),
    "strange header": ("query,\udcff\n1,2\n", {}, ()),
}  # fmt: skip


@pytest.mark.parametrize("name", CSV)
def test_bad_csv(tmp_path: Path, name: str) -> None:
    text, options, words = CSV[name]
    path = tmp_path / "bad.csv"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    refused(path, options, *words)


def test_lines_are_counted_over_blocks(tmp_path: Path) -> None:
    """A file that is read in several blocks names the line in the file, not in the block."""
    count = 30_000
    lines = [f"{number},{number % 90}" for number in range(count)]
    for bad, words in ((f"{count},1.5", "row '1.5'"), (f"{count},3,4", "3 fields"), (f"{count},", "row is missing")):
        path = tmp_path / "bad.csv"
        path.write_text("\n".join(["query,row", *lines, bad, f"{count + 1},1"]) + "\n")
        refused(path, {}, f"line {count + 2}", words, chunk=5000)


PARQUET: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "truth": ({"query": [1, 1], "row": [True, False]}, ("row", "bool", "whole numbers or text")),
    "real": ({"query": [1, 1], "row": [1.0, 2.5]}, ("record 1", "row '2.5'", "--row")),
    "missing value": ({"query": [1, 1], "row": [1, None]}, ("record 1", "row is missing")),
    "negative": ({"query": [1, 1], "row": [1, -4]}, ("record 1", "row -4 is negative")),
    "NaN weight": ({"query": [1, 1], "row": [1, 1], "weight": [1.0, float("nan")]}, ("record 1", "weight is missing")),
    "no rows": ({"query": pa.array([], pa.int64()), "row": pa.array([], pa.int64())}, ("no look-ups",)),
    "no column": ({"query": [1]}, ("no column 'row'", "query")),
}


@pytest.mark.parametrize("name", PARQUET)
def test_bad_parquet(tmp_path: Path, name: str) -> None:
    held, words = PARQUET[name]
    path = tmp_path / "bad.parquet"
    pq.write_table(pa.table({key: pa.array(values) for key, values in held.items()}), path)
    refused(path, {}, *words)


@pytest.mark.parametrize("suffix", [".npz", ".parquet", ".csv.gz"])
@pytest.mark.parametrize("part", [0.0, 0.3, 0.6, 0.9])
def test_truncated_files(tmp_path: Path, suffix: str, part: float) -> None:
    made = synthesise(3000, 500, 4, seed=0)
    path = tmp_path / f"cut{suffix}"
    if suffix == ".npz":
        made.save(path)
    else:
        write_columns({"query": np.repeat(made.queries, made.lengths), "row": made.indices}, path)
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    refused(path, {})


def test_a_member_that_promises_more_than_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "short.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for name, values in (("offsets", np.array([0, 10**12])), ("indices", np.arange(3))):
            held = io.BytesIO()
            np.save(held, values)
            data = held.getvalue()
            if name == "indices":
                data = data.replace(b"(3,), }           ", b"(1000000000000,), }")
                assert b"1000000000000" in data
            archive.writestr(f"{name}.npy", data)
    refused(path, {}, "'indices'", "ends early")


@pytest.mark.parametrize("content", [b"", b"junk", b"\x93NUMPY\x01\x00\xff\xff{"])
def test_a_member_that_is_no_array(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.npz"
    np.savez(path, indices=np.arange(3))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("offsets.npy", content)
    refused(path, {}, "not a whole .npz file", "'offsets.npy' is no array")


def test_a_damaged_byte(tmp_path: Path) -> None:
    path = tmp_path / "bad.npz"
    np.savez(path, offsets=np.array([0, 4000]), indices=np.arange(4000))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x55
    path.write_bytes(bytes(data))
    refused(path, {}, "not a whole .npz file")


def test_what_is_no_trace_file(tmp_path: Path) -> None:
    (tmp_path / "folder.npz").mkdir()
    refused(tmp_path / "folder.npz", {}, "is a folder")
    refused(tmp_path / "none.csv", {}, "no such file")
    for name, content, words in (
        ("trace", b"1 2", "--query 1 --row 2"),
        ("bytes.csv", b"1\0,2", "no text"),
        ("packed.csv", b"PK\x03\x04...", "zip archive"),
        ("sheet.csv", "query,row\n1,2\n".encode("utf-16"), "UTF-16"),
        ("named.csv", b"PAR1....", ".parquet"),
        ("latin.csv", b"query,row\n1,caf\xe9\n", "line 2"),
        ("latin.txt", b"caf\xe9,2\n", "--query"),
        ("trace.npz", b"not a zip", "not a whole .npz file"),
        ("trace.parquet", b"not parquet", "not a whole Parquet file"),
        ("trace.csv.gz", b"not gzip", "trace.csv.gz"),
        ("short.csv.gz", gzip.compress(b"query,row\n1,2\n" * 99)[:20], "short.csv.gz"),
    ):
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name, {}, words)


@pytest.mark.parametrize("chunk", [0, -1, 1.5, True])
def test_a_chunk_is_a_positive_whole_number(tmp_path: Path, chunk: Any) -> None:
    np.savez(tmp_path / "good.npz", **GOOD)  # type: ignore[arg-type]
    with pytest.raises(TraceError, match="chunk"):
        list(stream(tmp_path / "good.npz", chunk))


def trace() -> Trace:
    return Trace(
        (5,), np.array([0, 2, 3]), np.array([4, 0, 2], np.int32), np.zeros(2, np.int32), np.arange(2), "here"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        (lambda: minimum_frequency(trace(), 2), "no row of table table0 is looked up 2 times"),
        (lambda: minimum_frequency(trace(), 0), "at least 1"),
        (lambda: minimum_length(trace(), -1), "at least 1"),
        (lambda: trace().split(0.0), "0.0 of 2 queries"),
        (lambda: trace().split(1.0), "empty"),
        (lambda: trace().split(float("nan")), "empty"),
        (lambda: trace().split(0.1), "empty"),
        (lambda: join([]), "nothing to join"),
        (lambda: join([trace(), minimum_frequency(trace(), 1)]), "its tables are not those"),
        (lambda: synthesise(0, 5, 2), "queries are a whole number from 1"),
        (lambda: synthesise(5, (5, 0), 2), "rows are a whole number from 1"),
        (lambda: synthesise(5, 5, 0.5), "at least 1"),
        (lambda: synthesise(5, 5, float("inf")), "at least 1"),
        (lambda: synthesise(5, 5, 1e308), "at most 67108864"),
        (lambda: synthesise(10**20, 5, 2), "from 1 to 67108864"),
        (lambda: synthesise(5, (60_000_000, 60_000_000), 2), "at most 67108864"),
        (lambda: synthesise(5, 5, 1.5, lengths="fixed"), "whole number where fixed"),
        (lambda: synthesise(5, 5, 2, lengths="normal"), "fixed, geometric, poisson"),
        (lambda: synthesise(5, (5, 5), (2, 2, 2)), "2 tables, but 3 mean lengths"),
        (lambda: synthesise(5, 5, 2, popularity="zipf:x"), "'x'"),
        (lambda: synthesise(5, 5, 2, popularity="zipf:-1"), "at least 0"),
        (lambda: synthesise(5, 5, 2, popularity="pareto"), "'pareto' is no law"),
        (lambda: synthesise(5, 5, 2, popularity="reuse:meta"), "meta-dlrm-2021"),
    ],
)
def test_what_cannot_be_done_with_a_trace(attempt: Callable[[], object], words: str) -> None:
    with pytest.raises(TraceError) as caught:
        attempt()
    assert words in str(caught.value)
