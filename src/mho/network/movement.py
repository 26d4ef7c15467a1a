"""A network under construction: layers with unique names, and those that only move values."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mho.errors import NetworkError
from mho.network.geometry import axis_of
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

Shape = tuple[int, ...]


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

    def add(self, layer: Layer) -> str:
        """Append a layer."""
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

    def input(self, shape: Sequence[int], *, type: str = REAL) -> str:
        """Append a tensor given from outside."""
        return self.add(Input(name=self.name(None), inputs=(), shape=tuple(shape), type=type))

    def constant(self, value: Array, part: str | None = None) -> str:
        """Append a constant."""
        return self.add(Constant(name=self.name(part), inputs=(), shape=value.shape, value=value))

    def concatenate(self, tensors: Sequence[str], axis: int, part: str | None = None) -> str:
        """Append tensors joined along one axis."""
        shapes = [self.shape(name) for name in tensors]
        axis = axis_of(axis, len(shapes[0]))
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
        if step == 0:
            raise NetworkError("a slice with step 0 is not known")
        start, stop, _ = slice(start, stop, step).indices(shape[axis])
        count = len(range(start, stop, step))
        if count < 1 and not self.allow_empty:
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

    def gather(self, x: str, places: str, function: str = "rows", axis: int = 0, part: str | None = None) -> str:
        """Append elements of a tensor at places that another one holds (see `layers.Gather`)."""
        shape, where = self.shape(x), self.shape(places)
        axis = axis_of(axis, len(shape))
        if function == "rows":
            out = (*shape[:axis], *where, *shape[axis + 1 :])
        elif function == "elements":
            if len(where) != len(shape) or any(
                m > n for i, (m, n) in enumerate(zip(where, shape, strict=True)) if i != axis
            ):
                raise NetworkError(f"places of shape {where} do not fit a tensor of shape {shape} along axis {axis}")
            out = where
        else:
            if not where or axis + where[-1] > len(shape) or shape[:axis] != where[:axis] or axis >= len(where):
                raise NetworkError(f"places of shape {where} do not fit a tensor of shape {shape} behind {axis} axes")
            out = (*where[:-1], *shape[axis + where[-1] :])
        return self.add(Gather(name=self.name(part), inputs=(x, places), shape=out, function=function, axis=axis))

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

    def resample(
        self,
        x: str,
        axis: int,
        places: Sequence[Sequence[int]],
        weights: Sequence[Sequence[float]],
        part: str | None = None,
    ) -> str:
        """Append weighted sums of elements of an axis; see `Resample`."""
        shape = self.shape(x)
        axis = axis_of(axis, len(shape))
        rows, numbers = tuple(map(tuple, places)), tuple(map(tuple, weights))
        made = (*shape[:axis], len(rows), *shape[axis + 1 :])
        return self.add(
            Resample(name=self.name(part), inputs=(x,), shape=made, axis=axis, places=rows, weights=numbers)
        )

    def interleave(self, phases: Sequence[str], factors: tuple[int, int], shape: Shape, part: str | None = None) -> str:
        """Append images woven into one of `shape`, `factors` phases along its height and width."""
        rows, columns = factors
        return self.add(Interleave(name=self.name(part), inputs=tuple(phases), shape=shape, rows=rows, columns=columns))
