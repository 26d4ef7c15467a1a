"""A network under construction: layers are appended with unique names; what shape they make, their kinds say.

Both importers and the decoder build through this class, so that a rule such as what a pooling that hangs over the edge counts
is in one place. `scope` is the name that the next main layer takes; helper layers add a part to it ("conv1.reshape").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mho.network.geometry import overhang
from mho.network.layers import (
    Activation,
    Array,
    ChannelAffine,
    Convert,
    Convolution,
    CumulativeSum,
    Elementwise,
    Embedding,
    GroupedLinear,
    Linear,
    MatrixProduct,
    Normalise,
    Pool,
    Reduce,
    Select,
    Softmax,
)
from mho.network.movement import MovementBuilder

LOWEST = float(np.finfo(np.float32).min)
"""What stands for minus infinity in a mask: its exponential is zero beside any other score."""


class Builder(MovementBuilder):
    """Collects layers. Every method appends one layer and returns the name of its tensor."""

    # Layers with weights ------------------------------------------------------------------------------------

    def convolution(
        self,
        x: str,
        weight: Array,
        bias: Array | None,
        *,
        stride: tuple[int, int] = (1, 1),
        padding: tuple[int, int, int, int] = (0, 0, 0, 0),
        dilation: tuple[int, int] = (1, 1),
        groups: int = 1,
        part: str | None = None,
    ) -> str:
        """Append a two-dimensional convolution of (B, C, H, W); weight (N, C / groups, kh, kw)."""
        return self.append(
            Convolution, x, part=part, weight=weight, bias=bias, stride=stride, padding=padding, dilation=dilation,
            convolution_groups=groups,
        )  # fmt: skip

    def linear(
        self, x: str, weight: Array, bias: Array | None = None, part: str | None = None, *, groups: int = 1
    ) -> str:
        """Append a product of (..., groups K) with weights (groups N, K)."""
        if groups == 1:
            return self.append(Linear, x, part=part, weight=weight, bias=bias)
        return self.append(GroupedLinear, x, part=part, weight=weight, bias=bias, linear_groups=groups)

    def embedding(self, x: str, table: Array, part: str | None = None) -> str:
        """Append a look-up of rows of `table` (rows, features)."""
        return self.append(Embedding, x, part=part, table=table)

    # Layers without weights ---------------------------------------------------------------------------------

    def product(self, left: str, right: str, part: str | None = None) -> str:
        """Append a product of two activations (..., M, K) and (..., K, N)."""
        inner = (self.shape(left) or (0,))[-1]
        return self.append(MatrixProduct, left, right, part=part, inner=inner)

    def pool(
        self,
        x: str,
        function: str,
        kernel: tuple[int, int],
        stride: tuple[int, int],
        padding: tuple[int, int, int, int] = (0, 0, 0, 0),
        *,
        dilation: tuple[int, int] = (1, 1),
        count_padding: bool = True,
        ceil: bool = False,
        part: str | None = None,
    ) -> str:
        """Append a two-dimensional pooling. `ceil` adds the windows that hang over the edge, where torch and ONNX do.

        A window that hangs over counts, in an average, only what lies inside image and padding.
        """
        over = [0, 0]
        if ceil:
            sides = zip(self.shape(x)[2:], kernel, stride, padding[:2], padding[2:], dilation, strict=True)
            over = [overhang(*side) for side in sides]
        if any(over):
            if function == "average" and count_padding and any(padding):
                x = self.pad(x, (0, 0, *padding[:2]), (0, 0, *padding[2:]), part="pad")
                padding = (0, 0, 0, 0)
            count_padding = False
            padding = (padding[0], padding[1], padding[2] + over[0], padding[3] + over[1])
        return self.append(
            Pool, x, part=part, function=function, kernel=kernel, stride=stride, padding=padding, dilation=dilation,
            count_padding=count_padding,
        )  # fmt: skip

    def reduce(self, x: str, function: str, axes: Sequence[int], *, keep: bool, part: str | None = None) -> str:
        """Append a reduction over axes (negative ones counted from the end)."""
        chosen = tuple(sorted({self.axis(x, axis) for axis in axes}))
        return self.append(Reduce, x, part=part, function=function, axes=chosen, keep=keep)

    def channel_affine(self, x: str, scale: Array, offset: Array, axis: int = 1, part: str | None = None) -> str:
        """Append x * scale + offset along one axis."""
        return self.append(ChannelAffine, x, part=part, scale=scale, offset=offset, axis=self.axis(x, axis))

    def normalise(
        self,
        x: str,
        function: str,
        epsilon: float,
        scale: Array | None = None,
        offset: Array | None = None,
        *,
        axes: int = 1,
        groups: int = 1,
        part: str | None = None,
    ) -> str:
        """Append a normalisation from the input's own statistics."""
        return self.append(
            Normalise, x, part=part, function=function, epsilon=epsilon, scale=scale, offset=offset, axes=axes, groups=groups
        )  # fmt: skip

    def activation(
        self, x: str, function: str, parameters: Mapping[str, float] | None = None, part: str | None = None
    ) -> str:
        """Append a function of each element."""
        values = {key: float(value) for key, value in (parameters or {}).items()}
        return self.append(Activation, x, part=part, function=function, parameters=values)

    def scale_shift(self, x: str, scale: float, shift: float, part: str | None = None) -> str:
        """Append x * scale + shift."""
        return self.activation(x, "scale_shift", {"scale": scale, "shift": shift}, part)

    def softmax(self, x: str, axis: int, part: str | None = None) -> str:
        """Append a softmax over one axis."""
        return self.append(Softmax, x, part=part, axis=self.axis(x, axis))

    def elementwise(self, function: str, left: str, right: str, part: str | None = None) -> str:
        """Append a combination of two tensors with broadcasting."""
        return self.append(Elementwise, left, right, part=part, function=function)

    def convert(self, x: str, type: str, part: str | None = None) -> str:
        """Append a conversion to another type; the tensor itself where it is of that type."""
        return x if self.types[x] == type else self.append(Convert, x, part=part, type=type)

    def select(self, condition: str, left: str, right: str, part: str | None = None) -> str:
        """Append a choice between two tensors with broadcasting."""
        return self.append(Select, condition, left, right, part=part)

    def cumulative_sum(
        self, x: str, axis: int, *, exclusive: bool = False, reverse: bool = False, part: str | None = None
    ) -> str:
        """Append running sums along one axis."""
        return self.append(CumulativeSum, x, part=part, axis=self.axis(x, axis), exclusive=exclusive, reverse=reverse)
