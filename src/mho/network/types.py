"""Types of tensors: reals, truths, and integers of a width.

Reals have no width: they are float64 in the float network and, where they are stored as codes, codes in the quantised one.
Truths and integers are exact everywhere: numpy's type of that name, wrapping round as it does, never quantised.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mho.network.arrays import Array

REAL = "real"
BOOL = "bool"
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
TYPES = (REAL, BOOL, *INTEGERS)
"""What the type of a tensor may be."""


def type_of(array: Array) -> str:
    """Return the type of a weight or constant: integers with a code stand for reals."""
    if array.values is None or array.code is not None:
        return REAL
    name = array.values.dtype.name
    return name if name in TYPES else REAL


def promoted(types: Sequence[str]) -> str:
    """Return the type of what is computed from several: reals win, then numpy's rule for integers and truths."""
    return REAL if REAL in types else np.result_type(*map(np.dtype, types)).name


def element_bytes(kind: str) -> int:
    """Return the bytes of an element of this type where it is not coded: truths and integers of 8 bits take 1, of 16 bits 2,
    others and reals 4 (indices of 64 bits travel as 32).
    """
    return {BOOL: 1, "int8": 1, "uint8": 1, "int16": 2, "uint16": 2}.get(kind, 4)
