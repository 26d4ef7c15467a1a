"""Layers that look values up at places which another tensor holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from mho.errors import NumberError
from mho.network.arrays import Array
from mho.network.geometry import Shape, need, replaced
from mho.network.layer import AnyArray, Layer, aligned
from mho.network.rows import Streamed, Streams


def whole_numbers(layer: Layer, places: AnyArray) -> npt.NDArray[np.int64]:
    """Return places as integers; raise NumberError where they are not whole numbers."""
    integers = np.asarray(places).astype(np.int64)
    if places.dtype.kind == "f" and not np.array_equal(integers, places):
        raise NumberError(f"layer {layer.name!r} looks up indices that are not whole numbers")
    return integers


@dataclass(frozen=True, kw_only=True, eq=False)
class Embedding(Layer):
    """Rows of a table (rows, features) looked up by integer indices. Input (B, ...), output (B, ..., features)."""

    table: Array

    kind: ClassVar[str] = "embedding"

    def made_shape(self, operands: Sequence[Shape]) -> Shape:
        """Return the shape of the indices, features behind it."""
        need(len(self.table.shape) == 2)
        return (*operands[0], self.table.shape[1])

    def indices(self, places: AnyArray) -> npt.NDArray[np.int64]:
        """Return indices as integers; raise NumberError for those that are not whole numbers from 0 up to the table's rows."""
        integers, rows = whole_numbers(self, places), self.table.shape[0]
        if integers.size and not (integers.min() >= 0 and integers.max() < rows):
            raise NumberError(
                f"layer {self.name!r} looks up indices from {integers.min()} to {integers.max()}; "
                f"its table has rows 0 to {rows - 1}"
            )
        return integers

    def compute(self, operands: Sequence[AnyArray], factor: int) -> AnyArray:
        """Take rows of the table by index, as float64."""
        rows, table = self.indices(operands[0]), self.table
        if table.values is None or table.code is not None:
            return np.asarray(table.real()[rows])
        return np.asarray(table.values[rows].astype(np.float64))

    def extends(self, operands: Sequence[tuple[Shape, bool]]) -> bool:
        """Return True: each index stands alone."""
        return True

    def streams(self, operands: Sequence[Streamed]) -> Streams:
        """Row by row."""
        return operands[0].axis, (operands[0].same,)


@dataclass(frozen=True, kw_only=True, eq=False)
class EmbeddingBag(Layer):
    """Sums of rows of a table (rows, features): of each sample a bag of at most `longest` look-ups.

    Inputs: indices (B, longest), -1 where there is no look-up; and, optionally, what each look-up counts for, whole numbers from 0
    to 255 of the same shape. Output (B, features), 0 for an empty bag. It is computed where the table sits, in arrays that add up
    rows, so that the vector unit has nothing to do.
    """

    table: Array

    kind: ClassVar[str] = "embedding bag"
    arity: ClassVar[tuple[int, int]] = (1, 2)
    work: ClassVar[int] = 0

    def made_shape(self, operands: Sequence[Shape]) -> Shape:
        """Return samples and features."""
        need(len(self.table.shape) == 2)
        why = f"bags are (samples, longest), and what their look-ups count for likewise, not {' and '.join(map(str, operands))}"
        need(len(operands[0]) == 2 and operands[-1] == operands[0], why)
        return operands[0][0], self.table.shape[1]

    def looked_up(self, operands: Sequence[AnyArray]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return indices (B, longest), and what each counts for: 0 where there is no look-up, whose index is then 0.

        Raises NumberError for indices that are not whole numbers from -1 up to the table's rows, and for counts outside 0 to 255.
        """
        indices, rows = whole_numbers(self, operands[0]), self.table.shape[0]
        if indices.size and not (indices.min() >= -1 and indices.max() < rows):
            raise NumberError(
                f"layer {self.name!r} looks up indices from {indices.min()} to {indices.max()}; "
                f"its table has rows 0 to {rows - 1}, and -1 stands for none"
            )
        present = indices >= 0
        counts = whole_numbers(self, operands[1]) if len(operands) > 1 else present.astype(np.int64)
        if counts.size and not (counts.min() >= 0 and counts.max() <= HEAVIEST):
            raise NumberError(
                f"layer {self.name!r}: look-ups count for 0 to {HEAVIEST} each, not {counts.min()} to {counts.max()}"
            )
        return np.where(present, indices, 0), np.where(present, counts, 0)

    def sums(self, rows: AnyArray, operands: Sequence[AnyArray], kind: type[np.float64] | type[np.int64]) -> AnyArray:
        """Return the sums over bags of rows of a table (rows, features), look-up after look-up, as a type: (B, features)."""
        indices, counts = self.looked_up(operands)
        total = np.zeros((len(indices), rows.shape[1]), dtype=kind)
        for place in range(indices.shape[1]):
            used = np.flatnonzero(counts[:, place])
            total[used] += rows[indices[used, place]].astype(kind) * counts[used, place, None].astype(kind)
        return total

    def compute(self, operands: Sequence[AnyArray], factor: int) -> AnyArray:
        """Add up rows as float64."""
        return self.sums(self.table.real(), operands, np.float64)

    def extends(self, operands: Sequence[tuple[Shape, bool]]) -> bool:
        """Return True: each bag stands alone."""
        return aligned(operands, self.shape)

    def streams(self, operands: Sequence[Streamed]) -> Streams:
        """Bag by bag where samples are rows; a single bag is needed whole."""
        if all(operand.axis == 0 for operand in operands):
            return 0, tuple(operand.same for operand in operands)
        return None, tuple(operand.all for operand in operands)


HEAVIEST = 255
"""The most that a look-up of a bag counts for: what a trace's weights hold."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Gather(Layer):
    """Elements of the first tensor at places held by the second, negative ones counted from the end.

    `function` "rows": whole slices along `axis`, the places' axes in its stead (numpy.take); "elements": one element a place,
    along `axis`, all other coordinates those of the place (numpy.take_along_axis); "points": the last axis of the places
    holds coordinates behind the first `axis` axes, which both tensors share (GatherND).
    """

    function: str
    axis: int

    kind: ClassVar[str] = "gather"
    arity: ClassVar[tuple[int, int]] = (2, 2)

    def result_type(self, operands: Sequence[str]) -> str:
        """Return the type of what is gathered."""
        return operands[0]

    def made_shape(self, operands: Sequence[Shape]) -> Shape:
        """Return the shape of the places and of what lies at each."""
        shape, places = operands
        axis = self.axis
        why = f"places of shape {places} do not fit a tensor of shape {shape} along axis {axis}"
        need(0 <= axis < max(len(shape), 1), why)
        if self.function == "rows":
            return replaced(shape, axis, *places)
        if self.function == "elements":
            need(len(places) == len(shape) and all(places[i] <= n or i == axis for i, n in enumerate(shape)), why)
            return places
        fit = axis < len(places) and places[:axis] == shape[:axis] and 1 <= places[-1] <= len(shape) - axis
        need(self.function == "points" and fit, f"places of shape {places} do not fit {shape} behind {axis} axes")
        return (*places[:-1], *shape[axis + places[-1] :])

    def compute(self, operands: Sequence[AnyArray], factor: int) -> AnyArray:
        """Gather the elements; raise NumberError for places that do not exist."""
        values, places = operands[0], whole_numbers(self, operands[1])
        if self.function == "points":
            depth, lead = places.shape[-1], places.shape[: self.axis]
            reach = np.array(values.shape[self.axis : self.axis + depth])
            places = self._from_front(places, reach)
            own = tuple(np.indices((*lead, *places.shape[self.axis : -1]))[: self.axis])
            return np.asarray(values[(*own, *np.moveaxis(places, -1, 0))])
        places = self._from_front(places, np.array(values.shape[self.axis]))
        if self.function == "rows":
            return np.asarray(np.take(values, places, axis=self.axis))
        others = np.indices(places.shape)
        at = tuple(places if axis == self.axis else others[axis] for axis in range(places.ndim))
        return np.asarray(values[at])

    def _from_front(self, places: AnyArray, size: AnyArray) -> AnyArray:
        """Count places from the front; raise NumberError for those that do not exist."""
        if np.any(places < -size) or np.any(places >= size):
            raise NumberError(
                f"layer {self.name!r} looks up places from {places.min()} to {places.max()} along axes of {size} elements"
            )
        return np.asarray(np.where(places < 0, places + size, places))

    def extends(self, operands: Sequence[tuple[Shape, bool]]) -> bool:
        """Return True if samples are looked up in themselves, or all in one fixed tensor."""
        (values, values_fixed), (places, places_fixed) = operands
        if self.function == "rows":
            return (self.axis != 0 and places_fixed) or (values_fixed and self.axis == 0)
        return self.axis != 0 and not values_fixed and not places_fixed and values[0] == places[0]

    def streams(self, operands: Sequence[Streamed]) -> Streams:
        """Row by row of what is gathered from along another axis than that looked along, else of the places; "points", and
        elements of both, need all that they may look at.
        """
        values, places = operands
        more = len(places.shape) - 1
        if self.function == "rows" and values.size > 1 and values.axis is not None and values.axis != self.axis:
            return values.axis + (more if values.axis > self.axis else 0), (values.same, places.all)
        if places.axis is None or (self.function == "points" and places.axis == more):
            return None, (values.all, places.all)
        return places.axis + (self.axis if self.function == "rows" else 0), (values.all, places.same)

    def carried(self) -> tuple[str, ...]:
        """Return the tensor that is gathered from."""
        return self.inputs[:1]
