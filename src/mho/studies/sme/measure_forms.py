"""Other quantisers than windows, and other cells than those of one bit."""

from __future__ import annotations

from typing import Any

import mho
from mho.mapping import map_network
from mho.studies.sme.chips import squeezing
from mho.studies.sme.load import StudiedNetwork
from mho.studies.sme.measure import BITS, arrays_of, dense_arrays, judged, squeezed
from mho.studies.work import measured

FORMS = ("uniform:5", "uniform:4", "power-of-two:8", "additive-power-of-two:8")
"""Quantisers of the kinds that the abstract calls existing methods."""
CELLS = (1, 2, 4)
"""Bits of a cell."""
SQUEEZED = ((3, 0), (3, 2), (3, 4))
"""Windows and planes squeezed out that are counted in other cells."""


@measured("accuracy, {0}")
def form_accuracy(subject: StudiedNetwork, form: str) -> dict[str, Any]:
    """Judge another quantiser, rounded for outputs, and count its arrays."""
    grid = mho.number.Grid.parse(form)
    coded = mho.number.recode(subject.quantised, grid, method="output", samples=subject.moments)
    return {**judged(coded, subject.few), "arrays": arrays_of(coded)}


@measured("cells")
def cells(subject: StudiedNetwork) -> dict[str, Any]:
    """Count the arrays of one network in cells of more bits, dense, squeezed without loss, and squeezed by the paper's rules."""
    quantised = subject.quantised
    coded = {f"{s}/{x}": squeezed(quantised, s, x) for s, x in SQUEEZED}
    record: dict[str, Any] = {}
    for bits in CELLS:
        changes = {"array.cell_bits": bits, "array.pulses_full_range": max(3, 2**bits - 1)}
        chip = squeezing().override(changes, source="study: cells of more bits")
        record[str(bits)] = {
            "dense": dense_arrays(quantised, BITS // bits),
            "lossless": map_network(quantised, chip, mapping="squeezed").arrays,
            **{key: map_network(network, chip, mapping="squeezed").arrays for key, network in coded.items()},
        }
    return record
