"""The layers of a network: frozen descriptions of what is computed, with or without the weights.

A layer makes exactly one tensor, which bears the layer's name. `shape` is that tensor's shape, the batch axis first.
Weights and constants are `Array`s: a shape, and the values where they are known (a 70B network is described by shapes
alone). Convolutions are two-dimensional, channels first; a one-dimensional one is a convolution of height 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from mho.errors import NetworkError, choices
from mho.network.arrays import Affine, Array
from mho.network.layer import Constant, Input, Layer
from mho.network.matrix_layers import Convolution, GroupedLinear, Linear, MatrixLayer, MatrixProduct
from mho.network.rearranged import Interleave, Resample, Take
from mho.network.types import BOOL, REAL, promoted


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

    def result_type(self, operands: Sequence[str]) -> str:
        """A maximum keeps its type."""
        return operands[0] if self.function == "maximum" else REAL


@dataclass(frozen=True, kw_only=True, eq=False)
class Reduce(Layer):
    """`function` over `axes` (counted from 0): "mean", "sum", "product", "maximum", "minimum"; over one axis the place of an
    extreme: "argmax", "argmin" (the first one where there are several), "argmax_last", "argmin_last".
    """

    function: str
    axes: tuple[int, ...]
    keep: bool

    kind: ClassVar[str] = "reduce"

    def result_type(self, operands: Sequence[str]) -> str:
        """Places are integers; all else keeps its type."""
        return "int64" if self.function.startswith("arg") else operands[0]


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
        "tangent": (), "arcsine": (), "arccosine": (), "arctangent": (), "hyperbolic_sine": (), "hyperbolic_cosine": (),
        "area_sine": (), "area_cosine": (), "area_tangent": (), "floor": (), "ceiling": (), "round": (), "sign": (),
        "softsign": (), "threshold": ("threshold",), "shrink": ("threshold", "bias"), "not": (), "is_nan": (),
        "is_infinite": ("positive", "negative"),
    }  # fmt: skip
    EXACT: ClassVar[tuple[str, ...]] = (
        "relu",
        "clip",
        "negate",
        "absolute",
        "sign",
        "not",
        "floor",
        "ceiling",
        "round",
    )
    """Functions that keep integers and truths what they are; the others make reals of them."""

    def __post_init__(self) -> None:
        """Refuse functions that are not known, and parameters that do not fit the function."""
        super().__post_init__()
        if self.function not in self.FUNCTIONS:
            raise NetworkError(f"layer {self.name!r}: unknown activation {self.function!r}")
        if sorted(self.parameters) != sorted(self.FUNCTIONS[self.function]):
            raise NetworkError(
                f"layer {self.name!r}: {self.function} takes {self.FUNCTIONS[self.function]}, not {tuple(self.parameters)}"
            )

    def result_type(self, operands: Sequence[str]) -> str:
        """See `EXACT`; a question is answered by a truth."""
        if self.function.startswith("is_"):
            return BOOL
        return operands[0] if self.function in self.EXACT else REAL


@dataclass(frozen=True, kw_only=True, eq=False)
class Softmax(Layer):
    """exp(x - max) / sum over one axis, counted from 0."""

    axis: int

    kind: ClassVar[str] = "softmax"


@dataclass(frozen=True, kw_only=True, eq=False)
class Elementwise(Layer):
    """Two tensors combined element by element with broadcasting, by one of `FUNCTIONS`.

    Integers stay exact: their quotient is cut off towards zero. "modulo" has the sign of the divisor, "remainder" that of
    the dividend; "and", "or", "xor" of integers are those of their bits.
    """

    function: str

    kind: ClassVar[str] = "elementwise"
    arity: ClassVar[tuple[int, int]] = (2, 2)

    COMPARISONS: ClassVar[tuple[str, ...]] = (
        "equal", "not_equal", "less", "less_or_equal", "greater", "greater_or_equal",
    )  # fmt: skip
    FUNCTIONS: ClassVar[tuple[str, ...]] = (
        "add", "subtract", "multiply", "divide", "maximum", "minimum", "power", "modulo", "remainder", "and", "or", "xor",
        "shift_left", "shift_right", *COMPARISONS,
    )  # fmt: skip

    def __post_init__(self) -> None:
        """Refuse functions that are not known."""
        super().__post_init__()
        if self.function not in self.FUNCTIONS:
            raise NetworkError(
                f"layer {self.name!r}: unknown elementwise function {self.function!r}; {choices(self.function, self.FUNCTIONS)}"
            )

    def result_type(self, operands: Sequence[str]) -> str:
        """A comparison is a truth; a power keeps the type of its base."""
        if self.function in self.COMPARISONS:
            return BOOL
        return operands[0] if self.function == "power" else promoted(operands)


@dataclass(frozen=True, kw_only=True, eq=False)
class Concatenate(Layer):
    """Tensors joined along one axis, counted from 0."""

    axis: int

    kind: ClassVar[str] = "concatenate"
    arity: ClassVar[tuple[int, int]] = (1, 1_000_000)

    def result_type(self, operands: Sequence[str]) -> str:
        """Return the type of what is joined."""
        return promoted(operands)


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
    """Elements start, start + step, ... along one axis, below stop, or above it (-1: to the first) where step is negative.

    `drop` removes the axis, which then has length 1.
    """

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

    def result_type(self, operands: Sequence[str]) -> str:
        """Return the type of what is padded."""
        return operands[0]


@dataclass(frozen=True, kw_only=True, eq=False)
class Expand(Layer):
    """The input broadcast to `shape`."""

    kind: ClassVar[str] = "expand"
    moves_only: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True, eq=False)
class Convert(Layer):
    """Values as another `type` (see `types`): reals are cut off towards zero, and true where they are not 0."""

    type: str

    kind: ClassVar[str] = "convert"

    def result_type(self, operands: Sequence[str]) -> str:
        """Return the type converted to."""
        return self.type


@dataclass(frozen=True, kw_only=True, eq=False)
class Select(Layer):
    """Of three tensors, broadcast: elements of the second where the first is true, of the third elsewhere."""

    kind: ClassVar[str] = "select"
    arity: ClassVar[tuple[int, int]] = (3, 3)

    def result_type(self, operands: Sequence[str]) -> str:
        """Return the type of what is selected."""
        return promoted(operands[1:])


@dataclass(frozen=True, kw_only=True, eq=False)
class Gather(Layer):
    """Elements of the first tensor at places held by the second, negative ones counted from the end.

    `function` "rows": whole slices along `axis`, the places' axes in its stead (numpy.take); "elements": one element a place,
    along `axis`, all other coordinates those of the place (numpy.take_along_axis); "points": the last axis of the places
    holds coordinates behind the first `axis` axes, which both tensors share (GatherND).
    """

    function: str
    axis: int

    kind: ClassVar[str] = "gather"
    arity: ClassVar[tuple[int, int]] = (2, 2)

    def result_type(self, operands: Sequence[str]) -> str:
        """Return the type of what is gathered."""
        return operands[0]


@dataclass(frozen=True, kw_only=True, eq=False)
class CumulativeSum(Layer):
    """Sums of all elements up to each along one axis, from the last one back if `reverse`, without itself if `exclusive`."""

    axis: int
    exclusive: bool = False
    reverse: bool = False

    kind: ClassVar[str] = "cumulative sum"

    def result_type(self, operands: Sequence[str]) -> str:
        """Return the type of what is summed."""
        return operands[0]


LAYER_KINDS: tuple[type[Layer], ...] = (
    Input, Constant, Convolution, Linear, GroupedLinear, MatrixProduct, Embedding, Pool, Reduce, ChannelAffine, Normalise,
    Activation, Softmax, Elementwise, Concatenate, Reshape, Transpose, Slice, Pad, Expand, Take, Interleave, Resample,
    Convert, Select, Gather, CumulativeSum,
)  # fmt: skip

__all__ = [
    "LAYER_KINDS",
    "Activation",
    "Affine",
    "Array",
    "ChannelAffine",
    "Concatenate",
    "Constant",
    "Convert",
    "Convolution",
    "CumulativeSum",
    "Elementwise",
    "Embedding",
    "Expand",
    "Gather",
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
    "Resample",
    "Reshape",
    "Select",
    "Slice",
    "Softmax",
    "Take",
    "Transpose",
]
