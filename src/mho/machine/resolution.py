"""Which sums a chip's converters resolve: the bits that each layer's largest column sum needs, beside the bits that the chip has.

The verdict goes by what a layer's columns *can* hold by mapping and coding alone (`Blocks.fullest`): a layer is resolved where the
chip's ADCs at full range have steps of 1, that is where 2^bits - 1 (2^(bits - 1) - 1 for the differences of pairs) is no less than
its largest possible sum. Then no input and no weight can make a conversion clip or round, and `execute` with the chip's own
ADCs and ideal devices is exact. Where the weights are known, the bits that their own levels need are told too: an ADC whose
range was set for them (`adc.range` fixed or calibrated) may do with fewer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from mho.machine.analog.converter import adc_bits, whole_sums
from mho.machine.analog.sensing import Sensing
from mho.machine.analog.spec import Analog
from mho.mapping.shape import weights_shape
from mho.program import Program


@dataclass(frozen=True)
class LayerSum:
    """The largest column sum of a layer, in level x input steps, and the bits of an ADC that resolves it.

    `rows`: the most rows that are driven at once. `largest` and `bits`: by mapping and coding alone; `largest_held` and
    `bits_held`: of the levels that the weights bring, None where they are not known. `own`: the bits of this layer's conversions,
    None where they are those of all.
    """

    name: str
    rows: int
    largest: int
    bits: int
    largest_held: int | None = None
    bits_held: int | None = None
    own: int | None = None


@dataclass(frozen=True)
class Resolution:
    """The layers of a program whose sums ADCs of so many `bits` resolve; None for ideal ADCs, which resolve everything."""

    bits: int | None
    layers: tuple[LayerSum, ...]

    @classmethod
    def from_records(cls, bits: int | None, records: Sequence[Mapping[str, Any]]) -> Resolution:
        """Rebuild it from the bits of the ADCs and a record a layer, see `record`, with the layer's name."""
        sums = ({name: each[key] for key, name in SUMS.items()} for each in records)
        named = zip(records, sums, strict=True)
        return cls(bits, tuple(LayerSum(each["name"], own=each.get(OWN), **own) for each, own in named))

    def has(self, layer: LayerSum) -> int | None:
        """Return the bits of a layer's conversions, None for ideal ones."""
        return layer.own or self.bits

    @property
    def short(self) -> tuple[LayerSum, ...]:
        """The layers whose largest sum needs more bits than the ADCs have."""
        return tuple(layer for layer in self.layers if (bits := self.has(layer)) is not None and layer.bits > bits)

    @property
    def resolved(self) -> int:
        """Count the layers that are resolved."""
        return len(self.layers) - len(self.short)

    @property
    def complete(self) -> bool:
        """Say whether every sum of every layer is resolved."""
        return not self.short

    @cached_property
    def worst(self) -> LayerSum | None:
        """The layer that needs most bits, the first of several; None where no layer sits on crossbars."""
        return max(self.layers, key=lambda layer: layer.largest, default=None)

    @property
    def resolved_as_held(self) -> int | None:
        """Count the layers that ADCs with a range set for the weights would resolve; None where these are not known."""
        if any(layer.bits_held is None for layer in self.layers):
            return None
        known = [(self.has(layer), layer.bits_held) for layer in self.layers if layer.bits_held]
        return sum(bits is None or held <= bits for bits, held in known)

    @property
    def condition(self) -> str:
        """Say under which condition a program that equals the integers computes them on this chip."""
        if self.complete:
            return "and this chip's converters resolve every sum"
        return (
            "with converters that resolve every sum; "
            f"this chip's resolve {self.resolved} of {len(self.layers)} layer{'s' * (len(self.layers) != 1)}"
        )

    def __str__(self) -> str:
        """Say in a line what the converters have, what they resolve, and what the worst layer needs."""
        worst, count = self.worst, len(self.layers)
        plural = "s" * (count != 1)
        bits = [bits for layer in self.layers if (bits := self.has(layer)) is not None]
        bits = bits or ([] if self.bits is None else [self.bits])
        name = "-to-".join(map(str, sorted({min(bits), max(bits)}))) + "-bit" if bits else "ideal"
        if worst is None:
            return f"{name} converters; no layer sits on crossbars"
        needs = f"{worst.bits} bits in {worst.name!r}: sums up to {worst.largest} in {worst.rows} row{'s' * (worst.rows != 1)}"
        if self.complete:
            return f"{name} converters resolve every sum of {count} layer{plural} (at most {needs})"
        as_held = self.resolved_as_held
        by_weights = "" if as_held is None else f"; ranges set for these weights would resolve {as_held} of {count}"
        return (
            f"{name} converters fall short in {len(self.short)} of {count} layer{plural} (at most {needs}){by_weights}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data, the layers left out: their records hold their own."""
        worst = self.worst
        return {
            "adc_bits": self.bits,
            "adc_bits_needed": None if worst is None else worst.bits,
            "layers": len(self.layers),
            "resolved": self.resolved,
            "short": len(self.short),
            "resolved_as_held": self.resolved_as_held,
            "worst": None if worst is None else {"layer": worst.name, **record(replace(worst, own=None))},
            "text": str(self),
        }


SUMS = {
    "rows": "rows",
    "largest_sum": "largest",
    "adc_bits_needed": "bits",
    "largest_sum_held": "largest_held",
    "adc_bits_held": "bits_held",
}
"""The keys of a record of a layer's sums, and what each holds of a `LayerSum`."""
OWN = "adc_bits"
"""The key of the bits of conversions in a layer where they are its own."""


def record(layer: LayerSum) -> Mapping[str, int | None]:
    """Return what is known of a layer's sums, as its record in a report holds it."""
    own = {} if layer.own is None else {OWN: layer.own}
    return {key: getattr(layer, name) for key, name in SUMS.items()} | own


def resolution(program: Program, analog: Analog | None = None) -> Resolution:
    """Tell for each matrix layer of a program the bits that its largest column sum needs.

        mho.machine.resolution.resolution(program).short      the layers whose sums this chip's ADCs cannot tell apart

    `analog` says how many bits the ADCs have; None: as many as the chip file says.
    """
    analog, layers = analog or Analog(), []
    whole = adc_bits(analog, program.chip.array.adc_bits)
    for layer, column, levels in program.column_levels:
        if layer.combination is not None and layer.combination.numbers.units:
            continue  # Nothing of unit vectors is converted.
        read, coding = layer.readout, layer.blocks.shape.coding
        held = None if levels is None else levels * read.highest
        held_bits = None if levels is None else read.bits_for(coding, levels)
        bits, needed = adc_bits(analog, read.adc_bits), read.bits_for(coding, column.levels)
        sums = column.levels * read.highest, needed, held, held_bits
        layers.append(LayerSum(layer.name, column.rows, *sums, None if bits == whole else bits))
    return Resolution(whole, tuple(layers))


def proven_exact(program: Program, analog: Analog, resolved: Resolution) -> bool:
    """Return whether a program must give the integers' outputs with this analog side, whatever its inputs.

    So it is where cells hold whole levels for sure, ADCs have no errors, and these are ideal or resolve every sum at full range.
    """
    adc, bits = analog.adc, adc_bits(analog, program.chip.array.adc_bits)
    if not whole_sums(Sensing(program.chip, weights_shape(program.chip), analog)) or adc.gain_error or adc.offset_error:
        return False
    if bits is None:
        return True
    noisy = adc.effective_bits is not None and adc.effective_bits < bits
    return adc.range == "full" and resolved.complete and not noisy
