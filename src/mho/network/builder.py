"""A network under construction: layers are appended with unique names, and every output shape is worked out
here.

Both importers and the decoder build through this class, so that a rule such as the size of a pooled image is
in one place. `scope` is the name that the next main layer takes; helper layers add a part to it
("conv1.reshape").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mho.errors import NetworkError
from mho.network.geometry import axis_of, overhang, window_count
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
        batch, channels, height, width = self._image(x)
        if len(weight.shape) != 4 or weight.shape[1] * groups != channels or weight.shape[0] % groups:
            raise NetworkError(
                f"a convolution of {channels} channels in {groups} groups cannot have weights {weight.shape}"
            )
        high = window_count(height, weight.shape[2], stride[0], padding[0] + padding[2], dilation[0])
        wide = window_count(width, weight.shape[3], stride[1], padding[1] + padding[3], dilation[1])
        return self.add(
            Convolution(
                name=self.name(part),
                inputs=(x,),
                shape=(batch, weight.shape[0], high, wide),
                weight=weight,
                bias=bias,
                stride=stride,
                padding=padding,
                dilation=dilation,
                convolution_groups=groups,
            )
        )

    def linear(
        self, x: str, weight: Array, bias: Array | None = None, part: str | None = None, *, groups: int = 1
    ) -> str:
        """Append a product of (..., groups K) with weights (groups N, K)."""
        shape = self.shape(x)
        if len(weight.shape) != 2 or not shape or shape[-1] != groups * weight.shape[1]:
            raise NetworkError(f"weights of shape {weight.shape} cannot multiply a tensor of shape {shape}")
        out = (*shape[:-1], weight.shape[0])
        if groups == 1:
            return self.add(Linear(name=self.name(part), inputs=(x,), shape=out, weight=weight, bias=bias))
        return self.add(
            GroupedLinear(name=self.name(part), inputs=(x,), shape=out, weight=weight, bias=bias, linear_groups=groups)
        )

    def embedding(self, x: str, table: Array, part: str | None = None) -> str:
        """Append a look-up of rows of `table` (rows, features)."""
        return self.add(
            Embedding(name=self.name(part), inputs=(x,), shape=(*self.shape(x), table.shape[1]), table=table)
        )

    # Layers without weights ---------------------------------------------------------------------------------

    def product(self, left: str, right: str, part: str | None = None) -> str:
        """Append a product of two activations (..., M, K) and (..., K, N)."""
        a, b = self.shape(left), self.shape(right)
        if len(a) < 2 or len(b) < 2 or a[-1] != b[-2]:
            raise NetworkError(f"tensors of shape {a} and {b} cannot be multiplied as matrices")
        shape = (*np.broadcast_shapes(a[:-2], b[:-2]), a[-2], b[-1])
        return self.add(MatrixProduct(name=self.name(part), inputs=(left, right), shape=shape, inner=a[-1]))

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
        """Append a two-dimensional pooling. `ceil` adds the windows that hang over the edge, where torch and
        ONNX do.

        A window that hangs over counts, in an average, only what lies inside image and padding.
        """
        batch, channels, height, width = self._image(x)
        over = (0, 0)
        if ceil:
            over = (
                overhang(height, kernel[0], stride[0], padding[0], padding[2], dilation[0]),
                overhang(width, kernel[1], stride[1], padding[1], padding[3], dilation[1]),
            )
        if any(over):
            if function == "average" and count_padding and any(padding):
                x = self.pad(x, (0, 0, *padding[:2]), (0, 0, *padding[2:]), part="pad")
                batch, channels, height, width = self._image(x)
                padding = (0, 0, 0, 0)
            count_padding = False
            padding = (padding[0], padding[1], padding[2] + over[0], padding[3] + over[1])
        high = window_count(height, kernel[0], stride[0], padding[0] + padding[2], dilation[0])
        wide = window_count(width, kernel[1], stride[1], padding[1] + padding[3], dilation[1])
        return self.add(
            Pool(
                name=self.name(part),
                inputs=(x,),
                shape=(batch, channels, high, wide),
                function=function,
                kernel=kernel,
                stride=stride,
                padding=padding,
                dilation=dilation,
                count_padding=count_padding,
            )
        )

    def reduce(self, x: str, function: str, axes: Sequence[int], *, keep: bool, part: str | None = None) -> str:
        """Append a reduction over axes (negative ones counted from the end)."""
        shape = self.shape(x)
        chosen = tuple(sorted({axis_of(axis, len(shape)) for axis in axes}))
        out = tuple(1 if i in chosen else n for i, n in enumerate(shape) if keep or i not in chosen)
        return self.add(Reduce(name=self.name(part), inputs=(x,), shape=out, function=function, axes=chosen, keep=keep))

    def channel_affine(self, x: str, scale: Array, offset: Array, axis: int = 1, part: str | None = None) -> str:
        """Append x * scale + offset along one axis."""
        shape = self.shape(x)
        axis = axis_of(axis, len(shape))
        if scale.shape != (shape[axis],) or offset.shape != (shape[axis],):
            raise NetworkError(f"scale {scale.shape} and offset {offset.shape} do not fit axis {axis} of {shape}")
        return self.add(
            ChannelAffine(name=self.name(part), inputs=(x,), shape=shape, scale=scale, offset=offset, axis=axis)
        )

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
        return self.add(
            Normalise(
                name=self.name(part),
                inputs=(x,),
                shape=self.shape(x),
                function=function,
                epsilon=epsilon,
                scale=scale,
                offset=offset,
                axes=axes,
                groups=groups,
            )
        )

    def activation(
        self, x: str, function: str, parameters: Mapping[str, float] | None = None, part: str | None = None
    ) -> str:
        """Append a function of each element."""
        values = {key: float(value) for key, value in (parameters or {}).items()}
        return self.add(
            Activation(name=self.name(part), inputs=(x,), shape=self.shape(x), function=function, parameters=values)
        )

    def scale_shift(self, x: str, scale: float, shift: float, part: str | None = None) -> str:
        """Append x * scale + shift."""
        return self.activation(x, "scale_shift", {"scale": scale, "shift": shift}, part)

    def softmax(self, x: str, axis: int, part: str | None = None) -> str:
        """Append a softmax over one axis."""
        shape = self.shape(x)
        return self.add(Softmax(name=self.name(part), inputs=(x,), shape=shape, axis=axis_of(axis, len(shape))))

    def elementwise(self, function: str, left: str, right: str, part: str | None = None) -> str:
        """Append a combination of two tensors with broadcasting."""
        try:
            shape = np.broadcast_shapes(self.shape(left), self.shape(right))
        except ValueError:
            raise NetworkError(f"shapes {self.shape(left)} and {self.shape(right)} do not broadcast") from None
        return self.add(Elementwise(name=self.name(part), inputs=(left, right), shape=shape, function=function))

    def convert(self, x: str, type: str, part: str | None = None) -> str:
        """Append a conversion to another type; the tensor itself where it is of that type."""
        if self.types[x] == type:
            return x
        return self.add(Convert(name=self.name(part), inputs=(x,), shape=self.shape(x), type=type))

    def select(self, condition: str, left: str, right: str, part: str | None = None) -> str:
        """Append a choice between two tensors with broadcasting."""
        shapes = [self.shape(name) for name in (condition, left, right)]
        try:
            shape = np.broadcast_shapes(*shapes)
        except ValueError:
            raise NetworkError(f"shapes {', '.join(map(str, shapes))} do not broadcast") from None
        return self.add(Select(name=self.name(part), inputs=(condition, left, right), shape=shape))

    def cumulative_sum(
        self, x: str, axis: int, *, exclusive: bool = False, reverse: bool = False, part: str | None = None
    ) -> str:
        """Append running sums along one axis."""
        shape = self.shape(x)
        return self.add(
            CumulativeSum(
                name=self.name(part), inputs=(x,), shape=shape, axis=axis_of(axis, len(shape)), exclusive=exclusive,
                reverse=reverse,
            )
        )  # fmt: skip

    def _image(self, x: str) -> tuple[int, int, int, int]:
        shape = self.shape(x)
        if len(shape) != 4:
            raise NetworkError(f"a two-dimensional layer needs (batch, channels, height, width), not {shape}")
        return shape
