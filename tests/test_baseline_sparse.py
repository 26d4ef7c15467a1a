"""Zeros left out of crossbars: row compression and pruned blocks against counts by hand, by brute force, and their laws."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.chip.coding import Coding
from mho.errors import NumberError, OptionError
from mho.mapping.rivals import ORDERS, SEGMENTS, compress_rows, pack_blocks, prune

Integers = npt.NDArray[np.integer[Any]]


def weights(seed: int, shape: tuple[int, int, int], off: float, bits: int = 8) -> Integers:
    """Random signed weights, a share of them 0."""
    draw = np.random.default_rng(seed)
    most = 2 ** (bits - 1) - 1
    return (draw.integers(-most, most + 1, shape) * (draw.random(shape) >= off)).astype(np.int16)


def up(number: int, by: int) -> int:
    return -(-number // by)


sizes = st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 6))
shares = st.sampled_from([0.0, 0.3, 0.7, 0.95, 1.0])


# --- rows left out of strips --------------------------------------------------------------------------------------------


def all_cells(matrix: Integers, cell_bits: int, weight_bits: int, order: str) -> list[list[int]]:
    """The cells of one matrix, row by row, with plain numbers."""
    digits = list(range(0, weight_bits - 1, cell_bits))[::-1]
    outputs = range(matrix.shape[1])
    places = (
        [(n, d, s) for n in outputs for d in digits for s in (1, -1)]
        if order == "weight"
        else [(n, d, s) for d in digits for s in (1, -1) for n in outputs]
    )
    return [[(max(int(row[n]) * s, 0) >> d) % 2**cell_bits for n, d, s in places] for row in matrix]


@settings(max_examples=60)
@given(
    shape=sizes, off=shares, seed=st.integers(0, 99), cell_bits=st.integers(1, 4), weight_bits=st.sampled_from([4, 5, 8]),
    order=st.sampled_from(ORDERS), array=st.tuples(st.integers(3, 7), st.integers(4, 12)),
    unit=st.tuples(st.integers(1, 3), st.integers(1, 4)),
)  # fmt: skip
def test_row_compression_is_what_one_counts_strip_by_strip(
    shape: tuple[int, int, int], off: float, seed: int, cell_bits: int, weight_bits: int, order: Any,
    array: tuple[int, int], unit: tuple[int, int],
) -> None:  # fmt: skip
    given_weights = weights(seed, shape, off, weight_bits)
    found = compress_rows(
        given_weights, rows=array[0], columns=array[1], cell_bits=cell_bits, weight_bits=weight_bits,
        unit_rows=unit[0], unit_columns=unit[1], order=order,
    )  # fmt: skip
    heights = []
    for matrix in given_weights:
        cells = all_cells(matrix, cell_bits, weight_bits, order)
        starts = range(0, len(cells[0]), unit[1])
        heights += [sum(any(row[first : first + unit[1]]) for row in cells) for first in starts]
    heights.sort(reverse=True)
    lanes = array[1] // unit[1]
    arrays = []  # the units of each
    for first in range(0, len(heights), lanes):
        left = heights[first : first + lanes]
        while any(left):
            here = [min(height, array[0]) for height in left]
            arrays.append(sum(up(height, unit[0]) for height in here))
            left = [height - taken for height, taken in zip(left, here, strict=True)]
    assert (found.strips, found.kept_rows) == (len(heights), sum(heights))
    assert found.crossbars == len(arrays)
    assert found.units == sum(arrays)
    assert found.cycles == max(arrays, default=0)
    assert found.stacked == up(sum(heights), array[0] * lanes)
    assert found.index_bits == sum(heights) * math.ceil(math.log2(shape[1]))


@settings(max_examples=30)
@given(outputs=st.integers(1, 40), inputs=st.integers(1, 300), order=st.sampled_from(ORDERS), number=st.integers(1, 3))
def test_weights_whose_cells_are_all_needed_take_the_dense_arrays(
    outputs: int, inputs: int, order: Any, number: int
) -> None:
    """All digits of 85 are 1 (2-bit cells), so that a strip as wide as the 8 cells of a weight has a cell on in every row."""
    dense = np.full((number, inputs, outputs), 85)
    found = compress_rows(dense, unit_columns=16, order="weight")
    columns = outputs * 8
    assert found.crossbars == found.dense_crossbars == up(number * up(columns, 16), 8) * up(inputs, 128)
    whole = compress_rows(dense[:1], order="weight")
    assert whole.crossbars == up(inputs, 128) * up(columns, 128)
    assert found.units == found.dense_units == number * up(columns, 16) * (inputs // 128 * 8 + up(inputs % 128, 16))
    # With planes apart, strips that hold negative cells alone are empty; both orders are the same when nothing is left out.
    planes = compress_rows(dense, order=order)
    assert (planes.dense_crossbars, planes.dense_units, planes.dense_cycles) == (
        found.crossbars, found.units, found.cycles
    )  # fmt: skip


def test_cells_are_those_of_differential_pairs() -> None:
    """The order "weight" is the project's own: a strip of one column has a row for every cell that is on."""
    drawn = weights(3, (2, 50, 7), 0.4)
    for cell_bits in (1, 2, 4):
        levels = Coding("differential", 8, cell_bits).levels((drawn + 128).astype(np.uint8))
        found = compress_rows(drawn, cell_bits=cell_bits, unit_columns=1, unit_rows=1)
        assert found.kept_rows == found.units == np.count_nonzero(levels)


def test_blocks_of_zeros_are_left_out_by_closed_form() -> None:
    """200 of 1000 rows on, in 32 of 64 outputs, 2-bit cells: 16 strips of 16 cells, two outputs each, every cell on or off."""
    blocks = np.zeros((1, 1000, 64), dtype=np.int8)
    blocks[:, 300:500, :32] = np.where(np.arange(32) % 2, 85, -85)
    found = compress_rows(blocks)
    assert (found.strips, found.kept_rows) == (32, 16 * 200)
    assert (found.crossbars, found.stacked, found.dense_crossbars) == (2 * 2, 4, 4 * 8)
    assert found.units == 16 * (128 // 16 + up(72, 16))
    assert found.cycles == 8 * 8
    assert found.index_bits == 3200 * 10
    assert found.dense_units == 32 * (7 * 8 + up(1000 - 7 * 128, 16))


@settings(max_examples=40)
@given(shape=sizes, off=shares, more=shares, seed=st.integers(0, 99), order=st.sampled_from(ORDERS))
def test_more_zeros_never_need_more(
    shape: tuple[int, int, int], off: float, more: float, seed: int, order: Any
) -> None:
    before = weights(seed, shape, off)
    after = before * (np.random.default_rng(seed + 1).random(shape) >= more)
    small = {"rows": 3, "columns": 8, "unit_rows": 2, "unit_columns": 4}
    first, second = (
        dataclasses.asdict(compress_rows(each.astype(np.int16), order=order, **small)) for each in (before, after)
    )
    assert all(second[key] <= first[key] for key in first)
    packed = [pack_blocks(each.astype(np.int16), 4, 2) for each in (before, after)]
    assert packed[1].crossbars <= packed[0].crossbars
    assert packed[1].least <= packed[0].least


def test_nothing_but_zeros_takes_no_array() -> None:
    zeros = np.zeros((2, 300, 100), dtype=np.int8)
    found = compress_rows(zeros)
    assert (found.crossbars, found.stacked, found.units, found.cycles, found.index_bits) == (0, 0, 0, 0, 0)
    assert found.dense_crossbars == up(2 * 50, 8) * 3
    assert pack_blocks(zeros, 128, 16).crossbars == pack_blocks(zeros, 128, 16).least == 0


def test_large_matrices_in_parts_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = weights(5, (2, 40, 30), 0.8)
    found = compress_rows(drawn)
    monkeypatch.setattr("mho.mapping.rivals.CELLS", 1)
    assert compress_rows(drawn) == found


def test_a_matrix_is_one_of_one() -> None:
    drawn = weights(1, (1, 30, 9), 0.5)
    assert compress_rows(drawn[0]) == compress_rows(drawn)
    assert pack_blocks(drawn[0], 8, 4) == pack_blocks(drawn, 8, 4)
    assert np.array_equal(prune(drawn[0], 0.5, 8, 4).matrices, prune(drawn, 0.5, 8, 4).matrices[0])


# --- pruned blocks ------------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(
    shape=sizes, off=shares, seed=st.integers(0, 99), ratio=st.sampled_from([0.0, 0.1, 0.5, 0.7, 0.9, 1.0]),
    block=st.tuples(st.integers(1, 4), st.integers(1, 4)), segments=st.sampled_from(SEGMENTS),
)  # fmt: skip
def test_pruning_is_taking_the_weakest_row_or_column_of_a_block_one_after_another(
    shape: tuple[int, int, int], off: float, seed: int, ratio: float, block: tuple[int, int], segments: Any
) -> None:
    given_weights = weights(seed, shape, off)
    found = prune(given_weights, ratio, *block, segments=segments)
    (number, inputs, outputs), (height, width) = shape, block
    parts: list[tuple[slice | int, ...]] = []
    if segments != "columns":
        parts += [
            (m, k, slice(n, n + width)) for m in range(number) for k in range(inputs) for n in range(0, outputs, width)
        ]
    if segments != "rows":
        parts += [
            (m, slice(k, k + height), n)
            for m in range(number)
            for k in range(0, inputs, height)
            for n in range(outputs)
        ]
    left = np.ones(shape, dtype=bool)
    # Sums of whole numbers are exact in any order, so ties are ties here and there; both sorts keep their order.
    for part in sorted(parts, key=lambda part: float(np.mean(given_weights[part].astype(float) ** 2))):
        if left.size - left.sum() >= ratio * left.size - 1e-6:
            break
        left[part] = False
    assert np.array_equal(found.matrices, given_weights * left)
    assert found.matrices.dtype == given_weights.dtype
    assert found.ratio == (~left).sum() / left.size
    assert found.rows.any() <= (segments != "columns") and found.columns.any() <= (segments != "rows")


def test_pruning_takes_what_hurts_least_and_no_more_than_is_asked() -> None:
    """Rows of blocks hold 1, 2, ..., so that half of all is the weaker half of these rows, whole."""
    strength = np.arange(1, 33).reshape(8, 4)  # (K, blocks)
    matrix = np.repeat(strength, 4, axis=1).astype(np.int16)
    found = prune(matrix, 0.5, 8, 4, segments="rows")
    assert found.ratio == 0.5
    assert np.array_equal(found.matrices, np.where(matrix > 16, matrix, 0))
    assert prune(matrix, 0.51, 8, 4, segments="rows").ratio == 17 / 32
    # 16 rows are left of 32, 4 rows of every block: they move up into the half.
    assert pack_blocks(found.matrices, 4, 4).crossbars == 4
    assert pack_blocks(matrix, 4, 4).crossbars == 8


@settings(max_examples=40)
@given(shape=sizes, off=shares, seed=st.integers(0, 99), block=st.tuples(st.integers(1, 9), st.integers(1, 7)))
def test_packed_blocks_are_what_one_counts(
    shape: tuple[int, int, int], off: float, seed: int, block: tuple[int, int]
) -> None:
    drawn, (rows, columns), (number, inputs, outputs) = weights(seed, shape, off), block, shape
    found = pack_blocks(drawn, rows, columns)
    moved_up = sum(
        up(sum(bool(m[k, n : n + columns].any()) for k in range(inputs)), rows)
        for m in drawn for n in range(0, outputs, columns)
    )  # fmt: skip
    moved_left = sum(
        up(sum(bool(m[k : k + rows, n].any()) for n in range(outputs)), columns)
        for m in drawn for k in range(0, inputs, rows)
    )  # fmt: skip
    area = sum(
        int(b.any(axis=1).sum() * b.any(axis=0).sum())
        for m in drawn for k in range(0, inputs, rows) for n in range(0, outputs, columns)
        for b in [m[k : k + rows, n : n + columns]]
    )  # fmt: skip
    assert found.least == up(area, rows * columns)
    together = min(rows // inputs, columns // outputs)
    if together > 1:
        assert (found.join, found.dense_crossbars) == ("diagonal", up(number, together))
        assert found.crossbars == up(sum(bool(m.any()) for m in drawn), together)
    else:
        assert found.crossbars == min(moved_up, moved_left)
        assert found.join == ("columns" if moved_left < moved_up else "rows")
        assert found.dense_crossbars == number * up(inputs, rows) * up(outputs, columns)


@pytest.mark.parametrize("shape", [(1, 300, 100), (1, 128, 16), (3, 129, 17), (64, 9, 1), (1, 1, 1)])
def test_without_zeros_blocks_take_the_dense_arrays(shape: tuple[int, int, int]) -> None:
    found = pack_blocks(np.full(shape, -3), 128, 16)
    packed = min(128 // shape[1], 16 // shape[2])
    wanted = up(shape[0], packed) if packed > 1 else shape[0] * up(shape[1], 128) * up(shape[2], 16)
    assert found.crossbars == found.dense_crossbars == wanted


def test_indices_tell_kept_rows_and_columns_apart() -> None:
    rows = np.zeros((256, 32), dtype=np.int8)
    rows[::4] = 1
    assert dataclasses.astuple(pack_blocks(rows, 128, 16)) == (2, "rows", 128 * 8, 1, 4)
    columns = np.zeros((256, 32), dtype=np.int8)
    columns[:, ::4] = 1
    assert dataclasses.astuple(pack_blocks(columns, 128, 16)) == (2, "columns", 16 * 5, 1, 4)


# --- refused ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("matrix", "text"),
    [
        (np.zeros((2, 2)), "integers"), (np.zeros(3, dtype=np.int8), "integers"), ([[1]], "not list"),
        (np.zeros((0, 2), dtype=np.int8), "are none"), (np.array([[-128]]), "from -127 to 127"),
    ],
)  # fmt: skip
def test_weights_that_are_none_are_refused(matrix: Any, text: str) -> None:
    with pytest.raises(NumberError, match=text):
        compress_rows(matrix)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"rows": 0}, "rows is a whole"), ({"columns": 2.5}, "columns is a whole"), ({"cell_bits": True}, "cell_bits is a whole"),
        ({"unit_rows": 129}, "do not fit"), ({"unit_columns": 129}, "do not fit"), ({"weight_bits": 17}, "2 to 16"),
        ({"order": "plain"}, "plane"),
    ],
)  # fmt: skip
def test_options_of_row_compression_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(OptionError, match=text):
        compress_rows(np.ones((2, 2), dtype=np.int8), **options)


def test_options_of_pruning_are_refused() -> None:
    one = np.ones((2, 2), dtype=np.int8)
    for ratio in (-0.1, 1.1, float("nan")):
        with pytest.raises(OptionError, match="from 0 to 1"):
            prune(one, ratio, 2, 2)
    with pytest.raises(OptionError, match="columns"):
        prune(one, 0.5, 2, 2, segments="column")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="rows is a whole"):
        prune(one, 0.5, 0, 2)
    with pytest.raises(OptionError, match="columns is a whole"):
        pack_blocks(one, 2, 0)


def test_counts_that_cannot_be_are_refused() -> None:
    found = compress_rows(np.ones((2, 2), dtype=np.int8))
    with pytest.raises(NumberError, match="no compression"):
        dataclasses.replace(found, crossbars=found.dense_crossbars + 1)
    with pytest.raises(NumberError, match="packed"):
        dataclasses.replace(pack_blocks(np.ones((2, 2), dtype=np.int8), 1, 1), least=5)
