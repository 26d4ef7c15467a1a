"""Squeezed mapping: digits stand for the weights exactly, in cells of their own, and in as few groups as closed forms say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.chip.coding import Coding
from mho.mapping import DigitBlocks, Digits, GroupShape
from mho.mapping.dense import dense_blocks
from mho.mapping.digits import DigitBlock
from mho.mapping.folding import fold
from mho.mapping.slicing import layer_blocks
from mho.number import QuantisedMatrix, Squeeze
from tests.squeezed_oracle import check_block, laid_out, late_bits, rebuilt, steps_of

some = settings(max_examples=150)


def room_of(rows: int, columns: int, bits: int, arrays: int = 1) -> GroupShape:
    """A group of `arrays` arrays of `columns` / `arrays` columns of cells."""
    return GroupShape(Coding("offset", bits, bits), rows, columns, columns // arrays)


def matrix_of(weights: Any) -> QuantisedMatrix:
    """A matrix of these integers (matrices, K, N) or (K, N), at most 255 apart for each output, of codes and zeros an output."""
    held = np.asarray(weights, dtype=np.int64)
    held = held[None] if held.ndim == 2 else held
    zero = -np.minimum(held.min(axis=1), 0)
    matrix = QuantisedMatrix((held + zero[:, None, :]).astype(np.uint8), np.ones(zero.shape), zero.astype(np.int64))
    assert (matrix.centred == held).all()
    return matrix


def pieces_of(
    weights: Any,
    room: GroupShape,
    *,
    squeeze: Squeeze | None = None,
    packing: str = "separate",
    turns: int = 1,
    dac: int = 1,
) -> DigitBlocks:
    matrix = matrix_of(weights)
    blocks = layer_blocks(matrix, squeeze, room, packing, turns)
    matrices, rows, columns = matrix.codes.shape
    return DigitBlocks(matrices, rows, columns, blocks, room, dac)


@st.composite
def integers(draw: st.DrawFn) -> np.ndarray:
    """Signed matrices (matrices, K, N): full, sparse, with rows, outputs or kernels pruned, one-sided, constant, of few planes."""
    shape = (draw(st.sampled_from([1, 1, 1, 2, 5])), draw(st.integers(1, 24)), draw(st.integers(1, 12)))
    generator = np.random.default_rng(draw(st.integers(0, 2**16)))
    low, high = draw(st.sampled_from([(-128, 127), (-127, 127), (0, 255), (-255, 0), (-3, 3), (-1, 0), (-100, 30)]))
    found = generator.integers(low, high + 1, shape)
    match draw(st.sampled_from(["full", "constant", "planes", "few top", "bell"])):
        case "constant":
            found[...] = generator.integers(low, high + 1, (shape[0], 1, shape[2]))
        case "planes":
            found = np.sign(found) * (np.abs(found) & int(generator.integers(0, 256)))
        case "few top":
            found = np.where(generator.random(shape) < 0.03, found, np.sign(found) * (np.abs(found) & 7))
        case "bell":
            found = np.clip(np.rint(found * generator.standard_normal(shape) / 3), low, high).astype(np.int64)
    keep = draw(st.sampled_from([1.0, 1.0, 0.7, 0.2, 0.0]))
    axis = draw(st.sampled_from(["each", "rows", "outputs", "kernels"]))
    masks = {
        "each": shape,
        "rows": (*shape[:2], 1),
        "outputs": (shape[0], 1, shape[2]),
        "kernels": (shape[0], shape[1], 1),
    }
    return np.asarray(found * (generator.random(masks[axis]) < keep))


@st.composite
def squeezed(draw: st.DrawFn, weights: np.ndarray) -> tuple[np.ndarray, Squeeze | None]:
    """The same weights with the low bits dropped of rows that are shifted, in tiles of outputs; or not squeezed."""
    top = draw(st.integers(0, 7))
    if not top:
        return weights, None
    matrices, rows, columns = weights.shape
    tile = draw(st.integers(1, columns + 2))
    generator = np.random.default_rng(draw(st.integers(0, 2**16)))
    tiles = -(-columns // tile)
    few = generator.integers(0, top + 1, (matrices, rows, draw(st.sampled_from([1, tiles]))))
    shifts = np.broadcast_to(few, (matrices, rows, tiles)).astype(np.uint8)
    each = np.repeat(shifts, tile, axis=2)[:, :, :columns].astype(np.int64)
    return np.sign(weights) * (np.abs(weights) >> each << each), Squeeze(top, tile, shifts, 0)


@st.composite
def rooms(draw: st.DrawFn) -> GroupShape:
    bits, arrays = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    return room_of(draw(st.integers(1, 16)), draw(st.integers(1, 12)) * arrays, bits, arrays)


packings = st.sampled_from(["diagonal", "separate"])
turns = st.integers(1, 4)


@some
@given(integers(), rooms(), packings, turns, st.data())
def test_digits_stand_for_the_weights_in_cells_of_their_own(
    drawn: np.ndarray, room: GroupShape, packing: str, most: int, data: st.DataObject
) -> None:
    weights, squeeze = data.draw(squeezed(drawn))
    pieces = pieces_of(weights, room, squeeze=squeeze, packing=packing, turns=most)
    laid = [pieces.laid(index, matrix_of(weights)) for index in range(pieces.count)]
    assert pieces.count >= 1
    assert (rebuilt(pieces, laid) == weights).all()
    for index, cells in enumerate(laid):
        block = pieces.block(index)
        assert cells.shape == (block.height, block.width) == (pieces.heights[index], pieces.widths[index])
        assert cells.max() <= room.coding.highest
        check_block(block, cells, room.rows, room.columns)
        assert len(block.turns) <= most
        wanted = np.zeros_like(cells)
        for at, held in laid_out(pieces, index, weights).items():
            wanted[at] = held
        assert (cells == wanted).all()
        for piece in block.parts:
            assert 0 <= piece.matrix < pieces.matrices
            assert len(set(piece.rows.tolist())) == piece.height
            assert 0 <= piece.rows.min() <= piece.rows.max() < pieces.rows
            assert 0 <= piece.outputs.min() <= piece.outputs.max() < pieces.columns
            # A digit begins at one of the 8 bits that its index entry tells apart.
            assert piece.positions.max() < 8


@some
@given(integers(), rooms(), packings, turns, st.data())
def test_totals_of_a_run_are_what_its_pieces_ask_for(
    drawn: np.ndarray, room: GroupShape, packing: str, most: int, data: st.DataObject
) -> None:
    weights, squeeze = data.draw(squeezed(drawn))
    dac = data.draw(st.sampled_from([1, 2, 3, 4, 8]))
    pieces = pieces_of(weights, room, squeeze=squeeze, packing=packing, turns=most, dac=dac)
    base = -(-8 // dac)
    turns, late = pieces.slowest(base)
    assert turns * base + late == max(steps_of(pieces.block(i), dac) for i in range(pieces.count))
    first = data.draw(st.integers(0, pieces.count - 1))
    last = data.draw(st.integers(first + 1, pieces.count))
    blocks = [pieces.block(index) for index in range(first, last)]
    totals = pieces.totals((first, last))
    held = [piece for block in blocks for piece in block.parts]
    assert totals.blocks == last - first
    assert totals.rows == sum(piece.height for piece in held)
    assert totals.columns == sum(piece.width for piece in held)
    assert totals.sums == sum(len(set(piece.outputs.tolist())) for piece in held)
    assert totals.inputs == len({(piece.matrix, row) for piece in held for row in piece.rows.tolist()})
    assert totals.shifted == sum(int((piece.shifts > 0).sum()) for piece in held)
    assert totals.places == sum(block.height * block.width for block in blocks)
    late = columns = 0
    for block in blocks:
        for turn in block.turns:
            extra = -(-max(map(late_bits, turn)) // dac)
            late += extra * len({
                column // room.per_array for piece in turn for column in range(piece.left, piece.left + piece.width)
            })  # fmt: skip
            columns += extra * sum(piece.width for piece in turn)
    assert (totals.late.arrays, totals.late.columns) == (late, columns)


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize(("rows", "outputs"), [(64, 10), (65, 11), (200, 3)])
def test_full_matrices_follow_the_closed_form(bits: int, rows: int, outputs: int) -> None:
    # ceil(K / R) x ceil(N b / C): of 8-bit weights 8 / bits digits each, as nothing is empty.
    generator = np.random.default_rng(rows)
    full = generator.integers(-128, 128, (rows, outputs))
    # The least and the greatest weight in each block of rows: 255 apart, which has all bits. A row alone has -127: all bits, too.
    full[::32], full[1::32] = -128, 127
    if rows % 32 == 1:
        full[-1] = -127
    pieces = pieces_of(full, room_of(32, 24, bits))
    last = -(-7 // bits) if rows % 32 == 1 else 8 // bits
    assert pieces.count == rows // 32 * -(-outputs * (8 // bits) // 24) + (rows % 32 > 0) * -(-outputs * last // 24)


@pytest.mark.parametrize("plane", range(7))
@pytest.mark.parametrize("sign", [1, -1])
def test_one_plane_of_one_sign_takes_its_rows_and_outputs_only(plane: int, sign: int) -> None:
    weights = np.zeros((50, 40), dtype=np.int64)
    weights[np.ix_(range(3, 23), range(5, 17))] = sign << plane
    pieces = pieces_of(weights, room_of(8, 10, 1))
    assert pieces.count == 3 * 2
    assert pieces.places.sum() == 20 * 12


@pytest.mark.parametrize("top", [1, 2, 3, 4])
@pytest.mark.parametrize("bits", [1, 2])
def test_squeezing_planes_out_takes_as_many_digits_fewer(top: int, bits: int) -> None:
    # Magnitudes below 2^7 in rows that are shifted where they need it: 7 - top planes and the sign are left. Each output of 32
    # random rows of both signs has all digits of the range that an offset makes of them.
    generator = np.random.default_rng(top)
    most = (1 << (7 - top)) - 1
    stored = generator.integers(-most, most + 1, (96, 10))
    stored[:, 0] |= 1
    shifts = (generator.random(96) < 0.4).astype(np.uint8) * np.uint8(top)
    weights = stored << shifts[:, None].astype(np.int64)
    room = room_of(32, 10, bits)
    assert pieces_of(weights, room, squeeze=Squeeze(top, 10, shifts[None, :, None], 0)).count == 3 * -(
        -(8 - top) // bits
    )
    assert bits > 1 or pieces_of(weights, room).count > 3 * (8 - top)


def test_pruned_rows_take_no_cells() -> None:
    weights = np.random.default_rng(1).integers(-128, 128, (64, 5))
    weights[:, 0] |= 1
    assert pieces_of(weights, room_of(16, 40, 1)).count == 4
    weights[np.arange(64) % 4 > 0] = 0
    assert pieces_of(weights, room_of(16, 40, 1)).count == 1


def test_columns_are_of_the_cheaper_of_pairs_and_an_offset() -> None:
    # One-sided weights of planes 0 and 2: two columns by sign. -4..3 with all bits: 3 by an offset, 3 + 2 by pairs.
    assert pieces_of(np.array([[1, 4], [5, 4], [0, 1]]), room_of(8, 30, 1)).widths.tolist() == [4]
    assert pieces_of(np.arange(-4, 4)[:, None], room_of(8, 30, 1)).widths.tolist() == [3]
    # -1 and 1: two either way, -64 and 64, too; 0 and -128: one.
    assert pieces_of(np.array([[0], [-128]]), room_of(8, 30, 1)).widths.tolist() == [1]
    # 100, 101, 108: by an offset 0, 1, 8, so two columns.
    assert pieces_of(np.array([[100], [101], [108]]), room_of(8, 30, 1)).widths.tolist() == [2]


def test_top_planes_that_few_rows_have_are_kept_apart() -> None:
    # 64 rows in 4 blocks of 16, 10 outputs of 4 low bits and a sign: 50 columns or fewer in arrays of 50. Bits 4 to 6 are set in
    # one row of each block: 80 columns in two groups a block, or the top planes of all 4 rows in one group for each plane.
    generator = np.random.default_rng(5)
    weights = generator.integers(-15, 16, (64, 10))
    weights[::16] = 0x70 | generator.integers(0, 16, (4, 10))
    weights[1::16], weights[2::16] = 15, -15
    low = pieces_of(np.sign(weights) * (np.abs(weights) & 15), room_of(16, 50, 1))
    assert low.count == 4
    pieces = pieces_of(weights, room_of(16, 50, 1))
    assert pieces.count == 4 + 3 < 8
    apart = [pieces.block(i) for i in range(pieces.count) if pieces.block(i).height == 4]
    assert [piece.rows.tolist() for block in apart for piece in block.parts] == [[0, 16, 32, 48]] * 3


@pytest.mark.parametrize(
    ("channels", "rows", "columns", "blocks"), [(30, 128, 128, 3), (16, 128, 128, 2), (33, 36, 99, 9)]
)
def test_depthwise_kernels_stand_along_the_diagonal(channels: int, rows: int, columns: int, blocks: int) -> None:
    # 9 x 1 kernels of 8 columns: as many as rows / 9 and columns / 8 allow, 14 of 128 x 128 and 4 of 36 x 99.
    weights = np.zeros((channels, 9, 1), dtype=np.int64)
    weights[:] = np.arange(9)[:, None] * 31 - 121
    weights[:, :2] = [[-128], [127]]
    assert -(-channels // min(rows // 9, columns // 8)) == blocks
    assert pieces_of(weights, room_of(rows, columns, 1), packing="diagonal").count == blocks
    assert pieces_of(weights, room_of(rows, columns, 1), packing="separate").count == channels


@some
@given(integers(), rooms(), packings)
def test_never_more_groups_than_a_dense_mapping_of_the_same_integers(
    drawn: np.ndarray, room: GroupShape, packing: str
) -> None:
    # A theorem where rows are not squeezed: an output has at most ceil(8 / b) digits by its offset, rows are cut alike, and
    # what a dense mapping puts side by side or along a diagonal fits here, too.
    cells = -(-8 // room.coding.cell_bits)
    per_array = room.per_array // cells
    if per_array:
        arrays = room.columns // room.per_array
        shape = replace(room, columns=per_array * arrays, per_array=per_array)
        dense = dense_blocks(*drawn.shape, shape, packing == "diagonal")
        assert pieces_of(drawn, room, packing=packing).count <= dense.count


def upper(weights: np.ndarray, room: GroupShape) -> int:
    """The groups of one matrix whose outputs all have columns for the planes of its positive and its negative weights."""
    bits, alive = room.coding.cell_bits, weights[weights.any(axis=1)]
    groups = 0
    for first in range(0, len(alive), room.rows):
        part, columns = alive[first : first + room.rows], 0
        for side in (np.maximum(part, 0), np.maximum(-part, 0)):
            either = np.bitwise_or.reduce(side, axis=0)
            columns += sum(int(((either >> place) & room.coding.highest > 0).sum()) for place in range(0, 8, bits))
        groups += -(-columns // room.columns)
    return groups


@some
@given(integers(), rooms(), st.data())
def test_never_more_groups_than_pairs_of_planes(drawn: np.ndarray, room: GroupShape, data: st.DataObject) -> None:
    weights = drawn[0]
    assert pieces_of(weights, room).count <= max(1, upper(weights, room))
    # So weights of rows that are pruned away never take more groups than pairs did before.
    pruned = weights * (np.random.default_rng(data.draw(st.integers(0, 99))).random((len(weights), 1)) < 0.5)
    if len(weights) <= room.rows:
        assert pieces_of(pruned, room).count <= max(1, upper(weights, room))


def test_fewer_weights_can_take_more_groups_by_an_offset() -> None:
    # 0, 1 and 8 above the least take two columns; without the least row 0 and 7 above the next, three.
    room = room_of(4, 2, 1)
    assert pieces_of(np.array([[-100], [-99], [-92]]), room).count == 1
    assert pieces_of(np.array([[0], [-99], [-92]]), room).count == 2


@cache
def fits(sizes: tuple[tuple[int, int], ...], rows: int, columns: int) -> bool:
    """Whether rectangles, none turned, fit a group without overlap: tried at every place."""

    def tried(rest: Sequence[tuple[int, int]], taken: np.ndarray) -> bool:
        if not rest:
            return True
        (height, width), *others = rest
        for top in range(rows - height + 1):
            for left in range(columns - width + 1):
                here = taken[top : top + height, left : left + width]
                if not here.any():
                    here[...] = True
                    if tried(others, taken):
                        return True
                    here[...] = False
        return False

    return tried(sizes, np.zeros((rows, columns), dtype=bool))


def parts(items: Sequence[int]) -> Iterator[list[list[int]]]:
    """Every way to part items into sets."""
    if not items:
        yield []
        return
    first, *rest = items
    for others in parts(rest):
        yield [[first], *others]
        for n, each in enumerate(others):
            yield [*others[:n], [first, *each], *others[n + 1 :]]


def fewest(sizes: Sequence[tuple[int, int]], rows: int, columns: int, most: int) -> int:
    """The fewest groups that hold blocks, at most so many a group: of all ways to part them."""
    return min(
        len(way)
        for way in parts(range(len(sizes)))
        if all(
            len(each) <= most and fits(tuple(sorted((sizes[n] for n in each), reverse=True)), rows, columns)
            for each in way
        )
    )


def block_of(height: int, width: int) -> DigitBlock:
    """A block of that size."""
    zeros = np.zeros(width, dtype=np.uint8)
    return DigitBlock((
        Digits(
            0, np.arange(height), np.zeros(height, dtype=np.uint8), np.zeros(width, dtype=np.int32), zeros.astype(np.int8),
            zeros, zeros, 0, zeros.astype(np.int16), (np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int16)),
        ),
    ))  # fmt: skip


@pytest.mark.parametrize("most", [2, 3, 4])
@pytest.mark.parametrize(("rows", "columns", "count"), [(3, 3, 4), (3, 4, 4), (4, 4, 3), (2, 5, 5)])
def test_an_exhaustive_packer_saves_at_most_one_group_of_tiny_ones(
    rows: int, columns: int, count: int, most: int
) -> None:
    # First fit on shelves promises 17/8 of the fewest and 5 more; of all tiny cases that were tried none is worse than one more.
    room = room_of(rows, columns, 1)
    sizes = [(height, width) for height in range(1, rows + 1) for width in range(1, columns + 1)]
    cases = list(combinations_with_replacement(sizes, count))
    for case in cases[:: max(1, len(cases) // 150)]:
        blocks = [block_of(*each) for each in case]
        shared = fold(blocks, room, most)
        assert sum(len(block.parts) for block in shared) == count
        for block in shared:
            assert len(block.turns) == len(block.parts) <= most
            check_block(block, np.zeros((rows, columns), dtype=np.uint8), rows, columns)
        assert fewest(case, rows, columns, most) <= len(shared) <= fewest(case, rows, columns, most) + 1
