"""How the weights of a block sit in the cells of its group."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mho.chip import Chip
from mho.mapping.tiling import Tiling


def digits(codes: npt.NDArray[np.uint8], chip: Chip) -> npt.NDArray[np.uint8]:
    """Split weight codes into cell levels, the most significant first: shape (..., cells per weight)."""
    count, bits = chip.cells_per_weight, chip.array.cell_bits
    shifts = bits * np.arange(count - 1, -1, -1, dtype=np.uint16)
    levels = np.empty((*codes.shape, count), dtype=np.uint8)
    levels[...] = (codes[..., None].astype(np.uint16) >> shifts) & (chip.levels - 1)
    return levels


def block_codes(codes: npt.NDArray[np.uint8], tiling: Tiling, index: int) -> npt.NDArray[np.uint8]:
    """Return the weight codes of a block as they sit in its group, shape (height, width), 0 off the diagonal.

    `codes` has shape (matrices, K, N).
    """
    block = tiling.block(index)
    part = codes[block.first : block.first + block.count, slice(*block.rows), slice(*block.columns)]
    laid = np.zeros((block.height, block.width), dtype=np.uint8)
    height, width = part.shape[1:]
    for i, matrix in enumerate(part):
        laid[i * height : (i + 1) * height, i * width : (i + 1) * width] = matrix
    return laid
