"""The bits of a network's layers, told in a few numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mho.engineering import count
from mho.mapping.mapping import Mapping as Layout
from mho.network.graph import Network
from mho.number.bits import BYTES

NOTE = "bits: weights of "
"""How a note on the bits of a program's layers begins."""


def bits_record(network: Network, layout: Layout) -> dict[str, Any] | None:
    """Return least, most and mean bits of weights and of inputs; None where all have 8.

    A weight counts once, however many layers share it; inputs count by the multiplications that they take part in.
    """
    if all(layer.bits == BYTES for layer in layout.layers):
        return None
    by_name = layout.by_name
    weights = [(by_name[layer.name].bits.weights, layer.weight.size) for layer in network.weighted]
    inputs = [(by_name[layer.name].bits.inputs, layer.macs) for layer in network.matrix_layers]
    return {"weights": _spread(weights), "inputs": _spread(inputs)}


def _spread(bits: Iterable[tuple[int, int]]) -> dict[str, float]:
    """Return least, most and mean of numbers of bits, of which each counts so many times."""
    bits = list(bits)
    mean = sum(each * times for each, times in bits) / max(sum(times for _, times in bits), 1)
    return {"mean": mean, "least": min(each for each, _ in bits), "most": max(each for each, _ in bits)}


def bits_said(record: Mapping[str, Any]) -> str:
    """Say a record of bits in words: "weights of 3.86 bits on average (2 to 6), inputs of 8 bits"."""

    def said(what: str) -> str:
        each = record[what]
        if each["least"] == each["most"]:
            return f"{what} of {count(each['most'])} bit{'s' * (each['most'] != 1)}"
        return f"{what} of {count(each['mean'])} bits on average ({count(each['least'])} to {count(each['most'])})"

    return f"{said('weights')}, {said('inputs')}"


def integers_said(notes: Iterable[str]) -> str:
    """Name the integers of an outcome, of whose bits a note tells where they are not 8."""
    return "integers" if any(NOTE in note for note in notes) else "8-bit integers"


__all__ = ["NOTE", "bits_record", "bits_said", "integers_said"]
