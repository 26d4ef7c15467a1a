"""Clicks: what every reader keeps, what is learnt on the records to train on alone, and what is refused with its place."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mho.errors import OptionError, TraceError
from mho.network.clicks import FOLDS, Clicks
from mho.network.clicks.clicks import drawn_folds
from mho.network.clicks.fields import buckets, categories
from tests.click_logs import synthetic_clicks, write_log
from tests.fuzz import alter

FORMATS = (".csv", ".csv.gz", ".tsv", ".parquet")


def values_of(clicks: Clicks) -> np.ndarray:
    """Return what each field of each record is called."""
    assert clicks.ids is not None
    return np.stack([ids[clicks.x[:, at]] for at, ids in enumerate(clicks.ids)], axis=1)


@given(seed=st.integers(0, 1000), suffix=st.sampled_from(FORMATS))
def test_a_log_in_any_format_holds_the_same_clicks(seed, suffix, tmp_path_factory):
    clicks = synthetic_clicks(200, (9, 4), seed=seed)
    path = tmp_path_factory.mktemp("log") / f"log{suffix}"
    write_log(path, clicks)
    read = Clicks.load(path, fold="split", least=1)
    assert read.names == clicks.names
    np.testing.assert_array_equal(read.y, clicks.y)
    np.testing.assert_array_equal(read.fold, clicks.fold)
    seen = [set(clicks.train.x[:, at].tolist()) for at in range(clicks.fields)]
    for at, name in enumerate(clicks.names):
        expected = [f"{name}={x}" if x in seen[at] else "(unknown)" for x in clicks.x[:, at].tolist()]
        assert values_of(read)[:, at].tolist() == expected


@given(seed=st.integers(0, 1000))
def test_clicks_come_back_from_their_file(seed, tmp_path_factory):
    clicks = synthetic_clicks(50, (9, 4), seed=seed)
    clicks = replace(clicks, ids=tuple(np.arange(rows).astype(str) for rows in clicks.rows))
    path = tmp_path_factory.mktemp("npz") / "clicks.npz"
    clicks.save(path)
    read, first = Clicks.load(path), path.read_bytes()
    assert (read.rows, read.names, read.origin, read.synthetic) == (clicks.rows, clicks.names, clicks.origin, True)
    for name in ("x", "y", "fold"):
        np.testing.assert_array_equal(getattr(read, name), getattr(clicks, name))
    np.testing.assert_array_equal(values_of(read), values_of(clicks))
    read.save(path)
    assert path.read_bytes() == first


@given(seed=st.integers(0, 1000), records=st.integers(20, 300), least=st.integers(1, 5))
def test_categories_have_rows_by_their_frequency_in_the_records_to_train_on(seed, records, least):
    random = np.random.default_rng(seed)
    values = [f"v{at}" for at in range(12)] + ["", "NULL"]
    numbers = np.minimum(random.geometric(0.25, records) - 1, len(values) - 1).astype(np.int32)
    train = random.random(records) < 0.7
    x, ids = categories(numbers, values, train, least)
    counts = np.bincount(x[train], minlength=len(ids))[1:]
    assert (np.diff(counts) <= 0).all() and (counts >= least).all()
    for row, number in zip(x.tolist(), numbers.tolist(), strict=True):
        rare = (numbers[train] == number).sum() < least or values[number] in ("", "NULL")
        assert ids[row] == ("(unknown)" if rare else values[number])
    # Records that are not trained on change nothing.
    numbers[~train] = 0
    assert categories(numbers, values, train, least).ids.tolist() == ids.tolist()


@given(
    numbers=st.lists(
        st.one_of(st.floats(-1e6, 1e6), st.integers(-3, 3).map(float), st.just(np.nan)), min_size=1, max_size=80
    ),
    count=st.integers(2, 9),
)
def test_buckets_are_intervals_of_about_equally_many_records(numbers, count):
    values, train = np.asarray(numbers), np.arange(len(numbers)) % 4 > 0
    x, ids = buckets(values, train, count)
    assert len(ids) <= count + 1 and ((x == 0) == np.isnan(values)).all()
    order = np.argsort(values)
    known = order[~np.isnan(values[order])]
    assert (np.diff(x[known]) >= 0).all(), "intervals keep the order of numbers"
    same = np.diff(values[known]) == 0
    assert (np.diff(x[known])[same] == 0).all(), "equal numbers share an interval"
    trained = values[train & ~np.isnan(values)]
    if len(np.unique(trained)) == len(trained) >= count:
        sizes = np.bincount(x[train & (x > 0)], minlength=len(ids))[1:]
        assert sizes.max() - sizes.min() <= 1


@given(records=st.integers(10, 500), seed=st.integers(0, 100))
def test_drawn_folds_are_shares_of_the_records(records, seed):
    fold = drawn_folds(records, (0.6, 0.2, 0.2), seed, "log")
    assert np.abs(np.bincount(fold, minlength=3) - np.asarray([0.6, 0.2, 0.2]) * records).max() <= 1
    np.testing.assert_array_equal(fold, drawn_folds(records, (0.6, 0.2, 0.2), seed, "log"))


def test_a_trace_looks_up_what_the_records_hold():
    clicks = synthetic_clicks(100)
    for fold, part in zip((*FOLDS, None), (clicks.train, clicks.valid, clicks.test, clicks), strict=True):
        trace = clicks.trace(fold)
        np.testing.assert_array_equal(trace.indices.reshape(-1, clicks.fields), part.x)
        np.testing.assert_array_equal(trace.tables.reshape(-1, clicks.fields)[0], np.arange(clicks.fields))
        assert trace.rows == clicks.rows and (trace.lengths == 1).all() and trace.synthetic
    with pytest.raises(TraceError, match="did you mean valid"):
        clicks.trace("validate")


def test_fields_are_selected_by_name_in_any_order():
    clicks = synthetic_clicks(60)
    some = clicks.select(["f3", "f0"])
    np.testing.assert_array_equal(some.x, clicks.x[:, [3, 0]])
    assert (some.rows, some.names) == ((4, 30), ("f3", "f0"))
    for names in (["f4"], ["f1", "f1"], []):
        with pytest.raises(TraceError):
            clicks.select(names)


def test_a_log_in_the_format_of_criteo(tmp_path):
    random = np.random.default_rng(0)
    numbers = random.integers(-2, 500, (400, 13)).astype(str)
    numbers[random.random((400, 13)) < 0.3] = ""
    hashes = np.asarray([f"{value:08x}" for value in range(50)])[random.integers(0, 50, (400, 26))]
    hashes[random.random((400, 26)) < 0.1] = ""
    labels = random.integers(0, 2, (400, 1)).astype(str)
    path = tmp_path / "day_0.txt"
    path.write_text("".join("\t".join(row) + "\n" for row in np.concatenate([labels, numbers, hashes], axis=1)))
    clicks = Clicks.load(path, form="criteo", buckets=8, seed=3)
    assert clicks.fields == 39 and clicks.names[0] == "column 2" and max(clicks.rows[:13]) <= 9
    np.testing.assert_array_equal(clicks.y, labels[:, 0].astype(np.uint8))
    np.testing.assert_array_equal(clicks.x[:, :13] == 0, numbers == "")
    assert (clicks.x[:, 13:][hashes == ""] == 0).all()
    whole = Clicks.load(path, label="1", numeric="2-14", separator="tab", header=False, buckets=8, seed=3)
    np.testing.assert_array_equal(whole.x, clicks.x)


def test_numbers_of_a_parquet_file_keep_what_they_are(tmp_path):
    path = tmp_path / "log.parquet"
    user = pa.array([3.0, None, 7.0, 3.0, 7.0, 3.0] * 10, pa.float64())
    price = pa.array([0.5, 1.5, None, 3.5, 2.5, 9.0] * 10)
    clicked = pa.array([True, False, False, True, True, False] * 10)
    pq.write_table(pa.table({"clicked": clicked, "user": user, "price": price}), path)
    clicks = Clicks.load(path, label="clicked", numeric="price", buckets=4)
    assert clicks.ids is not None and clicks.ids[0].tolist() == ["(unknown)", "3", "7"]
    assert clicks.x[:6, 0].tolist() == [1, 0, 2, 1, 2, 1]
    assert clicks.x[2, 1] == 0 and clicks.names == ("user", "price")
    with pytest.raises(TraceError, match=r"log.parquet: record 0: price: value '0.5' is no whole number; .*--numeric"):
        Clicks.load(path, label="clicked")


LOG = "label,split,user,age\n" + "".join(f"{at % 2},{FOLDS[at % 3]},u{at % 4},{at}\n" for at in range(12))
TEXTS: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "a label of two": (LOG.replace("1,valid,u1", "2,valid,u1"), {}, ("line 3", "label", "2 is neither 0 nor 1")),
    "a label that is no number": (LOG.replace("1,valid,u1", "yes,valid,u1"), {}, ("line 3", "'yes' is no number")),
    "no label": (LOG.replace("1,valid,u1", ",valid,u1"), {}, ("line 3", "label: is missing")),
    "a fold of no name": (LOG.replace("valid,u1", "dev,u1"), {"fold": "split"}, ("line 3", "'dev'", "validation")),
    "no fold": (LOG.replace("valid,u1", ",u1"), {"fold": "split"}, ("line 3", "fold: is missing")),
    "no record to train on": (LOG.replace("train", "test"), {"fold": "split"}, ("no record is of fold train",)),
    "a number that is none": (LOG.replace("u1,1\n", "u1,old\n"), {"numeric": "age"}, ("line 3", "age", "'old'")),
    "a short line": (LOG.replace("u1,1\n", "u1\n"), {}, ("line 3", "3 fields, the header 4")),
    "no column of labels": (LOG.replace("label", "clicked"), {}, ("--label COLUMN", "clicked")),
    "another column": (LOG, {"label": "lable"}, ("no column 'lable'", "did you mean label")),
    "two things": (LOG, {"field": ["user", "label"]}, ("'label' cannot be two things",)),
    "a number that is no field": (LOG, {"field": "user", "numeric": "age"}, ("'age' is to be a number, but is no field",)),
    "no field": (LOG, {"ignored": "2-4"}, ("no column is left",)),
    "no records": ("label,user\n", {}, ("has no clicks",)),
    "empty": ("", {}, ("is empty",)),
    "shares": (LOG, {"shares": (0.5, 0.5, 0.5)}, ("of sum 1",)),
    "a fold left empty": (LOG, {"shares": (0.98, 0.01, 0.01)}, ("leave a fold empty",)),
    "folds twice": (LOG, {"fold": "split", "seed": 3}, ("'seed' draws folds",)),
    "an unknown form": (LOG, {"form": "criteos"}, ("did you mean criteo",)),
    "what Criteo's logs tell": (LOG, {"form": "criteo", "label": "x"}, ("'label' says nothing for a Criteo file",)),
}  # fmt: skip


@pytest.mark.parametrize("case", TEXTS)
def test_untidy_text_is_refused_with_its_line(case, tmp_path):
    text, options, words = TEXTS[case]
    path = tmp_path / "log.csv"
    path.write_text(text)
    with pytest.raises(TraceError) as caught:
        Clicks.load(path, **options)
    for word in ("\n" not in str(caught.value) and path.name, *words):
        assert word and word in str(caught.value), str(caught.value)


@pytest.mark.parametrize("options", [{"buckets": 1}, {"least": 0}, {"seed": -1}, {"seed": True}])
def test_numbers_out_of_range_are_refused(options, tmp_path):
    (tmp_path / "log.csv").write_text(LOG)
    with pytest.raises(OptionError, match=f"{next(iter(options))} is a whole number from"):
        Clicks.load(tmp_path / "log.csv", **options)


GOOD = {"x": np.array([[0, 1], [2, 0], [1, 1]]), "y": np.array([0, 1, 0]), "fold": np.array([0, 1, 2])}
ARRAYS: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]] = {
    "a negative id": ({"x": np.array([[0, 1], [2, -1], [1, 1]])}, {}, ("record 1", "id -1")),
    "an id beyond its table": ({"rows": np.array([2, 2])}, {}, ("record 1", "'field0' 2 is outside 0 to 1")),
    "real ids": ({"x": np.ones((3, 2))}, {}, ("'x'", "whole numbers (records, fields)")),
    "one axis": ({"x": np.arange(3)}, {}, ("'x'", "(records, fields)")),
    "no records": ({"x": np.zeros((0, 2), int), "y": np.zeros(0), "fold": np.zeros(0)}, {}, ("at least 1",)),
    "a label of two": ({"y": np.array([0, 2, 0])}, {}, ("'y', record 1", "2 is no whole number from 0 to 1")),
    "too few labels": ({"y": np.array([0, 1])}, {}, ("3 records, but 2 labels",)),
    "a fourth fold": ({"fold": np.array([0, 1, 3])}, {}, ("'fold', record 2", "from 0 to 2")),
    "another array": ({}, {"label": "z"}, ("no array 'z'",)),
    "a slip of the pen": ({"fold": None, "folds": np.array([0, 1, 2])}, {}, ("'folds'", "did you mean fold")),
    "names too few": ({"fields": np.array(["a"])}, {}, ("so many tables and names",)),
    "a name twice": ({"fields": np.array(["a", "a"])}, {}, ("each name once",)),
    "folds that are there": ({}, {"seed": 1}, ("'seed' draws folds, which the file tells",)),
    "options of text": ({}, {"numeric": "a"}, ("'numeric' says nothing for a .npz file",)),
    "a form": ({}, {"form": "table"}, ("--form table is for text",)),
    "folds apart, one short": (
        {"x": None, "y": None, "fold": None, "train_x": GOOD["x"], "train_y": GOOD["y"]}, {}, ("no array 'valid_x'",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ARRAYS)
def test_arrays_that_do_not_fit_are_refused(case, tmp_path):
    arrays, options, words = ARRAYS[case]
    path = tmp_path / "clicks.npz"
    np.savez(path, **{name: array for name, array in {**GOOD, **arrays}.items() if array is not None})
    with pytest.raises(TraceError) as caught:
        Clicks.load(path, **options)
    for word in ("\n" not in str(caught.value) and path.name, *words):
        assert word and word in str(caught.value), str(caught.value)


def test_an_archive_of_zeros_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "clicks.npz"
    np.savez_compressed(path, x=np.zeros((1 << 16, 1 << 13), dtype=np.int8), y=np.zeros(1 << 16, dtype=np.int8))
    with pytest.raises(TraceError, match="unpack to"):
        Clicks.load(path)


@pytest.mark.parametrize("suffix", [*FORMATS, ".npz"])
def test_a_damaged_file_is_read_or_refused_in_one_line(suffix, tmp_path):
    clicks, path = synthetic_clicks(40, (9, 4)), tmp_path / f"log{suffix}"
    if suffix == ".npz":
        clicks.save(path)
    else:
        write_log(path, clicks)
    whole, refused = path.read_bytes(), 0
    for seed in range(60):
        path.write_bytes(alter.data(random.Random(seed), whole))
        try:
            Clicks.load(path)
        except TraceError as error:
            refused += 1
            assert "\n" not in str(error) and path.name in str(error), str(error)
    assert refused > 10


@pytest.mark.parametrize(
    ("name", "records", "positive"),
    [("frappe_x1", (202_794, 57_722, 28_860), 0.333), ("movielens1m_binary", (121_808, 15_226, 15_226), 0.510),
     ("census_income", (79_809, 9_976, 9_977), 0.062)],
)  # fmt: skip
def test_the_staged_sets_are_what_their_page_says(name: str, records: tuple[int, ...], positive: float, data: Path):
    path = data / "ctr" / f"{name}.npz"
    if not path.exists():
        pytest.skip(f"no {path}")
    clicks = Clicks.load(path)
    assert tuple(len(part.y) for part in (clicks.train, clicks.valid, clicks.test)) == records
    assert round(float(clicks.y.mean()), 3) == pytest.approx(positive, abs=1.5e-3)
