"""Where the weights of a layer stand: blocks of rows, small matrices along the diagonal, digits in slices.

As in `mapping.dense`: a matrix is cut into blocks of as many rows as an array has; several small matrices of a grouped
convolution share a block along its diagonal where they fit. Every column has conversions of its own, so cutting columns
changes nothing and is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import pad

from mho.chip.coding import Coding
from mho.mapping.dense import dense_blocks
from mho.mapping.shape import weights_shape
from mho.mapping.sums import Fullest
from mho.training.chain import Chain


@dataclass(frozen=True)
class Layout:
    """`matrices` matrices K x N in units of `packed`, each cut into `blocks` blocks of `height` rows."""

    matrices: int
    rows: int
    columns: int
    packed: int
    blocks: int
    height: int

    @classmethod
    def of(cls, chain: Chain, matrices: int, rows: int, columns: int) -> Layout:
        """Lay out a layer as `mho.compile` does by default (packing "diagonal")."""
        chip = chain.chip
        cut = dense_blocks(matrices, rows, columns, weights_shape(chip), True)
        return cls(matrices, rows, columns, cut.packed, cut.row_blocks, min(int(chip.array.rows), cut.packed * rows))

    def fullest(self, coding: Coding) -> Fullest:
        """Return what the fullest column can hold, as `mapping.sums.fullest`."""
        return Fullest(coding.fullest(min(self.rows, self.height), self.height), self.height)

    @property
    def units(self) -> int:
        """Groups of matrices that share blocks."""
        return -(-self.matrices // self.packed)

    def inputs(self, x: Tensor) -> Tensor:
        """Lay out windows (matrices, W, K) as (units, blocks, W, height); rows that do not exist get 0."""
        windows = x.shape[1]
        if self.packed > 1:
            x = pad(x, (0, 0, 0, 0, 0, self.units * self.packed - self.matrices))
            x = x.reshape(self.units, self.packed, windows, self.rows).transpose(1, 2)
            x = x.reshape(self.units, windows, self.packed * self.rows)
        x = pad(x, (0, self.blocks * self.height - x.shape[2]))
        return x.reshape(self.units, windows, self.blocks, self.height).transpose(1, 2)

    def inputs_back(self, x: Tensor) -> Tensor:
        """Undo `inputs`."""
        windows = x.shape[2]
        x = x.transpose(1, 2).reshape(self.units, windows, -1)[:, :, : self.packed * self.rows]
        if self.packed > 1:
            x = x.reshape(self.units, windows, self.packed, self.rows).transpose(1, 2)
        return x.reshape(-1, windows, self.rows)[: self.matrices]

    def weights(self, w: Tensor, blank: int) -> Tensor:
        """Lay out matrices (matrices, K, N) as (units, blocks, height, packed x N), `blank` where there is no weight."""
        if self.packed > 1:
            w = pad(w, (0, 0, 0, 0, 0, self.units * self.packed - self.matrices), value=blank)
            w = w.reshape(self.units, self.packed, self.rows, self.columns)
            laid = w.new_full((self.units, self.packed, self.rows, self.packed, self.columns), blank)
            for i in range(self.packed):
                laid[:, i, :, i] = w[:, i]
            w = laid.reshape(self.units, self.packed * self.rows, self.packed * self.columns)
        w = pad(w, (0, 0, 0, self.blocks * self.height - w.shape[1]), value=blank)
        return w.reshape(self.units, self.blocks, self.height, self.packed * self.columns)

    def weights_back(self, w: Tensor) -> Tensor:
        """Undo `weights`."""
        w = w.reshape(self.units, self.blocks * self.height, -1)[:, : self.packed * self.rows]
        if self.packed > 1:
            parts = w.reshape(self.units, self.packed, self.rows, self.packed, self.columns)
            w = torch.stack([parts[:, i, :, i] for i in range(self.packed)], dim=1)
        return w.reshape(-1, self.rows, self.columns)[: self.matrices]

    def outputs(self, y: Tensor) -> Tensor:
        """Bring columns (units, W, packed x N) to (matrices, W, N)."""
        windows = y.shape[1]
        y = y.reshape(self.units, windows, self.packed, self.columns).transpose(1, 2)
        return y.reshape(-1, windows, self.columns)[: self.matrices]

    def outputs_back(self, y: Tensor) -> Tensor:
        """Undo `outputs`; columns that do not exist get 0."""
        windows = y.shape[1]
        y = pad(y, (0, 0, 0, 0, 0, self.units * self.packed - self.matrices))
        y = y.reshape(self.units, self.packed, windows, self.columns).transpose(1, 2)
        return y.reshape(self.units, windows, self.packed * self.columns)

    def heights(self) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
        """Rows of each block that exist, shape (units, blocks)."""
        found = np.full((self.units, self.blocks), self.height, dtype=np.int64)
        found[:, -1] = self.packed * self.rows - (self.blocks - 1) * self.height
        if self.packed > 1:
            found[-1, -1] = (self.matrices - (self.units - 1) * self.packed) * self.rows
        return found


@dataclass(frozen=True)
class Cells:
    """What the columns of a layer hold: `seen` (units, blocks, height, slices, columns) as the ADC sees it, in levels.

    `inverted` (units, blocks, slices, columns), or None; `read_variance` as `seen`, or None for no read noise.
    """

    seen: Tensor
    inverted: Tensor | None
    read_variance: Tensor | None


def program(chain: Chain, layout: Layout, codes: Tensor, layer: int, number: int | None, dtype: torch.dtype) -> Cells:
    """Bring weight codes (matrices, K, N) into cells; `number` None for ideal ones, else the pass that they are drawn for."""
    coding = chain.chip.coding
    laid = layout.weights(codes.detach(), coding.base).cpu().numpy().astype(np.uint8)
    levels = coding.levels(laid)  # (units, blocks, height, columns, cells)
    inverted = None
    if coding.inverts:
        # A row that does not exist holds the code `base`, which is 0 for codings that invert: it adds nothing to the sum.
        inverted = 2 * levels.sum(axis=2, dtype=np.int64) > (layout.heights() * coding.highest)[:, :, None, None]
        levels = np.where(inverted[:, :, None], np.uint8(coding.highest) - levels, levels)
    seen, variance = chain.seen(levels, layer, number)

    def tensor(values: npt.NDArray[Any] | None, dtype: torch.dtype = dtype) -> Any:
        if values is None:
            return None
        return torch.from_numpy(np.ascontiguousarray(values.swapaxes(-1, -2))).to(codes.device, dtype)

    return Cells(tensor(seen), tensor(inverted, torch.bool), tensor(variance))
