"""A network under construction: layers with unique names, and those that only move values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from mho.errors import NetworkError
from mho.network.geometry import Shape, axis_of
from mho.network.layer import fitted
from mho.network.layers import (
    Affine,
    Array,
    Concatenate,
    Constant,
    Expand,
    Gather,
    Input,
    Interleave,
    Layer,
    Pad,
    Resample,
    Reshape,
    Slice,
    Take,
    Transpose,
)
from mho.network.types import REAL


class MovementBuilder:
    """What `Builder` is made upon. Every method appends one layer and returns the name of its tensor."""

    def __init__(self) -> None:
        """Start empty."""
        self.layers: dict[str, Layer] = {}
        self.types: dict[str, str] = {}
        self.codes: dict[str, Affine] = {}
        self.allow_empty = False
        self.scope = "layer"

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
        return self.add(replace(layer, shape=fitted(layer, [self.shape(name) for name in inputs])))

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
        """Shape of a tensor."""
        return self.layers[tensor].shape

    def axis(self, x: str, axis: int) -> int:
        """Count an axis of a tensor from 0."""
        return axis_of(axis, len(self.shape(x)))

    def input(self, shape: Sequence[int], *, type: str = REAL) -> str:
        """Append a tensor given from outside."""
        return self.append(Input, shape=tuple(shape), type=type)

    def constant(self, value: Array, part: str | None = None) -> str:
        """Append a constant."""
        return self.append(Constant, part=part, value=value)

    def concatenate(self, tensors: Sequence[str], axis: int, part: str | None = None) -> str:
        """Append tensors joined along one axis."""
        return self.append(Concatenate, *tensors, part=part, axis=self.axis(tensors[0], axis))

    def reshape(self, x: str, shape: Sequence[int], part: str | None = None) -> str:
        """Append the same values under another shape; one size may be -1."""
        sizes = [int(n) for n in shape]
        if sizes.count(-1) == 1:
            rest = -math.prod(sizes)
            sizes[sizes.index(-1)] = math.prod(self.shape(x)) // rest if rest else 0
        return self.append(Reshape, x, part=part, shape=tuple(sizes))

    def transpose(self, x: str, permutation: Sequence[int], part: str | None = None) -> str:
        """Append permuted axes."""
        return self.append(Transpose, x, part=part, permutation=tuple(self.axis(x, axis) for axis in permutation))

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
        return self.append(Slice, x, part=part, axis=axis, start=start, stop=stop, step=step, drop=drop)

    def pad(
        self, x: str, before: Sequence[int], after: Sequence[int], value: float = 0.0, part: str | None = None
    ) -> str:
        """Append a border of one value; negative sizes are refused."""
        return self.append(Pad, x, part=part, before=tuple(before), after=tuple(after), value=value)

    def expand(self, x: str, shape: Sequence[int], part: str | None = None) -> str:
        """Append the tensor broadcast to a shape; -1 keeps an axis as it is."""
        have = (1,) * (len(shape) - len(self.shape(x))) + self.shape(x)
        want = tuple(have[i] if n == -1 else int(n) for i, n in enumerate(shape))
        return self.append(Expand, x, part=part, shape=want)

    def gather(self, x: str, places: str, function: str = "rows", axis: int = 0, part: str | None = None) -> str:
        """Append elements of a tensor at places that another one holds (see `layers.Gather`)."""
        return self.append(Gather, x, places, part=part, function=function, axis=self.axis(x, axis))

    def take(self, x: str, axis: int, places: Sequence[int], part: str | None = None) -> str:
        """Append the elements of an axis at known places; a slice where they are evenly spaced, nothing where they are all."""
        axis, chosen = self.axis(x, axis), tuple(int(place) for place in places)
        low, high = min(chosen, default=-1), max(chosen, default=-1)
        step = chosen[1] - chosen[0] if len(chosen) > 1 else 1
        if step > 0 and 0 <= low <= high < self.shape(x)[axis] and chosen == tuple(range(low, high + 1, step)):
            return self.slice(x, axis, low, high + 1, step, part=part)
        return self.append(Take, x, part=part, axis=axis, places=chosen)

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
        return self.append(Resample, x, part=part, axis=self.axis(x, axis), places=rows, weights=numbers)

    def interleave(self, phases: Sequence[str], factors: tuple[int, int], shape: Shape, part: str | None = None) -> str:
        """Append images woven into one of `shape`, `factors` phases along its height and width."""
        rows, columns = factors
        return self.append(Interleave, *phases, part=part, shape=shape, rows=rows, columns=columns)
