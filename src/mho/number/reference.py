"""The integer reference: what a quantised network computes, exactly, with no hardware in it.

A matrix layer sums integers, acc = sum over k of (input code - input zero) * (weight code - weight zero), and
is then (input scale * weight scale) * acc + bias in float64, in this order of operations. Every other layer
is `arithmetic.apply` on the reals that its operands' codes stand for. A tensor that has a code is stored as its
code (`affine.encode`). A machine that finds the same integers acc in its own way therefore finds the same
outputs, bit for bit. With `quantise(..., requantise=24)`, codes are made of sums by integer multipliers instead
(`mho.number.requantise`), by reference and machine alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import NumberError
from mho.network.arithmetic import apply
from mho.network.layers import (
    Affine,
    Convolution,
    Embedding,
    EmbeddingBag,
    Input,
    Layer,
    MatrixLayer,
    MatrixProduct,
)
from mho.network.products import exact_type, multiply
from mho.number.affine import code_dtype, decode, encode, same_code
from mho.number.batching import chunks, fixed
from mho.number.coded import QuantisedNetwork, QuantisedTable, by_output
from mho.number.requantise import compute, finished, scaled_sums
from mho.number.walk import Inputs, checked, joined, kept, part, releases, run_float

AnyArray = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float64]


def accumulate(
    raw: AnyArray,
    input_sums: npt.NDArray[np.integer[Any]],
    column_sums: npt.NDArray[np.integer[Any]],
    K: int,
    x_zero: int,
    w_zero: npt.NDArray[np.int64] | int,
) -> AnyArray:
    """Correct a product of plain codes for the zero points (ARAS Sec. V-C): what a crossbar cannot do itself.

    raw (groups, W, N) = sum over k of x * w in codes; input_sums (groups, W) = sum of x; column_sums (groups,
    N) = sum of w; w_zero () or (groups, N). Returns acc (groups, W, N) = raw - w_zero * input_sums - x_zero *
    column_sums + K * x_zero * w_zero: int64, or float64 for raw sums that are real.
    """
    zero = by_output(np.asarray(w_zero, dtype=np.int64))
    acc = raw.astype(np.float64 if raw.dtype.kind == "f" else np.int64)
    acc -= zero * input_sums.astype(np.int64)[:, :, None]
    acc -= np.int64(x_zero) * column_sums.astype(np.int64)[:, None, :]
    acc += np.int64(K) * np.int64(x_zero) * zero
    return acc


def complete(
    quantised: QuantisedNetwork, layer: MatrixLayer, acc: npt.NDArray[Any], *, overwrite: bool = False
) -> AnyArray:
    """Turn sums, in the layout of the layer's output, into what `Values.put` takes: real outputs, (input scale * weight scale) *
    acc + bias, or the integers that codes are made of.

    `overwrite`: sums in float64 are overwritten.
    """
    made, matrix = quantised.integer_steps.get(layer.name), quantised.matrices[layer.name]
    if made is not None:
        return scaled_sums(made, layer, acc, per_output)
    scale = quantised.codes[layer.inputs[0]].scale * matrix.scale
    return _scaled(
        acc,
        per_output(layer, scale) if scale.ndim else scale,
        None if matrix.bias is None else per_output(layer, matrix.bias),
        acc if overwrite and acc.dtype == np.float64 else None,
    )


def per_output(layer: MatrixLayer, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Arrange values (groups, N), one for each output, so that they broadcast over the layer's output."""
    return values.reshape((-1, 1, 1) if isinstance(layer, Convolution) else (-1,))


def _scaled(
    acc: npt.NDArray[Any], scale: FloatArray, bias: FloatArray | None, out: FloatArray | None = None
) -> FloatArray:
    """Scale and shift in the order of operations that every path shares: one multiplication, then one addition."""
    real = np.asarray(np.multiply(acc, scale, out=out, dtype=np.float64))
    if bias is not None:
        real += bias
    return real


class Values:
    """The tensors of one run: a code array for each tensor that has a code, else real numbers, integers or truths.

    `put` stores a real result, coding it where the tensor has a code; `real` and `codes` read it back. The
    machine and the reference both keep their tensors here, so that both store and read them alike.
    """

    def __init__(self, quantised: QuantisedNetwork, base: Mapping[str, AnyArray] | None = None) -> None:
        """Start with the fixed tensors: those of `base`, or freshly computed."""
        self.quantised = quantised
        self.arrays: dict[str, AnyArray] = dict(fixed_values(quantised) if base is None else base)

    def enter(self, arrays: Sequence[AnyArray]) -> None:
        """Take the network's inputs, as given from outside and checked: integers are shifted to their
        code's low end.
        """
        for layer, array in zip(self.quantised.network.inputs, arrays, strict=True):
            code = self.quantised.codes.get(layer.name)
            if layer.integers and code is not None:
                shifted = array.astype(np.int64) - self.quantised.offsets.get(layer.name, 0)
                self.arrays[layer.name] = shifted.astype(code_dtype(code))
            elif layer.integers:
                self.arrays[layer.name] = array.astype(layer.type)
            else:
                self.put(layer.name, array.astype(np.float64, copy=False))

    def real(self, name: str) -> AnyArray:
        """Return the tensor as real numbers, or as the integers or truths that it holds."""
        code, made = self.quantised.codes.get(name), self.quantised.integer_steps.get(name)
        if code is None and made is not None:
            return np.asarray(self.arrays[name] * (self.quantised.codes[made.target].scale / 2.0**made.shift))
        return self.arrays[name] if code is None else decode(self.arrays[name], code)

    def codes(self, name: str) -> AnyArray:
        """Return the tensor's codes. Raises NumberError where it has none."""
        if name not in self.quantised.codes:
            raise NumberError(f"tensor {name!r} of {self.quantised.network.name} is not stored as codes")
        return self.arrays[name]

    def put(self, name: str, real: AnyArray) -> None:
        """Store a real result, as codes where the tensor has a code; of what is made in integers, integers are given."""
        code, made = self.quantised.codes.get(name), self.quantised.integer_steps.get(name)
        if made is not None:
            self.arrays[name] = real if code is None else finished(real, made.shift, code).astype(code_dtype(code))
            return
        if code is None:
            self.arrays[name] = real.astype(np.float64, copy=False) if real.dtype.kind == "f" else real
            return
        try:
            self.arrays[name] = encode(real, code)
        except NumberError as error:
            raise NumberError(f"tensor {name!r} of {self.quantised.network.name}: {error}") from None

    def put_codes(self, name: str, codes: AnyArray) -> None:
        """Store a result that is already in the tensor's codes."""
        if name not in self.quantised.codes:
            raise NumberError(f"tensor {name!r} of {self.quantised.network.name} is not stored as codes")
        self.arrays[name] = codes

    def drop(self, names: Iterable[str]) -> None:
        """Forget tensors that nobody reads any more."""
        for name in names:
            del self.arrays[name]


def fixed_values(quantised: QuantisedNetwork) -> dict[str, AnyArray]:
    """Compute the tensors that depend on no input, as a run holds them."""
    network = quantised.network
    values = Values(quantised, base={})
    constant = fixed(network)
    for layer in network.layers:
        if layer.name in constant:
            if isinstance(layer, MatrixLayer):
                matrix_step(quantised, layer, values)
            else:
                vector_step(quantised, layer, values, network.batch)
    return values.arrays


def vector_step(quantised: QuantisedNetwork, layer: Layer, values: Values, samples: int) -> None:
    """Compute one layer that is no matrix layer, from `values` into `values`, for `samples` samples."""
    name, code = layer.name, quantised.codes.get(layer.name)
    batch, made = quantised.network.batch, quantised.integer_steps.get(layer.name)
    if isinstance(layer, Embedding) and name in quantised.tables:
        table = quantised.tables[name]
        rows = layer.indices(values.arrays[layer.inputs[0]])
        if code is not None and same_code(code, table.code):
            values.put_codes(name, table.codes[rows])
        else:
            values.put(name, table.real(rows))
    elif isinstance(layer, EmbeddingBag):
        table = quantised.tables[name]
        operands = [values.arrays[each] for each in layer.inputs]
        values.put(name, summed(table, layer.sums(table.integers, operands, np.int64)))
    elif isinstance(layer, MatrixProduct):
        values.put(name, product(layer, values))
    elif layer.moves_only and code is None and layer.inputs[0] not in quantised.codes:
        values.put(name, apply(layer, [values.arrays[layer.inputs[0]]], samples, batch))
    elif layer.moves_only and same_code(code, quantised.codes.get(layer.inputs[0])):
        values.put_codes(name, apply(layer, [values.codes(layer.inputs[0])], samples, batch))
    elif made is not None:
        values.put(name, compute(layer, made, quantised, values.arrays, samples // batch))
    else:
        values.put(name, apply(layer, [values.real(operand) for operand in layer.inputs], samples, batch))


def summed(table: QuantisedTable, sums: npt.NDArray[Any]) -> FloatArray:
    """Turn sums of a table's integers over bags into reals: sums * scale."""
    return _scaled(sums, table.code.scale, None)


def product(layer: MatrixProduct, values: Values) -> FloatArray:
    """Return the product of two coded activations: exact integers (a - a zero) * (b - b zero) summed, then * (a scale
    * b scale).
    """
    first, second = (values.quantised.codes.get(name) for name in layer.inputs)
    if first is None or second is None:
        missing = layer.inputs[0] if first is None else layer.inputs[1]
        raise NumberError(
            f"layer {layer.name!r} reads {missing!r}, which has no code: calibrate the network on samples"
        )
    dtype = exact_type(float(layer.inner) * _reach(first) * _reach(second))
    left = _centred(values.codes(layer.inputs[0]), first, dtype)
    right = _centred(values.codes(layer.inputs[1]), second, dtype)
    return _scaled(np.matmul(left, right), np.asarray(first.scale * second.scale), None)


def _centred(codes: AnyArray, code: Affine, dtype: type[np.float32] | type[np.float64]) -> AnyArray:
    """Return codes less their zero, in row-major order."""
    return np.asarray(np.subtract(np.ascontiguousarray(codes), int(code.zero), dtype=dtype))


def _reach(code: Affine) -> int:
    """Return the largest |code - zero| of a code per tensor."""
    return max(int(code.zero) - code.low, code.high - int(code.zero), 1)


def matrix_step(
    quantised: QuantisedNetwork,
    layer: MatrixLayer,
    values: Values,
    weights: dict[tuple[str, type], AnyArray] | None = None,
) -> None:
    """Compute one matrix layer exactly, from `values` into `values`. `weights` keeps the prepared weights
    between calls.
    """
    (name,) = layer.inputs
    x_code = quantised.codes.get(name)
    if x_code is None:
        raise NumberError(f"layer {layer.name!r} reads {name!r}, which has no code: calibrate the network on samples")
    matrix = quantised.matrices[layer.name]
    dtype = exact_type(float(matrix.largest_sum) * _reach(x_code))
    if weights is None:
        weight = matrix.centred.astype(dtype)
    else:
        key = (quantised.owners[layer.name], dtype)
        weight = weights[key] if key in weights else weights.setdefault(key, matrix.centred.astype(dtype))
    # Centred first, so that padding with real zeros is padding with 0.
    centred = _centred(values.codes(name), x_code, dtype)
    values.put(layer.name, complete(quantised, layer, multiply(layer, centred, weight)))


def run_reference(
    quantised: QuantisedNetwork, inputs: Inputs, keep: Iterable[str] = (), *, chunk: int | None = None
) -> dict[str, AnyArray]:
    """Run the quantised network; returns its outputs, and the tensors named in `keep`: float64, integers or truths.

    `inputs` is one array, or one for each input, with any number of samples (a multiple of the network's
    batch); `chunk` says how many samples are computed together (None: chosen for speed) and never changes the
    result. Raise NumberError for inputs of a wrong number, shape, type or range, and for a network without
    activation codes.
    """
    network = quantised.network
    quantised.require_codes("executed")
    arrays, runs = checked(network, inputs)
    names = kept(network, keep)
    constant, free = fixed(network), releases(network, names.values())
    base = fixed_values(quantised)
    weights: dict[tuple[str, type], AnyArray] = {}
    pieces: list[dict[str, AnyArray]] = []
    for start, stop in chunks(network, runs, chunk):
        values = Values(quantised, base)
        values.enter(part(network, arrays, start, stop))
        for layer in network.layers:
            if layer.name in constant:
                continue
            if isinstance(layer, MatrixLayer):
                matrix_step(quantised, layer, values, weights)
            elif not isinstance(layer, Input):
                vector_step(quantised, layer, values, (stop - start) * network.batch)
            values.drop(free[layer.name])
        pieces.append({tensor: values.real(tensor) for tensor in names.values()})
    return joined(network, names, pieces)


__all__ = [
    "Values",
    "accumulate",
    "complete",
    "fixed_values",
    "matrix_step",
    "per_output",
    "product",
    "run_float",
    "run_reference",
    "summed",
    "vector_step",
]
