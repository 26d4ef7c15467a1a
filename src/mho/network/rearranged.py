"""Layers that take or weigh elements at places known when a network is read, or weave several tensors into one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from mho.errors import NetworkError
from mho.network.layer import Layer
from mho.network.types import promoted

AnyArray = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Take(Layer):
    """Elements of one axis at known places, in any order, any of them more than once.

    Nearest-neighbour resizing, padding by reflection, by the edge or by wrapping round, rolling and flipping are this: the
    address at which a value is read.
    """

    axis: int
    places: tuple[int, ...]

    kind: ClassVar[str] = "take"
    moves_only: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Refuse places before the first element, and as many as the output is not long."""
        super().__post_init__()
        if self.shape[self.axis] != len(self.places) or min(self.places) < 0:
            raise NetworkError(
                f"layer {self.name!r} takes {len(self.places)} places for an output of shape {self.shape}"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Interleave(Layer):
    """Images (B, C, h, w) woven into one: output (y, x) is that of input (y mod rows, x mod columns) at (y // rows, x // columns).

    Input i * columns + j holds the phase (i, j), so inputs may differ by one in height and width.
    """

    rows: int
    columns: int

    kind: ClassVar[str] = "interleave"
    arity: ClassVar[tuple[int, int]] = (1, 1_000_000)

    def __post_init__(self) -> None:
        """Refuse a number of phases that is not rows x columns."""
        super().__post_init__()
        if len(self.inputs) != math.prod((self.rows, self.columns)):
            raise NetworkError(
                f"layer {self.name!r} weaves {len(self.inputs)} phases, not {self.rows} x {self.columns}"
            )

    def result_type(self, operands: Sequence[str]) -> str:
        """Return the type of what is woven."""
        return promoted(operands)


@dataclass(frozen=True, kw_only=True, eq=False)
class Resample(Layer):
    """Weighted sums of elements along one axis: output i is the sum over t of weights[i][t] * x[places[i][t]].

    Linear and cubic resizing, one axis each; as many elements (`taps`) for every output.
    """

    axis: int
    places: tuple[tuple[int, ...], ...]
    weights: tuple[tuple[float, ...], ...]

    kind: ClassVar[str] = "resample"

    def __post_init__(self) -> None:
        """Refuse places and weights that do not fit one another or the output."""
        super().__post_init__()
        places, weights = ({len(row) for row in rows} for rows in (self.places, self.weights))
        if len(places) != 1 or places != weights or not len(self.places) == len(self.weights) == self.shape[self.axis]:
            raise NetworkError(
                f"layer {self.name!r} needs as many places and weights for each of {self.shape[self.axis]} outputs"
            )

    @property
    def taps(self) -> int:
        """Elements that make one output."""
        return len(self.places[0])


def resample(layer: Resample, x: AnyArray) -> AnyArray:
    """Compute a Resample, tap by tap."""
    places, weights = np.array(layer.places), np.array(layer.weights)
    along = [1] * x.ndim
    along[layer.axis] = -1
    total = np.take(x, places[:, 0], axis=layer.axis) * weights[:, 0].reshape(along)
    for tap in range(1, layer.taps):
        total += np.take(x, places[:, tap], axis=layer.axis) * weights[:, tap].reshape(along)
    return np.asarray(total)


def interleave(layer: Interleave, operands: Sequence[AnyArray]) -> AnyArray:
    """Compute an Interleave; an operand with one sample is repeated for all of them."""
    samples = max(operand.shape[0] for operand in operands)
    made = np.empty((samples, *layer.shape[1:]), dtype=np.result_type(*operands))
    for place, operand in enumerate(operands):
        row, column = divmod(place, layer.columns)
        made[:, :, row :: layer.rows, column :: layer.columns] = operand
    return made
