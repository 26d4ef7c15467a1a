"""How much work a layer is outside the crossbars, and how long it takes on a chip.

Elementary operations an output element are counted as: 1 for activation, element-wise, embedding and concatenation
(a copy with another scale), 2 for a channel's scale and offset, 5 for softmax (maximum, subtract, exponential, sum,
divide), 6 for normalisations (two sums, subtract, divide, scale, offset); kernel size for pooling; input elements for
reductions; nothing for layers that only move values or are told from outside. These counts are a convention of ours.
"""

from __future__ import annotations

from mho.chip import Chip
from mho.network.graph import Network
from mho.network.layers import (
    ChannelAffine,
    Constant,
    Input,
    Layer,
    MatrixLayer,
    MatrixProduct,
    Normalise,
    Pool,
    Reduce,
    Softmax,
)


def vector_operations(layer: Layer, network: Network) -> int:
    """Count the elementary vector operations of a layer, batch included."""
    if isinstance(layer, Input | Constant | MatrixLayer | MatrixProduct) or layer.moves_only:
        return 0
    if isinstance(layer, Reduce):
        return network.by_name[layer.inputs[0]].size
    if isinstance(layer, Pool):
        return layer.size * layer.kernel[0] * layer.kernel[1]
    per_element = {ChannelAffine: 2, Softmax: 5, Normalise: 6}.get(type(layer), 1)
    return layer.size * per_element


def vector_seconds(layer: Layer, network: Network, chip: Chip) -> float:
    """Return how long the vector unit (or its matrix unit) works on a layer; 0 where the chip calls it ideal."""
    seconds = 0.0
    if chip.vector.elements_per_s is not None:
        seconds += vector_operations(layer, network) / chip.vector.elements_per_s
    if isinstance(layer, MatrixProduct) and chip.vector.macs_per_s is not None:
        seconds += layer.macs / chip.vector.macs_per_s
    return seconds
