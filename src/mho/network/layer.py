"""What a layer is: the base of all layers, and the sources of tensors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

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
