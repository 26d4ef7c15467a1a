"""Slices of joined tensors read the one tensor that they lie in: the last step of a sequence needs no sequence."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from mho.network.layers import Concatenate, Layer, Slice


def unjoined(layers: Sequence[Layer], coded: Collection[str]) -> tuple[Layer, ...]:
    """Return the layers with slices moved before the joining that they read, unless what is joined has a code (`coded`)."""
    moved_layers: dict[str, Layer] = {}
    for layer in layers:
        while isinstance(layer, Slice) and (moved := _moved(layer, moved_layers, coded)) is not None:
            layer = moved
        moved_layers[layer.name] = layer
    return tuple(moved_layers.values())


def _moved(layer: Slice, layers: dict[str, Layer], coded: Collection[str]) -> Slice | None:
    """Return a slice of the one of the joined tensors that it lies in; None where there is none."""
    joined = layers[layer.inputs[0]]
    if not isinstance(joined, Concatenate) or joined.axis != layer.axis or layer.step < 1 or joined.name in coded:
        return None
    first = 0
    for name in joined.inputs:
        last = first + layers[name].shape[layer.axis]
        if first <= layer.start and layer.stop <= last:
            return replace(layer, inputs=(name,), start=layer.start - first, stop=layer.stop - first)
        first = last
    return None
