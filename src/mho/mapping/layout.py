"""How the weights of a block sit in its group."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mho.mapping.tiling import Tiling


def block_codes(codes: npt.NDArray[np.uint8], tiling: Tiling, index: int, blank: int) -> npt.NDArray[np.uint8]:
    """Return the weight codes of a block as they sit in its group, shape (height, width), `blank` off the diagonal.

    `codes` has shape (matrices, K, N). `blank` is the code whose cells are at level 0 (`Coding.base`): it adds nothing to any sum.
    """
    block = tiling.block(index)
    part = codes[block.first : block.first + block.count, slice(*block.rows), slice(*block.columns)]
    laid = np.full((block.height, block.width), blank, dtype=np.uint8)
    height, width = part.shape[1:]
    for i, matrix in enumerate(part):
        laid[i * height : (i + 1) * height, i * width : (i + 1) * width] = matrix
    return laid
