"""Columns of a basis that are merged before the ADC: an output at a time uses a column, so outputs take turns (BasisN; ours).

The columns whose coefficients have a bit set are switched together, and their charge is converted once, for each bit of the
coefficients, each input step and each cell of an element. Outputs that have no vector in common share a *pass*; how many passes a
part takes is what the paper calls contention. Outputs are put, in order, in the first pass whose vectors they leave alone. That a
column serves one output at a time, and that coefficient bits come one after another, is assumed: the paper's body is not public.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from mho.chip import Chip
from mho.chip.readout import Readout
from mho.units import exact

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Merging:
    """How the outputs of one layer take turns.

    `passes` int64 (parts,): those of each part; `converted` int64 (parts,): how often the busiest ADC converts in them, for one bit
    of the coefficients and one input step. `part_s` (parts,): the time in s of an input vector of each.
    """

    passes: IntArray
    converted: IntArray
    part_s: FloatArray


def first_fit(supports: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    """Return how many outputs share each pass, for the vectors that each uses, bool (outputs, vectors); one without is in none."""
    # Compiled code takes a while to import, and is of use here only.
    from mho.mapping.first_fit import put

    outputs, vectors = supports.shape
    bits = np.packbits(np.pad(supports, ((0, 0), (0, -vectors % 64))), axis=1, bitorder="little")
    left, counts = np.full((outputs, bits.shape[1] // 8), 2**64 - 1, dtype=np.uint64), np.zeros(outputs, dtype=np.int64)
    used = put(np.ascontiguousarray(bits).view(np.uint64), left, counts)
    return tuple(counts[:used].tolist())


@lru_cache(maxsize=1024)
def drawn_passes(outputs: int, vectors: int, nonzeros: int) -> tuple[int, ...]:
    """Return the passes of outputs of which each uses so many vectors, drawn from all alike with a fixed seed."""
    if nonzeros >= vectors:
        return (1,) * outputs
    draws = np.random.default_rng(0).random((outputs, vectors))
    return first_fit(draws <= np.partition(draws, nonzeros - 1, axis=1)[:, nonzeros - 1 : nonzeros])


def merging_of(
    passes: list[tuple[int, ...]], cells: int, bits: int, readout: Readout, chip: Chip, arrays: int
) -> Merging:
    """Return how outputs take turns: by the outputs in each pass of each part, and the cells and coefficient bits of an element.

    `arrays`: those of an instance of the basis, whose ADCs share the outputs of a pass.
    """
    adcs = chip.array.adcs * arrays
    counts = np.array([len(part) for part in passes], dtype=np.int64)
    converted = np.array([sum(-(-outputs * cells // adcs) for outputs in part) for part in passes], dtype=np.int64)
    overhead = exact(chip.array.step_overhead_s) * Fraction(readout.pulses, readout.steps)
    period = exact(chip.array.adc_period_s) * readout.share
    each = zip(converted.tolist(), counts.tolist(), strict=True)
    steps = bits * readout.all_steps
    return Merging(
        counts, converted, np.array([float(steps * (busy * period + turns * overhead)) for busy, turns in each])
    )


__all__ = ["Merging", "drawn_passes", "first_fit", "merging_of"]
