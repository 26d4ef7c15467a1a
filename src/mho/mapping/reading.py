"""How the blocks of a layer are read: the bits that drive them, the columns that are converted, the bits of conversions.

The choices of stage conversion say how many bits each conversion resolves:

- chip: those of the chip's ADCs, always;
- exact: as many as the layer's own rows, levels and input steps ask for, so that every sum is told apart, where the ADCs have them;
- below: so many fewer than exact (conversions that stop early; those of the chip at the most).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from mho.chip import Chip
from mho.chip.readout import Readout
from mho.errors import StrategyError
from mho.mapping.blocks import Blocks
from mho.network.graph import Network
from mho.network.layers import Activation, MatrixLayer
from mho.number.bits import LayerBits
from mho.number.coded import QuantisedNetwork
from mho.number.sampled import Sampled
from mho.strategy.choice import Choice, choice, setting
from mho.strategy.strategy import Strategy

NOT_NEGATIVE = ("relu", "sigmoid", "hard_sigmoid", "absolute", "softplus", "exp", "sqrt")
"""Activations that give no negative number, besides softmax and a clip from 0 on."""


class Conversion(Choice):
    """How many bits each conversion resolves, which every choice of stage conversion says."""

    stage = "conversion"

    def bits(self, chip: Chip, needed: int, least: int) -> int:
        """Return the bits of conversions in a layer whose largest sum needs `needed`; no conversion has fewer than `least`."""
        raise NotImplementedError


@choice("conversion", "chip")
class ChipBits(Conversion):
    """All bits that the chip's ADCs have."""

    def bits(self, chip: Chip, needed: int, least: int) -> int:
        """Return the bits of the chip."""
        return chip.array.adc_bits


class _Early(Conversion):
    """Conversions that stop before the last bit of the ADC."""

    def refusals(self, subject: Sampled, chip: Chip, strategy: Strategy) -> Iterator[StrategyError]:
        """Refuse a chip whose ADCs always convert all bits."""
        if chip.array.adc_modes != "every":
            yield self.refuse(
                f"has conversions stop early, but the ADCs of chip {chip.name} always convert {chip.array.adc_bits} bits",
                bound="array.adc_modes",
                helps="take `--set array.adc_modes=every`, if they can, or conversion chip",
            )


@choice("conversion", "exact", papers=("isaac",))
class Exact(_Early):
    """As many bits as the rows and levels of each layer ask for, no more than the chip's ADCs have."""

    def bits(self, chip: Chip, needed: int, least: int) -> int:
        """Return the bits that tell every sum apart."""
        return min(needed, chip.array.adc_bits)


@choice("conversion", "below")
class Below(_Early):
    """Fewer bits than the rows and levels of each layer ask for: conversions that stop early, and round."""

    fewer: int = setting(
        default=1, least=1, most=16, help="Bits that conversions leave out of those that sums ask for."
    )

    def bits(self, chip: Chip, needed: int, least: int) -> int:
        """Return the bits that are left, one and that of a sign at the least."""
        return min(max(needed - self.fewer, least), chip.array.adc_bits)


def driven_inputs(
    layer: MatrixLayer, network: Network | QuantisedNetwork, chip: Chip, bits: LayerBits
) -> tuple[int, bool]:
    """Return the bits that drive the rows of a layer, and whether with signs: of magnitudes then, as its codes have them.

    Where there are no codes yet, what comes from a rectifier and the like has none, and all else is coded symmetrically.
    """
    if not chip.array.drives_signs:
        return bits.inputs, False
    if isinstance(network, QuantisedNetwork):
        code, network = network.codes.get(layer.inputs[0]), network.network
        if code is not None:
            zero = int(code.zero)
            return (max(zero, code.high - zero).bit_length(), True) if zero > code.low else (bits.inputs, False)
    signed = not never_negative(network, layer.inputs[0])
    return max(bits.inputs - signed, 1), signed


def never_negative(network: Network, name: str) -> bool:
    """Return whether the layer that makes a tensor, or one whose values it only passes on or pools, gives no negative number."""
    layer = network.by_name[name]
    if isinstance(layer, Activation):
        return layer.function in NOT_NEGATIVE or (layer.function == "clip" and layer.parameters["low"] >= 0)
    if layer.kind == "softmax":
        return True
    passes = layer.moves_only or layer.kind == "pool"
    return bool(passes and layer.inputs) and all(never_negative(network, each) for each in layer.inputs)


@dataclass(eq=False)
class Readings:
    """How blocks are read on a chip. Layers that are read alike share one `Readout`.

    `conversion` chooses the bits of conversions; `known`: what was asked for before.
    """

    chip: Chip
    conversion: Conversion
    known: dict[tuple[int | bool, ...], Readout] = field(default_factory=dict)
    _found: dict[tuple[int, int, bool], tuple[Blocks, Readout]] = field(default_factory=dict)
    """By the identity of blocks, which are held so that no others come to have it."""

    def of(self, blocks: Blocks, bits: int, signed: bool) -> Readout:
        """Return how blocks are read for inputs of so many bits; equal layers share their blocks, so it is found once for all."""
        key = id(blocks), bits, signed
        if key not in self._found:
            self._found[key] = blocks, self._read(blocks, bits, signed)
        return self._found[key][1]

    def _read(self, blocks: Blocks, bits: int, signed: bool) -> Readout:
        chip, coding = self.chip, blocks.shape.coding
        cells = blocks.converted() * coding.cell_columns if chip.array.convert == "used" else chip.array.columns
        plain = self._one(bits, chip.array.adc_bits, chip.coding.conversions(cells), signed)
        turns, late = blocks.slowest(plain.steps)
        needed = plain.bits_for(coding, blocks.fullest().levels)
        resolved = self.conversion.bits(chip, needed, 1 + int(coding.pairs or plain.both_signs))
        return self._one(bits, resolved, plain.conversions, signed, turns, late * len(plain.passes))

    def _one(self, bits: int, adc_bits: int, conversions: int, signed: bool, turns: int = 1, late: int = 0) -> Readout:
        key = bits, adc_bits, conversions, signed, turns, late
        if key not in self.known:
            self.known[key] = Readout(self.chip, *key)
        return self.known[key]


__all__ = ["Below", "ChipBits", "Conversion", "Exact", "Readings", "driven_inputs", "never_negative"]
