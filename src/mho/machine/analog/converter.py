"""The ADC: from the sum of a column to a code, and what a code is worth.

A code is clip(rint(sum x gain + offset)), halves to even, in float32, where gain = (1 + gain error) / step and offset is in
steps. A code of 1 is worth one step. With steps of 1, exact levels and no errors it is clip(sum): nothing is rounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mho.chip.readout import Readout
from mho.errors import AnalogError
from mho.machine.analog.sensing import Sensing
from mho.machine.analog.spec import Analog
from mho.mapping.blocks import Fullest


@dataclass(frozen=True)
class Converter:
    """The codes of an ADC, `low` to `high`, and the value of a step of each slice, in level x input steps.

    `high` is None for an ideal ADC, which neither rounds nor clips. `noise` is the spread in steps of what is added to each
    conversion so that the ADC has only its effective bits.
    """

    low: int
    high: int | None
    steps: tuple[float, ...]
    noise: float = 0.0


def adc_bits(analog: Analog, resolved: int) -> int | None:
    """Return the bits of a conversion that resolves so many on the chip, None for an ideal one."""
    if analog.adc.bits == "ideal":
        return None
    return resolved if analog.adc.bits == "chip" else analog.adc.bits


def whole_sums(sensing: Sensing) -> bool:
    """Return whether all that an ADC converts are whole levels: exact cells, no wires, no read noise, and no pedestal left."""
    device = sensing.analog.device
    return device.exact and device.quiet and sensing.analog.wires is None and not sensing.pedestal


def converter(
    sensing: Sensing, layer: str, column: Fullest, read: Readout, limits: Sequence[float] | None
) -> Converter:
    """Return the converter that a layer's columns meet; raise AnalogError where its range has not been calibrated.

    `column`: the layer's fullest one, whose largest sum, as `read` drives it, is the full range. `limits`: its calibrated range,
    one a slice.
    Where all sums are whole levels, steps of a full or calibrated range are never finer than 1, which would tell nothing more
    and miss whole numbers.
    """
    analog, slices, signed = sensing.analog, sensing.slices, sensing.pairs or read.both_signs
    bits = adc_bits(analog, read.adc_bits)
    if bits is None:
        return Converter(0, None, (1.0,) * slices)
    if signed and bits < 2:
        raise AnalogError(
            "adc.bits: conversions of differential pairs, or of inputs of both signs, need at least 2 bits"
        )
    high = 2 ** (bits - 1) - 1 if signed else 2**bits - 1
    finest = 1.0 if whole_sums(sensing) else 0.0
    if analog.adc.range == "fixed":
        assert analog.adc.limit is not None
        steps = (analog.adc.limit / high,) * slices
    elif analog.adc.range == "full":
        # All rows driven highest, cells as full as they can be.
        most = float(read.highest * (column.levels + column.rows * sensing.pedestal))
        # A layer without digits gives no sums: any step will do.
        steps = (max(finest, (most or 1.0) / high),) * slices
    else:
        if limits is None:
            raise AnalogError(
                f"adc.range: the range of layer {layer!r} is not calibrated; "
                "mho.machine.calibrate(program, samples, analog) does it"
            )
        if len(limits) != slices:
            raise AnalogError(f"limits: layer {layer!r} has {slices} slices, but {len(limits)} limits")
        steps = tuple(max(finest, limit / high) for limit in limits)
    return Converter(-high if signed else 0, high, steps, _noise(sensing, bits))


def _noise(sensing: Sensing, bits: int) -> float:
    """Return the spread in steps of the noise of a conversion that resolves `bits`.

    It is that of all bits of the ADC, as a share of its range: a conversion that stops early has larger steps, and the same noise.
    """
    effective, whole = sensing.analog.adc.effective_bits, adc_bits(sensing.analog, sensing.chip.array.adc_bits)
    if effective is None or whole is None or effective == whole:
        return 0.0
    if effective > whole:
        raise AnalogError(f"adc.effective_bits: {effective:g} is more than the {whole} bits of the ADC")
    return float(np.sqrt((4.0 ** (whole - effective) - 1.0) / 12.0)) * 2.0 ** (bits - whole)


def codes(
    sums: npt.NDArray[np.float64], gain: npt.NDArray[np.float32], offset: npt.NDArray[np.float32], low: int, high: int
) -> tuple[npt.NDArray[np.int64], int]:
    """Convert sums (windows, columns) with gain and offset (columns,); return codes and how many clipped."""
    wanted = np.rint(sums.astype(np.float32) * gain + offset)
    kept = np.clip(wanted, np.float32(low), np.float32(high))
    return kept.astype(np.int64), int(np.count_nonzero(wanted != kept))
