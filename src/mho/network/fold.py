"""Simplification shared by the importers: normalisations fold into the weights before them, what does nothing goes.

One forward pass. A rule may rewrite the layer that made a tensor only if nobody else reads that tensor, it is not an output,
and no code is prescribed for it. Weights are combined in float64 and kept as float32. Where values are not known only the
shapes are combined.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from mho.network.activations import with_number
from mho.network.arrays import computed
from mho.network.joining import unjoined
from mho.network.layer import tensor_types
from mho.network.layers import (
    Activation,
    Affine,
    Array,
    ChannelAffine,
    Constant,
    Convolution,
    Elementwise,
    Input,
    Interleave,
    Layer,
    Linear,
    Normalise,
    Reshape,
    Transpose,
)
from mho.network.sharing import reshared
from mho.network.types import REAL


@dataclass
class _Folding:
    """The pass so far: finished layers, what each removed tensor is called now, and how often each is read."""

    layers: dict[str, Layer] = field(default_factory=dict)
    alias: dict[str, str] = field(default_factory=dict)
    readers: dict[str, int] = field(default_factory=dict)
    codes: dict[str, Affine] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)

    def free(self, name: str) -> bool:
        """Return whether the one reader of a tensor may change it."""
        return self.readers[name] == 1 and name not in self.codes

    def merge(self, gone: str, into: str) -> None:
        """Let `into` stand for the tensor `gone`, whose layer read it and now vanishes."""
        self.alias[gone] = into
        self.readers[into] += self.readers[gone] - 1
        if gone in self.codes:
            self.codes[into] = self.codes.pop(gone)


def fold(
    layers: Sequence[Layer], outputs: Sequence[str], codes: Mapping[str, Affine] | None = None
) -> tuple[tuple[Layer, ...], tuple[str, ...], dict[str, Affine]]:
    """Return simplified layers, the names of the outputs and the codes; see the module's text for the rules."""
    live = remove_dead(unjoined(layers, codes or ()), outputs)
    names = {layer.name for layer in live}
    state = _Folding(codes={name: code for name, code in (codes or {}).items() if name in names})
    state.types = tensor_types(live, state.codes)
    state.readers = dict.fromkeys(names, 0)
    for layer in live:
        for name in layer.inputs:
            state.readers[name] += 1
    for name in outputs:
        state.readers[name] += 2  # an output is never changed by a reader
    for layer in live:
        layer = replace(layer, inputs=tuple(state.alias.get(name, name) for name in layer.inputs))
        _place(state, _as_affine(state, layer))
    renamed = tuple(state.alias.get(name, name) for name in outputs)
    folded = reshared(live, remove_dead(tuple(state.layers.values()), renamed))
    present = {layer.name for layer in folded}
    return folded, renamed, {name: code for name, code in state.codes.items() if name in present}


def remove_dead(layers: Sequence[Layer], outputs: Sequence[str]) -> tuple[Layer, ...]:
    """Drop the layers that no output depends on; inputs stay."""
    live = set(outputs)
    remaining: list[Layer] = []
    for layer in reversed(layers):
        if layer.name in live or isinstance(layer, Input):
            remaining.append(layer)
            live.update(layer.inputs)
    return tuple(reversed(remaining))


def _place(state: _Folding, layer: Layer) -> None:
    """Put a layer behind those already placed, or into one of them."""
    source = layer.inputs[0] if layer.inputs else ""
    same = source and state.types.get(layer.name, REAL) == state.types.get(source, REAL)
    if (
        same
        and layer.shape == state.layers[source].shape
        and layer.changes_nothing()
        and _may_vanish(state, layer.name, source)
    ):
        state.merge(layer.name, source)
        return
    if isinstance(layer, ChannelAffine) and _fold_affine(state, layer):
        return
    if isinstance(layer, Activation) or (isinstance(layer, ChannelAffine) and layer.axis == 1):
        woven = state.layers[source]
        if isinstance(woven, Interleave) and all(map(state.free, (source, *woven.inputs))):
            _before(state, layer, woven)
            return
    if isinstance(layer, Reshape | Transpose) and state.free(source):
        before = state.layers[source]
        if isinstance(layer, Reshape) and isinstance(before, Reshape):
            _skip(state, replace(layer, inputs=before.inputs), source)
            return
        if isinstance(layer, Transpose) and isinstance(before, Transpose):
            order = tuple(before.permutation[axis] for axis in layer.permutation)
            _skip(state, replace(layer, inputs=before.inputs, permutation=order), source)
            return
    if isinstance(layer, Linear) and state.free(source) and layer.name not in state.codes:
        before = state.layers[source]
        if isinstance(before, Reshape) and _hides_batch(state, before):
            _show_batch(state, layer, before)
            return
    state.layers[layer.name] = layer


def _before(state: _Folding, layer: Layer, woven: Interleave) -> None:
    """Place a pointwise layer on each phase before they are woven: a phase is then a convolution with all that belongs to it."""
    del state.layers[woven.name]
    names = []
    for number, name in enumerate(woven.inputs):
        phase = state.layers.pop(name)
        state.layers[name] = phase
        moved = replace(layer, name=f"{layer.name}.{number}", inputs=(name,), shape=phase.shape)
        state.readers[moved.name] = 1
        _place(state, moved)
        names.append(state.alias.get(moved.name, moved.name))
    state.layers[layer.name] = replace(woven, name=layer.name, inputs=tuple(names))


def _skip(state: _Folding, layer: Layer, gone: str) -> None:
    """Place a layer that took over the input of the layer `gone`, which no longer exists."""
    del state.layers[gone]
    _place(state, layer)


def _may_vanish(state: _Folding, name: str, source: str) -> bool:
    """Return whether a tensor may vanish: its code moves to the tensor before only if nobody else reads that one."""
    return name not in state.codes or state.free(source)


# Affine layers ----------------------------------------------------------------------------------------------


AFFINE = ("add", "subtract", "multiply", "divide", "maximum", "minimum")
"""Functions that with a constant scale, shift or clip."""


def _as_affine(state: _Folding, layer: Layer) -> Layer:
    """Write an element-wise operation with a constant that varies along one axis at most as an affine layer."""
    if not isinstance(layer, Elementwise) or layer.function not in AFFINE or state.types.get(layer.name, REAL) != REAL:
        return layer
    left, right = (state.layers[name] for name in layer.inputs)
    for constant, other, turned in ((right, left, False), (left, right, True)):
        if not isinstance(constant, Constant) or isinstance(other, Constant) or other.shape != layer.shape:
            continue
        if state.types.get(other.name, REAL) != REAL:
            continue
        lead = len(layer.shape) - len(constant.shape)
        varying = [axis + lead for axis, n in enumerate(constant.shape) if n > 1]
        value = constant.value
        if not varying and value.values is not None:
            return _scalar(layer, other.name, float(value.real().reshape(())), turned)
        if len(varying) == 1 and varying[0] > 0:
            flat = Array((value.size,), None if value.values is None else value.values.reshape(-1), _flat_code(value))
            return _per_channel(layer, other.name, flat, varying[0], turned)
    return layer


def _flat_code(value: Array) -> Affine | None:
    if value.code is None or value.code.axis is None:
        return value.code
    return replace(value.code, axis=0) if value.code.scale.size == value.size else None


def _scalar(layer: Elementwise, x: str, c: float, turned: bool) -> Layer:
    """Return x combined with one number: scale and shift, or a clip."""
    activation = with_number(layer.function, c, turned=turned)
    if activation is None or not np.isfinite(activation[1].get("scale", 0.0)):
        return layer
    return Activation(name=layer.name, inputs=(x,), shape=layer.shape, function=activation[0], parameters=activation[1])


def _per_channel(layer: Elementwise, x: str, c: Array, axis: int, turned: bool) -> Layer:
    one, zero = Array.filled(c.shape, 1.0, known=c.known), Array.filled(c.shape, known=c.known)
    match layer.function, turned:
        case "add", _:
            scale, offset = one, c
        case "subtract", False:
            scale, offset = one, _combined(lambda v: -v, c)
        case "subtract", True:
            scale, offset = Array.filled(c.shape, -1.0, known=c.known), c
        case "multiply", _:
            scale, offset = c, zero
        case "divide", False if not c.known or np.all(c.real() != 0):
            scale, offset = _combined(lambda v: 1.0 / v, c), zero
        case _:
            return layer
    return ChannelAffine(name=layer.name, inputs=(x,), shape=layer.shape, scale=scale, offset=offset, axis=axis)


def _fold_affine(state: _Folding, layer: ChannelAffine) -> bool:
    """Fold an affine layer into the one before it; say whether that was possible."""
    source = layer.inputs[0]
    if not state.free(source):
        return False
    before = state.layers[source]
    if isinstance(before, ChannelAffine) and before.axis == layer.axis:
        if _coded(before.scale, before.offset, layer.scale, layer.offset):
            return False
        scale = _combined(lambda s, t: s * t, before.scale, layer.scale)
        offset = _combined(lambda o, t, p: o * t + p, before.offset, layer.scale, layer.offset)
        state.layers[source] = replace(before, scale=scale, offset=offset)
        state.merge(layer.name, source)
        return True
    if isinstance(before, Normalise):
        return _into_norm(state, layer, before)
    if isinstance(before, Elementwise) and layer.scale.equals(1.0):
        return _into_summand(state, layer, before)
    target = source
    if isinstance(before, Reshape):
        target = before.inputs[0]
        if not state.free(target):
            return False
    weighted = state.layers[target]
    if isinstance(weighted, Convolution):
        fits = layer.axis == 1 and layer.shape[:2] == weighted.shape[:2]
    else:
        fits = layer.axis == len(layer.shape) - 1 and layer.shape[-1] == weighted.shape[-1]
    if not fits or not isinstance(weighted, Convolution | Linear):
        return False
    folded = _into_weights(weighted, layer.scale, layer.offset)
    if folded is None:
        return False
    state.layers[target] = folded
    state.merge(layer.name, source)
    return True


def _into_norm(state: _Folding, layer: ChannelAffine, before: Normalise) -> bool:
    """Fold (n * a + b) * scale + offset into the norm's own scale and offset; return whether that was possible."""
    fits = layer.axis == 1 if before.function == "group" else before.axes == 1 and layer.axis == len(layer.shape) - 1
    arrays = [array for array in (before.scale, before.offset, layer.scale, layer.offset) if array is not None]
    if not fits or _coded(*arrays):
        return False
    scale = layer.scale if before.scale is None else _combined(lambda a, s: a * s, before.scale, layer.scale)
    offset: Array | None = layer.offset
    if before.offset is not None:
        offset = _combined(lambda b, s, o: b * s + o, before.offset, layer.scale, layer.offset)
    elif layer.offset.equals(0.0):
        offset = None
    state.layers[before.name] = replace(before, scale=scale, offset=offset)
    state.merge(layer.name, before.name)
    return True


def _into_summand(state: _Folding, layer: ChannelAffine, before: Elementwise) -> bool:
    """Fold (x + W y) + offset into x + (W y + offset), the linear layer's bias; return whether that was possible."""
    if before.function != "add" or before.shape != layer.shape:
        return False
    for name in reversed(before.inputs):
        summand = state.layers[name]
        if not isinstance(summand, Linear) or summand.shape != layer.shape or not state.free(name):
            continue
        folded = _into_weights(summand, layer.scale, layer.offset) if layer.axis == len(layer.shape) - 1 else None
        if folded is not None:
            state.layers[name] = folded
            state.merge(layer.name, before.name)
            return True
    return False


def _into_weights(layer: Convolution | Linear, scale: Array, offset: Array) -> Convolution | Linear | None:
    """Return (W x + b) * scale + offset as another W and b; None where codes forbid it."""
    weight, bias = layer.weight, layer.bias
    if not scale.equals(1.0):
        if _coded(weight, scale) or (bias is not None and bias.code is not None):
            return None
        along = (-1, *(1,) * (len(weight.shape) - 1))
        weight = _combined(lambda w, s: w * s.reshape(along), weight, scale)
        bias = None if bias is None else _combined(lambda b, s: b * s, bias, scale)
    if offset.equals(0.0):
        pass
    elif bias is None:
        bias = offset
    elif _coded(bias, offset):
        return None
    else:
        bias = _combined(lambda b, o: b + o, bias, offset)
    return replace(layer, weight=weight, bias=bias)


def _hides_batch(state: _Folding, reshape: Reshape) -> bool:
    """Return whether a reshape to (M, K) mixes the batch axis of its input with others."""
    source = state.layers[reshape.inputs[0]]
    batch = source.shape[0] if source.shape else 0
    return (
        len(reshape.shape) == 2 and len(source.shape) > 2 and batch < reshape.shape[0] and reshape.shape[0] % batch == 0
    )


def _show_batch(state: _Folding, layer: Linear, before: Reshape) -> None:
    """Write a linear layer on (M, K) as one on (B, M / B, K), and the reshape to (M, N) behind it."""
    source = before.inputs[0]
    batch = state.layers[source].shape[0]
    middle = (batch, layer.shape[0] // batch)
    del state.layers[before.name]
    if state.layers[source].shape == (*middle, before.shape[-1]):
        reads = source
    else:
        state.layers[before.name] = replace(before, shape=(*middle, before.shape[-1]))
        reads = before.name
    state.layers[layer.name] = replace(layer, inputs=(reads,), shape=(*middle, layer.shape[-1]))
    moved = Reshape(name=f"{layer.name}.reshape", inputs=(layer.name,), shape=layer.shape)
    state.readers[moved.name] = state.readers[layer.name]
    state.readers[layer.name] = 1
    state.alias[layer.name] = moved.name
    state.layers[moved.name] = moved


# Arrays -----------------------------------------------------------------------------------------------------


def _combined(function: Callable[..., npt.NDArray[np.float64]], first: Array, *others: Array) -> Array:
    """Apply a float64 function to the real values of arrays; the result has the shape of the first."""
    return computed(function, first.shape, first, *others)


def _coded(*arrays: Array) -> bool:
    return any(array.code is not None for array in arrays)
