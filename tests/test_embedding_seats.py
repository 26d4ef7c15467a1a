"""Rows that a history does not know, scattered in runs; and groups that are touched together, seated in one tile."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.errors import MappingError, OptionError
from mho.mapping.embedding import Layout, scatter, seated
from mho.mapping.embedding.seating import tiles_touched
from mho.mapping.embedding.seats import Seats
from mho.network.trace import Trace
from tests.lookup_oracle import chip_of, layout_of, trace_of


@st.composite
def jobs(draw: st.DrawFn) -> tuple[Layout, Trace]:
    """Rows in groups that need not be full, and a history that looks only some of them up."""
    rows = draw(st.integers(1, 40))
    height = draw(st.integers(1, 12))
    most = -(-rows // height) + 2
    order = draw(st.permutations(range(rows)))
    group = np.empty(rows, dtype=np.int32)
    free = dict.fromkeys(range(most), height)
    for row in order:
        group[row] = draw(st.sampled_from([g for g, room in free.items() if room]))
        free[int(group[row])] -= 1
    layout = Layout.of(group, height, "drawn")
    copies = np.array(draw(st.lists(st.integers(1, 3), min_size=layout.groups, max_size=layout.groups)))
    known = draw(st.integers(0, rows - 1))
    bags = draw(st.lists(st.lists(st.integers(0, known), max_size=6), max_size=8))
    return layout.with_copies(copies), trace_of(bags, rows=(rows,))


@settings(max_examples=200)
@given(jobs(), st.integers(1, 9))
def test_scattering_keeps_every_row_and_every_size(job: tuple[Layout, Trace], run: int) -> None:
    layout, history = job
    found = scatter(layout, history, run)
    # A Layout holds every row somewhere; as many places as rows is once each.
    assert sorted(found.members.tolist()) == list(range(layout.rows))
    assert np.diff(found.starts).tolist() == np.diff(layout.starts).tolist()
    assert found.copies.tolist() == layout.copies.tolist()
    assert found.members.tolist() == scatter(layout, history, run).members.tolist()


def test_rows_that_nobody_knows_do_not_share_one_group() -> None:
    # 4 groups of 8; rows 24 to 31 are never looked up, and fill the last group.
    layout = layout_of([list(range(low, low + 8)) for low in range(0, 32, 8)], height=8)
    history = trace_of([list(range(24))] + [[row] for row in range(24) if row % 8 > 1], rows=(32,))
    found = scatter(layout, history, 2)
    group = np.empty(32, dtype=int)
    group[found.members] = np.repeat(np.arange(4), 8)
    # Two of them in each group, neighbours together, in the places of the rows looked up least; all others stay.
    assert sorted(group[24:].tolist()) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert group[24:32:2].tolist() == group[25:32:2].tolist()
    stayed = [row for row in range(24) if row % 8 > 1]
    assert group[stayed].tolist() == [row // 8 for row in stayed]


def test_nothing_is_scattered_where_all_is_known() -> None:
    layout = layout_of([[0, 1], [2, 3]], height=2)
    assert scatter(layout, trace_of([[0, 1, 2, 3]], rows=(4,))) is layout
    with pytest.raises(OptionError, match="run"):
        scatter(layout, trace_of([[0]], rows=(4,)), 0)
    with pytest.raises(OptionError, match="5 rows"):
        scatter(layout, trace_of([[0]], rows=(5,)))


@settings(max_examples=100)
@given(jobs(), st.integers(1, 5), st.integers(0, 3))
def test_seats_hold_every_instance_within_the_room_of_tiles(
    job: tuple[Layout, Trace], per_tile: int, seed: int
) -> None:
    layout, history = job
    chip = chip_of(tile__groups=per_tile, tiles=200)
    tiles = Seats(layout, chip, 8).tiles
    placed = seated(layout, history, tiles, per_tile, seed)
    # Seats check that each tile has room for what it is given.
    assert Seats(layout, chip, 8, placed).tile.tolist() == placed.tolist()
    assert placed.tolist() == seated(layout, history, tiles, per_tile, seed).tolist()


@settings(max_examples=100)
@given(jobs())
def test_bags_of_groups_are_those_that_hold_the_bags_rows(job: tuple[Layout, Trace]) -> None:
    layout, history = job
    found = tiles_touched(layout, history)
    group = layout.group[history.flat].tolist()
    for bag in range(history.bags):
        expected = sorted(set(group[history.offsets[bag] : history.offsets[bag + 1]]))
        assert found.indices[found.offsets[bag] : found.offsets[bag + 1]].tolist() == expected


def test_groups_that_are_touched_together_sit_together() -> None:
    # Groups 0 and 2, and 1 and 3, are always touched together: two tiles of two.
    layout = layout_of([[0], [1], [2], [3]], height=1)
    history = trace_of([[0, 2], [1, 3]] * 5, rows=(4,))
    placed = seated(layout, history, 2, 2).tolist()
    assert placed[0] == placed[2] != placed[1] == placed[3]


@pytest.mark.parametrize("placed", [[0], [0, 5], [-1, 0], [0, 0]])
def test_wrong_places_are_refused(placed: list[int]) -> None:
    layout: Any = layout_of([[0], [1]], height=1)
    with pytest.raises(MappingError, match=r"placed|instances"):
        Seats(layout, chip_of(tile__groups=1), 8, np.array(placed, dtype=np.int32))
