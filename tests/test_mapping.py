"""Blocks tile every matrix exactly once, and their sums are the layer's."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mho.chip.coding import Coding
from mho.mapping import DenseBlocks, GroupShape
from mho.mapping.dense import dense_blocks

shapes = st.tuples(
    st.integers(1, 6),
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(1, 16),
    st.integers(1, 8),
    st.integers(1, 4),
)


def group(rows: int, columns: int, per_array: int) -> GroupShape:
    return GroupShape(Coding("offset", 8, 2), rows, columns, per_array)


def cut(shape: tuple[int, ...], *, pack: bool) -> DenseBlocks:
    matrices, rows, columns, group_rows, per_array, arrays = shape
    return dense_blocks(matrices, rows, columns, group(group_rows, per_array * arrays, per_array), pack)


@given(shapes, st.booleans())
def test_every_weight_sits_in_exactly_one_block(shape: tuple[int, ...], pack: bool) -> None:
    tiles = cut(shape, pack=pack)
    covered = np.zeros((tiles.matrices, tiles.rows, tiles.columns), dtype=int)
    for index in range(tiles.count):
        block = tiles.block(index)
        assert block.height <= tiles.shape.rows
        assert block.width <= tiles.shape.columns
        covered[block.first : block.first + block.count, slice(*block.rows), slice(*block.columns)] += 1
    assert (covered == 1).all()


@given(shapes, st.booleans())
def test_vectors_over_blocks_agree_with_each_block(shape: tuple[int, ...], pack: bool) -> None:
    tiles = cut(shape, pack=pack)
    blocks = [tiles.block(index) for index in range(tiles.count)]
    assert tiles.heights.tolist() == [block.height for block in blocks]
    assert tiles.widths.tolist() == [block.width for block in blocks]
    assert tiles.weights.sum() == tiles.matrices * tiles.rows * tiles.columns
    assert tiles.places.tolist() == [block.height * block.width for block in blocks]
    assert tiles.arrays.tolist() == [-(-block.width // tiles.shape.per_array) for block in blocks]


@given(shapes, st.booleans(), st.data())
def test_totals_of_a_run_are_the_sums_of_its_blocks(shape: tuple[int, ...], pack: bool, data: st.DataObject) -> None:
    tiles = cut(shape, pack=pack)
    first = data.draw(st.integers(0, tiles.count - 1))
    last = data.draw(st.integers(first + 1, tiles.count))
    blocks = [tiles.block(index) for index in range(first, last)]
    totals = tiles.totals((first, last))
    assert totals.blocks == last - first
    assert totals.rows == sum(block.height for block in blocks)
    assert totals.columns == sum(block.width for block in blocks)
    assert totals.places == sum(block.height * block.width for block in blocks)
    inputs = {(m, k) for b in blocks for m in range(b.first, b.first + b.count) for k in range(*b.rows)}
    assert len(inputs) <= totals.inputs <= totals.rows


def test_dense_blocks_follow_the_closed_form() -> None:
    # ResNet-50's largest layer on ARAS groups of 128 x 128 weights: ceil(4608 / 128) x ceil(512 / 128) blocks.
    assert dense_blocks(1, 4608, 512, group(128, 128, 32), True).count == 36 * 4


def test_diagonal_packing_shares_groups_between_depthwise_channels() -> None:
    # 14 kernels of 9 x 1 stand along the diagonal of 128 rows; 144 channels take 11 groups instead of 144.
    assert dense_blocks(144, 9, 1, group(128, 128, 32), True).count == 11
    assert dense_blocks(144, 9, 1, group(128, 128, 32), False).count == 144
