"""Bits of each matrix layer: of its weight codes, and of the input codes that are streamed into its crossbars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from mho.errors import NumberError

MOST_WEIGHTS, MOST_INPUTS = 16, 8
"""The most bits of a code of a weight and of an input."""


@dataclass(frozen=True)
class LayerBits:
    """The bits of one matrix layer: of `weights`, 1 to 16, and of `inputs`, 1 to 8."""

    weights: int = 8
    inputs: int = 8

    def __post_init__(self) -> None:
        """Raise NumberError for bits outside these ranges."""
        for what, bits, most in (("weights", self.weights, MOST_WEIGHTS), ("inputs", self.inputs, MOST_INPUTS)):
            if isinstance(bits, bool) or not isinstance(bits, int) or not 1 <= bits <= most:
                raise NumberError(f"{what} have 1 to {most} bits, not {bits!r} (weights/inputs: 16/8 is the most)")

    def __str__(self) -> str:
        """Return weight and input bits, as in "4/8"."""
        return f"{self.weights}/{self.inputs}"


BYTES = LayerBits()
"""The bits of a layer of which nothing else is said."""
Bits = Mapping[str, LayerBits]
"""Bits by the name of a matrix layer; a layer that is not named has 8 and 8."""
ALL_BYTES: Bits = MappingProxyType({})

Asked = int | str | LayerBits | Mapping[str, "int | str | LayerBits"]
"""What may be asked for: bits of all layers, or by name or pattern; see `asked`."""
ALL = "*"
"""The pattern of all layers."""


def asked(bits: Asked) -> Mapping[str, LayerBits]:
    """Return the bits that are asked for, by name or pattern of layers, in the order in which they are looked up.

    asked(4)                                     weights and inputs of all layers
    asked("4/6")                                 weights of 4 bits, inputs of 6
    asked("conv1=8,layer3.*=4/6,*=4")            by name or pattern (* ? [abc]); what is not named has 8 and 8
    asked({"conv1": 8, "layer3.*": "4/6"})       the same as a mapping

    Raises NumberError for text that says no bits, and for bits out of range.
    """
    if isinstance(bits, Mapping):
        for pattern in bits:
            if not isinstance(pattern, str):
                raise NumberError(f"bits go by names or patterns of layers, not by {pattern!r}")
        return {pattern: _one(each, f" of {pattern!r}") for pattern, each in bits.items()}
    if not isinstance(bits, str) or "=" not in bits:
        return {ALL: _one(bits, "")}
    return _listed(bits)


@lru_cache(maxsize=64)
def _listed(bits: str) -> Mapping[str, LayerBits]:
    """Return the bits that a list of patterns says; whoever codes, maps and checks a network asks for the same."""
    found: dict[str, LayerBits] = {}
    for part in bits.split(","):
        pattern, equals, text = part.strip().rpartition("=")
        if not equals or not pattern:
            raise NumberError(f"bits {bits!r}: {part.strip()!r} is no LAYER=BITS, as in conv1=8,layer3.*=4/6,*=4")
        if pattern in found:
            raise NumberError(f"bits {bits!r}: {pattern!r} stands twice")
        found[pattern] = _one(text, f" of {pattern!r}")
    return MappingProxyType(found)


def _one(bits: object, where: str) -> LayerBits:
    """Return the bits that a number, a text or a LayerBits says."""
    if isinstance(bits, LayerBits):
        return bits
    if isinstance(bits, int) and not isinstance(bits, bool):
        return LayerBits(bits, bits)
    numbers = [number.strip() for number in bits.split("/")] if isinstance(bits, str) else []
    if not 1 <= len(numbers) <= 2 or not all(number.isascii() and number.isdigit() for number in numbers):
        raise NumberError(f"bits{where} are a number, or two as weights/inputs (4/6), not {bits!r}")
    return LayerBits(int(numbers[0]), int(numbers[-1]))
