"""The levels that a block brings to the cells of its group, and the columns of cells that it stores inverted.

Which columns are inverted (coding `flipped`, Shafiee et al., ISCA 2016, section V) is decided by the weights of the block alone,
so that the digital side knows it from the program: those whose levels sum to more than half of rows x (L - 1).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mho.chip.coding import Coding
from mho.errors import MappingError

Codes = npt.NDArray[np.uint8]
Levels = npt.NDArray[np.uint8]
Inverted = npt.NDArray[np.bool_]


def check_codes(layer: str, codes: Codes, coding: Coding) -> None:
    """Raise MappingError where a layer has a weight code that has no cells in a coding."""
    if coding.least_code and codes.min(initial=coding.base) < coding.least_code:
        raise MappingError(
            f"layer {layer!r} has a weight of the lowest code, 0, which coding {coding.name} has no cells for: magnitudes go up to "
            f"{coding.base - 1} on either side of code {coding.base}; code weights symmetrically (--symmetric), whose lowest code "
            "is 1, or take coding differential"
        )


def inverted_columns(laid: Codes, coding: Coding) -> Inverted | None:
    """Return which columns of cells a block stores inverted, shape (width, cells); None where the coding inverts none.

    `laid` are the codes of the block as they sit in its group, shape (height, width).
    """
    if not coding.inverts:
        return None
    sums = coding.levels(laid).sum(axis=0, dtype=np.int64)
    inverted: Inverted = 2 * sums > len(laid) * coding.highest
    return inverted


def shown_codes(laid: Codes, coding: Coding) -> Codes:
    """Return the codes (height, width) that the cells of a block show to one who knows of no inversion.

    An inverted digit of b bits is the digit with all its bits inverted. The most significant cell may have fewer bits than b to
    hold; then its levels are below half of L - 1, and its column is never inverted. So what is shown is a code again.
    """
    inverted = inverted_columns(laid, coding)
    if inverted is None or not inverted.any():
        return laid
    bits = (inverted * (coding.highest * np.array(coding.significance))).sum(axis=1).astype(laid.dtype)
    shown: Codes = laid ^ bits
    return shown


def block_levels(laid: Codes, coding: Coding) -> tuple[Levels, Inverted | None]:
    """Return the levels of a block's cells, uint8 (height, width, cells), and which columns of cells are inverted, bool
    (width, cells), None where the coding inverts none.

    `laid` are the codes of the block as they sit in its group, shape (height, width).
    """
    levels = coding.levels(laid)
    inverted = inverted_columns(laid, coding)
    if inverted is not None:
        levels = np.where(inverted, np.uint8(coding.highest) - levels, levels)
    return levels, inverted


__all__ = ["block_levels", "check_codes", "inverted_columns", "shown_codes"]
