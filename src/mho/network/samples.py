"""Inputs for a network: from a file of real samples, or seeded and labelled synthetic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import NetworkError, choices
from mho.files.archive import Header, Npz
from mho.network.graph import Network
from mho.network.layers import Embedding, EmbeddingBag, Input
from mho.network.types import BOOL, REAL
from mho.shown import Shown

AnyArray = npt.NDArray[Any]
LABELS = ("y", "labels")


@dataclass(frozen=True, eq=False, repr=False)
class Samples(Shown):
    """Inputs, one array for each input of the network with the samples along axis 0; labels (n,) where there are any."""

    inputs: tuple[AnyArray, ...]
    labels: AnyArray | None
    origin: str

    def __len__(self) -> int:
        """Count the samples."""
        return len(self.inputs[0])

    def first(self, count: int) -> Samples:
        """Return the first `count` samples."""
        labels = None if self.labels is None else self.labels[:count]
        return Samples(
            tuple(array[:count] for array in self.inputs),
            labels,
            f"the first {min(count, len(self))} of {self.origin}",
        )

    def spread(self, count: int) -> Samples:
        """Return `count` samples spread evenly over all, which may be sorted by class; all, where there are no more."""
        if count >= len(self):
            return self
        places = np.array([number * len(self) // count for number in range(count)])
        return self.take(places, f"{count} of {self.origin}, evenly spread")

    def take(self, places: npt.NDArray[np.integer[Any]], origin: str) -> Samples:
        """Return the samples at some places, in that order."""
        labels = self.labels
        if labels is not None and labels.ndim:
            labels = labels[places]
        return Samples(tuple(array[places] for array in self.inputs), labels, origin)


def synthetic(network: Network, count: int, seed: int = 0) -> Samples:
    """Draw `count` batches: standard normal reals, or uniform integers within the range of the code or table they index."""
    generator = np.random.default_rng(seed)
    arrays: list[AnyArray] = []
    for layer in network.inputs:
        shape = (count * layer.shape[0], *layer.shape[1:]) if layer.shape else ()
        code = network.codes.get(layer.name)
        if not layer.integers:
            arrays.append(np.asarray(generator.standard_normal(shape)))
        elif code is not None:
            arrays.append(np.asarray(generator.integers(code.low, code.high + 1, shape)))
        elif layer.type == BOOL:
            arrays.append(np.asarray(generator.integers(0, 2, shape), dtype=bool))
        else:
            highest = _highest(network, layer)
            arrays.append(np.asarray(generator.integers(0, 2 if highest is None else highest + 1, shape)))
    return Samples(tuple(arrays), None, f"{count * network.batch} synthetic samples (seed {seed})")


def _highest(network: Network, layer: Input) -> int | None:
    """Return the largest integer that an input may hold: the last row of the smallest table that it reaches unchanged."""
    reached = {layer.name}
    rows = []
    for other in network.layers:
        if reached.intersection(other.inputs):
            if isinstance(other, Embedding | EmbeddingBag):
                rows.append(other.table.shape[0])
            elif other.moves_only:
                reached.add(other.name)
    return min(rows) - 1 if rows else None


def load_samples(path: str | Path, network: Network, *, key: str | Mapping[str, str] | None = None) -> Samples:
    """Read samples from a .npz file: an array for each input, each array for one.

        load_samples("test.npz", network)                                    by the inputs' names, or the only ones that fit
        load_samples("test.npz", network, key="images")                      the array of the one input
        load_samples("test.npz", network, key={"left": "a", "right": "b"})   by input

    Images may be channels last in the file and are then brought channels first. uint8 pixels p are given as p - 128 to
    a network that takes signed 8-bit integers. Labels are taken from `y` or `labels`. NetworkError where nothing fits an
    input, where several arrays do and none bears its name, and where one array is named for two.
    """
    arrays = Npz(Path(path), NetworkError)
    names = _assigned(path, network, arrays, _requested(path, network, arrays, key))
    labels = next((arrays[name] for name in LABELS if name in arrays and name not in names.values()), None)
    inputs = tuple(_read_input(path, network, layer, arrays, names[layer.name]) for layer in network.inputs)
    lengths = [len(array) for array in (*inputs, *(() if labels is None else (np.atleast_1d(labels),)))]
    if len(set(lengths)) > 1:
        raise NetworkError(f"{path}: inputs and labels differ in their number of samples: {lengths}")
    if not lengths or not lengths[0]:
        raise NetworkError(f"{path}: holds no samples")
    return Samples(inputs, labels, Path(path).name)


def read_keys(words: Sequence[str], network: Network) -> dict[str, str]:
    """Read what --key asks for: `ARRAY` for a network of one input, `INPUT=ARRAY` for any; NetworkError for other words."""
    names = [layer.name for layer in network.inputs]
    keys: dict[str, str] = {}
    for word in words:
        name = max((name for name in names if word.startswith(f"{name}=")), key=len, default=None)
        array = word if name is None else word[len(name) + 1 :]
        if name is None and len(names) > 1:
            raise NetworkError(
                f"--key {word}: {network.name} takes {len(names)} inputs; give INPUT=ARRAY for {_few(names)}"
            )
        if (name or names[0]) in keys:
            raise NetworkError(f"--key names two arrays for input {name or names[0]!r}")
        keys[name or names[0]] = array
    return keys


def _requested(path: str | Path, network: Network, arrays: Npz, key: str | Mapping[str, str] | None) -> dict[str, str]:
    """Return the arrays that are asked for by input, or bear an input's name."""
    inputs = [layer.name for layer in network.inputs]
    if isinstance(key, str):
        if len(inputs) != 1:
            raise NetworkError(f"{network.name} takes {len(inputs)} inputs ({_few(inputs)}); give the array of each")
        key = {inputs[0]: key}
    requested = dict(key or {})
    for name, array in requested.items():
        if name not in inputs:
            raise NetworkError(f"{network.name} has no input {name!r}; {choices(name, inputs)}")
        if array not in arrays:
            raise NetworkError(f"{path}: no array {array!r}; {choices(array, arrays)}")
    names = {name: requested.get(name, name) for name in inputs if name in requested or name in arrays}
    twice = next((array for array, count in Counter(names.values()).items() if count > 1), None)
    if twice is not None:
        served = [name for name, array in names.items() if array == twice]
        raise NetworkError(f"{path}: array {twice!r} cannot serve several inputs: {_few(served)}")
    return names


def _assigned(path: str | Path, network: Network, file: Npz, names: Mapping[str, str]) -> dict[str, str]:
    """Give every other input the only array that fits it and no other input needs."""
    names = dict(names)
    open_inputs = [layer for layer in network.inputs if layer.name not in names]
    while open_inputs:
        free = [name for name in file if name not in LABELS and name not in names.values()]
        fitting = {layer.name: [n for n in free if _layout(file.headers[n], layer)] for layer in open_inputs}
        layer = min(open_inputs, key=lambda layer: len(fitting[layer.name]))
        arrays = fitting[layer.name]
        if not arrays:
            raise _misfit(path, file, layer)
        if len(arrays) > 1:
            raise NetworkError(
                f"{path}: {len(arrays)} arrays fit input {layer.name!r}: {_few(arrays)}; say which one it is "
                f"(key, --key {layer.name}={arrays[0]})"
            )
        names[layer.name] = arrays[0]
        open_inputs.remove(layer)
    return names


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:6])
    return shown if len(names) <= 6 else f"{shown} ..."


def _layout(header: Header, layer: Input) -> str:
    """Say how an array fits an input: "as it is", with its channels "last", with "none"; "" where it does not."""
    expected, shape = layer.shape[1:], header.shape[1:]
    if header.ndim == 0 or header.dtype.kind not in {REAL: "fiu", BOOL: "b"}.get(layer.type, "iu"):
        return ""
    if shape == expected:
        return "as it is"
    if len(shape) == 3 and (shape[2], *shape[:2]) == expected:
        return "last"
    return "none" if expected == (1, *shape) else ""


def _read_input(path: str | Path, network: Network, layer: Input, arrays: Npz, name: str) -> AnyArray:
    """Read an input's array and bring it into the input's layout."""
    layout = _layout(arrays.headers[name], layer)
    if not layout:
        raise _misfit(path, arrays, layer)
    array = arrays[name]
    if layout == "last":
        array = np.ascontiguousarray(array.transpose(0, 3, 1, 2))
    elif layout == "none":
        array = array[:, None]
    array = _signed(array, network, layer)
    _check_values(f"{path}: array {name!r}", array, network, layer)
    return array


def _misfit(path: str | Path, arrays: Npz, layer: Input) -> NetworkError:
    shapes = ", ".join(f"{name} {array.dtype} {array.shape}" for name, array in arrays.headers.items())
    kind = {REAL: "numbers", BOOL: "truths"}.get(layer.type, "integers")
    expected = ", ".join(["samples", *map(str, layer.shape[1:])])
    return NetworkError(
        f"{path}: no array fits input {layer.name!r}, {kind} of shape ({expected}); it holds {shapes or 'nothing'}"
    )


def _check_values(where: str, array: AnyArray, network: Network, layer: Input) -> None:
    """Refuse values that are not finite, codes beyond their range, and rows that a table does not have."""
    if not array.size:
        return
    low, high = array.min(), array.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise NetworkError(f"{where} holds values that are not finite (NaN or infinity)")
    if layer.type in (REAL, BOOL):
        return
    code = network.codes.get(layer.name)
    last = _highest(network, layer)
    if code is None and last is None:
        return
    allowed = (code.low, code.high) if code is not None else (0, last)
    if low < allowed[0] or (allowed[1] is not None and high > allowed[1]):
        raise NetworkError(
            f"{where} holds integers from {low} to {high}; input {layer.name!r} takes {allowed[0]} to {allowed[1]}"
        )


def _signed(array: AnyArray, network: Network, layer: Input) -> AnyArray:
    code = network.codes.get(layer.name)
    if layer.integers and code is not None and code.low < 0 and array.dtype == np.uint8:
        return (array.astype(np.int16) - 128).astype(np.int8)
    return array
