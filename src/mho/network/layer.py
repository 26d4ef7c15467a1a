"""What a layer is: the base of all kinds of layers, and the sources of tensors.

A kind of layer is one class, in one file of `layers/`, that says everything the other rooms ask of it: its data, what it
computes, the shape and type of what it makes, how many operations that is, and how it behaves when samples are laid
behind one another. No room above keeps a list of kinds.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from mho.errors import NetworkError, choices
from mho.network.arrays import Array
from mho.network.geometry import Shape, ShapeError, broadcast, need
from mho.network.rows import Needed, Streamed, Streams, broadcast_rows
from mho.network.types import REAL, TYPES, promoted, type_of

AnyArray = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """The base of all layers: a name, the names of the tensors that it reads, the shape of the one that it makes.

    A new kind gives `kind` and overrides `made_shape` and `compute`; the other methods where their default does not fit.
    """

    name: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]

    kind: ClassVar[str] = "layer"
    arity: ClassVar[tuple[int, int]] = (1, 1)
    moves_only: ClassVar[bool] = False
    """True if the layer only moves values, so that its output bears its input's code and takes no room of its own."""
    keeps_type: ClassVar[bool] = False
    """True if the output has the type of its operands (`types.promoted`); else it is made of reals, unless it is only moved."""
    passes: ClassVar[bool] = False
    """True if the layer can take its operand as it leaves the vector unit before it, without a stay in the buffer."""
    work: ClassVar[int] = 1
    """Elementary operations of the vector unit for an element of the output; 0 counts for a layer that only moves."""

    def __post_init__(self) -> None:
        """Refuse a wrong number of inputs."""
        low, high = self.arity
        if not low <= len(self.inputs) <= high:
            raise NetworkError(
                f"layer {self.name!r} ({self.kind}) reads {len(self.inputs)} tensors, not {low} to {high}"
            )

    def result_type(self, operands: Sequence[str]) -> str:
        """Return the type of the tensor made from operands of these types; see `types`."""
        return promoted(operands) if self.moves_only or self.keeps_type else REAL

    def made_shape(self, operands: Sequence[Shape]) -> Shape:
        """Return the shape made from operands of these shapes; raise ValueError or IndexError where they do not fit."""
        return self.shape

    def compute(self, operands: Sequence[AnyArray], factor: int) -> AnyArray:
        """Compute the layer on operands that are float64 where they are reals, else of their own type.

        The first axis of every operand that depends on an input is longer than its shape says by `factor`.
        """
        raise NetworkError(f"layer {self.name!r} ({self.kind}) is no vector layer")

    def operations(self, operands: Sequence[Shape]) -> int:
        """Count the elementary operations of the vector unit, batch included."""
        return 0 if self.moves_only else self.work * self.size

    def extends(self, operands: Sequence[tuple[Shape, bool]]) -> bool:
        """Return True if batches laid behind one another along axis 0 of every operand give batches behind one another.

        `operands` are (shape, True if it depends on no input). Called for layers whose output has axes.
        """
        return False

    def streams(self, operands: Sequence[Streamed]) -> Streams:
        """Return the stream axis of the output and the rows of each operand that its rows need; see `rows`.

        By default the output is one row, which needs all of every operand: true of any layer.
        """
        return None, tuple(operand.all for operand in operands)

    def carried(self) -> tuple[str, ...]:
        """Return the operands whose values, and so whose code, the output bears: those that it only selects from or joins."""
        return self.inputs if self.moves_only else ()

    def changes_nothing(self) -> bool:
        """Return True if the output equals the operand, given that both have one shape."""
        return False

    @property
    def size(self) -> int:
        """Return the number of elements of the output."""
        return math.prod(self.shape)


@dataclass(frozen=True, kw_only=True, eq=False)
class Pointwise(Layer):
    """A layer whose output's elements are made of those at the same place in the operands, which are broadcast."""

    passes: ClassVar[bool] = True

    def made_shape(self, operands: Sequence[Shape]) -> Shape:
        """Return the broadcast shape."""
        return broadcast(*operands)

    def extends(self, operands: Sequence[tuple[Shape, bool]]) -> bool:
        """Return True if axis 0 of the operands lines up."""
        return aligned(operands, self.shape)

    def streams(self, operands: Sequence[Streamed]) -> Streams:
        """Row by row."""
        return broadcast_rows(operands, self.shape)


@dataclass(frozen=True, kw_only=True, eq=False)
class AlongAxis(Layer):
    """A layer that keeps all axes apart from each other but one, `axis`, counted from 0."""

    axis: int

    def made_shape(self, operands: Sequence[Shape]) -> Shape:
        """Return the operand's shape."""
        need(0 <= self.axis < len(operands[0]))
        return operands[0]

    def extends(self, operands: Sequence[tuple[Shape, bool]]) -> bool:
        """Return True if it leaves axis 0 whole."""
        return self.axis != 0

    def streams(self, operands: Sequence[Streamed]) -> Streams:
        """Row by row along any axis but its own."""
        (x,) = operands
        return x.axis, (self.along_rows(x) if x.axis == self.axis else x.same,)

    def along_rows(self, x: Streamed) -> Needed:
        """Return the rows that are needed where `axis` is the stream axis: all, if the kind does not know better."""
        return x.all


@dataclass(frozen=True, kw_only=True, eq=False)
class Input(Layer):
    """A tensor given from outside, of a `type` (see `types`): reals, truths, or integers: indices or, with a code, coded reals."""

    type: str = REAL

    kind: ClassVar[str] = "input"
    arity: ClassVar[tuple[int, int]] = (0, 0)
    work: ClassVar[int] = 0

    def __post_init__(self) -> None:
        """Refuse unknown types."""
        super().__post_init__()
        if self.type not in TYPES:
            raise NetworkError(f"input {self.name!r}: no type {self.type!r}; {choices(self.type, TYPES)}")

    @property
    def integers(self) -> bool:
        """Return whether this input is given as integers or truths."""
        return self.type != REAL

    def result_type(self, operands: Sequence[str]) -> str:
        """Return the type that it is given in."""
        return self.type

    def extends(self, operands: Sequence[tuple[Shape, bool]]) -> bool:
        """Return True: samples come one behind the other."""
        return True

    def streams(self, operands: Sequence[Streamed]) -> Streams:
        """Samples of a batch are rows; those of one sample lie along the height of images (B, C, H, W), or the width of images
        of one line, and along the tokens of sequences, (B, T, F) or integers (B, T). A vector of reals (B, F) is one row.
        """
        shape = self.shape
        if shape and shape[0] > 1:
            return 0, ()
        if len(shape) >= 4:
            return next((axis for axis in range(2, len(shape)) if shape[axis] > 1), 2), ()
        return (1 if len(shape) == 3 or (len(shape) == 2 and self.integers) else None), ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Constant(Layer):
    """A tensor that is part of the network: position embeddings, masks, scalars. Its first axis is 1 or is no batch."""

    value: Array

    kind: ClassVar[str] = "constant"
    arity: ClassVar[tuple[int, int]] = (0, 0)
    work: ClassVar[int] = 0

    def result_type(self, operands: Sequence[str]) -> str:
        """Return the type of the values."""
        return type_of(self.value)

    def made_shape(self, operands: Sequence[Shape]) -> Shape:
        """Return the shape of the values."""
        return self.value.shape

    def compute(self, operands: Sequence[AnyArray], factor: int) -> AnyArray:
        """Return the values: reals as float64, others in their own type."""
        kind, values = type_of(self.value), self.value.values
        return self.value.real() if kind == REAL or values is None else values.astype(kind, copy=False)


def tensor_types(layers: Iterable[Layer], codes: Container[str]) -> dict[str, str]:
    """Return the type of each tensor; one with a code stands for reals."""
    types: dict[str, str] = {}
    for layer in layers:
        kind = layer.result_type([types[name] for name in layer.inputs])
        types[layer.name] = REAL if layer.name in codes else kind
    return types


def real(x: AnyArray) -> npt.NDArray[np.float64]:
    """Return reals as they are, and integers and truths as reals."""
    return x.astype(np.float64, copy=False)


def need_shape(array: Array | None, shape: Shape) -> None:
    """Raise ShapeError for a weight of another shape."""
    if array is not None:
        need(array.shape == shape, f"a weight of shape {array.shape} stands where {shape} is needed")


def fitted(layer: Layer, operands: Sequence[Shape]) -> Shape:
    """Return the shape that a layer makes of operands of these shapes; NetworkError where they do not fit, which says why."""
    try:
        return layer.made_shape(operands)
    except ShapeError as error:
        why = str(error)
    except (ValueError, IndexError):
        why = ""
    raise NetworkError(why or f"a {layer.kind} layer cannot read {' and '.join(map(str, operands)) or 'nothing'}")


def aligned(operands: Sequence[tuple[Shape, bool]], shape: Shape) -> bool:
    """Return True if axis 0 of the result is axis 0 of every operand that varies, and fixed operands have 1 (or nothing) there."""
    return all(
        (len(operand) < len(shape) or operand[0] == 1)
        if constant
        else operand[:1] == shape[:1] and len(operand) == len(shape)
        for operand, constant in operands
    )
