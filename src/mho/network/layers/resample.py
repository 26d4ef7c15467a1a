"""Weighted sums of elements at known places: linear and cubic resizing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mho.errors import NetworkError
from mho.network.geometry import Shape, along, need, replaced
from mho.network.layer import AlongAxis, AnyArray, real
from mho.network.rows import Needed, Streamed


@dataclass(frozen=True, kw_only=True, eq=False)
class Resample(AlongAxis):
    """Weighted sums of elements along one axis: output i is the sum over t of weights[i][t] * x[places[i][t]].

    Linear and cubic resizing, one axis each; as many elements (`taps`) for every output.
    """

    places: tuple[tuple[int, ...], ...]
    weights: tuple[tuple[float, ...], ...]

    kind: ClassVar[str] = "resample"
    passes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Refuse places and weights that do not fit one another."""
        super().__post_init__()
        places, weights = ({len(row) for row in rows} for rows in (self.places, self.weights))
        if len(places) != 1 or places != weights or len(self.places) != len(self.weights):
            raise NetworkError(f"layer {self.name!r} needs as many places and weights for each output")

    @property
    def taps(self) -> int:
        """Return the number of elements that make one output."""
        return len(self.places[0])

    def made_shape(self, operands: Sequence[Shape]) -> Shape:
        """Return the operand's shape with as many elements along the axis as rows of places."""
        (shape,) = operands
        places = [place for row in self.places for place in row]
        need(0 <= self.axis < len(shape) and min(places) >= 0 and max(places) < shape[self.axis])
        return replaced(shape, self.axis, len(self.places))

    def compute(self, operands: Sequence[AnyArray], factor: int) -> AnyArray:
        """Add up tap by tap."""
        x, places, weights = real(operands[0]), np.array(self.places), np.array(self.weights)
        total = np.take(x, places[:, 0], axis=self.axis) * along(weights[:, 0], self.axis, x.ndim)
        for tap in range(1, self.taps):
            total += np.take(x, places[:, tap], axis=self.axis) * along(weights[:, tap], self.axis, x.ndim)
        return np.asarray(total)

    def along_rows(self, x: Streamed) -> Needed:
        """Row r sums the rows places[r]."""
        return x.listed(self.places)

    def operations(self, operands: Sequence[Shape]) -> int:
        """Count a product and a sum for each tap, less one sum."""
        return self.size * (2 * self.taps - 1)
