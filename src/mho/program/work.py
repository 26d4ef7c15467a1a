"""How much work and how many bytes a layer is outside the crossbars, and how long that takes on a chip.

Elementary operations an output element are counted as: 1 for activation, element-wise, selection, conversion, embedding,
gathering, running sum, concatenation and interleaving (a copy with another scale), 2 for a channel's scale and offset, 5
for softmax (maximum, subtract, exponential, sum, divide), 6 for normalisations (two sums, subtract, divide, scale,
offset); kernel size for pooling; a product and a sum for each element that resampling weighs, less one; input elements
for reductions; 1 for an output of a matrix layer, whose zero points are corrected, scaled and coded as it is combined;
nothing for layers that only move values or are told from outside. These counts are a convention of ours, and one for time
and energy.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from math import ceil

import numpy as np
import numpy.typing as npt

from mho.chip import Chip
from mho.mapping import Blocks, GroupShape, LayerMapping
from mho.mapping.blocks import Run
from mho.network.flow import Flow, flow_of
from mho.network.graph import Network
from mho.network.layers import Constant, Embedding, EmbeddingBag, Input, Layer, MatrixProduct
from mho.network.types import REAL, element_bytes
from mho.number import QuantisedNetwork
from mho.number.batching import fixed
from mho.number.storage import stored
from mho.once import once
from mho.program.instructions import Orders


def vector_operations(layer: Layer, network: Network) -> int:
    """Count the elementary vector operations of a layer, batch included; of a matrix layer those of its combining."""
    return layer.operations([network.by_name[name].shape for name in layer.inputs])


@once
def operations(network: Network) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the elementary vector operations of each layer of a network, and the products of its matrix unit, shapes (layers,)."""
    products = [layer.macs if isinstance(layer, MatrixProduct) else 0 for layer in network.layers]
    elementary = [vector_operations(layer, network) for layer in network.layers]
    return np.array(elementary, dtype=np.float64), np.array(products, dtype=np.float64)


def layer_seconds(network: Network, chip: Chip) -> npt.NDArray[np.float64]:
    """Return how long the vector unit works on each layer, in s, as `vector_seconds`, shape (layers,)."""
    elementary, products = operations(network)
    seconds = np.zeros(len(network.layers))
    if chip.vector.elements_per_s is not None:
        seconds += elementary / chip.vector.elements_per_s
    if chip.vector.macs_per_s is not None:
        seconds += products / chip.vector.macs_per_s
    return seconds


def vector_seconds(layer: Layer, network: Network, chip: Chip) -> float:
    """Return how long the vector unit (or its matrix unit) works on a layer; 0 where the chip calls it ideal."""
    seconds = 0.0
    if chip.vector.elements_per_s is not None:
        seconds += vector_operations(layer, network) / chip.vector.elements_per_s
    if isinstance(layer, MatrixProduct) and chip.vector.macs_per_s is not None:
        seconds += layer.macs / chip.vector.macs_per_s
    return seconds


@dataclass(frozen=True)
class CodedTensors:
    """The tensors that are stored as codes, by name, and the bits of those that have fewer than 8. Codes are packed."""

    names: frozenset[str]
    fewer: tuple[tuple[str, int], ...] = ()

    def __contains__(self, name: object) -> bool:
        """Return whether a tensor is stored as codes."""
        return name in self.names

    def width(self, name: str) -> float:
        """Return the bytes of an element: a part of one, in eighths, where codes have fewer than 8 bits."""
        return self._widths.get(name, 1)

    @cached_property
    def _widths(self) -> dict[str, float]:
        return {name: bits / 8 for name, bits in self.fewer}


def coded_tensors(
    network: Network, quantised: QuantisedNetwork | None, layers: Iterable[LayerMapping] = ()
) -> CodedTensors:
    """Return the tensors that are stored as codes: those calibrated, else those that calibrating would code.

    A tensor has as many bits as any of `layers` streams of it, 8 where none reads it.
    """
    names = _stored(network) if quantised is None or not quantised.executable else frozenset(quantised.codes)
    bits: dict[int, int] = {}
    place = sources(network)
    for layer in layers:
        source = place[network.layers[layer.index].inputs[0]]
        bits[source] = max(bits.get(source, 0), layer.bits.inputs)
    fewer = ((name, bits[place[name]]) for name in sorted(names) if bits.get(place[name], 8) < 8)
    return CodedTensors(names, tuple(fewer))


@once
def _stored(network: Network) -> frozenset[str]:
    return stored(network)


def transfer_bytes(layer: Layer, network: Network, coded: CodedTensors) -> int:
    """Return the bytes of a tensor on its way from or to main memory: of its codes, 1 an element of 8 bits, else of its type.

    What only bags look up comes as selections of rows, which are counted where they reach arrays: none.
    """
    if layer.name in dispatched(network):
        return 0
    kind = network.types[layer.name]
    arrives = isinstance(layer, Input) and kind == REAL
    return ceil(layer.size * (coded.width(layer.name) if layer.name in coded or arrives else element_bytes(kind)))


@once
def dispatched(network: Network) -> frozenset[str]:
    """Return the inputs that nothing but bags of look-ups reads."""
    readers: dict[str, list[Layer]] = {}
    for layer in network.layers:
        for name in layer.inputs:
            readers.setdefault(name, []).append(layer)
    return frozenset(
        layer.name
        for layer in network.inputs
        if layer.name in readers and all(isinstance(each, EmbeddingBag) for each in readers[layer.name])
    )


@once
def buffer_bytes(network: Network, coded: CodedTensors) -> dict[str, int]:
    """Return the bytes of each tensor that lives in the buffer: codes, and integers and truths that vector layers read.

    Constants, what depends on no input, indices that only embeddings (they address main memory) and bags (they address arrays)
    look up, and real numbers go past it; a view is where its tensor is.
    """
    constant, source = fixed(network), sources(network)
    read = {
        source[name]
        for layer in network.layers
        if not layer.moves_only and not isinstance(layer, Embedding | EmbeddingBag)
        for name in layer.inputs
    }
    sizes: dict[str, int] = {}
    widths = _operand_widths(network, coded)
    for place, layer in enumerate(network.layers):
        exact = network.types[layer.name] != REAL and layer.name not in constant and place in read
        if source[layer.name] == place and not isinstance(layer, Constant) and (layer.name in coded or exact):
            sizes[layer.name] = ceil(layer.size * widths[layer.name])
    return sizes


def operand_width(network: Network, name: str, coded: CodedTensors) -> float:
    """Return the bytes of an element that a layer reads from the buffer: of its code, 1 for codes of 8 bits and their views, else
    those of its type.
    """
    return _operand_widths(network, coded)[name]


@once
def _operand_widths(network: Network, coded: CodedTensors) -> dict[str, float]:
    """Return the bytes of an element of each tensor."""
    source, types, layers = sources(network), network.types, network.layers
    return {
        layer.name: coded.width(layers[source[layer.name]].name)
        if types[layer.name] == REAL
        else element_bytes(types[layer.name])
        for layer in layers
    }


def write_bytes(blocks: Blocks, run: Run, chip: Chip) -> float:
    """Return the bytes that writing a run of blocks fetches: level changes, cells x (cell bits + 1) / 8 (facts 1.2: 12 bits a
    weight for ARAS), and the index, if they have one, that says where their inputs come from and where their columns go.
    """
    cells = blocks.totals(run).places * blocks.shape.cells
    return cells * chip.write_bits_per_cell / 8 + index_bytes(blocks, run, chip)


def index_bytes(blocks: Blocks, run: Run, chip: Chip) -> float:
    """Return the bytes of the index of a run of blocks: input and shift of each row, output, position and sign of each column."""
    if chip.sparse is None:
        return 0.0
    return blocks.index_bits(run, chip.sparse.index_bits, chip.sparse.shift_bits) / 8


def order_bytes(orders: tuple[Orders, Orders, Orders], shape: GroupShape) -> float:
    """Return the bytes of the orders of rows, columns and cells that come with a write: a number for each row, weight column and
    digit of a block that is not in place, as wide as the rows of a group, its weight columns, or the cells of a weight ask for
    (ARAS: 7, 7 and 2 bits).
    """
    sides = zip(orders, (shape.rows, shape.columns, shape.cells), strict=True)
    return sum(sum(map(len, order)) * (places - 1).bit_length() for order, places in sides) / 8


@once
def flow(network: Network) -> Flow:
    """Return the rows that a network's tensors are made of, and need of one another."""
    return flow_of(network)


@once
def sources(network: Network) -> dict[str, int]:
    """Return for each tensor the layer (its place in network.layers) whose values it shows: itself, or what it is a view of.

    A layer that only moves values makes a view: it takes no room in the buffer.
    """
    source: dict[str, int] = {}
    for i, layer in enumerate(network.layers):
        source[layer.name] = source[layer.inputs[0]] if layer.moves_only else i
    return source
