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
HALF = 128
FEWEST = 8
"""Outputs below which products of bytes are not worth their layout."""
MOST_PLANES = 3
"""Byte planes of weights up to which products of bytes are faster than one in float64."""
LONGEST = (2**31 - 1) // (255 * HALF)
"""Inputs up to which sums of products of bytes fit 32 bits."""


@dataclass(frozen=True, eq=False)
class Whole:
    """A layer's matrix: `weights` (matrices, K, N) less their zeros, in a type in which its sums are exact.

    `drift` (matrices, N), or None: what the digital side's correction of the input's zero point misses, since it knows the weights
    that should be there, not those that are. `matrix` (matrices, K, N): the weights with their zeros, in whole 2^-shift; `zeros` ()
    or (matrices, N).
    """

    weights: npt.NDArray[Any]
    drift: FloatArray | None
    matrix: FloatArray
    shift: int
    zeros: npt.NDArray[np.int64]

    @cached_property
    def _bytes(self) -> tuple[npt.NDArray[np.int8], ...]:
        """Planes of signed bytes of (matrix - HALF) x 2^shift, the lowest first, laid out for products; none where not worth it."""
        from mho.machine.analog.compiled import pack

        matrices, rows, columns = self.weights.shape
        if matrices > 1 or columns < FEWEST or rows > LONGEST or not has_instruction():
            return ()
        left = np.rint(np.ldexp(self.matrix[0] - HALF, self.shift)).astype(np.int64)
        planes: list[npt.NDArray[np.int8]] = []
        while len(planes) < MOST_PLANES and (left.any() or not planes):
            low = ((left + HALF) & 255) - HALF
            planes.append(pack(low))
            left = (left - low) >> 8
        return () if left.any() else tuple(planes)

    @property
    def nbytes(self) -> int:
        """Bytes that it takes, once used."""
        return self.weights.nbytes + self.matrix.nbytes + sum(plane.nbytes for plane in self._bytes)

    def sums(self, layer: MatrixLayer, codes: npt.NDArray[Any], zero: int, samples: int) -> npt.NDArray[Any]:
        """Return sums of (input - zero) x (weight - zero) in the layout of the layer's output."""
        if self._bytes and codes.dtype == np.uint8:
            found: npt.NDArray[Any] = self._by_bytes(layer, codes, zero, samples)
        else:
            centred = np.subtract(np.ascontiguousarray(codes), zero, dtype=self.weights.dtype)
            found = multiply(layer, centred, self.weights)
        return found if self.drift is None else found + per_output(layer, self.drift)

    def _by_bytes(self, layer: MatrixLayer, codes: npt.NDArray[Any], zero: int, samples: int) -> FloatArray:
        from mho.machine.analog.compiled import multiply as multiply_bytes
        from mho.machine.analog.compiled import runs

        x, inputs = unrolled(layer, codes, zero, apart=4)
        rows, columns = self.matrix.shape[1:]
        cut = runs(len(self._bytes[0]))
        raw: npt.NDArray[Any] | None = None
        for place, plane in enumerate(self._bytes):
            made = np.zeros((x.shape[1], len(plane) * 16), dtype=np.int32)
            multiply_bytes(x[0], plane, cut, made)
            if len(self._bytes) == 1 and not self.shift:
                raw = made
            else:
                part = made * 2.0 ** (8 * place - self.shift)
                raw = part if raw is None else np.add(raw, part, out=raw)
        assert raw is not None
        zeros = np.broadcast_to(self.zeros, (1, columns))
        constant = zero * (rows * zeros - self.matrix.sum(axis=1))
        return settled(layer, raw[None, :, :columns], inputs, zeros - HALF, constant, samples)
