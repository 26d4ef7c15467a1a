"""The flow of rows through a network: what of each tensor must be there before a part of another can be made.

A layer that is computed row by row can start before its operands are finished, and a row that no reader needs any more can be
forgotten. Scheduling, checking and executing such programs ask the same questions, which are answered here once: the number of
rows of each tensor, the rows of its inputs that rows of a layer need, and the windows of a matrix layer that make them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from mho.errors import NetworkError, choices
from mho.network.graph import Network
from mho.network.layers import MatrixLayer
from mho.network.rows import Needed, Range, Streamed


@dataclass(frozen=True, eq=False)
class Flow:
    """The rows of all tensors of a network; ranges are half-open.

    flow = flow_of(network)
    flow.rows("layer1.0.conv1")                     56: the rows of an image of 56 x 56
    flow.axis("layer1.0.conv1")                     2: they lie along axis 2 of (B, C, H, W)
    flow.needs("layer1.0.conv1", 0, 10, 12)         (9, 13): rows 10 and 11 need rows 9 to 12 of its first input
    flow.windows("layer1.0.conv1", 10, 12)          (560, 672): its windows that make rows 10 and 11

    Every question about a layer or a range that does not exist raises NetworkError.
    """

    network: Network
    tensors: Mapping[str, Streamed]
    needed: Mapping[str, tuple[Needed, ...]]

    def rows(self, layer: str) -> int:
        """Return the number of rows of a layer's output tensor, at least 1."""
        return self._tensor(layer).size

    def axis(self, layer: str) -> int | None:
        """Return the axis of the output's shape, batch included, along which its rows lie; None where it is one row, all of it."""
        return self._tensor(layer).axis

    def needs(self, layer: str, operand: int, first: int, last: int) -> Range:
        """Return the rows of an operand (counted from 0) that the rows (first, last) of a layer's output need.

        No row outside changes them, whatever it holds. A range within another needs no row that the other does not. Nothing
        needs nothing, and so may rows of padding alone, or those of a concatenation that other operands fill.
        """
        self._check(layer, first, last)
        needed = self.needed[layer]
        if not 0 <= operand < len(needed):
            raise NetworkError(
                f"layer {layer!r} of {self.network.name} reads {len(needed)} tensors; no operand {operand}"
            )
        return needed[operand].rows(first, last) if first < last else (0, 0)

    def windows(self, layer: str, first: int, last: int) -> Range:
        """Return the windows of a matrix layer that make the rows (first, last) of its output: as many for each row, row after
        row (`windows.windows` has their order).
        """
        self._check(layer, first, last)
        matrix = self.network.by_name[layer]
        if not isinstance(matrix, MatrixLayer):
            raise NetworkError(
                f"layer {layer!r} of {self.network.name} ({matrix.kind}) is no matrix layer: it has no windows"
            )
        each = matrix.windows // self.rows(layer)
        return first * each, last * each

    @cached_property
    def barriers(self) -> tuple[tuple[str, int], ...]:
        """Return the operands of several rows, as (layer, operand), of which the layer's first row needs all."""
        return tuple(
            (layer, operand)
            for layer, needed in self.needed.items()
            for operand, each in enumerate(needed)
            if each.size > 1 and each.rows(0, 1) == (0, each.size)
        )

    def _tensor(self, layer: str) -> Streamed:
        """Return a tensor; NetworkError where there is none of this name."""
        if layer not in self.tensors:
            raise NetworkError(f"{self.network.name} has no layer {layer!r}; {choices(layer, self.tensors)}")
        return self.tensors[layer]

    def _check(self, layer: str, first: int, last: int) -> None:
        """Refuse ranges that do not lie within the rows of a layer."""
        rows = self.rows(layer)
        if not 0 <= first <= last <= rows:
            raise NetworkError(
                f"layer {layer!r} of {self.network.name} has rows 0 to {rows}; no range ({first}, {last})"
            )


def flow_of(network: Network) -> Flow:
    """Follow the rows of a network's inputs through its layers, each of which says what becomes of them (`Layer.streams`).

    An input's rows lie along the axis that its shape suggests (`Input.streams`), unless along another there are fewer barriers:
    images with their channels last, sequences with their channels first.
    """
    axes: dict[str, int] = {}
    best = _followed(network, axes)
    for source in network.inputs:
        places = range(1, len(source.shape)) if len(source.shape) > 2 and source.shape[0] == 1 else ()
        for axis in (axis for axis in places if source.shape[axis] > 1):
            other = _followed(network, axes | {source.name: axis})
            if len(other.barriers) < len(best.barriers):
                best, axes[source.name] = other, axis
    return best


def _followed(network: Network, axes: Mapping[str, int]) -> Flow:
    """Follow rows through a network, given the stream axes of some inputs."""
    tensors: dict[str, Streamed] = {}
    needed: dict[str, tuple[Needed, ...]] = {}
    for layer in network.layers:
        axis, needed[layer.name] = layer.streams([tensors[name] for name in layer.inputs])
        tensors[layer.name] = Streamed(layer.shape, axes.get(layer.name, axis))
    return Flow(network, tensors, needed)
