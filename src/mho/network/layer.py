"""What a layer is: the base of all layers, the base of those that sit in crossbars, and the sources of tensors."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy.typing as npt

from mho.errors import NetworkError
from mho.network.arrays import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """What every layer has: a name, the names of the tensors it reads, the shape of the one it makes."""

    name: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]

    kind: ClassVar[str] = "layer"
    arity: ClassVar[tuple[int, int]] = (1, 1)
    moves_only: ClassVar[bool] = False
    """Whether the layer only moves values, so that its output bears its input's code."""

    def __post_init__(self) -> None:
        """Refuse a wrong number of inputs and empty shapes."""
        low, high = self.arity
        if not low <= len(self.inputs) <= high:
            raise NetworkError(
                f"layer {self.name!r} ({self.kind}) reads {len(self.inputs)} tensors, not {low} to {high}"
            )
        if any(n < 1 for n in self.shape):
            raise NetworkError(f"layer {self.name!r} ({self.kind}) has an empty output shape {self.shape}")

    @property
    def size(self) -> int:
        """Number of elements of the output."""
        return math.prod(self.shape)


@dataclass(frozen=True, kw_only=True, eq=False)
class MatrixLayer(Layer, ABC):
    """A layer whose weights form `groups` matrices of `rows` x `columns` (K x N), each multiplied by `windows` vectors.

    These are the layers that sit in crossbars.
    """

    weight: Array
    bias: Array | None = None

    @property
    def groups(self) -> int:
        """Number of independent matrices (1, or the groups of a grouped convolution)."""
        return 1

    @property
    @abstractmethod
    def rows(self) -> int:
        """K: inputs of one matrix."""

    @property
    @abstractmethod
    def columns(self) -> int:
        """N: outputs of one matrix."""

    @property
    @abstractmethod
    def windows(self) -> int:
        """M: input vectors of one matrix, batch included."""

    @abstractmethod
    def matrix(self, weight: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Arrange an array in the layer's weight layout as matrices: shape (groups, K, N)."""

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the layer, batch included."""
        return self.groups * self.rows * self.columns * self.windows


@dataclass(frozen=True, kw_only=True, eq=False)
class Input(Layer):
    """A tensor given from outside. `integers` says that it is given as integers: token indices or, with a code, coded reals."""

    integers: bool = False

    kind: ClassVar[str] = "input"
    arity: ClassVar[tuple[int, int]] = (0, 0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Constant(Layer):
    """A tensor that is part of the network: position embeddings, masks, scalars. Its first axis is 1 or is no batch."""

    value: Array

    kind: ClassVar[str] = "constant"
    arity: ClassVar[tuple[int, int]] = (0, 0)
