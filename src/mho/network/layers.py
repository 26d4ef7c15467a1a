"""The layers of a network: frozen descriptions of what is computed, with or without the weights.

A layer makes exactly one tensor, which bears the layer's name. `shape` is that tensor's shape, the batch axis first.
Weights and constants are `Array`s: a shape, and the values where they are known (a 70B network is described by shapes
alone). Convolutions are two-dimensional, channels first; a one-dimensional one is a convolution of height 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from mho.errors import NetworkError
from mho.network.arrays import Affine, Array
from mho.network.layer import Constant, Input, Layer
from mho.network.matrix_layers import Convolution, GroupedLinear, Linear, MatrixLayer, MatrixProduct
from mho.network.rearranged import Interleave, Take


@dataclass(frozen=True, kw_only=True, eq=False)
class Embedding(Layer):
    """Rows of a table (rows, features) looked up by integer indices. Input (B, ...), output (B, ..., features)."""

    table: Array

    kind: ClassVar[str] = "embedding"


@dataclass(frozen=True, kw_only=True, eq=False)
class Pool(Layer):
    """Two-dimensional maximum or average over windows. `padding` is (top, left, bottom, right).

    `function` is "maximum" or "average"; padding never wins a maximum, and counts in an average if `count_padding`.
    """

    function: str
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    count_padding: bool = True

    kind: ClassVar[str] = "pool"


@dataclass(frozen=True, kw_only=True, eq=False)
class Reduce(Layer):
    """`function` ("mean", "sum", "maximum" or "minimum") over `axes` (counted from 0, never the batch)."""

    function: str
    axes: tuple[int, ...]
    keep: bool

    kind: ClassVar[str] = "reduce"


@dataclass(frozen=True, kw_only=True, eq=False)
class ChannelAffine(Layer):
    """x * scale[c] + offset[c] along `axis`: a batch normalisation that could not be folded into its neighbour."""

    scale: Array
    offset: Array
    axis: int = 1

    kind: ClassVar[str] = "channel affine"


@dataclass(frozen=True, kw_only=True, eq=False)
class Normalise(Layer):
    """Normalisation from the statistics of the input itself.

    `function` "layer": (x - mean) / sqrt(variance + epsilon) over the last `axes` axes; "rms": x / sqrt(mean of
    squares + epsilon), likewise; "group": over each of `groups` groups of channels (axis 1) and all axes behind.
    Then * scale + offset where these are given (shape: the normalised axes, or the channels for "group").
    """

    function: str
    epsilon: float
    scale: Array | None = None
    offset: Array | None = None
    axes: int = 1
    groups: int = 1

    kind: ClassVar[str] = "normalise"


@dataclass(frozen=True, kw_only=True, eq=False)
class Activation(Layer):
    """A function of each element alone; `parameters` by name (clip: low, high; leaky_relu: slope; power: exponent ...)."""

    function: str
    parameters: Mapping[str, float] = field(default_factory=dict)

    kind: ClassVar[str] = "activation"

    FUNCTIONS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "relu": (), "clip": ("low", "high"), "leaky_relu": ("slope",), "elu": ("alpha",), "sigmoid": (), "tanh": (),
        "gelu": (), "gelu_tanh": (), "silu": (), "hard_sigmoid": ("alpha", "beta"), "hard_swish": (), "softplus": (),
        "mish": (), "erf": (), "exp": (), "log": (), "sqrt": (), "reciprocal_sqrt": (), "reciprocal": (), "negate": (),
        "absolute": (), "power": ("exponent",), "sine": (), "cosine": (), "scale_shift": ("scale", "shift"),
    }  # fmt: skip

    def __post_init__(self) -> None:
        """Refuse functions that are not known, and parameters that do not fit the function."""
        super().__post_init__()
        if self.function not in self.FUNCTIONS:
            raise NetworkError(f"layer {self.name!r}: unknown activation {self.function!r}")
        if sorted(self.parameters) != sorted(self.FUNCTIONS[self.function]):
            raise NetworkError(
                f"layer {self.name!r}: {self.function} takes {self.FUNCTIONS[self.function]}, not {tuple(self.parameters)}"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Softmax(Layer):
    """exp(x - max) / sum over one axis, counted from 0."""

    axis: int

    kind: ClassVar[str] = "softmax"


@dataclass(frozen=True, kw_only=True, eq=False)
class Elementwise(Layer):
    """Two tensors combined element by element with broadcasting: "add", "subtract", "multiply", "divide", "maximum", "minimum"."""

    function: str

    kind: ClassVar[str] = "elementwise"
    arity: ClassVar[tuple[int, int]] = (2, 2)


@dataclass(frozen=True, kw_only=True, eq=False)
class Concatenate(Layer):
    """Tensors joined along one axis, counted from 0, never the batch unless only one is joined."""

    axis: int

    kind: ClassVar[str] = "concatenate"
    arity: ClassVar[tuple[int, int]] = (1, 1_000_000)


@dataclass(frozen=True, kw_only=True, eq=False)
class Reshape(Layer):
    """The same values in row-major order under another shape (`shape`)."""

    kind: ClassVar[str] = "reshape"
    moves_only: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True, eq=False)
class Transpose(Layer):
    """Axes permuted: axis i of the output is axis permutation[i] of the input."""

    permutation: tuple[int, ...]

    kind: ClassVar[str] = "transpose"
    moves_only: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True, eq=False)
class Slice(Layer):
    """Elements start, start + step, ... below stop along one axis; `drop` removes the axis (which then has length 1)."""

    axis: int
    start: int
    stop: int
    step: int = 1
    drop: bool = False

    kind: ClassVar[str] = "slice"
    moves_only: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True, eq=False)
class Pad(Layer):
    """`before[i]` and `after[i]` elements of real `value` added along axis i."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    value: float = 0.0

    kind: ClassVar[str] = "pad"


@dataclass(frozen=True, kw_only=True, eq=False)
class Expand(Layer):
    """The input broadcast to `shape`."""

    kind: ClassVar[str] = "expand"
    moves_only: ClassVar[bool] = True


LAYER_KINDS: tuple[type[Layer], ...] = (
    Input, Constant, Convolution, Linear, GroupedLinear, MatrixProduct, Embedding, Pool, Reduce, ChannelAffine, Normalise,
    Activation, Softmax, Elementwise, Concatenate, Reshape, Transpose, Slice, Pad, Expand, Take, Interleave,
)  # fmt: skip

__all__ = [
    "LAYER_KINDS",
    "Activation",
    "Affine",
    "Array",
    "ChannelAffine",
    "Concatenate",
    "Constant",
    "Convolution",
    "Elementwise",
    "Embedding",
    "Expand",
    "GroupedLinear",
    "Input",
    "Interleave",
    "Layer",
    "Linear",
    "MatrixLayer",
    "MatrixProduct",
    "Normalise",
    "Pad",
    "Pool",
    "Reduce",
    "Reshape",
    "Slice",
    "Softmax",
    "Take",
    "Transpose",
]
