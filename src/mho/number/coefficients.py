"""The coefficients of a layer on a basis: those that are not 0, and of which vectors they are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import NumberError

MOST_VECTORS = (1 << 16) - 1
"""The most vectors of a basis, so that places fit 16 bits."""


@dataclass(frozen=True, eq=False)
class Coefficients:
    """What combines the `vectors` of a basis to the segments of a layer's outputs, in as many slots as the most has.

    `values` int8 and `places` uint16, both (groups, segments, slots, N): coefficients that are not 0, and their vectors, rising. A
    slot that is left over holds 0, and `vectors` as its place.

    Coefficients.of(dense)          of int8 (groups, segments, vectors, N)
    coefficients.dense()            int64 (groups, segments, vectors, N)
    coefficients.counts             int64 (groups, segments, N): how many are not 0
    """

    values: npt.NDArray[np.int8]
    places: npt.NDArray[np.uint16]
    vectors: int

    def __post_init__(self) -> None:
        """Raise NumberError for arrays that do not fit one another, and for places that do not rise or are none."""
        if not 1 <= self.vectors <= MOST_VECTORS:
            raise NumberError(f"a basis has 1 to {MOST_VECTORS} vectors, not {self.vectors}")
        values, places = self.values, self.places
        kinds = values.dtype == np.int8 and places.dtype == np.uint16
        if not kinds or values.ndim != 4 or values.shape != places.shape:
            raise NumberError(
                "coefficients are int8 and their places uint16 (groups, segments, slots, outputs), not "
                f"{values.dtype} {values.shape} and {places.dtype} {places.shape}"
            )
        used = values != 0
        if not np.array_equal(used, places < self.vectors) or not (places[~used] == self.vectors).all():
            raise NumberError(
                f"places are those of {self.vectors} vectors where coefficients are not 0, else {self.vectors}"
            )
        if np.any((places[:, :, 1:] <= places[:, :, :-1]) & (places[:, :, 1:] < self.vectors)):
            raise NumberError("the places of the coefficients of a segment of an output rise, those left over last")

    @classmethod
    def of(cls, dense: npt.NDArray[Any]) -> Coefficients:
        """Keep what is not 0 of int8 (groups, segments, vectors, N)."""
        if dense.dtype != np.int8 or dense.ndim != 4:
            raise NumberError(
                f"coefficients are int8 (groups, segments, vectors, outputs), not {dense.dtype} {dense.shape}"
            )
        vectors, used = dense.shape[2], dense != 0
        slots = int(np.count_nonzero(used, axis=2).max(initial=0))
        places = np.argsort(~used, axis=2, kind="stable")[:, :, :slots]
        values = np.take_along_axis(dense, places, axis=2)
        return cls(values, np.where(values != 0, places, vectors).astype(np.uint16), vectors)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Groups, segments, vectors, outputs."""
        groups, segments, _, outputs = self.values.shape
        return groups, segments, self.vectors, outputs

    @cached_property
    def counts(self) -> npt.NDArray[np.int64]:
        """How many are not 0, of each segment of each output: (groups, segments, N)."""
        return np.asarray(np.count_nonzero(self.values, axis=2), dtype=np.int64)

    def dense(self) -> npt.NDArray[np.int64]:
        """Return all, int64 (groups, segments, vectors, N)."""
        groups, segments, vectors, outputs = self.shape
        whole = np.zeros((groups, segments, vectors + 1, outputs), dtype=np.int64)
        np.put_along_axis(whole, self.places.astype(np.int64), self.values, axis=2)
        return whole[:, :, :-1]


__all__ = ["MOST_VECTORS", "Coefficients"]
