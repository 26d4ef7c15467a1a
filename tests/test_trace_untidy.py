"""Click logs as they lie around: whatever separates their fields, however ids are written, in whatever order lines come."""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.errors import TraceError
from mho.network.trace import Trace, align, join, minimum_frequency, read, stream
from mho.network.trace import lines as line_files
from tests.trace_files import assert_same, columns, traces

few = settings(max_examples=25)
Bags = list[tuple[int, list[Any]]]
BASE = "query,row\n1,5\n1,7\n2,5\n3,9\n"
THREE: Bags = [(1, [5, 7]), (2, [5]), (3, [9])]


def bags(trace: Trace) -> Bags:
    """Return the query of each bag, and what its rows are called in the file."""
    ids = [trace.original(table).tolist() for table in range(len(trace.rows))]
    return [
        (query, [ids[table][row] for row in trace.indices[start:stop].tolist()])
        for query, table, start, stop in zip(
            trace.queries.tolist(), trace.tables.tolist(), trace.offsets, trace.offsets[1:], strict=False
        )
    ]


def read_both(path: Path, **options: Any) -> Trace:
    """Read a file whole and in chunks, which must be the same."""
    whole = read(path, **options)
    for chunk in (1, 3):
        assert_same(join(stream(path, chunk, **options)), whole, origin=True)
    return whole


CASES: dict[str, tuple[str | bytes, dict[str, Any], Bags]] = {
    "plain.csv": (BASE, {}, THREE),
    "bom.csv": (b"\xef\xbb\xbf" + BASE.encode(), {}, THREE),
    "crlf.csv": (BASE.replace("\n", "\r\n"), {}, THREE),
    "cr.csv": (BASE.replace("\n", "\r"), {}, THREE),
    "semicolon.csv": (BASE.replace(",", ";"), {}, THREE),
    "tabs.csv": (BASE.replace(",", "\t"), {}, THREE),
    "bars.txt": (BASE.replace(",", "|"), {}, THREE),
    "spaces.txt": (BASE.replace(",", "   ").replace("\n", " \n"), {}, THREE),
    "colons.dat": (BASE.replace(",", "::"), {}, THREE),
    "given.txt": (BASE.replace(",", "~~"), {"separator": "~~"}, THREE),
    "quoted.csv": ('"query","row"\n"1","5"\n"1","7"\n"2","5"\n', {}, [(1, [5, 7]), (2, [5])]),
    "floats.csv": ("query,row\n1.0,5.0\n2.0,5.0\n", {}, [(1, [5]), (2, [5])]),
    "hashes.csv": ("query,row\n1,68fd1e64\n2,80e26c9b\n", {}, [(1, ["68fd1e64"]), (2, ["80e26c9b"])]),
    "late text.csv": ("query,row\n1,7\n1,07\n2,x\n", {}, [(1, ["7", "07"]), (2, ["x"])]),
    "text queries.csv": ("query,row\nb,5\nb,7\na,5\n", {}, [(0, [5, 7]), (1, [5])]),
    "unsorted.csv": ("query,row\n2,5\n1,7\n2,6\n", {}, [(0, [5, 6]), (1, [7])]),
    "grouped_not_rising.csv": ("query,row\n9,5\n9,7\n2,6\n", {}, [(0, [5, 7]), (1, [6])]),
    "no_header.csv": ("1,5\n1,7\n2,5\n", {"query": "1", "row": "2"}, [(1, [5, 7]), (2, [5])]),
    "numbered.csv": ("session,item\n1,5\n1,7\n", {"query": "1", "row": "2"}, [(1, [5, 7])]),
    "text, no header.csv": ("a,5\na,7\nb,5\n", {"query": "1", "row": "2"}, [(0, [5, 7]), (1, [5])]),
    "swapped.csv": ("row,query\n5,1\n7,1\n", {}, [(1, [5, 7])]),
    "empty_field.csv": ("query,row\n1,5\n1,\n", {"skip_missing": True}, [(1, [5])]),
    "NULLs.csv": ("query,row\n1,a\nNULL,b\n2,\\N\n3,c\n", {"skip_missing": True}, [(1, ["a"]), (3, ["c"])]),
    "blank lines.csv": ("\nquery,row\n1,5\n\n1,7\n\n", {}, [(1, [5, 7])]),
    "huge.csv": ("query,row\n1,18446744073709551615\n", {}, [(1, ["18446744073709551615"])]),
    "negative.csv": ("query,row\n1,-5\n1,3\n", {"compact": True}, [(1, [-5, 3])]),
    "twice.csv": ("query,row\n1,5\n1,5\n2,7\n", {}, [(1, [5, 5]), (2, [7])]),
    "trailing_comma.csv": ("query,row,\n1,5,\n", {}, [(1, [5])]),
    "trailing, but not in the header.csv": ("query,row\n1,5,\n1,6,\n", {}, [(1, [5, 6])]),
    "leading_zeros.csv": ("query,row\n001,0005\n002,0007\n", {}, [(1, [5]), (2, [7])]),
    "exponent.csv": ("query,row\n1,1e3\n1,1E+05\n", {}, [(1, [1000, 100_000])]),
    "other columns.csv": ("query,title,row\n1,a; b,5\n1,,7\n", {}, [(1, [5, 7])]),
    "not_gz.csv.gz": (BASE, {}, THREE),
    "twice_gz.csv.gz": (gzip.compress(BASE.encode()), {}, THREE),
    "gz without its name.csv": (gzip.compress(BASE.encode()), {}, THREE),
    "baskets.csv": ("bread,butter\nmilk\n", {"basket": True}, [(0, ["bread", "butter"]), (1, ["milk"])]),
    "baskets, ragged.csv": ('1,2,,\n"3,5",4\n\n2\n', {"basket": True}, [(0, ["1", "2"]), (1, ["3,5", "4"]), (2, ["2"])]),
    "baskets.dat": ("1 2 3 \n4 \n", {"basket": True}, [(0, [1, 2, 3]), (1, [4])]),
    "baskets with a header.csv": ("items\n1,2\n3,4\n", {"basket": True, "header": True}, [(0, [1, 2]), (1, [3, 4])]),
    "users.txt": ("7 1 2\n3 9\n7 4\n", {"basket": True, "query": "1"}, [(0, [1, 2, 4]), (1, [9])]),
    "ratings.dat": (
        "1::1193::5::978302109\n1::661::3::978300760\n2::1193::4::978298413\n",
        {"query": "1", "row": "2", "time": "4"},
        [(0, [1193]), (1, [661, 1193])],
    ),
    "clicks.dat": (
        "2,2014-04-07T13:56:37.614Z,214662742,0\n1,2014-04-07T10:54:09.868Z,214536500,0\n1,2014-04-07T10:51:09.277Z,214536502,0\n",
        {"query": "1", "row": "3", "time": "2", "compact": True},
        [(1, [214536502, 214536500]), (2, [214662742])],
    ),
    "views.csv": (
        "sessionId;userId;itemId;timeframe;eventdate\n1;NA;81766;526309;2016-05-09\n1;NA;31331;1031018;2016-05-09\n",
        {"query": "sessionId", "row": "itemId", "time": "timeframe"},
        [(1, [81766, 31331])],
    ),
    "events.csv": (
        "event_time,product_id,user_session\n2019-10-01 00:00:04 UTC,44,x-9\n2019-10-01 00:00:00 UTC,39,x-9\n",
        {"query": "user_session", "row": "product_id", "time": "event_time"},
        [(0, [39, 44])],
    ),
    "criteo.txt": (
        "0\t1\t68fd1e64\t80e26c9b\n1\t\t287e684f\t\n0\t5\t68fd1e64\t0a519c5c\n",
        {"row": "3-4", "skip_missing": True},
        [(0, ["68fd1e64"]), (0, ["80e26c9b"]), (1, ["287e684f"]), (2, ["68fd1e64"]), (2, ["0a519c5c"])],
    ),
    "tables.csv": ("C1,C2,y\n4,b,0\n5,a,1\n", {"row": "C1,C2"}, [(0, ["4"]), (0, ["b"]), (1, ["5"]), (1, ["a"])]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_logs_as_they_lie_around(tmp_path: Path, name: str) -> None:
    text, options, wanted = CASES[name]
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert bags(read_both(path, **options)) == wanted


@few
@given(
    traces(),
    st.sampled_from([",", ";", "\t", "|", "::", " "]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_the_same_look_ups_in_other_clothes_are_the_same(
    trace: Trace, separator: str, end: str, header: bool, quoted: bool, mark: bool
) -> None:
    held = columns(trace)
    fields = [list(map(str, record)) for record in zip(*(each.tolist() for each in held.values()), strict=True)]
    quote = '"' if quoted and separator != " " else ""
    lines = [list(held)] * header + fields
    text = "".join(separator.join(f"{quote}{each}{quote}" for each in line) + end for line in lines)
    numbers = {} if header else {name: str(at + 1) for at, name in enumerate(held)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.txt"
        path.write_bytes((b"\xef\xbb\xbf" if mark else b"") + text.encode())
        assert_same(read_both(path, rows=trace.rows, **numbers), trace)


@few
@given(traces(), st.integers(0, 2**32 - 1), st.sampled_from([".csv", ".parquet"]), st.booleans())
def test_lines_in_any_order_are_put_in_that_of_their_times(trace: Trace, seed: int, suffix: str, dates: bool) -> None:
    held = columns(trace)
    count = trace.lookups
    held["when"] = np.arange(count) * 60
    order = np.random.default_rng(seed).permutation(count)
    table = {name: np.asarray(values)[order] for name, values in held.items()}
    if dates:
        table["when"] = np.datetime64("2014-04-07T00:00:00") + table["when"].astype("timedelta64[s]")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"log{suffix}"
        if suffix == ".parquet":
            pq.write_table(pa.table(table), path, row_group_size=7)
        else:
            rows = zip(*(np.asarray(values).astype(str).tolist() for values in table.values()), strict=True)
            path.write_text("\n".join(",".join(row) for row in [tuple(table), *rows]) + "\n")
        # In order, tables of a query rise, as those drawn do.
        assert_same(read_both(path, rows=trace.rows, time="when"), trace)


@few
@given(traces(most_tables=1), st.integers(0, 2**32 - 1))
def test_queries_that_do_not_stand_together_come_as_they_first_do(trace: Trace, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(trace.lookups)
    query, row = (columns(trace)[name][order].tolist() for name in ("query", "row"))
    wanted: dict[int, list[int]] = {}
    for who, what in zip(query, row, strict=True):
        wanted.setdefault(who, []).append(what)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.csv"
        path.write_text("query,row\n" + "".join(f"{who},{what}\n" for who, what in zip(query, row, strict=True)))
        assert [rows for _, rows in bags(read_both(path))] == list(wanted.values())


@few
@given(traces(), st.data(), st.sampled_from([".csv", ".parquet"]))
def test_ids_that_are_text_are_rows_by_name(trace: Trace, data: st.DataObject, suffix: str) -> None:
    letters = st.text(
        st.characters(codec="utf-8", exclude_characters='",\r\n\0\x1f', exclude_categories=("Z", "C")), min_size=1
    )
    word = letters.map(lambda each: f"i{each[:9]}")
    names = data.draw(st.lists(word, min_size=max(trace.rows), max_size=max(trace.rows), unique=True))
    held = columns(trace)
    text = [names[row] for row in held["row"].tolist()]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"log{suffix}"
        if suffix == ".parquet":
            pq.write_table(
                pa.table({"query": held["query"], "table": held["table"], "row": text}), path, row_group_size=7
            )
        else:
            each = zip(held["query"].tolist(), held["table"].tolist(), text, strict=True)
            path.write_text("query,table,row\n" + "".join(f"{q},{t},{r}\n" for q, t, r in each), encoding="utf-8")
        used = sorted(set(trace.tables.tolist()))
        if used != list(range(len(used))):
            with pytest.raises(TraceError, match="looked up nowhere"):
                read(path)
            return
        back = read_both(path)
        back.save(Path(folder) / "kept.npz")
        assert_same(read(Path(folder) / "kept.npz"), back, origin=True)
    calls = [
        (q, [names[row] for row in trace.indices[a:b].tolist()])
        for q, a, b in zip(trace.queries.tolist(), trace.offsets, trace.offsets[1:], strict=False)
    ]
    assert bags(back) == calls
    for table in range(len(back.rows)):
        assert back.original(table).tolist() == sorted({text[at] for at in np.flatnonzero(held["table"] == table)})
    kept = minimum_frequency(back, 1)
    assert bags(kept) == calls


def test_baskets_of_a_parquet_file_are_lists(tmp_path: Path) -> None:
    path = tmp_path / "baskets.parquet"
    pq.write_table(pa.table({"query": [1, 2, 3], "row": [["b", "a"], None, ["b"]]}), path)
    assert bags(read_both(path)) == [(1, ["b", "a"]), (3, ["b"])]


def test_two_files_number_rows_alike(tmp_path: Path) -> None:
    """What rows are called decides, and the order in which tables come does not."""
    (tmp_path / "one.csv").write_text("query,table,row\n1,shop,b\n1,film,x\n2,shop,d\n")
    (tmp_path / "two.csv").write_text("query,table,row\n1,film,y\n1,shop,d\n1,shop,a\n")
    one, two = read(tmp_path / "one.csv"), read(tmp_path / "two.csv")
    assert (one.names, two.names) == (("shop", "film"), ("film", "shop"))
    first, second = align(one, two)
    assert first.names == second.names and first.rows == second.rows == (3, 2)
    assert bags(first) == bags(one) and bags(second) == bags(two)
    (tmp_path / "three.csv").write_text("query,table,row\n1,shop,7\n1,film,8\n")
    with pytest.raises(TraceError, match="numbers in one of the files, by text"):
        align(one, read(tmp_path / "three.csv", compact=True))


def test_what_was_guessed_is_told(tmp_path: Path) -> None:
    path = tmp_path / "log.dat"
    path.write_text("2::5\n1::7\n2::6\n")
    origin = read(path, query="1", row="2").origin
    for word in ("log.dat", "'::'", "no header", "sorted by query"):
        assert word in origin


def test_what_must_be_sorted_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_files, "MOST_SORTED", 3)
    path = tmp_path / "log.csv"
    path.write_text("query,row\n1,5\n1,6\n2,7\n3,5\n")
    assert read(path).lookups == 4
    path.write_text("query,row\n1,5\n2,7\n1,6\n3,5\n")
    with pytest.raises(TraceError, match="more than 3 look-ups, too many to be sorted"):
        read(path)


def test_times_are_of_one_kind(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("query,row,t\n" + "1,5,2014-04-07\n" * 3 + "1,5,7\n")
    with pytest.raises(TraceError, match="line 5: time '7'"):
        read(path, time="t")


def test_no_refusal_speaks_another_programs_words(tmp_path: Path) -> None:
    good = gzip.compress(BASE.encode() * 999)
    kept = tmp_path / "good.parquet"
    pq.write_table(pa.table({"query": [1, 2], "row": [1, 2]}), kept)
    whole = kept.read_bytes()
    files = {
        "cut.csv.gz": good[:60], "damaged.csv.gz": good[:40] + b"\0\0\0\0" + good[44:],
        "cut.parquet": whole[: len(whole) // 2], "none.parquet": b"", "text.parquet": BASE.encode(),
        "text.npz": BASE.encode(), "none.npz": b"", "bytes.csv": b"\xff\xfe\xfd\n",
        "ragged.csv": b"query,row\n1,2\n1,2,3\n", "quote.csv": b'query,row\n1,"2\n1,3\n',
        "damaged.parquet": whole[:4] + bytes(len(whole) - 12) + whole[-8:],
    }  # fmt: skip
    for name, content in files.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(TraceError) as caught:
            read(path)
        said = str(caught.value).replace(str(path), "").lower()
        for word in (
            "arrow",
            "thrift",
            "magic",
            "zlib",
            "gzipped",
            "zip file",
            "errno",
            "parse error",
            "codec",
        ):
            assert word not in said, said
