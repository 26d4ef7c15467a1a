"""What layers read from the global buffer and write to it, and how long its port, of a width each clock cycle, takes for that."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mho.chip import Chip
from mho.mapping import LayerMapping
from mho.network.graph import Network
from mho.network.layers import Embedding, MatrixLayer
from mho.once import once
from mho.program.brought import least_brought
from mho.program.work import CodedTensors, buffer_bytes, layer_seconds, operand_width, sources

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

NOWHERE = -1
"""Stands for the tensor where bytes belong to none that has banks."""


@dataclass(frozen=True, eq=False)
class Operands:
    """Tensors that a network's layers read from the buffer and write to it, if all tensors live there.

    source: the layer whose values each layer shows; given: that of its first input, and `width` the bytes of an element of it;
    written: bytes of its result, 0 where none is written as it is computed. Layer i of the vector unit reads
    `size[starts[i] : starts[i + 1]]` bytes of `tensor[...]` likewise.
    """

    source: Integers
    given: Integers
    width: Floats
    written: Floats
    starts: Integers
    tensor: Integers
    size: Floats


@once
def operands(network: Network, coded: CodedTensors) -> Operands:
    """Return what layers read and write; an embedding writes nothing, as its rows went into the buffer when they were loaded."""
    shown = sources(network)
    read = [() if layer.moves_only else layer.inputs for layer in network.layers]
    of_one = {layer.name: operand_width(network, layer.name, coded) for layer in network.layers}
    widths = {layer.name: float(layer.size * of_one[layer.name]) for layer in network.layers}
    names = [name for inputs in read for name in inputs]
    return Operands(
        np.array([shown[layer.name] for layer in network.layers], dtype=np.int64),
        np.array([shown[layer.inputs[0]] if layer.inputs else NOWHERE for layer in network.layers], dtype=np.int64),
        np.array(
            [of_one[layer.inputs[0]] if layer.inputs else 0.0 for layer in network.layers],
            dtype=np.float64,
        ),
        np.array(
            [0 if layer.moves_only or isinstance(layer, Embedding) else widths[layer.name] for layer in network.layers],
            dtype=np.float64,
        ),
        np.concatenate([[0], np.cumsum([len(inputs) for inputs in read], dtype=np.int64)]),
        np.array([shown[name] for name in names], dtype=np.int64),
        np.array([widths[name] for name in names], dtype=np.float64),
    )


def buffer_rate(chip: Chip) -> float:
    """Return the byte/s of the port of the global buffer; infinite where activations live in the tile buffers."""
    return np.inf if chip.buffer.in_tiles else chip.buffer.port_bits / 8 * chip.frequency_hz


@once
def result_bytes(network: Network, coded: CodedTensors) -> Floats:
    """Return the bytes that each layer of the vector unit, and the combining of each matrix layer, moves through the buffer.

    Shape (layers,): its operands, if it is not a matrix layer, and its result, where these live in the buffer.
    """
    read, stored = operands(network, coded), buffer_bytes(network, coded)
    lives = np.array([layer.name in stored for layer in network.layers])
    moved = np.where(lives[read.source], read.written, 0.0)
    vector = np.array([not isinstance(layer, MatrixLayer) for layer in network.layers])
    readers = np.repeat(np.arange(len(network.layers)), np.diff(read.starts))
    return moved + vector * np.bincount(readers, read.size * lives[read.tensor], len(network.layers))


def result_seconds(network: Network, chip: Chip, coded: CodedTensors) -> Floats:
    """Return how long each layer takes in the vector unit, or to be combined, if nothing else passes the buffer's port, in s."""
    seconds: Floats = np.maximum(layer_seconds(network, chip), result_bytes(network, coded) / buffer_rate(chip))
    return seconds


def input_bytes(layer: LayerMapping, network: Network, chip: Chip, coded: CodedTensors) -> float:
    """Return the bytes that a layer's windows read from the buffer at the least: as one run of all its blocks does."""
    name = network.layers[layer.index].inputs[0]
    driven = 1.0 if layer.combination is None else layer.combination.driven_share
    read = layer.blocks.totals((0, layer.count)).inputs * layer.windows
    kept = least_brought(network, chip, layer.index)
    return float(read * driven * kept * operand_width(network, name, coded))
