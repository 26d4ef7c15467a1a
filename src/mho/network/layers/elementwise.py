"""Tensors combined element by element, selected from one another, and converted to other types."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mho.errors import NetworkError, choices
from mho.network.layer import AnyArray, Pointwise, real
from mho.network.types import BOOL, REAL, promoted


def _quotient(x: AnyArray, y: AnyArray) -> AnyArray:
    """Divide; integers cut off towards zero, and by zero give 0."""
    if x.dtype.kind not in "iu" or y.dtype.kind not in "iu":
        return np.asarray(np.true_divide(x, y))
    whole = np.asarray(np.floor_divide(x, y))
    inexact = np.remainder(x, y) != 0
    return np.where(inexact & ((x < 0) != (y < 0)), whole + 1, whole).astype(whole.dtype)


def _power(x: AnyArray, y: AnyArray) -> AnyArray:
    """Raise; an integer base stays an integer."""
    if x.dtype.kind not in "iu":
        return np.asarray(np.power(x, y.astype(np.float64)))
    if y.dtype.kind in "iu" and not (y < 0).any():
        return np.asarray(np.power(x, y)).astype(x.dtype)
    return np.asarray(np.power(x.astype(np.float64), y)).astype(x.dtype)


FUNCTIONS: Mapping[str, Callable[[AnyArray, AnyArray], AnyArray]] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": _quotient,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "power": _power,
    "modulo": np.mod,
    "remainder": np.fmod,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "shift_left": np.left_shift,
    "shift_right": np.right_shift,
    "equal": np.equal,
    "not_equal": np.not_equal,
    "less": np.less,
    "less_or_equal": np.less_equal,
    "greater": np.greater,
    "greater_or_equal": np.greater_equal,
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Elementwise(Pointwise):
    """Two tensors combined element by element with broadcasting, by one of `FUNCTIONS`.

    Integers stay exact: their quotient is cut off towards zero. "modulo" has the sign of the divisor, "remainder" that of
    the dividend; "and", "or", "xor" of integers are those of their bits.
    """

    function: str

    kind: ClassVar[str] = "elementwise"
    arity: ClassVar[tuple[int, int]] = (2, 2)

    COMPARISONS: ClassVar[tuple[str, ...]] = (
        "equal", "not_equal", "less", "less_or_equal", "greater", "greater_or_equal",
    )  # fmt: skip
    FUNCTIONS: ClassVar[tuple[str, ...]] = tuple(FUNCTIONS)

    def __post_init__(self) -> None:
        """Refuse functions that are not known."""
        super().__post_init__()
        if self.function not in FUNCTIONS:
            raise NetworkError(
                f"layer {self.name!r}: unknown elementwise function {self.function!r}; {choices(self.function, FUNCTIONS)}"
            )

    def result_type(self, operands: Sequence[str]) -> str:
        """A comparison is a truth; a power keeps the type of its base."""
        if self.function in self.COMPARISONS:
            return BOOL
        return operands[0] if self.function == "power" else promoted(operands)

    def compute(self, operands: Sequence[AnyArray], factor: int) -> AnyArray:
        """Combine two tensors with broadcasting."""
        return np.asarray(FUNCTIONS[self.function](operands[0], operands[1]))


@dataclass(frozen=True, kw_only=True, eq=False)
class Select(Pointwise):
    """Elements of the second of three broadcast tensors where the first is true, and of the third elsewhere."""

    kind: ClassVar[str] = "select"
    arity: ClassVar[tuple[int, int]] = (3, 3)

    def result_type(self, operands: Sequence[str]) -> str:
        """Return the type of what is selected."""
        return promoted(operands[1:])

    def compute(self, operands: Sequence[AnyArray], factor: int) -> AnyArray:
        """Select element by element."""
        return np.where(operands[0].astype(bool), operands[1], operands[2])


@dataclass(frozen=True, kw_only=True, eq=False)
class Convert(Pointwise):
    """Values as another `type` (see `types`): reals are cut off towards zero, and true where they are not 0."""

    type: str

    kind: ClassVar[str] = "convert"

    def result_type(self, operands: Sequence[str]) -> str:
        """Return the type converted to."""
        return self.type

    def compute(self, operands: Sequence[AnyArray], factor: int) -> AnyArray:
        """Convert element by element."""
        return real(operands[0]) if self.type == REAL else operands[0].astype(self.type)
