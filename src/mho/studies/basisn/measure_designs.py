"""Where the crossbar might pay against pruned digital weights: other chips and fewer vectors, and what would have to be cheaper."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import mho
from mho.studies.basisn.chips import SUM_BITS
from mho.studies.basisn.measure import Design, Record, Runs, on_basis, pruned
from mho.studies.basisn.pruned import ARRAYS, EQUAL, INPUT_BITS
from mho.studies.work import Work

PLACES = {"resnet50": (100, 2304), "resnet20": (100, 2304)}
QUICK_PLACES = {"resnet20": (16,)}
UNITS = {128: 34, 256: 44}
"""Weights that a segment keeps where outputs of ResNet-20 have the error of 32 vectors of so many (paper.yaml says whence)."""


@dataclass(frozen=True)
class Variation:
    """What is other than on preset basisn: the vectors of the basis, and keys of both chips."""

    vectors: int = 512
    options: Mapping[str, Any] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)
    crossbar: Mapping[str, Any] = field(default_factory=dict)


# Groups of fewer arrays are more in number: of the same chip, each has as many lanes less.
VARIATIONS = {
    "preset": Variation(),
    "n256": Variation(256, crossbar={"basis.lanes": 32}),
    "n128": Variation(128, crossbar={"basis.lanes": 16}),
    "universal": Variation(options={"levels": 2}, crossbar={"array.cell_bits": 1}),
    "shifts": Variation(changes={"components.lane_multiplier": "none"}),
    "batch4": Variation(changes={"basis.batch": 4}),
    "batch64": Variation(changes={"basis.batch": 64}),
    "lanes8": Variation(changes={"basis.lanes": 8}),
    "lanes256": Variation(changes={"basis.lanes": 256}),
    "slow": Variation(changes={"memory.bandwidth": 4.8e9}),
    "slower": Variation(changes={"memory.bandwidth": 1.2e9}),
}


def places(work: Work) -> Mapping[str, tuple[int, ...]]:
    """Return networks and the arrays of the chips that they are measured on."""
    return QUICK_PLACES if work.settings.quick else PLACES


def varied(network: mho.Network, arrays: int, variation: Variation) -> dict[str, Record]:
    """Measure 32 vectors a segment, and pruned weights of the same error on the same lanes."""
    design = Design(variation.vectors, 32, variation.options, {**variation.changes, **variation.crossbar})
    kept = UNITS.get(variation.vectors, EQUAL[network.name][0])
    return {"basis": on_basis(network, arrays, design), "pruned": pruned(network, arrays, kept, variation.changes)}


def designs_of(work: Work, name: str, arrays: int) -> dict[str, Runs]:
    """Return what both take in each variation, and what decides."""

    def compute() -> dict[str, Any]:
        network = mho.zoo.load(name)
        return {key: varied(network, arrays, variation) for key, variation in VARIATIONS.items()}

    rests = mho.Chip.load("basisn"), EQUAL[name], UNITS, sorted(VARIATIONS)
    return work.measure(f"{name}, {arrays} arrays: designs", compute, *rests)


def decides(runs: Runs) -> dict[str, float]:
    """Work out from the parts of both what would have to be cheaper for the crossbar to take as little energy.

    `crossbar`: the part of the basis that arrays and converters take. `free`: times what pruned weights take, where these took
    nothing; `narrow`: where sums had 8 bits, as inputs have; `both`: with both. `memory`: times what pruned weights take, in main
    memory alone.
    """
    basis, rival = runs["basis"], runs["pruned"]
    parts, whole, other = basis["parts_j"], basis["energy_j"], rival["energy_j"]
    crossbar = sum(parts.get(role, 0.0) for role in ARRAYS)
    wide = (1 - INPUT_BITS / SUM_BITS) * (parts["lane_multiplier"] + parts["product_buffer"])
    return {
        "crossbar": 100 * crossbar / whole,
        "free": (whole - crossbar) / other,
        "narrow": (whole - wide) / other,
        "both": (whole - crossbar - wide) / other,
        "memory": basis["memory_j"] / rival["memory_j"],
    }
