"""A quantised network: the network, its weights as codes of up to 8 bits, and the codes of the tensors stored in the
buffer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from mho.errors import NumberError
from mho.network.arrays import LARGEST
from mho.network.graph import Network
from mho.network.layers import Affine, Embedding, EmbeddingBag, Input, MatrixLayer
from mho.number.alignment import Alignment
from mho.number.basis import BASIS, BasisCoding
from mho.number.bits import BYTES, Bits, LayerBits
from mho.number.requantise import Made, integer_steps, multiplier_bits
from mho.number.sharing import same_shifts
from mho.number.squeeze import Squeeze
from mho.number.storage import read_by_matrices
from mho.shown import Shown

FloatArray = npt.NDArray[np.float64]
Codes = npt.NDArray[np.uint8]
Number = TypeVar("Number", bound=np.generic)
TABLES = "(tables)"
"""What the cells that hold rows of tables are called where cells go by the name of the layer whose weights they hold."""
SUMMED_ZERO = 128
"""The code that stands for 0 in tables whose rows are added up."""
FARTHEST = 2**15 - 256
"""How far from 0 a zero point may lie; a code less its zero point is held in 16 bits."""


def code_type(bits: int) -> np.dtype[Any]:
    """Return the type of weight codes of so many bits."""
    return np.dtype(np.uint8 if bits <= 8 else np.uint16)


def by_output(values: npt.NDArray[Number]) -> npt.NDArray[Number]:
    """Arrange numbers () or (groups, N), one for each output, so that they broadcast over weights (groups, K, N)."""
    return values[:, None, :] if values.ndim else values


@dataclass(frozen=True, eq=False, repr=False)
class QuantisedMatrix(Shown):
    """The weights of a matrix layer: real weight = scale * (code - zero), and the bias in real numbers.

    `codes` uint8 (uint16 beyond 8 bits), (groups, K, N), in 0..2^bits - 1; `scale` float64 and `zero` int64, both () for one
    code a tensor or (groups, N) for one an output; `bias` float64 (groups, N), or None.
    """

    codes: Codes
    scale: FloatArray
    zero: npt.NDArray[np.int64]
    bias: FloatArray | None = None
    bits: int = BYTES.weights

    def __post_init__(self) -> None:
        """Refuse arrays whose types or shapes do not fit one another, and codes of more than `bits` bits."""
        LayerBits(self.bits)
        needed = code_type(self.bits)
        if self.codes.dtype != needed or self.codes.ndim != 3:
            raise NumberError(f"weight codes are {needed} (groups, K, N), not {self.codes.dtype} {self.codes.shape}")
        for what, array, kind in (
            ("scales", self.scale, np.float64),
            ("zeros", self.zero, np.int64),
            ("biases", self.bias, np.float64),
        ):
            if array is not None and array.dtype != kind:
                raise NumberError(f"weight {what} are {np.dtype(kind)}, not {array.dtype}")
            if array is not None and not np.all(np.abs(array) <= LARGEST):
                raise NumberError(f"weight {what} are not all finite, in the range of float32")
        outputs = (self.codes.shape[0], self.codes.shape[2])
        if self.scale.shape != self.zero.shape or self.scale.shape not in ((), outputs):
            raise NumberError(f"weight scales {self.scale.shape} and zeros {self.zero.shape} are () or {outputs}")
        if self.bias is not None and self.bias.shape != outputs:
            raise NumberError(f"a bias of shape {self.bias.shape} was given for outputs of shape {outputs}")
        if np.any(self.scale <= 0):
            raise NumberError("weight scales are positive")
        if self.bits % 8 and self.codes.size and int(self.codes.max()) >> self.bits:
            raise NumberError(f"weight codes up to {self.codes.max()} do not fit {self.bits} bits")
        most = FARTHEST if self.bits <= BYTES.weights else FARTHEST << 16
        if np.any(self.zero > most) or np.any(self.zero < -most):
            raise NumberError(f"weight zero points beyond {most} do not fit the type of a code less its zero")

    @cached_property
    def centred(self) -> npt.NDArray[np.signedinteger[Any]]:
        """Codes less their zeros, (groups, K, N), int16, or int32 beyond 8 bits."""
        kind: np.dtype[Any] = np.dtype(np.int16 if self.codes.dtype == np.uint8 else np.int32)
        return np.asarray((self.codes.astype(kind) - by_output(self.zero)).astype(kind))

    @cached_property
    def largest_sum(self) -> int:
        """The largest sum over K of |code - zero| of any output."""
        return int(np.abs(self.centred).sum(axis=1, dtype=np.int64).max())

    def with_integers(self, integers: npt.NDArray[Any]) -> QuantisedMatrix:
        """Return the same matrix with other integer weights, codes less their middle, of 8 bits -128 to 127: (groups, K, N)."""
        middle = 1 << (self.bits - 1)
        if integers.size and (integers.min() < -middle or integers.max() >= middle):
            raise NumberError(
                f"integer weights from {integers.min()} to {integers.max()} do not fit {self.bits} bits and sign"
            )
        codes = (integers.astype(np.int32) + middle).astype(code_type(self.bits))
        return replace(self, codes=codes, zero=np.full(self.zero.shape, middle, dtype=np.int64))

    def real(self) -> FloatArray:
        """Return the weights as real numbers, (groups, K, N)."""
        return np.asarray(by_output(self.scale) * self.centred)


@dataclass(frozen=True, eq=False, repr=False)
class QuantisedTable(Shown):
    """The table of an Embedding: codes uint8 (rows, features) and their meaning (per tensor, or along axis
    0 or 1). That of an EmbeddingBag has one code, whose zero is 128 (`SUMMED_ZERO`): rows are added up as whole numbers.
    """

    codes: Codes
    code: Affine

    def __post_init__(self) -> None:
        """Refuse codes of another type, and a code whose range or axis does not fit them."""
        if self.codes.dtype != np.uint8 or self.codes.ndim != 2:
            raise NumberError(f"a table's codes are uint8 (rows, features), not {self.codes.dtype} {self.codes.shape}")
        axis = self.code.axis
        if axis is not None and (axis not in (0, 1) or self.code.scale.shape != self.codes.shape[axis : axis + 1]):
            raise NumberError(f"{self.code.scale.shape} scales along axis {axis} do not fit a table {self.codes.shape}")

    @classmethod
    def summed(cls, integers: npt.NDArray[np.integer[Any]], scale: float) -> QuantisedTable:
        """Return the table of an EmbeddingBag: its rows are `scale` times integers (rows, features) of -128 to 127."""
        codes = (integers.astype(np.int16) + SUMMED_ZERO).astype(np.uint8)
        return cls(codes, Affine(np.array(scale, dtype=np.float64), np.array(SUMMED_ZERO, dtype=np.int64), 0, 255))

    @cached_property
    def integers(self) -> npt.NDArray[np.int16]:
        """Codes of a table that is added up, less their zero, (rows, features)."""
        return self.codes.astype(np.int16) - np.int16(SUMMED_ZERO)

    def real(self, indices: npt.NDArray[np.int64]) -> FloatArray:
        """Return rows by index, as real numbers: indices (...) give (..., features)."""
        scale, zero = self.code.scale, self.code.zero
        if self.code.axis == 0:
            scale, zero = scale[indices][..., None], zero[indices][..., None]
        return np.asarray(scale * (self.codes[indices].astype(np.int64) - zero))


@dataclass(frozen=True, eq=False, repr=False)
class QuantisedNetwork(Shown):
    """A network whose weights, and whose stored activations where these are calibrated, are unsigned codes of
    up to 8 bits.

    `codes`: the tensors stored as codes, each rebased to low = 0. `offsets`: for inputs given as integers
    with a code, the lowest integer of the given range, which is subtracted on entry. `calibration` says what
    chose the activation codes ("none": the network can be mapped and timed, not executed). `notes` says what
    else a reader of the result should know. `alignment` says how weight codes were shifted towards one another,
    None where they were not. `squeezes` says by layer which rows are stored shifted (mapping "squeezed"); layers
    that it does not name have none. `coding` is the choice of a strategy that made the codes; None where they were made by hand.
    `input_bits`: by tensor that a matrix layer reads, the bits that are streamed; 8 where it is not named. `basis`: what weights
    are combinations of, all of them; None where they are themselves. `requantise`: bits of the multipliers that make codes of sums
    (`mho.number.requantise`); None: they are made in float64.
    """

    network: Network
    matrices: Mapping[str, QuantisedMatrix]
    tables: Mapping[str, QuantisedTable]
    codes: Mapping[str, Affine]
    per_channel: bool
    calibration: str
    offsets: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    alignment: Alignment | None = None
    squeezes: Mapping[str, Squeeze] = field(default_factory=dict)
    coding: object = None
    input_bits: Mapping[str, int] = field(default_factory=dict)
    basis: BasisCoding | None = None
    requantise: int | None = None

    def __post_init__(self) -> None:
        """Refuse codes whose shapes are not those of the network's layers, and names that it does not have."""
        layers = self.network.by_name
        expected: dict[str, tuple[int, ...]] = {}
        for layer in self.network.layers:
            if isinstance(layer, MatrixLayer):
                expected[layer.name] = (layer.groups, layer.rows, layer.columns)
            elif isinstance(layer, Embedding | EmbeddingBag):
                expected[layer.name] = layer.table.shape
        given = {name: each.codes.shape for weights in (self.matrices, self.tables) for name, each in weights.items()}
        if given != expected:
            name = next(name for name in (*expected, *given) if given.get(name) != expected.get(name))
            raise NumberError(f"layer {name!r} has weights {expected.get(name)}; codes {given.get(name)} were given")
        for name, table in self.tables.items():
            if isinstance(layers[name], EmbeddingBag) and (
                table.code.axis is not None or table.code.zero != SUMMED_ZERO
            ):
                raise NumberError(
                    f"rows of {name!r} are added up: its table needs one code whose zero is {SUMMED_ZERO}"
                )
        for name, code in self.codes.items():
            if name not in layers or code.axis is not None or code.low != 0:
                raise NumberError(f"{name!r} is no tensor of {self.network.name} that one code from 0 on can describe")
        for name, bits in self.input_bits.items():
            if name not in layers:
                raise NumberError(f"{self.network.name} has no tensor {name!r}, which is to have {bits} bits")
            LayerBits(inputs=bits)
            if name in self.codes and self.codes[name].high >> bits:
                raise NumberError(f"codes of {name!r} up to {self.codes[name].high} do not fit {bits} bits")
        if self.requantise is not None:
            multiplier_bits(str(self.requantise))
        for name in self.offsets:
            if name not in layers or not isinstance(layers[name], Input):
                raise NumberError(f"{name!r} is no input of {self.network.name}, but has an offset")

    @cached_property
    def bits(self) -> Bits:
        """The bits of each matrix layer that has other than 8 and 8."""
        bits = {
            layer.name: LayerBits(self.matrices[layer.name].bits, self.input_bits.get(layer.inputs[0], BYTES.inputs))
            for layer in self.network.matrix_layers
        }
        return {name: each for name, each in bits.items() if each != BYTES}

    @cached_property
    def integer_steps(self) -> Mapping[str, Made]:
        """How tensors are made in integers, by layer; empty where `requantise` is None."""
        return integer_steps(self)

    @cached_property
    def owners(self) -> Mapping[str, str]:
        """For each matrix layer the first one that has its weights as the same codes and shifts: both may use the same cells.

        Layers that share a weight of the network do, unless they were coded apart.
        """
        alike: dict[str, list[str]] = {}
        owners: dict[str, str] = {}
        for name, owner in self.network.owners.items():
            firsts = alike.setdefault(owner, [])
            owners[name] = next((first for first in firsts if self._alike(first, name)), name)
            if owners[name] == name:
                firsts.append(name)
        return owners

    def _alike(self, first: str, second: str) -> bool:
        """Return whether two layers of one shape have the same codes, less the same zeros, in rows shifted alike."""
        one, other = self.matrices[first], self.matrices[second]
        if one.bits != other.bits:
            return False
        if one is not other and not (np.array_equal(one.codes, other.codes) and np.array_equal(one.zero, other.zero)):
            return False
        return same_shifts(self.squeezes.get(first), self.squeezes.get(second))

    @cached_property
    def uncoded(self) -> tuple[str, ...]:
        """Tensors that a matrix reads and that have no code."""
        return tuple(name for name in read_by_matrices(self.network) if name not in self.codes)

    @property
    def left_out(self) -> frozenset[str]:
        """The matrix layers whose weights are no combinations of a basis, all where there is none."""
        known = {} if self.basis is None else self.basis.coefficients
        return frozenset(layer.name for layer in self.network.matrix_layers if layer.name not in known)

    def held(self, name: str) -> QuantisedMatrix:
        """Return the codes that cells hold under a name: of a layer's weights, of the basis, (1, height, vectors), or of all
        tables whose rows are added up, (1, rows, features).
        """
        if name == TABLES:
            return self._rows
        return self._basis if name == BASIS else self.matrices[name]

    @cached_property
    def _rows(self) -> QuantisedMatrix:
        codes = [self.tables[layer.name].codes for layer in self.network.layers if isinstance(layer, EmbeddingBag)]
        return QuantisedMatrix(np.concatenate(codes)[None], np.ones(()), np.array(SUMMED_ZERO, dtype=np.int64))

    @cached_property
    def _basis(self) -> QuantisedMatrix:
        assert self.basis is not None
        codes = np.ascontiguousarray(self.basis.cells.T)[None]
        return QuantisedMatrix(codes, np.ones(()), np.zeros((), dtype=np.int64), None, self.basis.numbers.element_bits)

    def require_codes(self, aim: str) -> None:
        """Raise NumberError where a tensor that a matrix reads has no code, so that the network cannot be `aim`: executed, say."""
        if self.uncoded:
            raise NumberError(
                f"{self.network.name} cannot be {aim}: {self.uncoded[0]!r} has no code; quantise it with calibration samples"
            )

    @property
    def executable(self) -> bool:
        """True if every tensor that a matrix reads has a code."""
        return not self.uncoded
