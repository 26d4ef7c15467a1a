"""Layouts come back from their files, and say where each row sits; files that are none are refused by name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.errors import MappingError
from mho.explore.recommendation import recommend
from mho.mapping.embedding import Layout
from mho.mapping.embedding.storage import ARRAYS, Seating
from tests.test_recommend_page import measured

some = settings(max_examples=40)


@st.composite
def seatings(draw: st.DrawFn) -> Seating:
    """Draw layouts of tables whose rows have any numbers, with groups of any size and several copies."""
    rows = draw(st.lists(st.integers(1, 12), min_size=1, max_size=3))
    total = sum(rows)
    groups = draw(st.integers(1, 5))
    homes = [draw(st.integers(0, groups - 1)) for _ in range(total)]
    members = [[row for row in range(total) if group == homes[row]] for group in range(groups)]
    members = [draw(st.permutations(each)) for each in members]
    layout = Layout(
        total,
        max(map(len, members)) + draw(st.integers(0, 3)),
        np.cumsum([0, *map(len, members)]).astype(np.int64),
        np.array([row for each in members for row in each], dtype=np.int32),
        np.array([draw(st.integers(1, 4)) for _ in range(groups)], dtype=np.int32),
        draw(st.sampled_from(["greedy", "ours, bäst"])),
        draw(
            st.dictionaries(
                st.text(max_size=4),
                st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
            )
        ),
    )
    called = draw(st.sampled_from((st.integers(-(2**40), 2**40), st.text(st.characters(codec="utf-8"), max_size=9))))
    # What numpy keeps as text does not end in a zero character.
    called = called.filter(lambda each: not str(each).endswith("\0"))
    kind = np.int64 if isinstance(draw(called), int) else np.str_
    ids = tuple(np.array(draw(st.lists(called, min_size=n, max_size=n, unique=True)), dtype=kind) for n in rows)
    tile = draw(st.lists(st.integers(0, 9), min_size=layout.instances, max_size=layout.instances))
    return Seating(layout, tuple(f"t{n}" for n in range(len(rows))), ids, np.array(tile, dtype=np.int32))


@some
@given(seatings())
def test_a_layout_comes_back_from_its_file(tmp_path_factory: pytest.TempPathFactory, seating: Seating) -> None:
    path = tmp_path_factory.mktemp("layouts") / "layout.npz"
    seating.save(path)
    back = Seating.load(path)
    for name in ("starts", "members", "copies"):
        np.testing.assert_array_equal(getattr(back.layout, name), getattr(seating.layout, name))
        assert getattr(back.layout, name).dtype == getattr(seating.layout, name).dtype
    for name in ("rows", "height", "method", "options"):
        assert getattr(back.layout, name) == getattr(seating.layout, name)
    assert back.names == seating.names
    np.testing.assert_array_equal(back.tile, seating.tile)
    for one, other in zip(back.ids, seating.ids, strict=True):
        np.testing.assert_array_equal(one, other)


@some
@given(seatings())
def test_every_row_is_found_where_it_sits(seating: Seating) -> None:
    layout = seating.layout
    base = 0
    for table, ids in enumerate(seating.ids):
        for number, row in enumerate(ids.tolist()):
            place = seating.where(row, table)
            assert place == seating.where(row, seating.names[table])
            assert layout.members[layout.starts[place.group] + place.wordline] == base + number
            assert len(place.instances) == layout.copies[place.group]
            assert place.instances.start == layout.copies[: place.group].sum()
            assert list(place.tiles) == [seating.tile[instance] for instance in place.instances]
        base += len(ids)


def test_rows_and_tables_that_are_not_there_are_refused() -> None:
    found = recommend(measured(), designs=("naive",), batch=64)
    for row, table, text in ((10**6, 0, "no row"), (0, 2, "tables are 0 to 1"), (0, "tabel0", "did you mean table0")):
        with pytest.raises(MappingError, match=text):
            found.seating.where(row, table)


def test_numbers_that_do_not_fit_a_layout_are_refused() -> None:
    layout = Layout.of(np.zeros(3, dtype=int), 3, "id")
    for names, ids, tile, text in (
        (("t",), (np.array([5, 7, 5]),), [0], "row 5 twice"),
        (("t",), (np.arange(4),), [0], "4 rows"),
        (("t", "u"), (np.arange(3),), [0], "2 names"),
        (("t",), (np.arange(3),), [0, 1], "each of 1 instances"),
        (("t",), (np.arange(3),), [-1], "from 0"),
    ):
        with pytest.raises(MappingError, match=text):
            Seating(layout, names, ids, np.array(tile))


def test_rows_keep_the_numbers_of_the_file_that_they_came_from() -> None:
    numbers = (np.arange(50, dtype=np.int64) * 7 + 1000,)
    seating = recommend(measured(60, (50,), ids=numbers), designs=("naive",)).seating
    assert seating.where(1000 + 7 * 3).wordline == 3
    with pytest.raises(MappingError, match="no row 3 "):
        seating.where(3)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"extra": np.zeros(1)}, "check extra"),
        ({"copies": None}, "check copies"),
        ({"format": np.asarray("mho.layout/9")}, "known: mho.layout/1"),
        ({"height": np.asarray(1.5)}, "'height'"),
        ({"height": np.asarray(1)}, "arrays have 1"),
        ({"row": np.array([9, 1, 2])}, "no row 9"),
        ({"row": np.array([0, 1])}, "equally long"),
        ({"table": np.array([0, 0, 1])}, "tables are 0 to 0"),
        ({"group": np.array([1, 0, 1])}, "'group'"),
        ({"group": np.array([0, 0, 5])}, "'group'"),
        ({"wordline": np.array([0, 2, 0])}, "'wordline'"),
        ({"copies": np.array([1, 0])}, "at least one copy"),
        ({"ids": np.array([0, 0, 2])}, "no row 1"),
        ({"rows": np.array([4])}, "'rows'"),
        ({"names": np.array(["a", "b"])}, "2 names"),
        ({"options": np.asarray("[1]")}, "'options'"),
        ({"tile": np.array([0])}, "'tile'"),
    ],
)
def test_files_that_are_no_layouts_are_refused_by_name(tmp_path: Path, change: dict[str, Any], text: str) -> None:
    layout = Layout.of(np.array([0, 0, 1]), 2, "id")
    path = tmp_path / "layout.npz"
    Seating(layout, ("t",), (np.arange(3),), np.arange(2, dtype=np.int32)).save(path)
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    assert set(arrays) == set(ARRAYS)
    np.savez(path, **{name: value for name, value in {**arrays, **change}.items() if value is not None})
    with pytest.raises(MappingError, match=re.escape(text)) as refused:
        Seating.load(path)
    assert "layout.npz" in str(refused.value)


def test_broken_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "layout.npz"
    Seating(Layout.of(np.zeros(3, dtype=int), 3, "id"), ("t",), (np.arange(3),), np.zeros(1, dtype=np.int32)).save(path)
    whole = path.read_bytes()
    for content in (b"", b"nothing", whole[: len(whole) // 2], whole[:60] + b"xxxxxxxx" + whole[68:]):
        path.write_bytes(content)
        with pytest.raises(MappingError, match=r"layout\.npz"):
            Seating.load(path)
    np.save(tmp_path / "one.npy", np.zeros(3))
    for other in (tmp_path / "missing.npz", tmp_path, tmp_path / "one.npy"):
        with pytest.raises(MappingError, match=re.escape(str(other))):
            Seating.load(other)
