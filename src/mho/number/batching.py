"""Whether a network may be run on several of its batches at once, and what of it depends on its inputs."""

from __future__ import annotations

import math
from dataclasses import replace

from mho.errors import NetworkError, OptionError
from mho.network.graph import Network
from mho.network.layers import Input, Layer
from mho.once import once


@once
def fixed(network: Network) -> frozenset[str]:
    """Return the names of the tensors that depend on no input: constants and what is computed from them
    alone.
    """
    names: set[str] = set()
    for layer in network.layers:
        if not isinstance(layer, Input) and all(name in names for name in layer.inputs):
            names.add(layer.name)
    return frozenset(names)


def batchable(network: Network) -> bool:
    """Return whether several batches may be laid behind one another along axis 0 of every tensor and computed
    together.

    False where a layer acts on axis 0 (a Transpose that moves it; a Reduce, Slice, Softmax, Concatenate, Pad
    or Normalise over it), or where axis 0 of one operand does not line up with that of another: then the
    network is run batch by batch.
    """
    return obstacle(network) is None


def obstacle(network: Network) -> Layer | None:
    """Return the first layer because of which a network is not `batchable`; None where there is none."""
    constant = fixed(network)
    shapes = {layer.name: layer.shape for layer in network.layers}
    for layer in network.layers:
        if isinstance(layer, Input) and (not layer.shape or layer.shape[0] != network.batch):
            return layer
        if layer.name in constant and layer.name in network.results:
            return layer
        operands = [(shapes[name], name in constant) for name in layer.inputs]
        if layer.name not in constant and not (layer.shape and layer.extends(operands)):
            return layer
    return None


def rebatched(network: Network, batch: int) -> Network:
    """Return the same network for another number of samples a run, where each sample is computed by itself.

    The first axis of every tensor that depends on an input is then made of samples, each of as many rows as any other.
    Raise NetworkError, naming the layer, where something depends on how many samples come together.
    """
    if batch == network.batch:
        return network
    constant, before = fixed(network), network.batch
    odd = (layer for layer in network.layers if layer.name not in constant and layer.shape and layer.shape[0] % before)
    culprit = obstacle(network) or next(odd, None)
    if culprit is not None:
        raise NetworkError(
            f"{network.name}: the batch of {before} cannot become one of {batch}: layer {culprit.name!r} ({culprit.kind}), of "
            f"shape {culprit.shape}, depends on it"
        )
    layers = tuple(
        layer if layer.name in constant else replace(layer, shape=(layer.shape[0] // before * batch, *layer.shape[1:]))
        for layer in network.layers
    )
    return replace(network, layers=layers)


def chunks(network: Network, runs: int, chunk: int | None) -> list[tuple[int, int]]:
    """Divide `runs` batches into ranges (from, below) that are computed together.

    `chunk` is the number of samples computed together; None chooses it so that the largest tensor takes about
    4 MB as float64, which keeps the work in a processor's cache. A network that is not batchable is run batch
    by batch.
    """
    if chunk is not None and chunk < 1:
        raise OptionError(f"a chunk has at least one sample, not {chunk}")
    if not batchable(network):
        step = 1
    elif chunk is None:
        largest = max(math.prod(layer.shape) for layer in network.layers)
        step = max(1, CACHE // (8 * largest))
    else:
        step = max(1, chunk // network.batch)
    return [(start, min(start + step, runs)) for start in range(0, runs, step)]


CACHE = 1 << 22
"""Bytes of the largest tensor of a chunk that nobody chose."""
