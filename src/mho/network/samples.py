"""Inputs for a network: from a file of real samples, or seeded and labelled synthetic."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import NetworkError, choices
from mho.files.archive import Npz
from mho.network.graph import Network
from mho.network.layers import Embedding, Input
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
    drawn: list[AnyArray] = []
    for layer in network.inputs:
        shape = (count * layer.shape[0], *layer.shape[1:]) if layer.shape else ()
        code = network.codes.get(layer.name)
        if not layer.integers:
            drawn.append(np.asarray(generator.standard_normal(shape)))
        elif code is not None:
            drawn.append(np.asarray(generator.integers(code.low, code.high + 1, shape)))
        elif layer.type == BOOL:
            drawn.append(np.asarray(generator.integers(0, 2, shape), dtype=bool))
        else:
            highest = _highest(network, layer)
            drawn.append(np.asarray(generator.integers(0, 2 if highest is None else highest + 1, shape)))
    return Samples(tuple(drawn), None, f"{count * network.batch} synthetic samples (seed {seed})")


def _highest(network: Network, layer: Input) -> int | None:
    """Return the largest integer that an input may hold: the last row of the smallest table that it reaches unchanged."""
    reached = {layer.name}
    rows = []
    for other in network.layers:
        if reached.intersection(other.inputs):
            if isinstance(other, Embedding):
                rows.append(other.table.shape[0])
            elif other.moves_only:
                reached.add(other.name)
    return min(rows) - 1 if rows else None


def load_samples(path: str | Path, network: Network, *, key: str | None = None) -> Samples:
    """Read samples from a .npz file: an array for each input (by the input's name, or `key`, or the only one that fits).

    Images may be channels last in the file and are then brought channels first. uint8 pixels p are given as p - 128 to
    a network that takes signed 8-bit integers. Labels are taken from `y` or `labels`. NetworkError where nothing fits.
    """
    held = Npz(Path(path), NetworkError)
    if key is not None and key not in held:
        raise NetworkError(f"{path}: no array {key!r}; {choices(key, held)}")
    labels = next((held[name] for name in LABELS if name in held), None)
    inputs = tuple(_fitting(path, network, layer, held, key) for layer in network.inputs)
    lengths = [len(array) for array in (*inputs, *(() if labels is None else (np.atleast_1d(labels),)))]
    if len(set(lengths)) > 1:
        raise NetworkError(f"{path}: inputs and labels differ in their number of samples: {lengths}")
    if not lengths or not lengths[0]:
        raise NetworkError(f"{path}: holds no samples")
    return Samples(inputs, labels, Path(path).name)


def _fitting(path: str | Path, network: Network, layer: Input, held: Npz, key: str | None) -> AnyArray:
    """Find the array for one input and bring it into the input's layout."""
    names = [key] if key is not None else [layer.name] if layer.name in held else [n for n in held if n not in LABELS]
    wanted = layer.shape[1:]
    for name in names:
        header = held.headers[name]
        given = header.shape[1:]
        if header.ndim == 0 or header.dtype.kind not in {REAL: "fiu", BOOL: "b"}.get(layer.type, "iu"):
            continue
        if given == wanted:
            found = held[name]
        elif len(given) == 3 and (given[2], *given[:2]) == wanted:
            found = np.ascontiguousarray(held[name].transpose(0, 3, 1, 2))
        elif wanted == (1, *given):
            found = held[name][:, None]
        else:
            continue
        found = _signed(found, network, layer)
        _check_values(f"{path}: array {name!r}", found, network, layer)
        return found
    shapes = ", ".join(f"{name} {array.dtype} {array.shape}" for name, array in held.headers.items())
    kind = {REAL: "numbers", BOOL: "truths"}.get(layer.type, "integers")
    raise NetworkError(
        f"{path}: no array fits input {layer.name!r}, {kind} of shape (samples, {', '.join(map(str, wanted))}); "
        f"it holds {shapes or 'nothing'}"
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
    allowed = (code.low, code.high) if code is not None else (0, _highest(network, layer))
    if low < allowed[0] or (allowed[1] is not None and high > allowed[1]):
        raise NetworkError(
            f"{where} holds integers from {low} to {high}; input {layer.name!r} takes {allowed[0]} to {allowed[1]}"
        )


def _signed(array: AnyArray, network: Network, layer: Input) -> AnyArray:
    code = network.codes.get(layer.name)
    if layer.integers and code is not None and code.low < 0 and array.dtype == np.uint8:
        return (array.astype(np.int16) - 128).astype(np.int8)
    return array
