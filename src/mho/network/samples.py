"""Inputs for a network: from a file of real samples, or seeded and labelled synthetic."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import NetworkError, choices
from mho.network.graph import Network
from mho.network.layers import Embedding, Input

AnyArray = npt.NDArray[Any]
LABELS = ("y", "labels")


@dataclass(frozen=True, eq=False)
class Samples:
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


def synthetic(network: Network, count: int, seed: int = 0) -> Samples:
    """Draw `count` samples: standard normal reals, or uniform integers within the range of the code or table they index."""
    generator = np.random.default_rng(seed)
    drawn: list[AnyArray] = []
    for layer in network.inputs:
        shape = (count * layer.shape[0], *layer.shape[1:])
        code = network.codes.get(layer.name)
        if not layer.integers:
            drawn.append(generator.standard_normal(shape))
        elif code is not None:
            drawn.append(generator.integers(code.low, code.high + 1, shape))
        else:
            drawn.append(generator.integers(0, _rows(network, layer), shape))
    return Samples(tuple(drawn), None, f"{count} synthetic samples (seed {seed})")


def _rows(network: Network, layer: Input) -> int:
    """Return how many different integers an input may hold: the rows of the smallest table that it reaches unchanged."""
    reached = {layer.name}
    rows = []
    for other in network.layers:
        if reached.intersection(other.inputs):
            if isinstance(other, Embedding):
                rows.append(other.table.shape[0])
            elif other.moves_only:
                reached.add(other.name)
    return min(rows, default=2)


def load_samples(path: str | Path, network: Network, *, key: str | None = None) -> Samples:
    """Read samples from a .npz file: an array for each input (by the input's name, or `key`, or the only one that fits).

    Images may be channels last in the file and are then brought channels first. uint8 pixels p are given as p - 128 to
    a network that takes signed 8-bit integers. Labels are taken from `y` or `labels`. NetworkError where nothing fits.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            held = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError) as error:
        raise NetworkError(f"{path}: not a readable .npz file ({error})") from None
    if key is not None and key not in held:
        raise NetworkError(f"{path}: no array {key!r}; {choices(key, held)}")
    labels = next((held[name] for name in LABELS if name in held), None)
    inputs = tuple(_fitting(path, network, layer, held, key) for layer in network.inputs)
    return Samples(inputs, labels, Path(path).name)


def _fitting(path: str | Path, network: Network, layer: Input, held: dict[str, AnyArray], key: str | None) -> AnyArray:
    """Find the array for one input and bring it into the input's layout."""
    names = [key] if key is not None else [layer.name] if layer.name in held else [n for n in held if n not in LABELS]
    wanted = layer.shape[1:]
    for name in names:
        array = held[name]
        given = array.shape[1:]
        if array.dtype.kind not in "fiu":
            continue
        if given == wanted:
            return _signed(array, network, layer)
        if len(given) == 3 and (given[2], *given[:2]) == wanted:
            return _signed(np.ascontiguousarray(array.transpose(0, 3, 1, 2)), network, layer)
        if wanted == (1, *given):
            return _signed(array[:, None], network, layer)
    shapes = ", ".join(f"{name} {array.shape}" for name, array in held.items())
    raise NetworkError(
        f"{path}: no array fits input {layer.name!r} of shape (samples, {', '.join(map(str, wanted))}); it holds {shapes}"
    )


def _signed(array: AnyArray, network: Network, layer: Input) -> AnyArray:
    code = network.codes.get(layer.name)
    if layer.integers and code is not None and code.low < 0 and array.dtype == np.uint8:
        return (array.astype(np.int16) - 128).astype(np.int8)
    return array
