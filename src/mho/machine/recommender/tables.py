"""Embedding tables as integers: what sits in the cells, and how the sum of rows becomes real numbers again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import NumberError, choices

FloatArray = npt.NDArray[np.float64]
POOLINGS = ("sum", "unit")
LARGEST = 127
"""The largest magnitude of a code: symmetric, so that 0 is 0 and the sum of codes stands for the sum of rows."""
EPSILON = 1e-12
"""Added to the mean square of a pooled vector, so that an empty bag stays 0."""


@dataclass(frozen=True, eq=False)
class Table:
    """A table of embedding vectors: row r is scale * codes[r].

    `codes` int8 (rows, dimension), -127 to 127. `pooling`: what is made of the sum of a bag's rows: "sum", the sum itself, or
    "unit", the sum divided by the root of the mean of its squares: bags of 20 and of 2000 rows then need the same 8 bits.
    `step`: what 1 in the input of the dense part is worth; None: the scale, so that sums of codes go in as they are.
    Raises NumberError for codes of another type or range, a scale or step that is not positive, an unknown pooling.
    """

    name: str
    codes: npt.NDArray[np.int8]
    scale: float
    pooling: str = "sum"
    step: float | None = None

    def __post_init__(self) -> None:
        """Check the codes and what they mean."""
        if self.codes.dtype != np.int8 or self.codes.ndim != 2 or not self.codes.size:
            raise NumberError(
                f"table {self.name!r}: codes are int8 (rows, dimension), not {self.codes.dtype} {self.codes.shape}"
            )
        if self.codes.min() < -LARGEST:
            raise NumberError(f"table {self.name!r}: codes lie in -{LARGEST} to {LARGEST}, not {self.codes.min()}")
        for what, value in (("scale", self.scale), ("step", self.worth)):
            if not (np.isfinite(value) and value > 0):
                raise NumberError(f"table {self.name!r}: the {what} must be positive and finite, not {value}")
        check_pooling(self.name, self.pooling)

    @property
    def rows(self) -> int:
        """Rows of the table."""
        return int(self.codes.shape[0])

    @property
    def dimension(self) -> int:
        """Numbers of a row."""
        return int(self.codes.shape[1])

    @property
    def worth(self) -> float:
        """Return the real value of a step of 1 in the input of the dense part."""
        return self.scale if self.step is None else self.step

    @classmethod
    def of(cls, name: str, real: npt.NDArray[Any], pooling: str = "sum", largest: float | None = None) -> Table:
        """Code a real table (rows, dimension): scale = `largest` magnitude (None: its own) / 127, codes = rint(real / scale)."""
        real = np.asarray(real, dtype=np.float64)
        if not np.isfinite(real).all():
            raise NumberError(f"table {name!r} holds values that are not finite (NaN or infinity)")
        largest = float(np.abs(real).max(initial=0.0)) if largest is None else largest
        scale = largest / LARGEST if largest > 0 else 1.0
        return cls(name, np.clip(np.rint(real / scale), -LARGEST, LARGEST).astype(np.int8), scale, pooling)

    def vectors(self, reduced: npt.NDArray[np.integer[Any]]) -> FloatArray:
        """Turn sums of codes (queries, dimension) into the input of the dense part, in steps: float64 of the same shape."""
        if self.pooling == "sum":
            return np.asarray(reduced * (self.scale / self.worth))
        return pooled(np.asarray(reduced * np.float64(self.scale)), self.pooling) / self.worth

    def fitted(self, reduced: npt.NDArray[np.integer[Any]]) -> Table:
        """Choose the step for the sums (queries, dimension) of some queries: the largest is 127 steps.

        Sums of codes that stay within -127 to 127 keep the scale as their step, and so are coded without an error.
        """
        largest = float(np.abs(reduced).max(initial=0))
        if self.pooling == "sum" and largest <= LARGEST:
            return replace(self, step=None)
        values = np.abs(replace(self, step=1.0).vectors(reduced)).max(initial=0.0)
        return replace(self, step=float(values) / LARGEST if values > 0 else None)


def coded_alike(tables: Mapping[str, npt.NDArray[Any]], poolings: Mapping[str, str]) -> tuple[Table, ...]:
    """Code real tables by one scale, the largest magnitude of all / 127; a step is worth 1, so that vectors are real numbers."""
    largest = max(float(np.abs(table).max(initial=0.0)) for table in tables.values())
    made = (Table.of(name, table, poolings.get(name, "sum"), largest) for name, table in tables.items())
    return tuple(replace(table, step=1.0) for table in made)


def check_pooling(table: str, pooling: str) -> None:
    """Raise NumberError for a pooling that is not known."""
    if pooling not in POOLINGS:
        raise NumberError(f"table {table!r}: unknown pooling {pooling!r}; {choices(pooling, POOLINGS)}")


def pooled(sums: FloatArray, pooling: str) -> FloatArray:
    """Pool sums of rows (queries, dimension); see `Table`."""
    if pooling == "sum":
        return sums
    # In the order of a network's normalisation, bit for bit.
    sums = np.ascontiguousarray(sums)
    return np.asarray(sums / np.sqrt(np.square(sums).mean(axis=-1, keepdims=True) + EPSILON))
