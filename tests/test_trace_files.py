"""Reading and writing traces: every format gives the same, in one piece or in chunks of any size."""

from __future__ import annotations

import tempfile
import tracemalloc
import zipfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.errors import OutputError, TraceError
from mho.network.trace import Trace, join, minimum_frequency, read, stream, synthesise
from tests.trace_files import FORMATS, assert_same, traces, write, write_columns


@settings(max_examples=40)
@given(traces(), st.sampled_from(FORMATS))
def test_a_trace_comes_back_from_every_format_as_it_was(trace: Trace, suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"trace{suffix}"
        write(trace, path)
        found = read(path, rows=trace.rows)
        assert_same(found, trace)
        assert found.origin == ("drawn" if suffix == ".npz" else path.name)


@settings(max_examples=60)
@given(traces(empty=True), st.integers(1, 60))
def test_chunks_of_any_size_join_to_the_whole(trace: Trace, chunk: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.npz"
        trace.save(path)
        chunks = list(stream(path, chunk))
        assert_same(join(chunks), trace, origin=True)
        seen: set[int] = set()
        for each in chunks:
            mine = set(each.queries.tolist())
            assert not mine & seen, "a query is in two chunks"
            assert len(mine) == 1 or max(each.lookups, each.bags) <= chunk
            seen |= mine
        for one, other in pairwise(chunks):
            first = other.queries == other.queries[0]
            together = max(one.lookups + other.lengths[first].sum(), one.bags + first.sum())
            assert together > chunk, "a chunk could have held another query"


@settings(max_examples=40)
@given(traces(), st.integers(1, 60), st.sampled_from(FORMATS), st.booleans())
def test_streams_of_every_format_equal_what_is_read_whole(trace: Trace, chunk: int, suffix: str, compact: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"trace{suffix}"
        if compact and len(set(trace.tables.tolist())) < len(trace.rows):
            trace = trace.select(np.flatnonzero(trace.tables == 0))
            trace = Trace(trace.rows[:1], trace.offsets, trace.indices, trace.tables, trace.queries, "one table")
        write(trace, path)
        options = {"compact": True} if compact else {"rows": trace.rows}
        whole = read(path, **options)  # type: ignore[arg-type]
        assert_same(join(stream(path, chunk, **options)), whole, origin=True)  # type: ignore[arg-type]


@pytest.mark.parametrize("suffix", [".npz", ".csv", ".parquet"])
def test_blocks_of_a_file_that_is_longer_than_one_are_put_together(tmp_path: Path, suffix: str) -> None:
    made = synthesise(4000, (500, 70), (4, 2), seed=1)
    path = tmp_path / f"trace{suffix}"
    write(made, path)
    for chunk in (700, 5000, 20_000):
        chunks = list(stream(path, chunk, rows=made.rows))
        assert len(chunks) >= made.lookups // chunk
        found = join(chunks)
        assert (found.rows, found.lookups) == (made.rows, made.lookups)
        np.testing.assert_array_equal(found.flat, made.flat)
        np.testing.assert_array_equal(found.offsets, made.offsets)
        np.testing.assert_array_equal(found.queries, made.queries)


def test_the_memory_of_a_stream_does_not_grow_with_the_file(tmp_path: Path) -> None:
    peaks = []
    for queries in (30_000, 240_000):
        path = tmp_path / f"{queries}.npz"
        made = synthesise(queries, 100, 4, popularity="uniform", lengths="fixed", seed=0)
        made.save(path)
        del made
        tracemalloc.start()
        assert sum(part.lookups for part in stream(path, 5000)) == 4 * queries
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # Eight times the look-ups; the shorter file alone has 24 chunks, so that both see the most that there is.
    assert peaks[1] < 1.5 * peaks[0]
    assert peaks[1] < 4 * 240_000 * 4, "as much as the indices alone would take"


@pytest.mark.parametrize("suffix", [".npz", ".csv", ".parquet"])
def test_arbitrary_ids_are_renumbered_and_remembered(tmp_path: Path, suffix: str) -> None:
    generator = np.random.default_rng(5)
    ids = np.sort(generator.choice(2**60, 50, replace=False))
    row = generator.integers(0, 50, 400)
    row[:50] = np.arange(50)
    path = tmp_path / f"trace{suffix}"
    if suffix == ".npz":
        np.savez(path, offsets=np.arange(0, 401, 4), indices=ids[row])
    else:
        write_columns({"query": np.repeat(np.arange(100), 4), "row": ids[row]}, path)
    for found in (read(path, compact=True), join(stream(path, 30, compact=True))):
        assert found.rows == (50,)
        np.testing.assert_array_equal(found.indices, row)
        np.testing.assert_array_equal(found.original(), ids)
    with pytest.raises(TraceError, match="compact"):
        read(path)


def test_ids_survive_filter_saving_and_renumbering_again(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    row = np.array([700, 10, 700, 10, 30, 700, 10, 900])
    write_columns({"query": np.arange(8), "row": row}, path)
    kept = minimum_frequency(read(path, compact=True), 2)
    kept.save(tmp_path / "kept.npz")
    found = read(tmp_path / "kept.npz", compact=True)
    np.testing.assert_array_equal(found.original()[found.indices], [700, 10, 700, 10, 700, 10])
    assert_same(Trace.load(tmp_path / "kept.npz"), kept, origin=True)


def test_rows_reach_to_the_highest_looked_up_where_nothing_tells_them(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    write_columns({"query": [0, 0, 1], "table": [0, 1, 0], "row": [4, 6, 2]}, path)
    assert read(path).rows == (5, 7)
    assert [part.rows for part in stream(path, 1)] == [(5, 7)] * 2
    assert read(path, rows=(5, 9)).rows == (5, 9)


def test_columns_go_by_other_names_and_others_can_be_ignored(tmp_path: Path) -> None:
    path = tmp_path / "trace.parquet"
    write_columns({"session": [1, 1, 5], "item": [3, 3, 0], "count": [1.0, 2.0, 255.0], "time": [9, 9, 9]}, path)
    found = read(path, query="session", row="item", weight="count", ignored=("time",))
    assert found.queries.tolist() == [1, 5]
    assert found.indices.tolist() == [3, 3, 0]
    assert found.weights is not None and found.weights.tolist() == [1, 2, 255]


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_arrays_of_bags_and_rows_are_sorted_by_bag_without_changing_the_order_within_one(seed: int) -> None:
    generator = np.random.default_rng(seed)
    count = int(generator.integers(1, 80))
    user, item = generator.integers(-3, 12, count), generator.integers(0, 30, count)
    weight = generator.integers(1, 9, count)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pairs.npz"
        np.savez(path, user=user.astype(np.int16), item=item, times=weight, note=np.array("not read"))
        found = read(path, bag="user", row="item", weight="times")
        assert_same(join(stream(path, 5, bag="user", row="item", weight="times")), found, origin=True)
    wanted: dict[int, list[tuple[int, int]]] = {}
    for who, what, often in zip(user.tolist(), item.tolist(), weight.tolist(), strict=True):
        wanted.setdefault(who, []).append((what, often))
    assert found.queries.tolist() == sorted(wanted)
    assert found.weights is not None
    for bag, who in enumerate(sorted(wanted)):
        held = slice(found.offsets[bag], found.offsets[bag + 1])
        assert list(zip(found.indices[held].tolist(), found.weights[held].tolist(), strict=True)) == wanted[who]


def test_saving_is_whole_or_not_at_all_and_the_same_bytes_again(tmp_path: Path) -> None:
    made = synthesise(50, 20, 3, seed=2)
    made.save(tmp_path / "one.npz")
    made.save(tmp_path / "two.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"one.npz", "two.npz"}
    (tmp_path / "folder.npz").mkdir()
    for path in ("folder.npz", "there/is/none.npz", "trace.csv"):
        with pytest.raises(OutputError, match=Path(path).name):
            made.save(tmp_path / path)
    assert {path.name for path in tmp_path.iterdir()} == {"one.npz", "two.npz", "folder.npz"}


def test_a_made_up_trace_says_so_after_it_was_saved(tmp_path: Path) -> None:
    made = synthesise(50, 20, 3, seed=2)
    made.save(tmp_path / "made.npz")
    found = read(tmp_path / "made.npz")
    assert found.synthetic
    assert found.origin == made.origin
    assert all(each.synthetic for each in stream(tmp_path / "made.npz", 10))


def test_nothing_but_the_arrays_of_the_trace_is_read(tmp_path: Path) -> None:
    path = tmp_path / "trace.npz"
    np.savez(path, indptr=np.array([0, 2]), indices=np.array([1, 0]), other=np.array([{"a": 1}], dtype=object))
    assert read(path).indices.tolist() == [1, 0]
    with zipfile.ZipFile(path) as archive:
        assert "other.npy" in archive.namelist()


@pytest.mark.parametrize(
    ("file", "options", "bags", "lookups", "rows"),
    [
        ("gowalla_train.npz", {}, 29858, 810128, 40981),
        ("groceries_baskets.npz", {}, 9835, 43367, 169),
        ("amazon_beauty_seq.npz", {"compact": True}, 40226, 353962, 54542),
        ("ml1m.npz", {"bag": "user", "row": "item", "compact": True}, 6040, 1000209, 3706),
    ],
)
def test_real_traces_are_as_published(
    data: Path, file: str, options: dict[str, object], bags: int, lookups: int, rows: int
) -> None:
    found = read(data / "recsys" / file, **options)  # type: ignore[arg-type]
    assert (found.bags, found.lookups, found.rows) == (bags, lookups, (rows,))
    assert_same(join(stream(data / "recsys" / file, 100_000, **options)), found, origin=True)  # type: ignore[arg-type]
