"""A layer's whole matrix, as it was read from its cells, multiplied at once: where no conversion can lose anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.machine.analog.processor import multiplies_bytes
from mho.machine.analog.unroll import settled, unrolled
from mho.network.layers import Affine, MatrixLayer
from mho.network.products import exact_type, multiply
from mho.number.affine import code_dtype
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
class WholeMatrix:
    """A layer's matrix of K x N weights, or one for each group of a grouped convolution; see `make_whole`.

    `planes`: signed bytes of (weight - HALF) x 2^shift, the lowest first, laid out for products of bytes; or, where there are
    none, `weights` (matrices, K, N) less their zeros, in a type in which their sums are exact. `added` (matrices, N): what is
    added to the sums of either. `zeros` (matrices, N): the weights' zeros.
    """

    planes: tuple[npt.NDArray[np.int8], ...]
    weights: npt.NDArray[Any] | None
    shift: int
    added: FloatArray
    zeros: npt.NDArray[np.int64]

    def sums(self, layer: MatrixLayer, codes: npt.NDArray[Any], zero: int, samples: int) -> npt.NDArray[Any]:
        """Return sums of (input - zero) x (weight - zero) in the layout of the layer's output."""
        if self.weights is None:
            return self._by_bytes(layer, codes, zero, samples)
        centred = np.subtract(np.ascontiguousarray(codes), zero, dtype=self.weights.dtype)
        sums = multiply(layer, centred, self.weights)
        return sums + per_output(layer, self.added) if self.added.any() else sums

    def _by_bytes(self, layer: MatrixLayer, codes: npt.NDArray[Any], zero: int, samples: int) -> FloatArray:
        from mho.machine.analog.compiled import multiply as multiply_bytes
        from mho.machine.analog.compiled import runs

        x, inputs = unrolled(layer, codes, zero, apart=4)
        cut = runs(len(self.planes[0]))
        raw: npt.NDArray[Any] | None = None
        for place, plane in enumerate(self.planes):
            products = np.zeros((x.shape[1], len(plane) * 16), dtype=np.int32)
            multiply_bytes(x[0], plane, cut, products)
            if len(self.planes) == 1 and not self.shift:
                raw = products
            else:
                scaled = products * 2.0 ** (8 * place - self.shift)
                raw = scaled if raw is None else np.add(raw, scaled, out=raw)
        assert raw is not None
        columns = self.zeros.shape[1]
        return settled(layer, raw[None, :, :columns], inputs, self.zeros - HALF, self.added, samples)


def make_whole(
    matrix: FloatArray, shift: int, wanted: npt.NDArray[np.uint8], zeros: npt.NDArray[np.int64], code: Affine
) -> WholeMatrix:
    """Prepare the matrix (matrices, K, N) that a layer's cells hold, in whole 2^-shift.

    wanted (matrices, K, N): the codes that should be there, by which the digital side corrects the input's zero point; zeros () or
    (matrices, N): theirs; code: that of the input.
    """
    matrices, rows, columns = matrix.shape
    zeros = np.broadcast_to(zeros, (matrices, columns))
    zero = int(code.zero)
    # What the correction misses, since the weights that are there are not those that should be.
    drift = zero * (matrix.sum(axis=1) - wanted.sum(axis=1, dtype=np.int64))
    planes = _planes(matrix, shift) if code_dtype(code) == np.uint8 else ()
    if planes:
        return WholeMatrix(planes, None, shift, zero * (rows * zeros - matrix.sum(axis=1)) + drift, zeros)
    centred = matrix - zeros[:, None, :]
    reach = max(zero - code.low, code.high - zero, 1)
    # Fixed-point weights take 2^-15 of a level at the finest, so that their sums are exact in float64.
    dtype = np.float64 if shift else exact_type(float(np.abs(centred).sum(axis=1).max()) * reach)
    return WholeMatrix((), centred.astype(dtype), shift, drift, zeros)


def _planes(matrix: FloatArray, shift: int) -> tuple[npt.NDArray[np.int8], ...]:
    """Return a matrix as planes of bytes, none where the processor has no products of bytes or they are not worth it."""
    from mho.machine.analog.compiled import pack

    matrices, rows, columns = matrix.shape
    if matrices > 1 or columns < FEWEST or rows > LONGEST or not multiplies_bytes():
        return ()
    left = np.rint(np.ldexp(matrix[0] - HALF, shift)).astype(np.int64)
    planes: list[npt.NDArray[np.int8]] = []
    while len(planes) < MOST_PLANES and (left.any() or not planes):
        low = ((left + HALF) & 255) - HALF
        planes.append(pack(low))
        left = (left - low) >> 8
    return () if left.any() else tuple(planes)
