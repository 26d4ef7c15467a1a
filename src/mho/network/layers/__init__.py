"""The kinds of layers of a network: frozen descriptions of what is computed, with or without the weights, a family a file.

A layer makes exactly one tensor, which bears the layer's name. `shape` is that tensor's shape, the batch axis first.
Weights and constants are `Array`s: a shape, and the values where they are known (a 70B network is described by shapes
alone). Convolutions are two-dimensional, channels first; a one-dimensional one is a convolution of height 1. A new kind is
one class (see `network.layer`) and one line in `LAYER_KINDS`, or `LAYER_KINDS.add(Mine.kind, Mine)` in a plugin.
"""

from __future__ import annotations

from mho.network.arrays import Affine, Array
from mho.network.layer import Constant, Input, Layer
from mho.network.layers.activation import Activation
from mho.network.layers.elementwise import Convert, Elementwise, Select
from mho.network.layers.joining import Concatenate, Interleave, Join
from mho.network.layers.lookup import Embedding, EmbeddingBag, Gather
from mho.network.layers.matrix import Convolution, GroupedLinear, Linear, MatrixLayer, MatrixProduct
from mho.network.layers.movement import Expand, Pad, Reshape, Slice, Take, Transpose
from mho.network.layers.normalise import ChannelAffine, Normalise
from mho.network.layers.pool import Pool
from mho.network.layers.reduction import CumulativeSum, Reduce, Softmax
from mho.network.layers.resample import Resample
from mho.plugins import Registry

LAYER_KINDS: Registry[type[Layer]] = Registry(
    "layer kind",
    {
        kind.kind: kind
        for kind in (
            Input, Constant, Convolution, Linear, GroupedLinear, MatrixProduct, Embedding, Pool, Reduce, ChannelAffine,
            Normalise, Activation, Softmax, Elementwise, Concatenate, Join, Reshape, Transpose, Slice, Pad, Expand, Take,
            Interleave, Resample, Convert, Select, Gather, CumulativeSum, EmbeddingBag,
        )
    },
)  # fmt: skip
"""The kinds by their names, as a program's file knows them."""

__all__ = [
    "LAYER_KINDS", "Activation", "Affine", "Array", "ChannelAffine", "Concatenate", "Constant", "Convert",
    "Convolution", "CumulativeSum", "Elementwise", "Embedding", "EmbeddingBag", "Expand", "Gather", "GroupedLinear", "Input",
    "Interleave", "Join", "Layer", "Linear", "MatrixLayer", "MatrixProduct", "Normalise", "Pad", "Pool", "Reduce", "Resample",
    "Reshape", "Select", "Slice", "Softmax", "Take", "Transpose",
]  # fmt: skip
