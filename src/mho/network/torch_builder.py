"""What the handlers of ATen operators share: a call, and a builder that takes torch tensors as weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mho.errors import NetworkError, choices
from mho.network.builder import LOWEST, Builder
from mho.network.geometry import axis_of
from mho.network.layers import Array
from mho.network.types import REAL, TYPES

Value = Any
"""What a node stands for: the name of a tensor of the network, a torch.Tensor known now, or a tuple of these."""


def type_name(kind: torch.dtype) -> str:
    """Return a tensor's type (see `types`): floating types are reals."""
    name = str(kind).removeprefix("torch.")
    if kind.is_floating_point:
        return REAL
    if name not in TYPES:
        raise NetworkError(f"tensors of type {name} are not known; {choices(name, TYPES)}")
    return name


@dataclass(frozen=True)
class Call:
    """One call of an operator: its name without namespace and overload, and its arguments by their schema's names."""

    operator: str
    arguments: Mapping[str, Value]
    meta: Any

    def __getitem__(self, key: str) -> Value:
        """Return the value of an argument."""
        return self.arguments[key]

    def get(self, key: str, default: Value = None) -> Value:
        """Return the value of an argument that not every overload has."""
        return self.arguments.get(key, default)

    def axes(self, rank: int) -> list[int]:
        """Return the axes that `dim` tells, counted from 0: one, several, or all where none are given."""
        dim = self.get("dim")
        dim = [dim] if isinstance(dim, int) else dim
        return [axis_of(int(axis), rank) for axis in dim] if dim else list(range(rank))

    @property
    def keep(self) -> bool:
        """Return whether axes that are reduced are kept with length 1."""
        return bool(self.get("keepdim", False))

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of the output."""
        return tuple(int(n) for n in self.meta.shape)


class TorchBuilder(Builder):
    """A builder that takes torch tensors where a weight or constant is wanted."""

    def array(self, tensor: torch.Tensor | None) -> Array | None:
        """Return a weight: a view of the tensor's memory where that is float32, its shape alone on the meta device."""
        return None if tensor is None else self.weight(tensor)

    def weight(self, tensor: torch.Tensor) -> Array:
        """Return what `array` does, for a weight that must be there. The same view of the same memory is the same weight."""
        if not isinstance(tensor, torch.Tensor):
            raise NetworkError("a weight is computed from an input, which is not known for this operator")
        memory = tensor.untyped_storage()._cdata
        key = (memory, tensor.storage_offset(), tuple(tensor.shape), tensor.stride(), tensor.dtype)
        return self.once(key, tensor, lambda: self._array(tensor))

    def operand(self, value: Value) -> str | Array:
        """Return the name of a tensor of the network, or a known weight."""
        return value if isinstance(value, str) else self.weight(value)

    def _array(self, tensor: torch.Tensor) -> Array:
        shape = tuple(int(n) for n in tensor.shape)
        if tensor.is_meta:
            return Array(shape)
        tensor = tensor.detach().cpu()
        if tensor.dtype == torch.bool or tensor.is_floating_point():
            tensor = tensor.to(torch.float32)
        return Array(shape, tensor.numpy())

    def tensor(self, value: Value) -> str:
        """Name of a tensor; a torch.Tensor becomes a constant. Minus infinity (a mask) becomes the lowest float32."""
        if isinstance(value, str):
            return value
        if not isinstance(value, torch.Tensor):
            raise NetworkError(f"expected a tensor, got {value!r}")
        return self.once(id(value), value, lambda: self._constant(value))

    def _constant(self, value: torch.Tensor) -> str:
        if value.dtype == torch.bool and not value.is_meta:
            return self.constant(Array.of(value.detach().cpu().numpy()), "constant")
        lowest = not value.is_meta and value.is_floating_point() and bool((value == -np.inf).any())
        name = self.constant(self.weight(value.float().clamp_min(LOWEST) if lowest else value), "constant")
        if lowest:
            self.lowered.add(name)
        return name


Handler = Callable[[TorchBuilder, Call], Value]


def ranks(name: str) -> tuple[str, ...]:
    """Return the names of an operator over one, two and three axes."""
    return tuple(f"{name}{rank}d" for rank in (1, 2, 3))
