"""A network under construction: layers are appended with unique names, and every output shape is worked out
here.

Both importers and the decoder build through this class, so that a rule such as the size of a pooled image is
in one place. `scope` is the name that the next main layer takes; helper layers add a part to it
("conv1.reshape").
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from mho.errors import NetworkError
from mho.network.geometry import axis_of, overhang, regular_windows, window_count
from mho.network.layers import (
    Activation,
    Affine,
    Array,
    ChannelAffine,
    Concatenate,
    Constant,
    Convolution,
    Elementwise,
    Embedding,
    Expand,
    GroupedLinear,
    Input,
    Interleave,
    Layer,
    Linear,
    MatrixProduct,
    Normalise,
    Pad,
    Pool,
    Reduce,
    Reshape,
    Slice,
    Softmax,
    Take,
    Transpose,
)

Shape = tuple[int, ...]
LOWEST = float(np.finfo(np.float32).min)
"""What stands for minus infinity in a mask: its exponential is zero beside any other score."""


class Builder:
    """Collects layers. Every method appends one layer and returns the name of its tensor."""

    def __init__(self) -> None:
        """Start empty."""
        self.layers: dict[str, Layer] = {}
        self.codes: dict[str, Affine] = {}
        self.scope = "layer"

    def unique(self, name: str) -> str:
        """Return `name`, or `name_1`, `name_2` ... if it is taken."""
        if name not in self.layers:
            return name
        count = 1
        while f"{name}_{count}" in self.layers:
            count += 1
        return f"{name}_{count}"

    def name(self, part: str | None) -> str:
        """Name the next layer: the scope itself, or a part of it."""
        return self.unique(self.scope if part is None else f"{self.scope}.{part}")

    def add(self, layer: Layer) -> str:
        """Append a layer."""
        if layer.name in self.layers:
            raise NetworkError(f"two layers are called {layer.name!r}")
        self.layers[layer.name] = layer
        return layer.name

    def shape(self, tensor: str) -> Shape:
        """Shape of a tensor."""
        return self.layers[tensor].shape

    # Sources ------------------------------------------------------------------------------------------------

    def input(self, shape: Sequence[int], *, integers: bool = False) -> str:
        """Append a tensor given from outside."""
        return self.add(Input(name=self.name(None), inputs=(), shape=tuple(shape), integers=integers))

    def constant(self, value: Array, part: str | None = None) -> str:
        """Append a constant."""
        return self.add(Constant(name=self.name(part), inputs=(), shape=value.shape, value=value))

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

    def adaptive_pool(self, x: str, function: str, size: tuple[int, int], part: str | None = None) -> str:
        """Append a pooling to a given size: windows from floor(i n / o) to ceil((i + 1) n / o) on each axis.

        Raises NetworkError where these windows are not all of one size and distance.
        """
        batch, channels, height, width = self._image(x)
        if size == (1, 1):
            return self.reduce(x, "mean" if function == "average" else "maximum", (2, 3), keep=True, part=part)
        grown = tuple(want if have == 1 else have for have, want in zip((height, width), size, strict=True))
        if grown != (height, width):
            x = self.expand(x, (batch, channels, *grown), part="expand" if grown != size else part)
            if grown == size:
                return x
        steps = [regular_windows(have, want) for have, want in zip(grown, size, strict=True)]
        kernel, stride = (steps[0][0], steps[1][0]), (steps[0][1], steps[1][1])
        return self.pool(x, function, kernel, stride, part=part)

    def reduce(self, x: str, function: str, axes: Sequence[int], *, keep: bool, part: str | None = None) -> str:
        """Append a reduction over axes (negative ones counted from the end)."""
        shape = self.shape(x)
        chosen = tuple(sorted({axis_of(axis, len(shape)) for axis in axes}))
        if 0 in chosen:
            raise NetworkError("a reduction over the batch axis is not known; keep axis 0 as the batch")
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

    # Movement -----------------------------------------------------------------------------------------------

    def concatenate(self, tensors: Sequence[str], axis: int, part: str | None = None) -> str:
        """Append tensors joined along one axis."""
        shapes = [self.shape(name) for name in tensors]
        axis = axis_of(axis, len(shapes[0]))
        if axis == 0 and len(tensors) > 1:
            raise NetworkError("joining tensors along the batch axis is not known")
        if len({(*shape[:axis], *shape[axis + 1 :]) for shape in shapes}) != 1:
            raise NetworkError(f"tensors of shapes {shapes} cannot be joined along axis {axis}")
        shape = (*shapes[0][:axis], sum(s[axis] for s in shapes), *shapes[0][axis + 1 :])
        return self.add(Concatenate(name=self.name(part), inputs=tuple(tensors), shape=shape, axis=axis))

    def reshape(self, x: str, shape: Sequence[int], part: str | None = None) -> str:
        """Append the same values under another shape; one size may be -1."""
        sizes, total = [int(n) for n in shape], math.prod(self.shape(x))
        if sizes.count(-1) == 1:
            rest = -math.prod(sizes)
            sizes[sizes.index(-1)] = total // rest if rest else 0
        if math.prod(sizes) != total:
            raise NetworkError(f"a tensor of shape {self.shape(x)} cannot be given the shape {tuple(shape)}")
        return self.add(Reshape(name=self.name(part), inputs=(x,), shape=tuple(sizes)))

    def transpose(self, x: str, permutation: Sequence[int], part: str | None = None) -> str:
        """Append permuted axes."""
        shape = self.shape(x)
        order = tuple(axis_of(axis, len(shape)) for axis in permutation)
        if sorted(order) != list(range(len(shape))):
            raise NetworkError(f"{tuple(permutation)} is not a permutation of the axes of {shape}")
        out = tuple(shape[axis] for axis in order)
        return self.add(Transpose(name=self.name(part), inputs=(x,), shape=out, permutation=order))

    def swap(self, x: str, first: int, second: int, part: str | None = None) -> str:
        """Append two axes exchanged."""
        rank = len(self.shape(x))
        order = list(range(rank))
        first, second = axis_of(first, rank), axis_of(second, rank)
        order[first], order[second] = order[second], order[first]
        return self.transpose(x, order, part)

    def slice(
        self,
        x: str,
        axis: int,
        start: int,
        stop: int,
        step: int = 1,
        *,
        drop: bool = False,
        part: str | None = None,
    ) -> str:
        """Append elements start, start + step, ... below stop; negative bounds count from the end, others are
        clipped.
        """
        shape = self.shape(x)
        axis = axis_of(axis, len(shape))
        if step < 1:
            raise NetworkError(f"a slice with step {step} is not known; the step must be at least 1")
        start, stop, _ = slice(start, stop, step).indices(shape[axis])
        count = len(range(start, stop, step))
        if count < 1:
            raise NetworkError(f"the slice {start}:{stop}:{step} of axis {axis} of {shape} is empty")
        if drop and count != 1:
            raise NetworkError(f"axis {axis} has length {count} and cannot be dropped")
        middle = () if drop else (count,)
        return self.add(
            Slice(
                name=self.name(part),
                inputs=(x,),
                shape=(*shape[:axis], *middle, *shape[axis + 1 :]),
                axis=axis,
                start=start,
                stop=stop,
                step=step,
                drop=drop,
            )
        )

    def pad(
        self, x: str, before: Sequence[int], after: Sequence[int], value: float = 0.0, part: str | None = None
    ) -> str:
        """Append a border of one value; negative sizes are refused."""
        shape = self.shape(x)
        if min(*before, *after, 0) < 0:
            raise NetworkError(f"negative padding {tuple(before)}, {tuple(after)} is not known; slice instead")
        out = tuple(n + a + b for n, a, b in zip(shape, before, after, strict=True))
        return self.add(
            Pad(
                name=self.name(part),
                inputs=(x,),
                shape=out,
                before=tuple(before),
                after=tuple(after),
                value=value,
            )
        )

    def expand(self, x: str, shape: Sequence[int], part: str | None = None) -> str:
        """Append the tensor broadcast to a shape; -1 keeps an axis as it is."""
        have = (1,) * (len(shape) - len(self.shape(x))) + self.shape(x)
        want = tuple(have[i] if n == -1 else int(n) for i, n in enumerate(shape))
        if len(have) != len(want) or any(a not in (1, b) for a, b in zip(have, want, strict=True)):
            raise NetworkError(f"a tensor of shape {self.shape(x)} cannot be broadcast to {tuple(shape)}")
        return self.add(Expand(name=self.name(part), inputs=(x,), shape=want))

    def take(self, x: str, axis: int, places: Sequence[int], part: str | None = None) -> str:
        """Append the elements of an axis at known places; a slice where they are evenly spaced, nothing where they are all."""
        shape = self.shape(x)
        axis = axis_of(axis, len(shape))
        if not len(places) or min(places) < 0 or max(places) >= shape[axis]:
            raise NetworkError(f"places {list(places)[:8]} do not lie along axis {axis} of {shape}")
        step = places[1] - places[0] if len(places) > 1 else 1
        if step > 0 and list(places) == list(range(places[0], places[-1] + 1, step)):
            return self.slice(x, axis, places[0], places[-1] + 1, step, part=part)
        made = (*shape[:axis], len(places), *shape[axis + 1 :])
        chosen = tuple(int(place) for place in places)
        return self.add(Take(name=self.name(part), inputs=(x,), shape=made, axis=axis, places=chosen))

    def interleave(self, phases: Sequence[str], factors: tuple[int, int], shape: Shape, part: str | None = None) -> str:
        """Append images woven into one of `shape`, `factors` phases along its height and width."""
        rows, columns = factors
        return self.add(Interleave(name=self.name(part), inputs=tuple(phases), shape=shape, rows=rows, columns=columns))

    def _image(self, x: str) -> tuple[int, int, int, int]:
        shape = self.shape(x)
        if len(shape) != 4:
            raise NetworkError(f"a two-dimensional layer needs (batch, channels, height, width), not {shape}")
        return shape
