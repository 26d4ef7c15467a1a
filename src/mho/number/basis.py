"""Weights as combinations of few basis vectors that all layers share (BasisN, Eldebiky et al., ICCAD 2024, abstract).

The kernels of a layer are cut into segments of array height, in the order (channel, row, column). A segment of an output is
the sum of at most k of N basis vectors, each times a small integer; an output has one scale. A crossbar that holds the basis
is written once for all layers, and for all networks where the basis is not even learned. `number/fitting.py` finds a basis and
coefficients.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import NumberError
from mho.network.layers import MatrixLayer
from mho.number.coefficients import Coefficients

IntegerArray = npt.NDArray[np.int64]

MOST_BITS, MOST_LEVELS = 8, 16
"""The most bits of a coefficient, and levels of an element of the basis."""
MOST_POWER_BITS = 4
"""The most bits of a coefficient that is a power of two: 2^6 is the largest then."""
BASIS = "(basis)"
"""What the cells that hold a basis are called where cells go by the name of the layer whose weights they hold."""


@dataclass(frozen=True)
class BasisNumbers:
    """The numbers of a basis: its vectors, elements of each, levels of these, bits of a coefficient, and the most of a segment.

    `powers`: coefficients are 0 and powers of two with sign; `units`: the vectors are those with a single 1: see `BasisCoding`.
    """

    vectors: int = 512
    height: int = 128
    levels: int = 4
    bits: int = 4
    nonzeros: int = 32
    powers: bool = False
    units: bool = False

    def __post_init__(self) -> None:
        """Raise NumberError for numbers out of range."""
        check_numbers(self.levels, self.bits, self.nonzeros, self.powers)
        if self.vectors < 1 or self.height < 1:
            raise NumberError(
                f"a basis has at least one vector of at least one element, not {self.vectors} of {self.height}"
            )

    @property
    def element_bits(self) -> int:
        """Bits of the code of an element."""
        return (self.levels - 1).bit_length()

    def reached(self, inputs: int) -> int:
        """Return how many vectors, the first ones, may add to a segment of so many inputs: of unit vectors those of its inputs."""
        return min(self.vectors, inputs) if self.units else self.vectors


@dataclass(frozen=True)
class BasisPlan:
    """The numbers of a basis, and the matrix layers that are `left_out`: which keep weights of their own."""

    numbers: BasisNumbers
    left_out: frozenset[str] = frozenset()


@dataclass(frozen=True, eq=False)
class BasisCoding:
    """A basis, and the integers of each layer as combinations of its vectors.

    `cells` uint8 (N, height): the level of each element, 0 to levels - 1, which stands for 2 level - (levels - 1). `bits` are
    those of a coefficient, in two's complement; `nonzeros` the most non-zero coefficients of a segment of an output.
    `coefficients` by matrix layer.

    With `powers` a coefficient of c bits has one for its sign and c - 1 that say 0 for 0, and e for 2^(e - 1): of 4 bits it is 0,
    +-1, +-2 ... +-64. With `units` vector i is 1 at place i and 0 elsewhere, of two levels that stand for themselves:
    coefficients then are weights, all but few of each segment pruned, and no array is needed.
    """

    cells: npt.NDArray[np.uint8]
    levels: int
    bits: int
    nonzeros: int
    coefficients: Mapping[str, Coefficients]
    powers: bool = False
    units: bool = False

    def __post_init__(self) -> None:
        """Raise NumberError for numbers out of range, and for arrays that do not fit them or one another."""
        check_numbers(self.levels, self.bits, self.nonzeros, self.powers)
        if self.cells.dtype != np.uint8 or self.cells.ndim != 2 or not self.cells.size:
            raise NumberError(f"a basis is uint8 (vectors, height), not {self.cells.dtype} {self.cells.shape}")
        if self.cells.max() >= self.levels:
            raise NumberError(f"a basis of {self.levels} levels cannot hold level {self.cells.max()}")
        if self.units and (self.levels != 2 or not np.array_equal(self.cells, np.eye(len(self.cells), dtype=np.uint8))):
            raise NumberError(
                f"unit vectors are as many as a segment has inputs, of two levels, not {self.cells.shape}"
            )
        allowed = integers_of(self.bits, self.powers)
        for name, each in self.coefficients.items():
            if each.vectors != len(self.cells):
                raise NumberError(
                    f"layer {name!r} has coefficients of {each.vectors} vectors, not of {len(self.cells)}"
                )
            if not np.isin(each.values, allowed).all():
                said = f"0 and powers of two up to {allowed[-1]}" if self.powers else f"{allowed[0]} to {allowed[-1]}"
                raise NumberError(
                    f"layer {name!r} has coefficients {each.values.min()} to {each.values.max()}, and {self.bits} bits say {said}"
                )
            most = int(each.counts.max(initial=0))
            if most > self.nonzeros:
                raise NumberError(
                    f"layer {name!r} has {most} coefficients in a segment, of which {self.nonzeros} are allowed"
                )

    @property
    def height(self) -> int:
        """Inputs of a segment: elements of a basis vector."""
        return int(self.cells.shape[1])

    @property
    def numbers(self) -> BasisNumbers:
        """Its numbers."""
        return BasisNumbers(
            len(self.cells), self.height, self.levels, self.bits, self.nonzeros, self.powers, self.units
        )

    @cached_property
    def elements(self) -> IntegerArray:
        """The basis as integers, (N, height): 2 level - (levels - 1), evenly spaced around zero; 0 and 1 of unit vectors."""
        return np.asarray(self.elements_of(self.cells.astype(np.int64)))

    def elements_of(self, levels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return what levels of cells stand for, whole ones or such as were read."""
        return levels if self.units else 2 * levels - (self.levels - 1)

    def integers(self, layer: MatrixLayer, elements: npt.NDArray[Any] | None = None) -> npt.NDArray[Any]:
        """Return the integer weights (groups, K, N) of a layer: coefficients x basis. NumberError where it has none that fit it.

        `elements` (N, height): another basis than its own, such as one that was read from cells.
        """
        coefficients, basis = self.dense(layer), self.elements if elements is None else elements
        parts = segments(layer.rows, self.height)
        return np.concatenate(
            [basis[:, : part.stop - part.start].T @ coefficients[:, j] for j, part in enumerate(parts)], axis=1
        )

    def sums(self, layer: MatrixLayer, vectors: npt.NDArray[np.integer[Any]]) -> IntegerArray:
        """Return the sums (groups, W, N) of a layer over integer input vectors (groups, W, K): coefficients x (basis x inputs).

        So a chip finds them: the basis first, in its arrays, then the coefficients. The sums of `integers` are the same.
        """
        coefficients = self.dense(layer)
        total = np.zeros((layer.groups, vectors.shape[1], layer.columns), dtype=np.int64)
        for j, part in enumerate(segments(layer.rows, self.height)):
            conversions = vectors[:, :, part].astype(np.int64) @ self.elements[:, : part.stop - part.start].T
            total += conversions @ coefficients[:, j]
        return total

    def dense(self, layer: MatrixLayer) -> IntegerArray:
        """Return the coefficients (groups, segments, vectors, N) of a layer. NumberError where it has none that fit it."""
        return self._of(layer).dense()

    def nonzeros_of(self, layer: MatrixLayer) -> IntegerArray:
        """Return how many coefficients of a layer are not 0, (groups, segments). NumberError where it has none that fit it."""
        return np.asarray(self._of(layer).counts.sum(axis=2))

    def _of(self, layer: MatrixLayer) -> Coefficients:
        """Return the coefficients of a layer."""
        shape = (layer.groups, -(-layer.rows // self.height), len(self.cells), layer.columns)
        given = self.coefficients.get(layer.name)
        if given is None or given.shape != shape:
            what = "none" if given is None else str(given.shape)
            raise NumberError(f"layer {layer.name!r} has coefficients {shape} of this basis; {what} were given")
        for j, part in enumerate(segments(layer.rows, self.height)):
            inputs = part.stop - part.start
            if np.any(given.values[:, j][given.places[:, j] >= self.numbers.reached(inputs)]):
                raise NumberError(
                    f"layer {layer.name!r} has coefficients of unit vectors beyond the {inputs} inputs of segment {j}"
                )
        return given


def integers_of(bits: int, powers: bool) -> IntegerArray:
    """Return the integers that a coefficient of so many bits can be, rising: see `BasisCoding`."""
    if not powers:
        return np.arange(-(1 << (bits - 1)), 1 << (bits - 1))
    magnitudes = 1 << np.arange((1 << (bits - 1)) - 1)
    return np.concatenate([-magnitudes[::-1], [0], magnitudes])


def check_numbers(levels: int, bits: int, nonzeros: int, powers: bool = False) -> None:
    """Raise NumberError for levels of elements, bits of coefficients and non-zero coefficients out of range."""
    if not 2 <= levels <= MOST_LEVELS:
        raise NumberError(f"elements of a basis have 2 to {MOST_LEVELS} levels, not {levels}")
    if not 2 <= bits <= MOST_BITS:
        raise NumberError(f"coefficients have 2 to {MOST_BITS} bits, their sign included, not {bits}")
    if powers and bits > MOST_POWER_BITS:
        raise NumberError(f"coefficients that are powers of two have 2 to {MOST_POWER_BITS} bits, not {bits}")
    if nonzeros < 1:
        raise NumberError(f"a segment has at least 1 coefficient, not {nonzeros}")


def segments(rows: int, height: int) -> list[slice]:
    """Cut K rows into as few segments of array height as hold them, equally long but for one row.

    Short ones leave each input more coefficients: of 144 rows 32 coefficients for 72 serve better than 32 for 128 and some for 16.
    """
    count = -(-rows // height)
    return [slice(rows * j // count, rows * (j + 1) // count) for j in range(count)]


__all__ = [
    "BASIS",
    "MOST_BITS",
    "MOST_LEVELS",
    "MOST_POWER_BITS",
    "BasisCoding",
    "BasisNumbers",
    "BasisPlan",
    "check_numbers",
    "integers_of",
    "segments",
]
