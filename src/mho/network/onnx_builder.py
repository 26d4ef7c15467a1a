"""What the handlers of ONNX operators share: a node with its values, and a builder that takes arrays as weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper

from mho.errors import NetworkError
from mho.network.builder import LOWEST, Builder
from mho.network.layers import Affine, Array
from mho.network.onnx_codes import Stated
from mho.network.types import REAL, TYPES

AnyArray = npt.NDArray[Any]
FLOAT_TYPES = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16}


def type_name(kind: int) -> str:
    """Return a tensor's type (see `types`): floating types are reals."""
    if kind in FLOAT_TYPES:
        return REAL
    known = kind in TensorProto.DataType.values()
    name = np.dtype(helper.tensor_dtype_to_np_dtype(kind)).name if known else str(kind)
    if name not in TYPES:
        description = TensorProto.DataType.Name(kind) if known else f"number {kind}"
        raise NetworkError(f"tensors of type {description} are not known; known: floats, {', '.join(TYPES[1:])}")
    return name


@dataclass(frozen=True)
class Codes:
    """The output of a QuantizeLinear: the integers that stand for a tensor of the network."""

    tensor: str
    stated: Stated


Value = str | AnyArray | Array | Codes | None
"""A tensor of the network by name; an array known now; a known array in integers with a code; codes; or nothing."""


@dataclass(frozen=True)
class Node:
    """One node of the graph: its operator, values and attributes, and the version of the operator set."""

    operator: str
    inputs: tuple[Value, ...]
    attributes: Mapping[str, Any]
    outputs: tuple[str, ...]
    opset: int
    builder: OnnxBuilder

    def get(self, index: int) -> Value:
        """Return an input, or None where it is absent."""
        return self.inputs[index] if index < len(self.inputs) else None

    def tensor(self, index: int = 0) -> str:
        """Return the name of an input's tensor; a known one becomes a constant."""
        return self.builder.named(self.get(index))

    def known(self, index: int) -> AnyArray | None:
        """Return an input that must be known now, or None where it is absent."""
        value = self.get(index)
        if isinstance(value, str):
            value = self.builder.constants.get(value, value)
        if isinstance(value, Array):
            return value.real()
        if value is None or isinstance(value, np.ndarray):
            return value
        raise NetworkError(
            f"input {index} says how, not what: it must be known when the file is read; give its value (`values`)"
        )

    def needed(self, index: int, what: str = "") -> AnyArray:
        """Return an input that must be there, and known now; `what` says what is missing where it is not."""
        value = self.known(index)
        if value is None:
            raise NetworkError(f"{what or f'input {index}'} is missing")
        return value

    def depends(self, index: int) -> bool:
        """Say whether an input depends on the network's inputs."""
        value = self.get(index)
        return isinstance(value, str) and value not in self.builder.constants

    def integers(self, index: int, attribute: str) -> list[int] | None:
        """Return integers that are an attribute in old and an input in new operator sets."""
        if attribute in self.attributes:
            stated = self.attributes[attribute]
            return [int(n) for n in stated] if isinstance(stated, list | tuple) else [int(stated)]
        value = self.known(index)
        return None if value is None else [int(n) for n in value.reshape(-1)]

    def listed(self, index: int, attribute: str, what: str) -> list[int]:
        """Return integers as `integers` does, which must be there."""
        value = self.integers(index, attribute)
        if value is None:
            raise NetworkError(f"{what} is missing")
        return value

    def number(self, index: int, attribute: str, default: float) -> float:
        """Return a number that is an attribute in old and an input in new operator sets."""
        if attribute in self.attributes:
            return float(self.attributes[attribute])
        value = self.known(index)
        return default if value is None or value.size == 0 else float(value.reshape(-1)[0])


class OnnxBuilder(Builder):
    """A builder that takes the values of an ONNX graph where a weight or constant is wanted."""

    def __init__(self) -> None:
        """Start empty."""
        super().__init__()
        self.constants: dict[str, AnyArray] = {}
        self.stated: dict[str, Stated] = {}
        self.input_codes: dict[str, Stated] = {}
        self.wide: dict[str, str] = {}

    def array(self, value: Value) -> Array:
        """Return a known value as a weight, floats as float32."""
        if isinstance(value, str):
            value = self.constants.get(value, value)
        if isinstance(value, Array):
            return value
        if not isinstance(value, np.ndarray):
            raise NetworkError("weights must be known when the file is read; give their values (`values`)")
        values = value
        if values.dtype.kind in "fb" and values.dtype != np.float32:
            return self.once(id(values), values, lambda: Array.of(values.astype(np.float32)))
        return Array.of(values)

    def operand(self, value: Value) -> str | Array:
        """Return the name of a tensor of the network, or a known weight."""
        return value if isinstance(value, str) else self.array(value)

    def optional(self, value: Value) -> Array | None:
        """Return a known value as a weight, or None where it is absent."""
        return None if value is None else self.array(value)

    def named(self, value: Value) -> str:
        """Return the name of a tensor; a known value becomes a constant, its minus infinities the lowest float32."""
        if isinstance(value, str):
            return value
        if isinstance(value, Codes):
            return self.integers_of(value.tensor, value.stated)
        if value is None:
            raise NetworkError("an input is missing")
        return self.once((id(value), "constant"), value, lambda: self._constant(value))

    def _constant(self, value: AnyArray | Array) -> str:
        if isinstance(value, np.ndarray) and value.dtype == bool:
            return self.constant(Array.of(value), "constant")
        if isinstance(value, Array) or value.dtype.kind != "f":
            return self.constant(self.array(value), "constant")
        name = self.constant(self.array(np.asarray(np.maximum(value, LOWEST), dtype=np.float32)), "constant")
        if np.isneginf(value).any():
            self.lowered.add(name)
        return name

    def give_code(self, tensor: str, code: Affine) -> None:
        """Prescribe a code for a tensor, which then stands for reals."""
        self.codes[tensor] = code
        self.types[tensor] = REAL

    def integers_of(self, x: str, stated: Stated) -> str:
        """Append a QuantizeLinear spelled out: round(x / scale) + zero, within the range, as integers."""
        kind = stated.kind if stated.kind in TYPES else f"{stated.kind.rstrip('0123456789')}8"
        whole = self.activation(self._affine(x, 1.0 / stated.scale, 0.0, stated.axis, "steps"), "round", part="round")
        moved = self._affine(whole, 1.0, stated.zero, stated.axis, "zero")
        within = self.activation(moved, "clip", {"low": stated.low, "high": stated.high}, "range")
        return self.convert(within, kind, "integers")

    def reals_of(self, x: str, stated: Stated) -> str:
        """Append a DequantizeLinear spelled out: scale * (x - zero)."""
        real = self.convert(x, REAL, "real")
        return self._affine(real, stated.scale, -stated.scale * stated.zero, stated.axis, None)

    def _affine(self, x: str, scale: npt.ArrayLike, shift: npt.ArrayLike, axis: int | None, part: str | None) -> str:
        """Append x * scale + shift, one number each or one for each place along an axis."""
        if axis is None:
            return self.scale_shift(x, float(np.asarray(scale)), float(np.asarray(shift)), part)
        count = (self.shape(x)[axis],)
        factor, offset = (Array.of(np.array(np.broadcast_to(each, count), dtype=np.float64)) for each in (scale, shift))
        return self.channel_affine(x, factor, offset, axis, part)


Handler = Callable[[OnnxBuilder, Node], "Value | tuple[Value, ...]"]


def text(value: object) -> str:
    """Read an attribute that is a string."""
    return value.decode() if isinstance(value, bytes) else str(value)


def turned(array: Array) -> Array:
    """Return a matrix transposed, its code with it."""
    code = array.code
    if code is not None and code.axis is not None:
        code = replace(code, axis=1 - code.axis)
    return Array(array.shape[::-1], None if array.values is None else array.values.T, code)
