"""A chip as training follows it: where the weights of a layer stand in its blocks, and what its ADCs see of the cells.

As in `mapping.dense`: a matrix is cut into blocks of as many rows as an array has; several small matrices of a grouped
convolution share a block along its diagonal where they fit. Every column has conversions of its own, so cutting columns
changes nothing and is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import pad

from mho.chip import Chip
from mho.chip.coding import Coding
from mho.errors import AnalogError, OptionError, choices
from mho.machine.analog.sensing import Sensing
from mho.machine.analog.spec import Analog
from mho.mapping.blocks import Fullest
from mho.mapping.dense import dense_blocks
from mho.mapping.shape import weights_shape

GRADIENTS = ("unclipped", "plain")
"""Ways in which gradients pass the ADC; see `crossbar`."""
TRAINING = 0x7EA1
"""First of the three numbers that key the random draws of training; keys of `mho.execute` have two, so that none coincide."""


@dataclass(frozen=True)
class Chain:
    """A chip and its analog side. Raises AnalogError, naming the key, where training cannot follow them."""

    chip: Chip
    analog: Analog
    gradient: str = "unclipped"
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what would otherwise be left out silently."""
        adc = self.analog.adc
        if self.gradient not in GRADIENTS:
            raise OptionError(f"unknown gradient {self.gradient!r}; {choices(self.gradient, GRADIENTS)}")
        if self.analog.wires is not None:
            raise AnalogError(
                "wires: training does not follow the resistance of wires; leave wires out of the analog side"
            )
        for key, value in (("gain_error", adc.gain_error), ("offset_error", adc.offset_error)):
            if value:
                raise AnalogError(
                    f"adc.{key}: training does not follow what differs between ADCs; it must be 0, not {value}"
                )
        for key in ("rows_parallel", "input_coding", "integrated_bits"):
            if (value := getattr(self.chip.array, key)) not in (None, "offset"):
                raise AnalogError(f"array.{key}: training does not follow it; leave {key} = {value} out of the chip")
        if self.analog.pedestal == "reference":
            raise AnalogError("pedestal: training does not follow reference columns; take analog")
        self.sensing.check()
        if self.chip.array_weights_per_row < 1:
            raise AnalogError(f"chip {self.chip.name}: an array has too few columns for a single weight")

    @cached_property
    def sensing(self) -> Sensing:
        """Return how the ADCs see the cells."""
        return Sensing(self.chip, weights_shape(self.chip), self.analog)

    @property
    def calibrates(self) -> bool:
        """Say whether the range of the ADC depends on the sums of the columns."""
        return self.analog.adc.bits != "ideal" and self.analog.adc.range == "calibrated"

    def seen(
        self, levels: npt.NDArray[np.uint8], layer: int, number: int | None
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64] | None]:
        """Program cells (..., cells) and return what ADCs see of them; see `Sensing.seen`.

        Another draw for each layer and pass `number`; None for ideal cells.
        """
        sensing = self.sensing
        if number is None:
            return sensing.seen(levels.astype(np.float64))[0], None
        conducted = sensing.programmed(levels, (TRAINING, layer, number), seed=self.seed)
        return sensing.seen(np.asarray(conducted, dtype=np.float64) - sensing.below)


@dataclass(frozen=True)
class Tiling:
    """`matrices` matrices K x N in units of `packed`, each cut into `blocks` blocks of `height` rows."""

    matrices: int
    rows: int
    columns: int
    packed: int
    blocks: int
    height: int

    @classmethod
    def of(cls, chain: Chain, matrices: int, rows: int, columns: int) -> Tiling:
        """Lay out a layer as `mho.compile` does by default (packing "diagonal")."""
        chip = chain.chip
        cut = dense_blocks(matrices, rows, columns, weights_shape(chip), True)
        return cls(
            matrices, rows, columns, cut.packed, cut.row_blocks, min(weights_shape(chip).rows, cut.packed * rows)
        )

    def fullest(self, coding: Coding) -> Fullest:
        """Return what the fullest column can hold, as `Blocks.fullest`."""
        return Fullest(coding.fullest(min(self.rows, self.height), self.height), self.height)

    @property
    def units(self) -> int:
        """Groups of matrices that share blocks."""
        return -(-self.matrices // self.packed)

    def places(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return where row k of matrix m sits among all rows of all blocks, (matrices x K,), and which of its unit's it is."""
        matrix = torch.arange(self.matrices, device=device).repeat_interleave(self.rows)
        row = torch.arange(self.rows, device=device).repeat(self.matrices)
        own = matrix % self.packed
        return matrix // self.packed * (self.blocks * self.height) + own * self.rows + row, own

    def inputs(self, x: Tensor) -> Tensor:
        """Lay out windows (matrices, W, K) as (units, blocks, W, height); rows that do not exist get 0."""
        windows = x.shape[1]
        if self.packed == 1:  # the rows of a matrix follow one another
            laid = pad(x, (0, self.blocks * self.height - self.rows))
            return laid.reshape(self.units, windows, self.blocks, self.height).transpose(1, 2)
        laid = x.new_zeros((windows, self.units * self.blocks * self.height))
        laid.index_copy_(1, self.places(x.device)[0], x.transpose(0, 1).reshape(windows, -1))
        return laid.reshape(windows, self.units, self.blocks, self.height).permute(1, 2, 0, 3)

    def inputs_back(self, x: Tensor) -> Tensor:
        """Undo `inputs`."""
        windows = x.shape[2]
        if self.packed == 1:
            return x.transpose(1, 2).reshape(self.units, windows, -1)[:, :, : self.rows]
        laid = x.permute(2, 0, 1, 3).reshape(windows, -1).index_select(1, self.places(x.device)[0])
        return laid.reshape(windows, self.matrices, self.rows).transpose(0, 1)

    def weights(self, w: Tensor, blank: int) -> Tensor:
        """Lay out matrices (matrices, K, N) as (units, blocks, height, packed x N), `blank` where there is no weight."""
        laid = w.new_full((self.units * self.blocks * self.height, self.packed, self.columns), blank)
        laid[self.places(w.device)] = w.reshape(-1, self.columns)
        return laid.reshape(self.units, self.blocks, self.height, self.packed * self.columns)

    def weights_back(self, w: Tensor) -> Tensor:
        """Undo `weights`."""
        laid = w.reshape(-1, self.packed, self.columns)[self.places(w.device)]
        return laid.reshape(self.matrices, self.rows, self.columns)

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

    def heights(self) -> npt.NDArray[np.int64]:
        """Rows of each block that exist, shape (units, blocks)."""
        blocks = self.places(torch.device("cpu"))[0].numpy() // self.height
        return np.bincount(blocks, minlength=self.units * self.blocks).reshape(self.units, self.blocks)


@dataclass(frozen=True)
class Cells:
    """The cells of the columns of a layer: `seen` (units, blocks, height, slices, columns) as the ADC sees it, in levels.

    `inverted` (units, blocks, slices, columns), or None; `read_variance` as `seen`, or None for no read noise.
    """

    seen: Tensor
    inverted: Tensor | None
    read_variance: Tensor | None


def program(chain: Chain, layout: Tiling, codes: Tensor, layer: int, number: int | None, dtype: torch.dtype) -> Cells:
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
