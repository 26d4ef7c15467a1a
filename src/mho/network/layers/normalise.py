"""Normalisations: from the input's own statistics, and by known scales and offsets of channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mho.errors import NetworkError
from mho.network.arrays import Array
from mho.network.geometry import Shape, along, need
from mho.network.layer import AnyArray, Layer, need_shape, real
from mho.network.layers.reduction import row_sums
from mho.network.rows import Streamed, Streams


@dataclass(frozen=True, kw_only=True, eq=False)
class Normalise(Layer):
    """Normalisation from the statistics of the input itself.

    `function` "layer": (x - mean) / sqrt(variance + epsilon) over the last `axes` axes; "rms": x / sqrt(mean of
    squares + epsilon), likewise; "group": over each of `groups` groups of channels (axis 1) and all axes behind.
    Then * scale + offset where these are given (shape: the normalised axes, or the channels for "group").
    """

    function: str
    epsilon: float
    scale: Array | None = None
    offset: Array | None = None
    axes: int = 1
    groups: int = 1

    kind: ClassVar[str] = "normalise"
    passes: ClassVar[bool] = True
    work: ClassVar[int] = 6
    """Two sums, subtract, divide, scale, offset."""

    def made_shape(self, operands: Sequence[Shape]) -> Shape:
        """Return the operand's shape."""
        (shape,) = operands
        if self.function == "group":
            need(self.groups >= 1 and shape[1] % self.groups == 0)
            over = shape[1:2]
        else:
            need(self.function in ("layer", "rms") and 1 <= self.axes <= len(shape))
            over = shape[len(shape) - self.axes :]
        need_shape(self.scale, over)
        need_shape(self.offset, over)
        return shape

    def compute(self, operands: Sequence[AnyArray], factor: int) -> AnyArray:
        """Normalise: mean = sum / n, variance = sum((x - mean)^2) / n, sums in the order of `row_sums`."""
        x = np.ascontiguousarray(real(operands[0]))
        if self.function == "group":
            rows = x.reshape(x.shape[0], self.groups, -1)
            channels = (1, -1) + (1,) * (x.ndim - 2)
        else:
            rows = x.reshape(*x.shape[: x.ndim - self.axes], -1)
            channels = x.shape[x.ndim - self.axes :]
        count = rows.shape[-1]
        match self.function:
            case "layer" | "group":
                centred = rows - row_sums(rows) / count
                result = centred / np.sqrt(row_sums(centred * centred) / count + self.epsilon)
            case "rms":
                result = rows / np.sqrt(row_sums(rows * rows) / count + self.epsilon)
            case _:
                raise NetworkError(f"layer {self.name!r}: unknown normalisation {self.function!r}")
        result = result.reshape(x.shape)
        if self.scale is not None:
            result = result * self.scale.real().reshape(channels)
        if self.offset is not None:
            result = result + self.offset.real().reshape(channels)
        return np.asarray(result)

    def extends(self, operands: Sequence[tuple[Shape, bool]]) -> bool:
        """Return True if no statistics are taken over axis 0."""
        return self.function == "group" or self.axes < len(operands[0][0])

    def streams(self, operands: Sequence[Streamed]) -> Streams:
        """Row by row along an axis that no statistics are taken over."""
        (x,) = operands
        over = 1 if self.function == "group" else len(x.shape) - self.axes
        return x.axis, (x.same if x.axis is None or x.axis < over else x.all,)


@dataclass(frozen=True, kw_only=True, eq=False)
class ChannelAffine(Layer):
    """x * scale[c] + offset[c] along `axis`: a batch normalisation that could not be folded into its neighbour."""

    scale: Array
    offset: Array
    axis: int = 1

    kind: ClassVar[str] = "channel affine"
    passes: ClassVar[bool] = True
    work: ClassVar[int] = 2

    def made_shape(self, operands: Sequence[Shape]) -> Shape:
        """Return the operand's shape."""
        (shape,) = operands
        need(self.axis >= 0)
        need_shape(self.scale, (shape[self.axis],))
        need_shape(self.offset, (shape[self.axis],))
        return shape

    def compute(self, operands: Sequence[AnyArray], factor: int) -> AnyArray:
        """Scale and shift each channel."""
        scale, offset = (along(array.real(), self.axis, operands[0].ndim) for array in (self.scale, self.offset))
        return np.asarray(operands[0] * scale + offset)

    def extends(self, operands: Sequence[tuple[Shape, bool]]) -> bool:
        """Return True if the channels are not axis 0."""
        return self.axis != 0

    def streams(self, operands: Sequence[Streamed]) -> Streams:
        """Row by row."""
        return operands[0].axis, (operands[0].same,)

    def changes_nothing(self) -> bool:
        """Return True if every scale is known to be 1 and every offset 0."""
        return self.scale.equals(1.0) and self.offset.equals(0.0)
