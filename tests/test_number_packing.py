"""Coefficients are packed into the bits that a program counts, and come out again as they were."""

from __future__ import annotations

from math import comb, log2

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mho.errors import NumberError
from mho.number.basis import MOST_POWER_BITS, integers_of
from mho.number.packing import HEAD_BITS, pack, packed_bits, unpack


@st.composite
def parts(draw: st.DrawFn) -> tuple[npt.NDArray[np.int64], int, bool]:
    """Draw the coefficients (vectors, outputs) of a part, as dense or sparse as may be, their bits, and whether they are powers."""
    powers = draw(st.booleans())
    bits = draw(st.integers(2, MOST_POWER_BITS if powers else 8))
    shape = draw(st.integers(1, 600)), draw(st.integers(1, 6))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = generator.choice(integers_of(bits, powers), shape)
    # Each output is as dense as it likes: counts differ.
    share = draw(st.floats(0, 1)) * generator.random(shape[1])
    return np.where(generator.random(shape) < share, values, 0), bits, powers


def charged(part: npt.NDArray[np.int64], bits: int) -> tuple[int, int]:
    """Return what is counted for a part, and the low bits of its places."""
    sizes, lows = packed_bits(np.array([np.count_nonzero(part)]), part.shape[1], np.array([part.shape[0]]), bits)
    return int(sizes[0]), int(lows[0])


@given(parts())
def test_what_is_packed_comes_out_again_and_takes_the_bits_that_are_counted(
    drawn: tuple[npt.NDArray[np.int64], int, bool],
) -> None:
    part, bits, powers = drawn
    packed = pack(part, bits, powers=powers)
    assert np.array_equal(unpack(packed, part.shape[1], part.shape[0], bits, powers=powers), part)
    size, low = charged(part, bits)
    assert len(packed) == -(-size // 8)
    # Whatever is behind a part is not read: a decoder knows where it ends.
    behind = unpack(packed + b"\xff\xff", part.shape[1], part.shape[0], bits, powers=powers)
    assert np.array_equal(behind, part)
    # Of all low bits these take fewest, and no code can tell sets apart by fewer bits than their number asks for.
    vectors, outputs = part.shape
    count = np.count_nonzero(part)
    ways = [outputs * vectors] + [
        count * (low + 1) + outputs * -(-vectors // 2**low) for low in range(1, (vectors - 1).bit_length() + 1)
    ]
    assert size - HEAD_BITS - count * bits == min(ways) == ways[low]
    assert min(ways) >= sum(log2(comb(vectors, n)) for n in np.count_nonzero(part, axis=0).tolist()) - 1e-9


@given(parts(), st.data())
def test_a_part_that_is_cut_off_is_refused(drawn: tuple[npt.NDArray[np.int64], int, bool], data: st.DataObject) -> None:
    part, bits, powers = drawn
    packed = pack(part, bits, powers=powers)
    kept = data.draw(st.integers(0, len(packed) - 1))
    with pytest.raises(NumberError, match="coefficients end after"):
        unpack(packed[:kept], part.shape[1], part.shape[0], bits, powers=powers)


def test_places_take_the_bits_that_their_formulas_say() -> None:
    """Worked out by hand: n (l + 1) + M ceil(N / 2^l), or M N, beside n c and the head."""
    for vectors, count, bits, low, places in (
        (512, 32, 4, 3, 32 * 4 + 64),  # As many as with l = 4: the smaller is taken.
        (256, 32, 4, 2, 32 * 3 + 64),
        (128, 32, 4, 0, 128),  # A bitmap, as long as l = 2: 32 x 3 + 32.
        (128, 16, 4, 2, 16 * 3 + 32),
        (1000, 1, 3, 9, 10 + 2),
        (1, 1, 2, 0, 1),
        (700, 0, 2, 10, 1),
    ):
        sizes, lows = packed_bits(np.array([7 * count]), 7, np.array([vectors]), bits)
        assert (sizes.tolist(), lows.tolist()) == ([HEAD_BITS + 7 * (places + count * bits)], [low])


def test_values_that_are_no_coefficients_are_refused() -> None:
    with pytest.raises(NumberError, match="2 bits are -2 to 1"):
        pack(np.array([[2]]), 2)
    with pytest.raises(NumberError, match="3 bits"):
        pack(np.array([[3]]), 3, powers=True)
