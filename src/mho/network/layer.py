"""What a layer is: the base of all layers, and the sources of tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from mho.errors import NetworkError, choices
from mho.network.arrays import Array
from mho.network.types import REAL, TYPES, type_of


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
        """Refuse a wrong number of inputs."""
        low, high = self.arity
        if not low <= len(self.inputs) <= high:
            raise NetworkError(
                f"layer {self.name!r} ({self.kind}) reads {len(self.inputs)} tensors, not {low} to {high}"
            )

    def result_type(self, operands: Sequence[str]) -> str:
        """Return the type of the tensor made from operands of these types; see `types`."""
        return operands[0] if self.moves_only else REAL

    @property
    def size(self) -> int:
        """Number of elements of the output."""
        return math.prod(self.shape)


@dataclass(frozen=True, kw_only=True, eq=False)
class Input(Layer):
    """A tensor given from outside, of a `type` (see `types`): reals, truths, or integers: indices or, with a code, coded reals."""

    type: str = REAL

    kind: ClassVar[str] = "input"
    arity: ClassVar[tuple[int, int]] = (0, 0)

    def __post_init__(self) -> None:
        """Refuse unknown types."""
        super().__post_init__()
        if self.type not in TYPES:
            raise NetworkError(f"input {self.name!r}: no type {self.type!r}; {choices(self.type, TYPES)}")

    @property
    def integers(self) -> bool:
        """Whether it is given as integers or truths."""
        return self.type != REAL

    def result_type(self, operands: Sequence[str]) -> str:
        """Return the type that it is given in."""
        return self.type


@dataclass(frozen=True, kw_only=True, eq=False)
class Constant(Layer):
    """A tensor that is part of the network: position embeddings, masks, scalars. Its first axis is 1 or is no batch."""

    value: Array

    kind: ClassVar[str] = "constant"
    arity: ClassVar[tuple[int, int]] = (0, 0)

    def result_type(self, operands: Sequence[str]) -> str:
        """Return the type of the values."""
        return type_of(self.value)
