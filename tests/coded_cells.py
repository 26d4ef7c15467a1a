"""What the cells of a block should hold in each coding, worked out weight by weight: the oracle of those who follow cells."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mho.chip import Chip
from mho.mapping.dense import DenseBlock


def digits(value: int, most: int, levels: int) -> list[int]:
    """The digits of a number, up to the most that there is, in cells of so many levels, the most significant first."""
    count = next(count for count in range(1, 18) if levels**count > most)
    return [value // levels**place % levels for place in reversed(range(count))]


def weight_levels(code: int, coding: str, levels: int, bits: int = 8) -> list[int]:
    """The levels of the cells of one weight of so many bits, before any column is inverted."""
    half = 2 ** (bits - 1)
    if coding in ("offset", "flipped"):
        return digits(code, 2 * half - 1, levels)
    if coding == "twos_complement":
        return [int(code < half), *(digits((code + half) % (2 * half) % half, half - 1, levels) if bits > 1 else [])]
    signed, most = code - half, max(half - 1, 1) if coding == "sign_magnitude" else half
    positive, negative = digits(max(signed, 0), most, levels), digits(max(-signed, 0), most, levels)
    return [level for pair in zip(positive, negative, strict=True) for level in pair]


def block_cells(chip: Chip, codes: npt.NDArray[np.uint8], block: DenseBlock, bits: int = 8) -> npt.NDArray[np.int64]:
    """The levels of a block's cells, shape (height, width, cells); `codes` are those of its layer, (matrices, K, N)."""
    coding, levels = chip.array.coding, chip.levels
    table = np.array([weight_levels(max(code, least(coding)), coding, levels, bits) for code in range(2**bits)])
    held = np.zeros((block.height, block.width, table.shape[1]), dtype=np.int64)
    high, wide = block.rows[1] - block.rows[0], block.columns[1] - block.columns[0]
    for m in range(block.count):
        part = codes[block.first + m, slice(*block.rows), slice(*block.columns)]
        held[m * high : (m + 1) * high, m * wide : (m + 1) * wide] = table[part]
    if coding == "flipped":
        most = block.height * (levels - 1)
        for column in range(block.width):
            for cell in range(table.shape[1]):
                if held[:, column, cell].sum() > most / 2:
                    held[:, column, cell] = levels - 1 - held[:, column, cell]
    return held


def least(coding: str) -> int:
    """The least code that cells can hold; codes around the middle of their range keep to it."""
    return int(coding == "sign_magnitude")


def narrows(chip: Chip) -> bool:
    """Whether `low_cell` "lower" is allowed: cells of several levels, of which the lowest holds the lowest digit of a code."""
    return (
        chip.array.cell_bits > 1
        and chip.array.coding not in ("differential", "sign_magnitude")
        and chip.array.cell_levels is None
        and (chip.array.coding, chip.array.cell_bits) != ("twos_complement", 8)
    )
