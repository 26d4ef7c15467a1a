"""Bits of each matrix layer: of its weight codes, and of the input codes that are streamed into its crossbars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from mho.errors import NumberError

FEWEST, MOST = 1, 8
"""Bits of a code."""


@dataclass(frozen=True)
class LayerBits:
    """The bits of one matrix layer: of `weights` and of `inputs`, 1 to 8 each."""

    weights: int = 8
    inputs: int = 8

    def __post_init__(self) -> None:
        """Raise NumberError for bits outside 1..8."""
        for what, bits in (("weights", self.weights), ("inputs", self.inputs)):
            if isinstance(bits, bool) or not isinstance(bits, int) or not FEWEST <= bits <= MOST:
                raise NumberError(f"{what} have {FEWEST} to {MOST} bits, not {bits!r}")

    def __str__(self) -> str:
        """Return weight and input bits, as in "4/8"."""
        return f"{self.weights}/{self.inputs}"


BYTES = LayerBits()
"""The bits of a layer of which nothing else is said."""
Bits = Mapping[str, LayerBits]
"""Bits by the name of a matrix layer; a layer that is not named has 8 and 8."""
ALL_BYTES: Bits = MappingProxyType({})
