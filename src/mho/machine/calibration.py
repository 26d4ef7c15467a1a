"""ADC ranges chosen from what columns really give on samples: a percentile of the magnitudes of their sums.

Sums are those that the ADC would see (of the devices and wires of the same `Analog`), while the layers before it are computed
without loss: one pass over the samples sets the ranges of all layers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from mho.errors import AnalogError
from mho.machine.analog.driven import driven
from mho.machine.analog.planned import Job
from mho.machine.analog.products import Products
from mho.machine.analog.spec import Adc, Analog
from mho.machine.functional import Executor
from mho.mapping import LayerMapping
from mho.number.walk import Inputs
from mho.program import Program

FloatArray = npt.NDArray[np.float64]
BINS = 1 << 14
"""Equal parts of the largest possible range in which magnitudes are counted."""


def converted_sums(
    products: Products, mapped: LayerMapping, job: Job, x: npt.NDArray[np.uint8]
) -> Iterator[tuple[int, FloatArray]]:
    """Yield, input step by input step, the slice and the sums (windows, columns) that ADCs convert; x as for `Products.sums`."""
    columns, served = products.maker(mapped).columns(job.stored), x[:, :, slice(*job.windows)]
    for part in driven(mapped.blocks, job.block, mapped.readout, served, products.zero(mapped)):
        only = columns if part.columns is None else columns.only(part.columns)
        converted = only.rows_of(part.rows, part.mirrored)
        for first in range(0, part.bits, part.step_bits):
            digits = ((part.inputs >> np.uint8(first)) & np.uint8(2**part.step_bits - 1)).astype(np.float64)
            for k, weights in enumerate(converted.weights):
                yield k, np.ldexp(digits @ weights.astype(np.float64), -columns.shift)


class _Watching(Products):
    """Products that count the magnitudes of all sums that an ADC would convert."""

    def __init__(self, program: Program, analog: Analog) -> None:
        super().__init__(program, analog, "plain")
        self.seen: dict[str, list[npt.NDArray[np.int64]]] = defaultdict(list)
        self.width: dict[str, float] = {}

    def watch(self, mapped: LayerMapping, jobs: Sequence[Job], x: npt.NDArray[np.uint8]) -> None:
        """Count the magnitudes of a layer's sums, slice by slice; x as for `sums`."""
        chip, name, sensing = self.program.chip, mapped.name, self.maker(mapped).sensing
        digit = mapped.readout.highest
        # No column gives more than its rows driven highest through cells a little above their highest level.
        highest = 2.0 * (chip.levels - 1 + sensing.pedestal)
        width = self.width.setdefault(name, chip.array.rows * digit * highest / BINS)
        if not self.seen[name]:
            self.seen[name] = [np.zeros(BINS, dtype=np.int64) for _ in range(sensing.slices)]
        for job in jobs:
            for k, sums in converted_sums(self, mapped, job, x):
                places = np.minimum(np.ceil(np.abs(sums) / width).astype(np.int64), BINS - 1)
                self.seen[name][k] += np.bincount(places.ravel(), minlength=BINS)

    def limits(self, share: float, per: str) -> dict[str, tuple[float, ...]]:
        """Return for each layer the limit of each slice."""
        limits = {}
        for name, slices in self.seen.items():
            parts = slices if per == "slice" else [np.sum(slices, axis=0)] * len(slices)
            limits[name] = tuple(_percentile(counts, share) * self.width[name] for counts in parts)
        return limits


def _percentile(counts: npt.NDArray[np.int64], share: float) -> float:
    """Return the upper edge, in bins, of the given percentile."""
    if counts[-1]:
        raise AnalogError("adc.range: cells conduct twice what they should; no range can be calibrated")
    reached = np.cumsum(counts) >= share / 100.0 * counts.sum()
    return max(1.0, float(np.argmax(reached)))


def calibrate(program: Program, inputs: Inputs, analog: Analog) -> Analog:
    """Choose the limits of a calibrated ADC range on samples: `analog` with its `limits` filled in.

    Limits are on a grid of 2^-14 of twice the largest sum of an array. Other ranges need none: `analog` is returned as it is.
    Raises what `execute` raises.
    """
    if analog.adc.range != "calibrated":
        return analog
    ideal = analog.model_copy(update={"adc": Adc(bits="ideal"), "limits": None})
    watching = _Watching(program, ideal)
    Executor(program, ideal, watch=watching.watch).run(inputs)
    return analog.model_copy(update={"limits": watching.limits(analog.adc.share, analog.adc.per)})
