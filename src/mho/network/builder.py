"""A network under construction: layers are appended with unique names; what shape they make, their kinds say.

Both importers and the decoder build through this class, so that a rule such as what a pooling that hangs over the edge counts
is in one place. `scope` is the name that the next main layer takes; helper layers add a part to it ("conv1.reshape").
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from mho.errors import NetworkError
from mho.network import layers as kinds
from mho.network.geometry import Shape, axis_of, overhang
from mho.network.layer import fitted
from mho.network.layers import Affine, Array, Layer
from mho.network.types import REAL

Made = TypeVar("Made")
LOWEST = float(np.finfo(np.float32).min)
"""What stands for minus infinity in a mask: its exponential is zero beside any other score."""


class Builder:
    """Collects layers. Methods that are named for a layer append it and return the name of its tensor."""

    def __init__(self) -> None:
        """Start empty."""
        self.layers: dict[str, Layer] = {}
        self.types: dict[str, str] = {}
        self.codes: dict[str, Affine] = {}
        self.lowered: set[str] = set()
        """Constants that hold the lowest float32 for minus infinity."""
        self.allow_empty = False
        self.scope = "layer"
        self._made: dict[Hashable, tuple[object, Any]] = {}

    def once(self, key: Hashable, value: object, make: Callable[[], Made]) -> Made:
        """Return what is made of a value, once for a key. The value is kept, so that nothing else comes to have its identity."""
        if key not in self._made:
            self._made[key] = value, make()
        result: Made = self._made[key][1]
        return result

    def unique(self, name: str) -> str:
        """Return `name`, or `name_1`, `name_2` ... if it is taken."""
        if name not in self.layers:
            return name
        count = 1
        while f"{name}_{count}" in self.layers:
            count += 1
        return f"{name}_{count}"

    def name(self, part: str | None = None) -> str:
        """Name the next layer: the scope itself, or a part of it."""
        return self.unique(self.scope if part is None else f"{self.scope}.{part}")

    def append(self, kind: type[Layer], *inputs: str, part: str | None = None, shape: Shape = (), **fields: Any) -> str:
        """Append a layer of a kind, which says what shape it makes; `shape` is for kinds that are told.

        Raises NetworkError for operands that do not fit the kind, in its words.
        """
        layer = kind(name=self.name(part), inputs=inputs, shape=shape, **fields)
        # Nobody has seen the layer yet, so that its shape is set without making another one.
        object.__setattr__(layer, "shape", fitted(layer, [self.shape(name) for name in inputs]))
        return self.add(layer)

    def add(self, layer: Layer) -> str:
        """Append a layer that is made already."""
        if layer.name in self.layers:
            raise NetworkError(f"two layers are called {layer.name!r}")
        if min(layer.shape, default=1) < (0 if self.allow_empty else 1):
            raise NetworkError(f"the {layer.kind} layer makes an empty tensor of shape {layer.shape}")
        self.types[layer.name] = layer.result_type([self.types[name] for name in layer.inputs])
        self.layers[layer.name] = layer
        return layer.name

    def shape(self, tensor: str) -> Shape:
        """Return the shape of a tensor."""
        return self.layers[tensor].shape

    def shape_of(self, value: str | Array) -> Shape:
        """Return the shape of a tensor, or of a known array."""
        return self.shape(value) if isinstance(value, str) else value.shape

    def axis(self, x: str, axis: int) -> int:
        """Count an axis of a tensor from 0."""
        return axis_of(axis, len(self.shape(x)))

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
            kinds.Convolution, x, part=part, weight=weight, bias=bias, stride=stride, padding=padding, dilation=dilation,
            convolution_groups=groups,
        )  # fmt: skip

    def linear(
        self, x: str, weight: Array, bias: Array | None = None, part: str | None = None, *, groups: int = 1
    ) -> str:
        """Append a product of (..., groups K) with weights (groups N, K)."""
        if groups == 1:
            return self.append(kinds.Linear, x, part=part, weight=weight, bias=bias)
        return self.append(kinds.GroupedLinear, x, part=part, weight=weight, bias=bias, linear_groups=groups)

    def embedding(self, x: str, table: Array, part: str | None = None) -> str:
        """Append a look-up of rows of `table` (rows, features)."""
        return self.append(kinds.Embedding, x, part=part, table=table)

    def embedding_bag(self, x: str, table: Array, counts: str | None = None, part: str | None = None) -> str:
        """Append the sums of rows of `table` (rows, features) over bags of look-ups (B, longest), -1 for none.

        `counts`: what each look-up counts for; None: 1.
        """
        return self.append(kinds.EmbeddingBag, x, *(() if counts is None else (counts,)), part=part, table=table)

    # Layers without weights ---------------------------------------------------------------------------------

    def product(self, left: str, right: str, part: str | None = None) -> str:
        """Append a product of two activations (..., M, K) and (..., K, N)."""
        inner = (self.shape(left) or (0,))[-1]
        return self.append(kinds.MatrixProduct, left, right, part=part, inner=inner)

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
            kinds.Pool, x, part=part, function=function, kernel=kernel, stride=stride, padding=padding, dilation=dilation,
            count_padding=count_padding,
        )  # fmt: skip

    def reduce(self, x: str, function: str, axes: Sequence[int], *, keep: bool, part: str | None = None) -> str:
        """Append a reduction over axes (negative ones counted from the end)."""
        chosen = tuple(sorted({self.axis(x, axis) for axis in axes}))
        return self.append(kinds.Reduce, x, part=part, function=function, axes=chosen, keep=keep)

    def channel_affine(self, x: str, scale: Array, offset: Array, axis: int = 1, part: str | None = None) -> str:
        """Append x * scale + offset along one axis."""
        return self.append(kinds.ChannelAffine, x, part=part, scale=scale, offset=offset, axis=self.axis(x, axis))

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
            kinds.Normalise, x, part=part, function=function, epsilon=epsilon, scale=scale, offset=offset, axes=axes, groups=groups
        )  # fmt: skip

    def activation(
        self, x: str, function: str, parameters: Mapping[str, float] | None = None, part: str | None = None
    ) -> str:
        """Append a function of each element."""
        values = {key: float(value) for key, value in (parameters or {}).items()}
        return self.append(kinds.Activation, x, part=part, function=function, parameters=values)

    def scale_shift(self, x: str, scale: float, shift: float, part: str | None = None) -> str:
        """Append x * scale + shift."""
        return self.activation(x, "scale_shift", {"scale": scale, "shift": shift}, part)

    def softmax(self, x: str, axis: int, part: str | None = None) -> str:
        """Append a softmax over one axis."""
        return self.append(kinds.Softmax, x, part=part, axis=self.axis(x, axis))

    def elementwise(self, function: str, left: str, right: str, part: str | None = None) -> str:
        """Append a combination of two tensors with broadcasting."""
        return self.append(kinds.Elementwise, left, right, part=part, function=function)

    def convert(self, x: str, type: str, part: str | None = None) -> str:
        """Append a conversion to another type; the tensor itself where it is of that type."""
        return x if self.types[x] == type else self.append(kinds.Convert, x, part=part, type=type)

    def select(self, condition: str, left: str, right: str, part: str | None = None) -> str:
        """Append a choice between two tensors with broadcasting."""
        return self.append(kinds.Select, condition, left, right, part=part)

    def cumulative_sum(
        self, x: str, axis: int, *, exclusive: bool = False, reverse: bool = False, part: str | None = None
    ) -> str:
        """Append running sums along one axis."""
        return self.append(
            kinds.CumulativeSum, x, part=part, axis=self.axis(x, axis), exclusive=exclusive, reverse=reverse
        )

    # Sources, and layers that move values -------------------------------------------------------------------

    def input(self, shape: Sequence[int], part: str | None = None, *, type: str = REAL) -> str:
        """Append a tensor given from outside."""
        return self.append(kinds.Input, part=part, shape=tuple(shape), type=type)

    def constant(self, value: Array, part: str | None = None) -> str:
        """Append a constant."""
        return self.append(kinds.Constant, part=part, value=value)

    def concatenate(self, tensors: Sequence[str], axis: int, part: str | None = None) -> str:
        """Append tensors joined along one axis."""
        return self.append(kinds.Concatenate, *tensors, part=part, axis=self.axis(tensors[0], axis))

    def join(self, tensors: Sequence[str], axis: int, part: str | None = None) -> str:
        """Append tensors joined along one axis into one with a code of its own."""
        return self.append(kinds.Join, *tensors, part=part, axis=self.axis(tensors[0], axis))

    def reshape(self, x: str, shape: Sequence[int], part: str | None = None) -> str:
        """Append the same values under another shape; one size may be -1."""
        sizes = [int(n) for n in shape]
        if sizes.count(-1) == 1:
            rest = -math.prod(sizes)
            sizes[sizes.index(-1)] = math.prod(self.shape(x)) // rest if rest else 0
        return self.append(kinds.Reshape, x, part=part, shape=tuple(sizes))

    def transpose(self, x: str, permutation: Sequence[int], part: str | None = None) -> str:
        """Append permuted axes."""
        return self.append(kinds.Transpose, x, part=part, permutation=tuple(self.axis(x, axis) for axis in permutation))

    def swap(self, x: str, first: int, second: int, part: str | None = None) -> str:
        """Append two axes exchanged."""
        order = list(range(len(self.shape(x))))
        first, second = self.axis(x, first), self.axis(x, second)
        order[first], order[second] = order[second], order[first]
        return self.transpose(x, order, part)

    def slice(
        self, x: str, axis: int, start: int, stop: int, step: int = 1, *, drop: bool = False, part: str | None = None
    ) -> str:
        """Append elements start, start + step, ... below stop; negative bounds count from the end, others are clipped."""
        axis = self.axis(x, axis)
        if step == 0:
            raise NetworkError("a slice with step 0 is not known")
        start, stop, _ = slice(start, stop, step).indices(self.shape(x)[axis])
        if not (self.allow_empty or range(start, stop, step)):
            raise NetworkError(f"the slice {start}:{stop}:{step} of axis {axis} of {self.shape(x)} is empty")
        return self.append(kinds.Slice, x, part=part, axis=axis, start=start, stop=stop, step=step, drop=drop)

    def pad(
        self, x: str, before: Sequence[int], after: Sequence[int], value: float = 0.0, part: str | None = None
    ) -> str:
        """Append a border of one value; negative sizes are refused."""
        return self.append(kinds.Pad, x, part=part, before=tuple(before), after=tuple(after), value=value)

    def expand(self, x: str, shape: Sequence[int], part: str | None = None) -> str:
        """Append the tensor broadcast to a shape; -1 keeps an axis as it is."""
        have = (1,) * (len(shape) - len(self.shape(x))) + self.shape(x)
        want = tuple(have[i] if n == -1 else int(n) for i, n in enumerate(shape))
        return self.append(kinds.Expand, x, part=part, shape=want)

    def gather(self, x: str, places: str, function: str = "rows", axis: int = 0, part: str | None = None) -> str:
        """Append elements of a tensor at places that another one holds (see `layers.Gather`)."""
        return self.append(kinds.Gather, x, places, part=part, function=function, axis=self.axis(x, axis))

    def take(self, x: str, axis: int, places: Sequence[int], part: str | None = None) -> str:
        """Append the elements of an axis at known places; a slice where they are evenly spaced, nothing where they are all."""
        axis, chosen = self.axis(x, axis), tuple(int(place) for place in places)
        low, high = min(chosen, default=-1), max(chosen, default=-1)
        step = chosen[1] - chosen[0] if len(chosen) > 1 else 1
        if step > 0 and 0 <= low <= high < self.shape(x)[axis] and chosen == tuple(range(low, high + 1, step)):
            return self.slice(x, axis, low, high + 1, step, part=part)
        return self.append(kinds.Take, x, part=part, axis=axis, places=chosen)

    def resample(
        self,
        x: str,
        axis: int,
        places: Sequence[Sequence[int]],
        weights: Sequence[Sequence[float]],
        part: str | None = None,
    ) -> str:
        """Append weighted sums of elements of an axis; see `Resample`."""
        rows, numbers = tuple(map(tuple, places)), tuple(map(tuple, weights))
        return self.append(kinds.Resample, x, part=part, axis=self.axis(x, axis), places=rows, weights=numbers)

    def interleave(self, phases: Sequence[str], factors: tuple[int, int], shape: Shape, part: str | None = None) -> str:
        """Append images woven into one of `shape`, `factors` phases along its height and width."""
        rows, columns = factors
        return self.append(kinds.Interleave, *phases, part=part, shape=shape, rows=rows, columns=columns)
