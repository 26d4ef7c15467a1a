"""The bits of a network's layers, and their basis, told in a few numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mho.engineering import count, quantity
from mho.mapping.mapping import LayerMapping
from mho.mapping.mapping import Mapping as Layout
from mho.network.graph import Network
from mho.number.bits import BYTES

NOTES = ("bits: weights of ", "bits: inputs of ", "weights are combinations of ")
"""What notes on the bits of a program's layers, and on the basis of its weights, say first."""


def bits_record(network: Network, layout: Layout) -> dict[str, Any] | None:
    """Return least, most and mean bits of weights and of inputs; None where all have 8.

    A weight counts once, however many layers share it; inputs count by the multiplications that they take part in. Weights that
    are combinations of a basis have no bits of their own; where all are, only inputs are told.
    """
    if all(
        layer.bits.inputs == BYTES.inputs and weight_bits(layer) in (BYTES.weights, None) for layer in layout.layers
    ):
        return None
    by_name = layout.by_name
    each = ((weight_bits(by_name[layer.name]), layer.weight.size) for layer in network.weighted)
    weights = [(bits, size) for bits, size in each if bits is not None]
    inputs = [(by_name[layer.name].bits.inputs, layer.macs) for layer in network.matrix_layers]
    return {"weights": _spread(weights) if weights else None, "inputs": _spread(inputs)}


def weight_bits(layer: LayerMapping) -> int | None:
    """Return the bits of the codes of a layer's weights; None where these are combinations of a basis, which alone is in cells."""
    return None if layer.combination else layer.bits.weights


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

    return ", ".join(said(what) for what in ("weights", "inputs") if record[what] is not None)


def integers_said(notes: Iterable[str]) -> str:
    """Name the integers of an outcome, of whose bits, or basis, a note tells where they are not of 8 bits."""
    return "integers" if any(said in note for note in notes for said in NOTES) else "8-bit integers"


def basis_said(record: Mapping[str, Any]) -> str:
    """Say a record of a basis in words: how often it is there, which coefficients layers take, and what binds."""
    instances, arrays, layers, own = (record[key] for key in ("instances", "arrays", "layers", "own"))
    beside = f", {count(own)} with weights of {'its' if own == 1 else 'their'} own" if own else ""
    limits = {
        "arrays": "conversions", "lanes": f"the {count(record['lanes'])} lanes of an instance",
        "stream": "the stream of coefficients",
    }  # fmt: skip
    fetched = f"{quantity(record['fetched_bytes'], 'B')} fetched an inference"
    if not record["fetched_bytes"]:
        fetched = f"{quantity(record['kept_bytes'], 'B')} fetched once, in the setup"
    held = f"in {count(arrays)} array{'s' * (arrays != 1)} each"
    if record["units"]:
        held = "of unit vectors, none in an array that is driven"
    return (
        f"{count(instances)} instance{'s' * (instances != 1)} {held}, for "
        f"{count(layers)} layer{'s' * (layers != 1)}{beside}; {count(record['mean'])} coefficients a segment on average, "
        f"{fetched}; bound by {limits[record['binds']]}"
    )


__all__ = ["NOTES", "basis_said", "bits_record", "bits_said", "integers_said", "weight_bits"]
