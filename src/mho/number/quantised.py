"""Quantising a network: unsigned affine codes for weights, tables and stored activations (ARAS Sec. V-C,
equation 6).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from mho.errors import NumberError
from mho.network.graph import Network
from mho.network.layers import Affine, Array, Embedding, EmbeddingBag, MatrixLayer
from mho.number.affine import encode, fit, fit_centred, fit_many, rebase
from mho.number.batching import fixed
from mho.number.bits import Asked
from mho.number.budget import Budget, within
from mho.number.calibration import MINMAX, WEIGHT_RANGES, Calibration, calibrate, way_of
from mho.number.coded import FloatArray, QuantisedMatrix, QuantisedNetwork, QuantisedTable, by_output, code_type
from mho.number.precision import Precision
from mho.number.scales import thresholds
from mho.number.sharing import tied
from mho.number.storage import read_by_matrices, shared, stored
from mho.number.walk import Inputs, checked, fixed_reals, require_values

BYTE = 255
"""The highest unsigned 8-bit code."""


def quantise(
    network: Network,
    samples: Inputs | None = None,
    *,
    per_channel: bool = False,
    symmetric: bool = False,
    bits: Asked | Budget = 8,
    range: str | None = None,
    weight_range: str | None = None,
    signed_inputs: bool = False,
    requantise: int | None = None,
    chunk: int | None = None,
) -> QuantisedNetwork:
    """Quantise a network that has weights.

    quantise(network)                                weights only: enough to map and to time, not to execute
    quantise(network, samples)                       with activation codes, calibrated on `samples`
    quantise(network, samples, per_channel=True)     one weight code for each output channel
    quantise(network, samples, symmetric=True)       weight codes whose middle stands for 0
    quantise(network, samples, range="mse")          activation ranges that minimise the squared error
    quantise(network, samples, bits="4/6")           weights of 4 bits, inputs of 6
    quantise(network, samples, bits={"conv1": 8, "layer3.*": "4/6", "*": 4})   the first pattern that a layer matches counts
    quantise(network, samples, bits=Budget(0.01))    the bits of each layer that cost least within an error (see `budget`)

    `bits`, 1 to 8 (weights up to 16), are those of the codes chosen here: of weights and of what is streamed into crossbars, and,
    where they are one number, of tables (see `bits.asked`; who gets other bits than it asks for is told in `precision`, and noted).
    Layers that no pattern matches, and stored tensors that no matrix layer reads, have 8. Weights of 8 bits take the range of
    their own values, widened to contain 0, per tensor or per output channel (`weight_range` "minmax"); those of fewer, the
    threshold of the least squared error ("mse"). `symmetric` puts 0 in the middle of the weight codes, as suits cells in
    differential pairs: a weight of 0 then leaves both cells off. `signed_inputs` puts 0 in the middle of the codes of stored
    tensors that may be negative, as suits chips that drive inputs with a sign (`array.input_coding`). `requantise`: bits of
    integer multipliers that make codes of sums, 8 to 31, None for float64 (`mho.number.requantise`). Codes that came with the
    network (a quantised file) are kept, signed ones shifted to start at 0. `samples` is one array, or one for each input; `range`
    is "minmax", "percentile" or "mse" (see `calibration`), None for the first at 8 bits and the last at fewer; inputs always take
    the whole range. Raise NumberError for a network without weights, samples that do not fit, a pattern that no layer matches, and
    a file's tensor that a matrix reads without a code where no samples are given; OptionError for an unknown range.
    """
    require_values(network)
    if isinstance(bits, Budget):
        if samples is None:
            raise NumberError("a budget of error is measured on calibration samples: give some")
        coded = partial(
            quantise, network, per_channel=per_channel, symmetric=symmetric, range=range, weight_range=weight_range,
            signed_inputs=signed_inputs, requantise=requantise, chunk=chunk,
        )  # fmt: skip
        return within(bits, network, samples, lambda on, each: coded(on, bits=each))
    precision = Precision.of(network, bits)
    matrices = _matrices(network, precision, per_channel, symmetric, weight_range)
    tables = _tables(precision)
    choose = fit_centred if signed_inputs else fit
    codes, how = _tensors(precision, tables, None if samples is None else Calibration(samples, range, chunk, choose))
    integers = [layer.name for layer in network.inputs if layer.integers and layer.name in network.codes]
    return QuantisedNetwork(
        network, matrices, tables, codes, per_channel, how,
        offsets={name: network.codes[name].low for name in integers},
        notes=_notes(precision, requantise),
        input_bits=precision.inputs,
        requantise=requantise,
    )  # fmt: skip


def _notes(precision: Precision, requantise: int | None) -> tuple[str, ...]:
    """Return what a reader of the codes should know."""
    given = ("weight and activation codes as the file gives them",) if precision.network.codes else ()
    made = () if requantise is None else (f"codes are made of sums by integer multipliers of {requantise} bits",)
    return (*given, *precision.notes, *made)


def _tensors(
    precision: Precision, tables: dict[str, QuantisedTable], calibration: Calibration | None
) -> tuple[dict[str, Affine], str]:
    """Return the codes of stored tensors, in network order: those given, those that tables pass on, and, where there are samples,
    those calibrated; and how that was done, in words.
    """
    network = precision.network
    codes = {name: _given(name, code) for name, code in network.codes.items()}
    names = stored(network)
    _inherit(network, names, codes, tables)
    open_names = frozenset(name for name in names if name not in codes)
    if open_names and calibration is None and network.codes:
        readers = read_by_matrices(network)
        name = next(layer.name for layer in network.layers if layer.name in open_names)
        raise NumberError(
            f"the file gives no code for tensor {name!r} of {network.name}, which {readers[name]!r} reads: "
            "give calibration samples"
        )
    how = "codes given by the file" if network.codes else "none"
    if calibration is not None and open_names:
        measured, how = _calibrated(precision, calibration, open_names)
        codes |= measured
    return {layer.name: codes[layer.name] for layer in network.layers if layer.name in codes}, how


def _calibrated(precision: Precision, calibration: Calibration, names: frozenset[str]) -> tuple[dict[str, Affine], str]:
    """Return codes for the stored tensors `names` from what they hold on samples, and how that was done, in words."""
    network, samples = precision.network, calibration.samples
    _, runs = checked(network, samples)
    groups = shared(network, names)
    whole = {groups[layer.name] for layer in network.inputs if layer.name in groups}
    # Fixed tensors that matrices read are coded by their own values.
    constant = {
        name: calibration.fit(float(value.min()), float(value.max()), precision.tensors[name])
        for name, value in fixed_reals(network, samples, fixed(network) & names).items()
    }
    calibrated = {name: group for name, group in groups.items() if name not in constant}
    fitted = calibrate(network, calibration, calibrated, whole, precision.tensors)
    codes = {name: constant[name] if name in constant else fitted[group] for name, group in groups.items()}
    ways = dict.fromkeys(way_of(calibration.range, precision.tensors[group]) for group in fitted)
    how = f"{' or '.join(ways) or MINMAX} over {runs * network.batch} samples"
    return codes, f"codes given by the file; {len(fitted)} others {how}" if network.codes else how


def _given(name: str, code: Affine) -> Affine:
    """Accept a file's code for a tensor: one for the whole tensor, of at most 8 bits."""
    if code.axis is not None:
        raise NumberError(f"tensor {name!r} has a code per channel; stored tensors have one code")
    if code.high - code.low > BYTE:
        raise NumberError(f"tensor {name!r} has codes {code.low}..{code.high}, more than 8 bits")
    return rebase(code)


def _matrices(
    network: Network, precision: Precision, per_channel: bool, symmetric: bool, way: str | None
) -> dict[str, QuantisedMatrix]:
    """Code the weights of all matrix layers, those that layers share once."""
    owned = {
        layer.name: _matrix(layer, precision.weights[layer.name], per_channel, symmetric, way)
        for layer in network.weighted
    }
    biased = {
        layer.name: replace(owned[network.owners[layer.name]], bias=_bias(layer)) for layer in network.matrix_layers
    }
    return tied(network, biased)


def _bias(layer: MatrixLayer) -> FloatArray | None:
    """Return the bias of a matrix layer in real numbers, (groups, N)."""
    return None if layer.bias is None else layer.bias.real().reshape(layer.groups, layer.columns)


def _matrix(layer: MatrixLayer, bits: int, per_channel: bool, symmetric: bool, way: str | None) -> QuantisedMatrix:
    """Code the weights of a matrix layer, keeping codes that it came with."""
    outputs, bias = (layer.groups, layer.columns), _bias(layer)
    weight = layer.weight
    if weight.code is not None:
        codes, code = _as_bytes(layer.name, weight, weight.code)
        if code.axis not in (None, 0):
            raise NumberError(
                f"layer {layer.name!r} has weight codes along axis {code.axis}, not along outputs (axis 0)"
            )
        scale, zero = (
            (code.scale, code.zero) if code.axis is None else (code.scale.reshape(outputs), code.zero.reshape(outputs))
        )
        return QuantisedMatrix(np.ascontiguousarray(layer.matrix(codes)), scale, zero, bias, bits)
    real = layer.matrix(weight.real())
    if way_of(way, bits, WEIGHT_RANGES) == MINMAX:
        axes = 1 if per_channel else None
        scale, zero = fit_many(real.min(axis=axes), real.max(axis=axes), bits, symmetric)
    else:
        scale, zero = thresholds(real, bits, symmetric, per_channel)
    steps = np.rint(real / by_output(scale)) + by_output(zero)
    # Symmetric codes reach as far below their middle as above it: the lowest one is never taken.
    return QuantisedMatrix(np.clip(steps, int(symmetric), 2**bits - 1).astype(code_type(bits)), scale, zero, bias, bits)


def _tables(precision: Precision) -> dict[str, QuantisedTable]:
    """Code the tables of all layers that look rows up."""
    return {
        layer.name: _table(layer, precision.tables) if isinstance(layer, Embedding) else _summed(layer)
        for layer in precision.network.layers
        if isinstance(layer, Embedding | EmbeddingBag)
    }


def _table(layer: Embedding, bits: int) -> QuantisedTable:
    """Code the table of an Embedding, keeping codes that it came with."""
    table = layer.table
    if table.code is not None:
        return QuantisedTable(*_as_bytes(layer.name, table, table.code))
    real = table.real()
    code = fit(float(real.min()), float(real.max()), bits)
    return QuantisedTable(encode(real, code).astype(np.uint8), code)


def _summed(layer: EmbeddingBag) -> QuantisedTable:
    """Code a table whose rows are added up, keeping a code that it came with: symmetric, so that sums of codes are those of rows.

    The largest magnitude is 127 steps. Tables have 8 bits, whatever bits are asked for weights.
    """
    table = layer.table
    if table.code is not None:
        return QuantisedTable(*_as_bytes(layer.name, table, table.code))
    real = table.real()
    largest = float(np.abs(real).max())
    scale = largest / SUMMED_LARGEST if largest > 0 else 1.0
    return QuantisedTable.summed(np.rint(real / scale).astype(np.int8), scale)


SUMMED_LARGEST = 127
"""Steps of the largest magnitude in a table whose rows are added up."""


def _as_bytes(name: str, array: Array, code: Affine) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.uint8]], Affine]:
    """Shift an array's own codes to start at 0."""
    if array.values is None:
        raise NumberError(f"layer {name!r} has no weight values")
    if code.high - code.low > BYTE:
        raise NumberError(f"layer {name!r} has weight codes {code.low}..{code.high}, more than 8 bits")
    values = array.values.astype(np.int64)
    if values.size and not (code.low <= values.min() and values.max() <= code.high):
        raise NumberError(f"layer {name!r} has weight codes outside {code.low}..{code.high}")
    return (values - code.low).astype(np.uint8), rebase(code)


def _inherit(
    network: Network, names: frozenset[str], codes: dict[str, Affine], tables: dict[str, QuantisedTable]
) -> None:
    """Give a code to stored tensors whose values come, unchanged, from one that has a code (a file's, or a
    table's).
    """
    for layer in network.layers:
        if layer.name not in names or layer.name in codes:
            continue
        if isinstance(layer, Embedding) and tables[layer.name].code.axis is None:
            codes[layer.name] = tables[layer.name].code
        sources = layer.carried()
        if len(sources) == 1 and sources[0] in codes:
            codes[layer.name] = codes[sources[0]]


__all__ = ["QuantisedMatrix", "QuantisedNetwork", "QuantisedTable", "quantise"]
