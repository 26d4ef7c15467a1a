"""Running a network layer by layer: checking what it is given, freeing what is no longer read, and the float
network.

`run_float` is the network as it is written, with real weights, in float64: the yardstick of quantisation, and
the source of the ranges that calibration sees.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import NumberError, choices
from mho.network.arithmetic import apply
from mho.network.graph import Network
from mho.network.layers import Affine, Input, MatrixLayer
from mho.network.products import add_bias, multiply
from mho.network.types import BOOL, INTEGERS, REAL
from mho.number.affine import decode
from mho.number.batching import chunks, fixed

AnyArray = npt.NDArray[Any]
Inputs = AnyArray | Sequence[AnyArray]
Observe = Callable[[str, AnyArray], None]


def expected(network: Network) -> str:
    """Say in words what the network takes."""
    return ", ".join(
        f"{layer.name!r} ({', '.join(['samples', *map(str, layer.shape[1:])])})"
        + ({BOOL: " truths"}.get(layer.type, " integers") if layer.integers else "")
        for layer in network.inputs
    )


def checked(network: Network, inputs: Inputs) -> tuple[tuple[AnyArray, ...], int]:
    """Check what a network is given: one array per input, and how many of the network's batches these are.

    Raise NumberError for a wrong number of arrays, a wrong shape, real numbers where integers are expected,
    integers outside the range of their code, and values that are not finite.
    """
    arrays = (inputs,) if isinstance(inputs, np.ndarray) else tuple(np.asarray(array) for array in inputs)
    if len(arrays) != len(network.inputs):
        raise NumberError(f"{network.name} takes {len(network.inputs)} inputs, not {len(arrays)}: {expected(network)}")
    runs: set[int] = set()
    for layer, array in zip(network.inputs, arrays, strict=True):
        fits = array.ndim == len(layer.shape) and array.shape[1:] == layer.shape[1:]
        if not fits or (layer.shape and array.shape[0] % layer.shape[0]):
            multiple = f", samples a multiple of {layer.shape[0]}" if layer.shape and layer.shape[0] > 1 else ""
            raise NumberError(
                f"{network.name} cannot take an array of shape {array.shape} for {layer.name!r}: "
                f"it takes {expected(network)}{multiple}"
            )
        if layer.shape:  # a number without axes is the same for all samples
            runs.add(array.shape[0] // layer.shape[0])
        _check_values(network, layer, array)
    runs = runs or {1}
    if len(runs) > 1 or 0 in runs:
        given = ", ".join(str(array.shape) for array in arrays)
        raise NumberError(f"{network.name} needs at least one sample, and as many for every input; given {given}")
    return arrays, runs.pop()


def _check_values(network: Network, layer: Input, array: AnyArray) -> None:
    """Refuse values of the wrong kind or out of range."""
    if array.dtype.kind not in {REAL: "fiub", BOOL: "b"}.get(layer.type, "iu"):
        kind = {REAL: "real numbers", BOOL: "truths (bool)"}.get(layer.type, "integers")
        raise NumberError(f"{network.name} takes {kind} for {layer.name!r}, not {array.dtype}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise NumberError(f"the values given for {layer.name!r} are not all finite (NaN or infinity)")
    code = network.codes.get(layer.name)
    if layer.type in INTEGERS and code is None and array.size:
        limits = np.iinfo(layer.type)
        if int(array.min()) < limits.min or int(array.max()) > limits.max:
            raise NumberError(f"the integers given for {layer.name!r} are not all of its type {layer.type}")
    if layer.integers and code is not None and not (code.low <= array.min() and array.max() <= code.high):
        raise NumberError(
            f"the integers given for {layer.name!r} lie in {array.min()}..{array.max()}, not in {code.low}..{code.high}"
        )


def part(network: Network, arrays: Sequence[AnyArray], start: int, stop: int) -> tuple[AnyArray, ...]:
    """Take the batches `start` to `stop` of every input."""
    return tuple(
        array[start * layer.shape[0] : stop * layer.shape[0]] if layer.shape else array
        for layer, array in zip(network.inputs, arrays, strict=True)
    )


def releases(network: Network, keep: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    """Return for each layer the tensors that no later layer reads and that are not kept. Fixed tensors are never
    released.
    """
    staying = {*network.results, *keep, *fixed(network)}
    last = {layer.name: layer.name for layer in network.layers}
    for layer in network.layers:
        for name in layer.inputs:
            last[name] = layer.name
    released: dict[str, list[str]] = {layer.name: [] for layer in network.layers}
    for name, reader in last.items():
        if name not in staying:
            released[reader].append(name)
    return {name: tuple(names) for name, names in released.items()}


def kept(network: Network, keep: Iterable[str]) -> dict[str, str]:
    """Return what a run gives, by name: the tensor of each output and those to keep, each once; NumberError for a name that
    the network does not have.
    """
    names = {**network.returned, **{name: network.returned.get(name, name) for name in keep}}
    for name, tensor in names.items():
        if tensor not in network.by_name:
            raise NumberError(f"{network.name} has no tensor {name!r}: {choices(name, network.by_name)}")
    return names


def joined(network: Network, names: Mapping[str, str], pieces: Sequence[Mapping[str, AnyArray]]) -> dict[str, AnyArray]:
    """Join the tensors of all chunks along axis 0; a fixed tensor is the same in all, numbers without axes are stacked."""
    constant = fixed(network)
    return {
        name: pieces[0][tensor]
        if tensor in constant or len(pieces) == 1
        else (np.concatenate if pieces[0][tensor].ndim else np.stack)([piece[tensor] for piece in pieces])
        for name, tensor in names.items()
    }


def require_values(network: Network) -> None:
    """Raise NumberError for a network that is known by its shapes alone."""
    if not network.has_values:
        raise NumberError(
            f"{network.name} has shapes but no weights (origin: {network.origin}); "
            "load it with weights to quantise or run it"
        )


def run_float(
    network: Network,
    inputs: Inputs,
    keep: Iterable[str] = (),
    *,
    chunk: int | None = None,
    single: bool = False,
    observe: Observe | None = None,
) -> dict[str, AnyArray]:
    """Run the network with real weights; returns its outputs, and the tensors named in `keep`: float64, integers or truths.

    All reals are float64; with `single`, the products of matrix layers are computed in float32 (twice as
    fast, relative errors near 1e-6). Sums of real products are BLAS's, so the last bits may differ between
    machines and between chunks. `observe` is called with the name and value of each tensor that is not fixed,
    chunk after chunk.
    """
    require_values(network)
    arrays, runs = checked(network, inputs)
    names = kept(network, keep)
    constant, free = fixed(network), releases(network, names.values())
    dtype = np.float32 if single else np.float64
    weights = {
        layer.name: np.ascontiguousarray(layer.matrix(layer.weight.real()), dtype=dtype) for layer in network.weighted
    }
    biases = {layer.name: layer.bias.real() for layer in network.matrix_layers if layer.bias is not None}

    def compute(values: dict[str, AnyArray], samples: int, wanted: bool) -> None:
        for layer in network.layers:
            if (layer.name in constant) != wanted:
                continue
            if isinstance(layer, MatrixLayer):
                y = multiply(layer, values[layer.inputs[0]], weights[network.owners[layer.name]]).astype(np.float64)
                y = add_bias(layer, y, biases.get(layer.name))
                values[layer.name] = y
            elif not isinstance(layer, Input):
                values[layer.name] = apply(layer, [values[name] for name in layer.inputs], samples, network.batch)
            if observe is not None and layer.name not in constant:
                observe(layer.name, values[layer.name])
            for name in free[layer.name]:
                del values[name]

    base: dict[str, AnyArray] = {}
    compute(base, network.batch, True)
    pieces = []
    for start, stop in chunks(network, runs, chunk):
        values = dict(base)
        for layer, array in zip(network.inputs, part(network, arrays, start, stop), strict=True):
            values[layer.name] = as_real(layer, array, network.codes.get(layer.name))
        compute(values, (stop - start) * network.batch, False)
        pieces.append({tensor: values[tensor] for tensor in names.values()})
    return joined(network, names, pieces)


def fixed_reals(network: Network, inputs: Inputs, names: Collection[str]) -> dict[str, AnyArray]:
    """Return the tensors `names`, which depend on no input, of the float network."""
    if not names:
        return {}
    arrays, _ = checked(network, inputs)
    values = run_float(network, part(network, arrays, 0, 1), keep=names)
    return {name: values[name] for name in names}


def as_real(layer: Input, array: AnyArray, code: Affine | None) -> AnyArray:
    """Return a given input in the type that layers compute with: codes as the reals that they stand for."""
    if layer.integers and code is not None:
        return decode(array, code)
    return array.astype(np.float64 if layer.type == REAL else layer.type)
