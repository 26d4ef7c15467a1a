"""A layer's whole matrix, as it was read from its cells, multiplied at once: where no conversion can lose anything."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.machine.analog.dot import has_instruction
from mho.machine.analog.unroll import settled, unrolled
from mho.network.layers import MatrixLayer
from mho.number.products import multiply
from mho.number.reference import per_output

FloatArray = npt.NDArray[np.float64]
BYTE = 255
HALF = 128
FEWEST = 8
"""Outputs below which products of bytes are not worth their layout."""
LONGEST = (2**31 - 1) // (BYTE * HALF)
"""Inputs up to which sums of products of bytes fit 32 bits."""


@dataclass(frozen=True, eq=False)
class Whole:
    """A layer's matrix: `weights` (matrices, K, N) less their zeros, in a type in which its sums are exact.

    `drift` (matrices, N), or None: what the digital side's correction of the input's zero point misses, since it knows the weights
    that should be there, not those that are. `integers`: the matrix as codes 0 to 255, zeros not taken away, None where it is not
    made of such; `zeros` () or (matrices, N).
    """

    weights: npt.NDArray[Any]
    drift: FloatArray | None
    integers: FloatArray | None
    zeros: npt.NDArray[np.int64]

    @cached_property
    def _bytes(self) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int64], npt.NDArray[np.int32]] | None:
        """The matrix laid out for products of bytes, where the processor has them and they are worth it."""
        from mho.machine.analog.compiled import pack, runs

        matrices, rows, columns = self.weights.shape
        if self.integers is None or matrices > 1 or columns < FEWEST or rows > LONGEST or not has_instruction():
            return None
        packed = pack(self.integers[0].astype(np.int64) - HALF)
        cut = runs(len(packed))
        return packed, cut, np.full(len(cut), 2**30, dtype=np.int32)

    def sums(self, layer: MatrixLayer, codes: npt.NDArray[Any], zero: int, samples: int) -> npt.NDArray[Any]:
        """Return sums of (input - zero) x (weight - zero) in the layout of the layer's output."""
        if self._bytes is not None and codes.dtype == np.uint8:
            found: npt.NDArray[Any] = self._by_bytes(layer, codes, zero, samples)
        else:
            centred = np.subtract(np.ascontiguousarray(codes), zero, dtype=self.weights.dtype)
            found = multiply(layer, centred, self.weights)
        return found if self.drift is None else found + per_output(layer, self.drift)

    def _by_bytes(self, layer: MatrixLayer, codes: npt.NDArray[Any], zero: int, samples: int) -> FloatArray:
        from mho.machine.analog.compiled import clip

        assert self._bytes is not None and self.integers is not None
        packed, cut, safe = self._bytes
        x, inputs = unrolled(layer, codes, zero)
        made = np.zeros((x.shape[1], len(packed) * 16), dtype=np.int32)
        clip(x[0], packed, cut, safe, 8, 1, 0, 0, made)
        columns, rows = self.integers.shape[2], self.integers.shape[1]
        zeros = np.broadcast_to(self.zeros, (1, columns))
        constant = zero * (rows * zeros - self.integers.sum(axis=1).astype(np.int64))
        return settled(layer, made[None, :, :columns], inputs, zeros - HALF, constant, samples)
